//! How the servers do: one answer for the page *Operations*, and what is degraded in words for people.
//!
//! To add something that can be degraded: a variant of [`Code`] and a line in [`degraded::all`].

mod degraded;
mod foreign;

use cb_core::{Permission, Result, config};
use cb_fabric::FabricState;
use cb_store::entities::server;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::ctx::Ctx;
use crate::metrics::{Page, ServerFigures};
use crate::reconcile::{self, Name};
use crate::replicas;
use crate::storage::{self, StorageOut, StorageState};

use self::degraded::Sights;

/// How the servers do.
#[derive(Debug, Serialize, ToSchema)]
pub struct Operations {
    /// The server that answers; see `servers`.
    pub server: String,
    /// What does not work as it should, and what that means. Empty if everything works.
    pub degraded: Vec<Degraded>,
    /// The servers that work on this database.
    pub servers: Vec<ServerOut>,
    pub database: DatabaseOut,
    pub fabric: FabricOut,
}

/// A server that works on this database.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Server)]
pub struct ServerOut {
    /// The same after a restart.
    pub id: String,
    pub role: ServerRole,
    pub version: String,
    /// The name of its machine.
    pub host: String,
    /// The site whose network it scans; null for the main site.
    #[schema(required)]
    pub site: Option<String>,
    pub started_at: DateTime<Utc>,
    /// When it last said that it lives.
    pub seen_at: DateTime<Utc>,
    /// The memory that it uses; null if it does not say.
    #[schema(required)]
    pub memory_bytes: Option<u64>,
}

/// What a server does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServerRole {
    /// Answers requests and does the work behind them.
    All,
    /// Only answers requests.
    Api,
    /// Only does the work behind them.
    Worker,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Database)]
