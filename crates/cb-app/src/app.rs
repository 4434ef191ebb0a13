//! The application: what is open while the server runs.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cb_core::clock::Time;
use cb_core::config::{Config, ConfigError};
use cb_core::{Clock, Entropy, Error, Principal, Result, Secret};
use cb_fabric::{Bus, Fabric, FabricState, Listener, SharedThrottle, Sleeper};
use cb_net::outbound::Outbound;
use cb_store::{LOCK_FILE, OpenError, Storage, Store};
use cb_vault::checkpoint::CheckpointKey;
use cb_vault::token::Signer;
use ipnet::IpNet;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use crate::audit::Beside;
use crate::auth::forgot::Desk;
use crate::auth::guesses::Guesses;
use crate::auth::recent::Recent;
use crate::ctx::{Ctx, RequestMeta};
use crate::jumps::Jumps;
use crate::notify::receive::Rates;
use crate::oidc::Known;
use crate::reconcile::Done;
use crate::setup::gate::{self, Gate};
use crate::vault::Vault;

/// Why the application cannot start, and what to do about it; one line.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] OpenError),
    #[error(
        "the database cannot be read: {0}. Start the server again; if the error remains, restore a backup"
    )]
    Read(Error),
}

/// Who a session cookie stands for.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub principal: Principal,
    /// When the session ends at the latest.
    pub expires_at: Time,
    pub(crate) sid: Secret,
}

/// What is done about secrets that are not in the data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Secrets {
    /// They are made: this process is the only one that may.
    Make,
    /// They are the server's, which makes them at its first start.
    AsTheyAre,
}

/// The running application. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    store: Store,
    fabric: Fabric,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    signer: Signer,
    vault: Vault,
    checkpoint_key: CheckpointKey,
    beside: Beside,
    throttle: SharedThrottle,
    jumps: Jumps,
    outbound: Outbound,
    known_providers: Known,
    recent_sessions: Recent,
    guesses: Guesses,
    forgot_desk: Desk,
    hook_rates: Rates,
    works_done: Done,
    api_token: Option<Secret>,
    setup: Gate,
    scan_allow: Vec<IpNet>,
    public_url: Option<Url>,
    /// This server, among those that work on the database; the same after a restart.
    server: String,
    /// This run of it.
    worker: String,
    /// No other process works on this database.
    alone: bool,
    tasks: TaskTracker,
    stop: CancellationToken,
    /// Held as long as the process lives, so that no second server opens the same folder.
    _lock: Option<File>,
}

