//! Start-up: opens what a server needs, checks that it fits together, and starts what runs in the background. Everything here knows
//! the application, and nothing that the application holds knows this.
//!
//! To add background work: a line in [`run`]; work without input that comes again and again is a line of `reconcile.rs` instead.

use std::fs::File;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use cb_core::config::Config;
use cb_core::{Clock, Entropy, Secret};
use cb_fabric::Fabric;
use cb_net::outbound::Outbound;
use cb_store::{LOCK_FILE, Migrated, OpenError, Store};
use cb_vault::token::Signer;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::apart::Apart;
use crate::app::{App, Inner};
use crate::audit::Beside;
use crate::auth::ends::Ends;
use crate::auth::forgot::Desk;
use crate::auth::guesses::Guesses;
use crate::auth::recent::Recent;
use crate::jumps::{self, Jumps};
use crate::kept::{Secrets, kept_secret, open_data_dir, read_secret, unusable};
use crate::live::Tellers;
use crate::metrics::Counts;
use crate::notify::receive::Rates;
use crate::oidc::Known;
use crate::reconcile::Done;
use crate::replicas::{self, Presence, Workers};
use crate::setup::gate::{self, Gate};
use crate::shared::{self, Asks, Shared};
use crate::start_error::StartError;
use crate::vault::Vault;

/// A minute, from one place, which may be a whole office.
const OIDC_STARTS: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

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
        let app =
            Box::pin(Self::put_together(config, clock, entropy, store, Secrets::Make, Some(lock))).await?;
        app.store().stay_beside(&config.data_dir, crate::backup::needed(config));
        crate::exceptions::record(&app, config).await.map_err(StartError::Read)?;
        // From now on the folder knows which database it is used with, and how far that has come.
        crate::reconcile::checkpoint(&app).await;
        run(&app).await;
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
        jumps::follow_at_start(&store, &*clock).await?;
        shared::look(config, &store, secrets).await?;
        let vault = Vault::open(config, &store, secrets, lock.is_some(), clock.now(), &*entropy).await?;
        // What nobody needs after this process.
        let server = match secrets {
            Secrets::Make => kept_secret(&data.join("server-id"), || entropy.uuid(clock.now()).to_string())?,
            Secrets::AsTheyAre => read_secret(&data.join("server-id"))?
                .unwrap_or_else(|| Secret::new(entropy.uuid(clock.now()).to_string())),
        };
        let server = server.expose();
        // Two servers with a copy of one folder have one name: each takes what the other is doing when it starts, and it is done twice.
        let run = format!("{server}/{}", entropy.uuid(clock.now()));
        let own_row = replicas::row(server, &run, config.role, config.site.as_deref(), clock.now());
        let asks = match lock {
            Some(_) => Asks::Server(Box::new(own_row.clone())),
            None => Asks::Command(secrets),
        };
        let Shared { jwt, audit, installation } =
            shared::secrets(config, &store, &vault, asks, &*entropy).await?;
        let setup_done = gate::is_done_in(&store).await.map_err(StartError::Read)?;
        let setup = Gate::new(config, secrets == Secrets::Make && config.role.serves(), setup_done, || {
            entropy.spoken_code()
        })?;
        // A command beside a server is over before anybody would hear it.
        let fabric = match &config.cluster {
            Some(urls) if lock.is_some() => {
                Fabric::cluster(urls, &jwt, &installation, clock.clone(), entropy.clone())?
            }
            _ => Fabric::embedded(clock.clone(), &*entropy),
        };
        Ok(Self::new(Inner {
            store,
            throttle: fabric.throttle(),
            hook_rates: Rates::new(&fabric),
            oidc_starts: fabric.rate("oidc-start", OIDC_STARTS),
            fabric,
            signer: Signer::new(&jwt),
            jwt,
            refused: watch::Sender::default(),
            vault,
            checkpoint_key: audit,
            beside: Beside::of(data),
            jumps: Jumps::new(&*clock),
            outbound: Outbound::from_config(config),
            known_providers: Known::default(),
            recent_sessions: Recent::default(),
            ends: Ends::default(),
            tellers: Tellers::default(),
            guesses: Guesses::default(),
            forgot_desk: Desk::default(),
            works_done: Done::default(),
            counts: Counts::default(),
            started_at: clock.now(),
            started: clock.steady(),
            api_token: config.api_token.clone(),
            setup,
            scan_allow: config.scan_allow.clone(),
            public_url: config.public_url.clone(),
            own_row,
            role: config.role,
            workers: Workers::default(),
            presence: Presence::default(),
            apart: Apart::default(),
            twin: AtomicBool::new(false),
            alone: config.db_url.is_none(),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            leaving: AtomicBool::new(false),
            clock,
            entropy,
            _lock: lock,
        }))
    }
}

/// Brings the database to the schema of this program. Servers of the version before may work on PostgreSQL meanwhile.
pub async fn migrate(config: &Config) -> Result<Migrated, StartError> {
    let migrated = if let Some(url) = &config.db_url {
        crate::backup::guard(config).await?;
        Store::migrate_postgres(url).await?
    } else {
        // Nobody else may have it open.
        let _lock = open_data_dir(&config.data_dir)?;
        crate::backup::settle(config).await?;
        crate::backup::guard(config).await?;
        Store::migrate_sqlite(&config.data_dir).await?
    };
    Ok(migrated)
}

/// Starts what the server does without being asked, by its role.
async fn run(app: &App) {
    if let Err(error) = replicas::seen(app, false).await {
        tracing::warn!(%error, "the server could not note that it is there; it tries again in a moment");
    }
    replicas::tell_small_room(app).await;
    app.spawn(crate::storage::watch(app.clone()));
    crate::auth::ends::start(app);
    if app.role().works() {
        crate::jobs::start(app).await;
        app.spawn(crate::notify::worker::run(app.clone()));
    }
    crate::reconcile::start(app).await;
}

async fn attach(config: &Config) -> Result<Store, OpenError> {
    match &config.db_url {
        Some(url) => Store::attach_postgres(url).await,
        None => Store::attach_sqlite(&config.data_dir).await,
    }
}