pub struct DatabaseOut {
    pub kind: DatabaseKind,
    pub storage: StorageOut,
    /// The connections of the server that answers.
    pub pools: Vec<PoolOut>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DatabaseKind {
    Sqlite,
    Postgres,
}

/// The connections for one purpose.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DatabasePool)]
pub struct PoolOut {
    /// `read`, `write`, `look` (checks whether the database works) or `flush` (waits for its disk).
    pub name: &'static str,
    pub open: u32,
    pub idle: u32,
    /// How many there may be.
    pub most: u32,
    /// Questions that waited for a connection since the server started.
    pub waits: u64,
}

/// What several servers share besides the database.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Fabric)]
pub struct FabricOut {
    pub mode: FabricMode,
    /// Null if no server shares anything.
    #[schema(required)]
    pub redis: Option<LinkOut>,
    #[schema(required)]
    pub nats: Option<LinkOut>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FabricMode {
    /// One server, which needs neither Redis nor NATS.
    Embedded,
    /// Several servers over Redis and NATS.
    Cluster,
}

impl FabricMode {
    const WORDS: [&str; 2] = ["embedded", "cluster"];
}

/// The connection to Redis or NATS.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = FabricLink)]
pub struct LinkOut {
    pub up: bool,
    /// Since when it has been so.
    pub since: DateTime<Utc>,
    /// What was wrong last; null if nothing was. It stays when the connection is up again.
    #[schema(required)]
    pub error: Option<String>,
}

/// Something that does not work as it should.
#[derive(Debug, Serialize, ToSchema)]
pub struct Degraded {
    pub code: Code,
    /// What is degraded.
    pub what: String,
    /// Why, as far as the server knows.
    #[schema(required)]
    pub why: Option<String>,
    /// What it means for people who use the server.
    pub means: String,
    /// What to do.
    pub fix: String,
    /// Since when; null if the server does not know.
    #[schema(required)]
    pub since: Option<DateTime<Utc>>,
    /// The periodic work that fails, if the code is `periodic_work_failing`.
    #[schema(required)]
    pub work: Option<Name>,
}

/// What is degraded, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = DegradedCode)]
pub enum Code {
    /// The database does not save what it is given, or does not answer; see `database.storage`.
    Storage,
    /// A transaction of another program in PostgreSQL has locked tables, or has been open for a long time.
    ForeignTransaction,
    Redis,
    Nats,
    PeriodicWorkFailing,
    /// No server works for a site that has work, or none works at all.
    NoWorker,
    /// A server was not seen for half a minute and did not stop in order.
    ServerLost,
    /// Another server has the server-id of this one.
    SameServerId,
    /// Servers have different values of `CB_API_TOKEN`.
    ApiToken,
    /// This server's clock is not the database's.
    Clock,
    /// A part of what this answer tells could not be read from the database.
    Unread,
}

/// How the servers do, as the one that answers sees it.
pub async fn get(ctx: &Ctx) -> Result<Operations> {
    ctx.authorize(Permission::MetricsRead)?;
    let app = ctx.app();
    let storage = storage::of(app);
    let fabric = fabric(app);
    let mut sights = Sights::here(app, &storage, &fabric);
    // A database that is away is the first thing that people come here for.
    if storage.state != StorageState::Away {
        // Beside each other: each may wait for a connection.
        let store = app.store();
        let (foreign, works, servers, waiting) = tokio::join!(
            store.foreign_transactions(foreign::LONG),
            reconcile::seen(app),
            replicas::all(app),
            store.waiting_scans_of_sites()
        );
        sights.foreign = sights.read(foreign).unwrap_or_default();
        sights.works = sights.read(works);
        sights.servers = sights.read(servers);
        sights.waiting = sights.read(waiting).unwrap_or_default();
    }
    let degraded = degraded::all(&sights);
    Ok(Operations {
        server: app.server().to_owned(),
        degraded,
        servers: listed(sights.servers.unwrap_or_else(|| vec![(replicas::own(app), true)])),
        database: DatabaseOut {
            kind: if app.store().is_sqlite() { DatabaseKind::Sqlite } else { DatabaseKind::Postgres },
            storage,
            pools: pools(app),
        },
        fabric,
    })
}

/// The live ones.
fn listed(servers: Vec<(server::Model, bool)>) -> Vec<ServerOut> {
    let out = |row: server::Model| ServerOut {
        role: match row.role.parse() {
            Ok(config::ServerRole::Api) => ServerRole::Api,
            Ok(config::ServerRole::Worker) => ServerRole::Worker,
            Ok(config::ServerRole::All) | Err(_) => ServerRole::All,
        },
        memory_bytes: row.memory_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        id: row.id,
        version: row.version,
        host: row.host,
        site: row.site,
        started_at: row.started_at,
        seen_at: row.seen_at,
    };
    servers.into_iter().filter(|(_, live)| *live).map(|(row, _)| out(row)).collect()
}

fn pools(app: &App) -> Vec<PoolOut> {
    let out = |pool: cb_store::PoolFigures| PoolOut {
        name: pool.name,
        open: pool.open,
        idle: pool.idle,
        most: pool.most,
        waits: pool.waits,
    };
    app.store().pools().into_iter().map(out).collect()
}

fn fabric(app: &App) -> FabricOut {
    let link = |link: cb_fabric::Link| LinkOut { up: link.up, since: link.since, error: link.error };
    match app.fabric_state() {
        FabricState::Embedded => FabricOut { mode: FabricMode::Embedded, redis: None, nats: None },
        FabricState::Cluster { redis, nats } => {
            FabricOut { mode: FabricMode::Cluster, redis: Some(link(redis)), nats: Some(link(nats)) }
        }
    }
}

pub(crate) fn metrics(app: &App, page: &mut Page) {
    let fabric = fabric(app);
    let mode = FabricMode::WORDS[fabric.mode as usize];
    page.gauge(
        "cb_fabric_mode",
        "1 for the mode of the fabric: one server (embedded), or several (cluster).",
    )
    .one_of("mode", &FabricMode::WORDS, mode);
    let local = fabric.redis.as_ref().is_some_and(|redis| !redis.up);
    page.gauge(
        "cb_fabric_local_limits",
        "1 while this server counts rates and failed sign-ins by itself, because Redis is away.",
    )
    .value(&[], local);
    let unheard = app.bus().unheard();
    page.counter(
        "cb_fabric_messages_missed_total",
        "Messages of other servers that did not arrive; what they say is read from the database.",
    )
    .value(&[], unheard.missed.get());
    page.counter(
        "cb_fabric_messages_refused_total",
        "Messages on the subjects of the servers that no server of this cluster has signed, or that came twice.",
    )
    .value(&[], unheard.refused.get());
}

/// Whether each server reaches what the servers share.
pub(crate) fn links(_: &App, page: &mut Page, figures: &[ServerFigures]) {
    let mut up = page
        .gauge("cb_fabric_up", "1 if a server reaches Redis or NATS; without a value in the mode embedded.");
    for ServerFigures { id, told } in figures {
        for name in ["redis", "nats"] {
            if let Some(link) = told.links.get(name) {
                up.of_server(*id, &[("link", name)], link.up);
            }
        }
    }
}
