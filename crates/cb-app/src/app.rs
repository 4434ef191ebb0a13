//! The application: what is open while the server runs.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cb_core::clock::Time;
use cb_core::config::ServerRole;
use cb_core::{Clock, Entropy, Error, Principal, Result, Secret};
use cb_fabric::{Bus, Fabric, FabricState, Listener, SharedRate, SharedThrottle, Sleeper};
use cb_net::outbound::Outbound;
use cb_store::entities::server;
use cb_store::{Storage, Store};
use cb_vault::checkpoint::CheckpointKey;
use cb_vault::token::Signer;
use ipnet::IpNet;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use uuid::Uuid;

use crate::apart::Apart;
use crate::audit::Beside;
use crate::auth::ends::Ends;
use crate::auth::forgot::Desk;
use crate::auth::guesses::Guesses;
use crate::auth::recent::Recent;
use crate::ctx::{Ctx, RequestMeta};
use crate::jumps::Jumps;
use crate::live::Tellers;
use crate::metrics::Counts;
use crate::notify::receive::Rates;
use crate::oidc::Known;
use crate::reconcile::Done;
use crate::replicas::{Presence, Workers};
use crate::setup::gate::Gate;
use crate::vault::Vault;

/// Who a session cookie stands for.
#[derive(Debug, Clone)]
pub struct Authenticated {
    pub principal: Principal,
    /// When the session ends at the latest.
    pub expires_at: Time,
    pub(crate) sid: Secret,
}

/// The running application. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// What it is put together from; see `start.rs`.
pub(crate) struct Inner {
    pub store: Store,
    pub fabric: Fabric,
    pub clock: Arc<dyn Clock>,
    pub entropy: Arc<dyn Entropy>,
    pub signer: Signer,
    /// Signs sessions; compared with the other servers' again and again.
    pub jwt: Secret,
    /// Why this server must not go on.
    pub refused: watch::Sender<Option<String>>,
    pub vault: Vault,
    pub checkpoint_key: CheckpointKey,
    pub beside: Beside,
    pub throttle: SharedThrottle,
    pub jumps: Jumps,
    pub outbound: Outbound,
    pub known_providers: Known,
    pub recent_sessions: Recent,
    pub ends: Ends,
    pub tellers: Tellers,
    pub guesses: Guesses,
    pub forgot_desk: Desk,
    pub hook_rates: Rates,
    pub oidc_starts: SharedRate,
    pub works_done: Done,
    pub counts: Counts,
    pub started_at: Time,
    /// The same, by the clock that only goes forward.
    pub started: Duration,
    pub api_token: Option<Secret>,
    pub setup: Gate,
    pub scan_allow: Vec<IpNet>,
    pub public_url: Option<Url>,
    /// This server, among those that work on the database.
    pub own_row: server::Model,
    pub role: ServerRole,
    pub workers: Workers,
    pub presence: Presence,
    pub apart: Apart,
    pub twin: AtomicBool,
    /// No other process works on this database.
    pub alone: bool,
    pub tasks: TaskTracker,
    pub stop: CancellationToken,
    /// Requests should go to another server: this one is about to stop.
    pub leaving: AtomicBool,
    /// Held as long as the process lives, so that no second server opens the same folder.
    pub _lock: Option<File>,
}

impl App {
    pub(crate) fn new(inner: Inner) -> Self {
        Self(Arc::new(inner))
    }