impl App {
    /// Opens the data folder, the secrets and the database, migrates it, and starts the workers.
    pub async fn open(
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StartError> {
        let lock = open_data_dir(&config.data_dir)?;
        crate::folder::shut(&config.data_dir);
        crate::backup::settle(config).await?;
        crate::backup::guard(config).await?;
        let store = match &config.db_url {
            Some(url) => Store::open_postgres(url).await?,
            None => Store::open_sqlite(&config.data_dir).await?,
        };
        store
            .record_in(&lock)
            .map_err(|e| unusable(&config.data_dir.join(LOCK_FILE), format!("it cannot be written ({e})")))?;
        let app = Self::put_together(config, clock, entropy, store, Secrets::Make, Some(lock)).await?;
        app.store().stay_beside(&config.data_dir, crate::backup::needed(config));
        crate::exceptions::record(&app, config).await.map_err(StartError::Read)?;
        // From now on the folder knows that it is in use, whatever becomes of the database.
        if !app.setup_required().await.map_err(StartError::Read)? && !app.beside_database().is_there() {
            app.checkpoint_now().await;
        }
        app.spawn(crate::storage::watch(app.clone()));
        crate::jobs::start(&app).await;
        app.spawn(crate::notify::worker::run(app.clone()));
        crate::reconcile::start(&app).await;
        Ok(app)
    }

    /// The application without workers, beside a server that may be running over the same data; for the command line.
    pub async fn beside(
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StartError> {
        crate::backup::guard(config).await?;
        let store = attach(config).await?;
        Self::put_together(config, clock, entropy, store, Secrets::AsTheyAre, None).await
    }

    /// In the place of a server, over a database that may be older than its folder.
    pub(crate) async fn beside_as_it_is(
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, StartError> {
        let store = attach(config).await?;
        Self::put_together(config, clock, entropy, store, Secrets::Make, None).await
    }

    async fn put_together(
        config: &Config,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        store: Store,
        secrets: Secrets,
        lock: Option<File>,
    ) -> Result<Self, StartError> {
        let data = &config.data_dir;
        // What nobody needs after this process.
        let passing = |name: &str, make: &dyn Fn() -> String| match secrets {
            Secrets::Make => kept_secret(&data.join(name), make),
            Secrets::AsTheyAre => Ok(read_secret(&data.join(name))?.unwrap_or_else(|| Secret::new(make()))),
        };
        let jwt_secret = match &config.jwt_secret {
            Some(given) => given.clone(),
            None => passing("jwt-secret", &|| entropy.token())?,
        };
        let key_file = data.join("audit-key");
        if secrets == Secrets::AsTheyAre && !key_file.exists() {
            return Err(no_audit_key(data).into());
        }
        let vault = Vault::open(config, &store, secrets, lock.is_some(), clock.now(), &*entropy).await?;
        let checkpoint_key = kept_secret(&key_file, || CheckpointKey::generate(&*entropy))?;
        let checkpoint_key = CheckpointKey::parse(&checkpoint_key).ok_or_else(|| {
            ConfigError::new(
                &key_file.display().to_string(),
                "it does not contain a signing key",
                "Put back the original file, or delete it; the next start then creates a new one",
            )
        })?;
        let setup_done = gate::is_done_in(&store).await.map_err(StartError::Read)?;
        let setup = Gate::new(config, secrets == Secrets::Make, setup_done, || entropy.spoken_code())?;
        let server = passing("server-id", &|| entropy.uuid(clock.now()).to_string())?.expose().to_owned();
        // A command beside a server is over before anybody would hear it.
        let fabric = match &config.cluster {
            Some(urls) if lock.is_some() => {
                Fabric::cluster(urls, &jwt_secret, clock.clone(), entropy.clone())?
            }
            _ => Fabric::embedded(clock.clone(), &*entropy),
        };
        // Two servers with a copy of one folder have one name: each takes what the other is doing when it starts, and it is done twice.
        let worker = format!("{server}/{}", entropy.uuid(clock.now()));
        Ok(Self(Arc::new(Inner {
            store,
            throttle: fabric.throttle(),
            hook_rates: Rates::new(&fabric),
            fabric,
            signer: Signer::new(&jwt_secret),
            vault,
            checkpoint_key,
            beside: Beside::of(data),
            jumps: Jumps::new(&*clock),
            outbound: Outbound::from_config(config),
            known_providers: Known::default(),
            recent_sessions: Recent::default(),
            guesses: Guesses::default(),
            forgot_desk: Desk::default(),
            works_done: Done::default(),
            api_token: config.api_token.clone(),
            setup,
            scan_allow: config.scan_allow.clone(),
            public_url: config.public_url.clone(),
            server,
            worker,
            alone: config.db_url.is_none(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            clock,
            entropy,
            _lock: lock,
        })))
    }

    /// Stops the workers (a scan that runs goes back to the queue) and closes the database.
    pub async fn close(self) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(10);
        self.0.stop.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(PATIENCE, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("a worker did not stop in time; the server repeats its work after the next start");
        }
        self.0.store.clone().close().await
    }

    pub async fn setup_required(&self) -> Result<bool> {
        Ok(!self.0.setup.is_done(&self.0.store).await?)
    }

    /// Before setup there is nobody who could ask for anything.
    pub async fn after_setup(&self) -> Result<()> {
        if self.setup_required().await? { Err(Error::SetupRequired) } else { Ok(()) }
    }

    /// The code that setup asks for, while it does; and the file that holds it, unless the operator gave the code.
    pub fn setup_code(&self) -> Option<(Secret, Option<&Path>)> {
        self.0.setup.code()
    }

    pub(crate) fn setup_is_done(&self) {
        self.0.setup.shut();
    }

    pub fn ctx(&self, principal: Principal, meta: RequestMeta) -> Ctx {
        Ctx::new(self.clone(), principal, Some(meta))
    }

    /// For work that no request asked for.
    pub fn own_ctx(&self, principal: Principal) -> Ctx {
        Ctx::new(self.clone(), principal, None)
    }

    /// Hears every event from now on.
    pub fn listen(&self) -> Listener {
        self.0.fabric.bus().listen()
    }

    pub fn now(&self) -> Time {
        self.0.clock.now()
    }

    /// Of a clock that only goes forward: for what waits within this process.
    pub(crate) fn steady(&self) -> Duration {
        self.0.clock.steady()
    }

    pub fn new_id(&self) -> Uuid {
        self.0.entropy.uuid(self.now())
    }

    pub fn entropy(&self) -> &dyn Entropy {
        &*self.0.entropy
    }

    pub(crate) fn shared_entropy(&self) -> Arc<dyn Entropy> {
        self.0.entropy.clone()
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        self.0.clock.clone()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn bus(&self) -> &Bus {
        self.0.fabric.bus()
    }

    /// There are jobs of this kind, for whichever server does them.
    pub(crate) fn wake(&self, kind: &str) {
        self.0.fabric.wake(kind);
    }

    /// Sleeps until there may be jobs of this kind.
    pub(crate) fn sleeper(&self, kind: &'static str) -> Sleeper {
        self.0.fabric.sleeper(kind)
    }

    pub(crate) fn signer(&self) -> &Signer {
        &self.0.signer
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    pub(crate) fn checkpoint_key(&self) -> &CheckpointKey {
        &self.0.checkpoint_key
    }

    /// What is kept of the audit log outside of the database.
    pub(crate) fn beside_database(&self) -> &Beside {
        &self.0.beside
    }

    /// Whether what several servers share is there.
    pub fn fabric_state(&self) -> FabricState {
        self.0.fabric.state().borrow().clone()
    }

    pub(crate) fn throttle(&self) -> &SharedThrottle {
        &self.0.throttle
    }

    pub(crate) fn jumps(&self) -> &Jumps {
        &self.0.jumps
    }

    /// The only way to speak to a server that a person has named.
    pub(crate) fn outbound(&self) -> &Outbound {
        &self.0.outbound
    }

    pub(crate) fn guesses(&self) -> &Guesses {
        &self.0.guesses
    }

    pub(crate) fn recent_sessions(&self) -> &Recent {
        &self.0.recent_sessions
    }

    pub(crate) fn hook_rates(&self) -> &Rates {
        &self.0.hook_rates
    }

    pub(crate) fn works_done(&self) -> &Done {
        &self.0.works_done
    }

    pub(crate) fn forgot_desk(&self) -> &Desk {
        &self.0.forgot_desk
    }

    pub(crate) fn known_providers(&self) -> &Known {
        &self.0.known_providers
    }

    pub(crate) fn api_token(&self) -> Option<&Secret> {
        self.0.api_token.as_ref()
    }

    pub(crate) fn scan_allow(&self) -> &[IpNet] {
        &self.0.scan_allow
    }

    /// Where people find this server, as far as the operator has said.
    pub(crate) fn public_url(&self) -> Option<&Url> {
        self.0.public_url.as_ref()
    }

    pub(crate) fn worker_name(&self) -> &str {
        &self.0.worker
    }

    /// Whose leases this server gives back when it starts: those of its own last run, or of everybody where it is alone.
    pub(crate) fn takes_over(&self) -> Option<&str> {
        (!self.0.alone).then_some(self.0.server.as_str())
    }

    /// Whether the database keeps what it is given, now and from now on.
    pub fn storage(&self) -> watch::Receiver<Storage> {
        self.0.store.storage()
    }

    /// Cancelled when the application begins to close.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Background work that ends when the server does.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(work);
    }
}

/// Makes the folder if needed, sees that it can be written to, and takes it for this process.
pub(crate) fn open_data_dir(dir: &Path) -> Result<File, ConfigError> {
    let refuse = |reason: String, mend: String| ConfigError::new("CB_DATA_DIR", reason, mend);
    let shown = dir.display();
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(|e| {
        refuse(
            format!("{shown} cannot be created ({e})"),
            format!("Create it for the user that runs the server: install -d -m 700 -o USER {shown}, where USER is that user"),
        )
    })?;
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(dir.join(LOCK_FILE));
    let file = file.map_err(|e| match e.kind() {
        ErrorKind::StorageFull => refuse(
            format!("the disk that holds {shown} is full"),
            "Free some space there, or set CB_DATA_DIR to another folder".to_owned(),
        ),
        _ => refuse(
            format!("{shown} cannot be written to ({e})"),
            format!("Run this command as the user that runs the server, or make that user the owner of the folder: chown -R USER {shown} && chmod 700 {shown}, where USER is that user"),
        ),
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(refuse(
            format!("another server or a restore is using {shown}"),
            "Stop it, wait until it ends, or set CB_DATA_DIR to another folder".to_owned(),
        )),
        Err(std::fs::TryLockError::Error(e)) => Err(refuse(
            format!("{shown} cannot be locked ({e})"),
            "Move the folder to a local disk".to_owned(),
        )),
    }
}

async fn attach(config: &Config) -> Result<Store, OpenError> {
    match &config.db_url {
        Some(url) => Store::attach_postgres(url).await,
        None => Store::attach_sqlite(&config.data_dir).await,
    }
}

/// Why nothing is done in a folder without this key.
pub(crate) fn no_audit_key(data: &Path) -> ConfigError {
    ConfigError::new(
        &data.join("audit-key").display().to_string(),
        "this file does not exist",
        "Put the file back: every archive of cb backup contains it (tar -xf ARCHIVE audit-key). If no server has run here before, start the server (cb serve). If the key is lost, the server creates a new one when it starts, but then the signatures of the old key can no longer be verified",
    )
}

/// The secret in `file`, or a new one written there for the owner's eyes only.
pub(crate) fn kept_secret(file: &Path, make: impl FnOnce() -> String) -> Result<Secret, ConfigError> {
    if let Some(kept) = read_secret(file)? {
        return Ok(kept);
    }
    let secret = Secret::new(make());
    // Written beside and moved, so that a crash never leaves half a secret.
    let fresh = file.with_extension("new");
    remove(&fresh);
    let written =
        OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh).and_then(|mut f| {
            f.write_all(secret.expose().as_bytes())?;
            f.write_all(b"\n")?;
            f.sync_all()?;
            std::fs::rename(&fresh, file)?;
            // A power cut must not take it away when something has been sealed with it.
            File::open(file.parent().unwrap_or(Path::new("."))).and_then(|folder| folder.sync_all())
        });
    written.map_err(|e| unusable(file, format!("it cannot be written ({e})")))?;
    Ok(secret)
}

/// The secret in `file`; none where there is no such file.
pub(crate) fn read_secret(file: &Path) -> Result<Option<Secret>, ConfigError> {
    let mut open = match File::open(file) {
        Ok(open) => open,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(unusable(file, format!("it cannot be opened ({e})"))),
    };
    let mut text = String::new();
    std::io::Read::take(&mut open, 4096)
        .read_to_string(&mut text)
        .map_err(|e| unusable(file, format!("it cannot be read ({e})")))?;
    match Secret::new(text).expose().trim() {
        "" => Err(unusable(file, "it is empty".to_owned())),
        kept => Ok(Some(Secret::new(kept.to_owned()))),
    }
}

fn unusable(file: &Path, reason: String) -> ConfigError {
    let shown = file.display();
    ConfigError::new(
        &shown.to_string(),
        reason,
        // What it has sealed or signed could not be opened or verified any more.
        if file.file_name().is_some_and(|name| name == "vault-key" || name == "audit-key") {
            format!(
                "Make it readable for the user that runs the server, or restore it from a backup: {shown}"
            )
        } else {
            format!(
                "Make it readable for the user that runs the server, or delete it, and the next start creates a new one: rm {shown}"
            )
        },
    )
}

pub(crate) fn remove(file: &Path) {
    if let Err(e) = std::fs::remove_file(file)
        && e.kind() != ErrorKind::NotFound
    {
        tracing::warn!(file = %file.display(), error = %e, "a file that is no longer needed cannot be deleted");
    }
}