    /// Stops the workers (a scan that runs goes back to the queue) and closes the database.
    pub async fn close(self) -> Result<()> {
        const PATIENCE: Duration = Duration::from_secs(10);
        self.0.stop.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(PATIENCE, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("a worker did not stop in time; the server repeats its work after the next start");
        }
        self.0.fabric.leave().await;
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

    pub(crate) fn quiet(&self) -> Duration {
        self.0.fabric.bus().quiet()
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

    pub(crate) fn fabric(&self) -> &Fabric {
        &self.0.fabric
    }

    /// Whether what several servers share is there.
    pub fn fabric_state(&self) -> FabricState {
        self.links().borrow().clone()
    }

    /// The same, and when it changes.
    pub(crate) fn links(&self) -> watch::Receiver<FabricState> {
        self.0.fabric.state()
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

    pub(crate) fn ends(&self) -> &Ends {
        &self.0.ends
    }

    pub(crate) fn tellers(&self) -> &Tellers {
        &self.0.tellers
    }

    /// How many streams this server has open.
    pub fn open_streams(&self) -> usize {
        self.0.tellers.lines()
    }

    /// How many statements this process has asked the database.
    pub fn statements(&self) -> u64 {
        self.0.store.statements()
    }

    /// How often a place begins to sign in at a provider.
    pub(crate) fn oidc_starts(&self) -> &SharedRate {
        &self.0.oidc_starts
    }

    pub(crate) fn hook_rates(&self) -> &Rates {
        &self.0.hook_rates
    }

    pub(crate) fn works_done(&self) -> &Done {
        &self.0.works_done
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub(crate) fn started_at(&self) -> Time {
        self.0.started_at
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.steady().saturating_sub(self.0.started)
    }

    /// The name of this server among those that work on the database; the same after a restart.
    pub(crate) fn server(&self) -> &str {
        &self.0.own_row.id
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

    /// What this server does, of what several do together.
    pub fn role(&self) -> ServerRole {
        self.0.role
    }

    /// What this server says of itself to the others; its id is the same after a restart.
    pub(crate) fn own_row(&self) -> &server::Model {
        &self.0.own_row
    }

    /// Whether another process has this server's ID; answers whether that is news.
    pub(crate) fn set_twin(&self, twin: bool) -> bool {
        self.0.twin.swap(twin, Ordering::Relaxed) != twin
    }

    pub(crate) fn has_twin(&self) -> bool {
        self.0.twin.load(Ordering::Relaxed)
    }

    pub(crate) fn workers(&self) -> &Workers {
        &self.0.workers
    }

    pub(crate) fn apart(&self) -> &Apart {
        &self.0.apart
    }

    pub(crate) fn presence(&self) -> &Presence {
        &self.0.presence
    }

    pub(crate) fn worker_name(&self) -> &str {
        &self.0.own_row.run
    }

    /// Whose leases this server gives back when it starts: those of its own last run, or of everybody where it is alone.
    pub(crate) fn takes_over(&self) -> Option<&str> {
        (!self.0.alone).then_some(self.0.own_row.id.as_str())
    }

    /// Whether the database keeps what it is given, now and from now on.
    pub fn storage(&self) -> watch::Receiver<Storage> {
        self.0.store.storage()
    }

    /// Cancelled when the application begins to close.
    pub fn stopping(&self) -> &CancellationToken {
        &self.0.stop
    }

    /// Waits until this server must not go on beside the others, and says why.
    pub async fn refused(&self) -> String {
        let mut refused = self.0.refused.subscribe();
        match refused.wait_for(Option::is_some).await.map(|why| why.clone()) {
            Ok(Some(why)) => why,
            // Its sender lives as long as the application.
            _ => std::future::pending().await,
        }
    }

    pub(crate) fn refuse(&self, why: String) {
        self.leave();
        self.0.refused.send_replace(Some(why));
    }

    /// The secret that signs sessions here.
    pub(crate) fn jwt(&self) -> &Secret {
        &self.0.jwt
    }

    /// From now on [`Self::is_ready`] says no. What is under way, and what still arrives, is answered.
    pub fn leave(&self) {
        self.0.leaving.store(true, Ordering::Release);
    }

    /// Whether requests should be sent to this server. Redis and NATS are not needed for that.
    pub fn is_ready(&self) -> bool {
        !self.0.leaving.load(Ordering::Acquire) && self.0.store.serves()
    }

    /// Background work that ends when the server does.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(work);
    }
}
