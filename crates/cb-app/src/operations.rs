//! How the servers do: one answer for the page *Operations*, and what is degraded in words for people.
//!
//! To add something that can be degraded: a variant of [`Code`] and a line in [`degraded`].

use std::collections::BTreeSet;

use cb_core::{Permission, Result, config};
use cb_fabric::FabricState;
use cb_store::entities::server;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::ctx::Ctx;
use crate::jumps::NOTICED;
use crate::metrics::told::Told;
use crate::metrics::{Page, ServerFigures};
use crate::reconcile::{self, Name, Works};
use crate::replicas;
use crate::storage::{self, StorageOut, StorageState};

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
    Redis,
    Nats,
    PeriodicWorkFailing,
    /// No server works for the main site, or none works at all.
    NoWorker,
    /// This server's clock is not the database's.
    Clock,
}

/// How the servers do, as the one that answers sees it.
pub async fn get(ctx: &Ctx) -> Result<Operations> {
    ctx.authorize(Permission::MetricsRead)?;
    let app = ctx.app();
    let storage = storage::of(app);
    let fabric = fabric(app);
    // A database that is away is the first thing that people come here for.
    let away = storage.state == StorageState::Away;
    let works = if away { None } else { reconcile::seen(app).await.ok() };
    let servers = if away { None } else { replicas::all(app).await.ok() };
    let degraded = degraded(&storage, &fabric, works.as_ref(), servers.as_deref(), app.clock().ahead());
    let elsewhere = servers.as_deref().map(|all| lost_by_others(all, app.server()));
    let degraded = degraded.into_iter().chain(elsewhere.unwrap_or_default()).collect();
    Ok(Operations {
        server: app.server().to_owned(),
        degraded,
        servers: listed(servers.unwrap_or_else(|| vec![(replicas::own(app), true)])),
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

/// A sentence names so many machines.
const HOSTS_NAMED: usize = 5;
const WITHOUT_REDIS: &str = "Each server counts failed sign-ins and rates by itself, from where the shared count was. Limits still hold, but each server allows as much as all of them together did.";
const WITHOUT_NATS: &str = "Changes that one server makes reach the pages of the other servers a few seconds later. Nothing is lost.";

fn degraded(
    storage: &StorageOut,
    fabric: &FabricOut,
    works: Option<&Works>,
    servers: Option<&[(server::Model, bool)]>,
    ahead: TimeDelta,
) -> Vec<Degraded> {
    let database = storage.trouble.map(|trouble| database_in(storage.state, trouble));
    let down = |link: &Option<LinkOut>| link.clone().filter(|link| !link.up);
    let redis = down(&fabric.redis).map(|link| Degraded {
        code: Code::Redis,
        what: "Redis does not answer this server.".to_owned(),
        why: link.error,
        means: WITHOUT_REDIS.to_owned(),
        fix: "Start Redis, or correct CB_REDIS_URL. The server notices within ten seconds; you do not have to restart it.".to_owned(),
        since: Some(link.since),
        work: None,
    });
    let nats = down(&fabric.nats).map(|link| Degraded {
        code: Code::Nats,
        what: "NATS does not answer this server.".to_owned(),
        why: link.error,
        means: WITHOUT_NATS.to_owned(),
        fix: "Start NATS, or correct CB_NATS_URL. The server notices within ten seconds; you do not have to restart it.".to_owned(),
        since: Some(link.since),
        work: None,
    });
    let failing = works.into_iter().flat_map(|works| &works.items).filter_map(|work| {
        Some(Degraded {
            code: Code::PeriodicWorkFailing,
            what: "Periodic work fails.".to_owned(),
            why: Some(work.error.clone()?),
            means: "This work is late until a run succeeds. Everything else goes on.".to_owned(),
            fix: "The server retries by itself. If the work keeps failing, the log of the server has the details.".to_owned(),
            since: work.ended_at,
            work: Some(work.name),
        })
    });
    let idle = servers.and_then(nobody_works);
    let clock = (ahead.abs() >= NOTICED).then(|| clock_is_off(ahead));
    database.into_iter().chain(redis).chain(nats).chain(idle).chain(failing).chain(clock).collect()
}

/// What other live servers than `me` say that they have lost. A worker opens no port, so nobody can ask it.
fn lost_by_others(servers: &[(server::Model, bool)], me: &str) -> Vec<Degraded> {
    let others = || servers.iter().filter(|(row, live)| *live && row.id != me).map(|(row, _)| row);
    let links = [
        (Code::Redis, "redis", "Redis", WITHOUT_REDIS, "CB_REDIS_URL"),
        (Code::Nats, "nats", "NATS", WITHOUT_NATS, "CB_NATS_URL"),
    ];
    let of = |(code, link, name, means, setting): (Code, &str, &str, &str, &str)| {
        let lost = others().filter_map(|row| {
            let since = Told::of(row)?.links.get(link)?.lost_since(row.seen_at)?;
            Some((format!("{} ({})", row.host, row.role), since))
        });
        let lost: Vec<_> = lost.collect();
        let since = lost.iter().map(|(_, since)| *since).min()?;
        let hosts: BTreeSet<_> = lost.into_iter().map(|(host, _)| host).collect();
        let more = hosts.len().saturating_sub(HOSTS_NAMED);
        let mut named = hosts.into_iter().take(HOSTS_NAMED).collect::<Vec<_>>().join(", ");
        if more > 0 {
            named = format!("{named} and {more} more");
        }
        Some(Degraded {
            code,
            what: format!("{name} does not answer other servers: {named}."),
            why: None,
            means: means.to_owned(),
            fix: format!(
                "Make {name} reachable from there, or correct {setting} there. The log of each of these servers says why it has no connection."
            ),
            since: Some(since),
            work: None,
        })
    };
    links.into_iter().filter_map(of).collect()
}

/// Whether the main site, or the whole installation, has no live worker.
fn nobody_works(servers: &[(server::Model, bool)]) -> Option<Degraded> {
    let workers = || servers.iter().filter(|(row, _)| replicas::works(row));
    let live = || workers().filter(|(_, live)| *live);
    if live().any(|(row, _)| row.site.is_none()) {
        return None;
    }
    let elsewhere = live().next().is_some();
    let (what, means) = if elsewhere {
        (
            "No worker of the main site runs.",
            "Scans of the main site wait until one runs. The workers of the other sites send the messages and do the periodic work.",
        )
    } else {
        (
            "No worker runs.",
            "Scans and messages wait, and no periodic work is done, until a worker runs. Nothing that waits is lost.",
        )
    };
    // One that stopped in order has left no row.
    let killed = workers().filter(|(row, live)| !live && (row.site.is_none() || !elsewhere));
    let last = killed.max_by_key(|(row, _)| row.seen_at).map(|(row, _)| row);
    Some(Degraded {
        code: Code::NoWorker,
        what: what.to_owned(),
        why: last.map(|row| format!("The worker on {} has not been seen for half a minute.", row.host)),
        means: means.to_owned(),
        fix: "Start a server with the role worker or all, without CB_SITE: `cb serve --role worker`. If one runs, its log says why it does not reach the database.".to_owned(),
        since: last.map(|row| row.seen_at),
        work: None,
    })
}

fn database_in(state: StorageState, trouble: &str) -> Degraded {
    let (what, means) = match state {
        StorageState::Away => (
            "The database does not answer.",
            "Nobody can read or save anything. Nothing that was saved is lost.",
        ),
        StorageState::Crowded => (
            "The database has too few connections.",
            "The server refuses some requests; people can try again.",
        ),
        _ => ("The database cannot save anything.", "People can read everything, but not save anything."),
    };
    let fix = if state == StorageState::LogRemoved {
        "Do what the reason says, and restart the server."
    } else {
        "Do what the reason says. The server checks the database every second and continues by itself."
    };
    Degraded {
        code: Code::Storage,
        what: what.to_owned(),
        why: Some(trouble.to_owned()),
        means: means.to_owned(),
        fix: fix.to_owned(),
        since: None,
        work: None,
    }
}

fn clock_is_off(ahead: TimeDelta) -> Degraded {
    let minutes = ahead.abs().num_minutes();
    let length = match (minutes / (24 * 60), minutes / 60, minutes) {
        (days @ 2.., _, _) => format!("{days} days"),
        (_, hours @ 2.., _) => format!("{hours} hours"),
        (_, _, 1) => "a minute".to_owned(),
        (_, _, minutes) => format!("{minutes} minutes"),
    };
    let side = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
    Degraded {
        code: Code::Clock,
        what: "The clock of this server is not the database's.".to_owned(),
        why: Some(format!("It is {length} {side} the clock of PostgreSQL.")),
        means: "All servers go by the database's clock, so nothing is early or late. Only this server's log has the time of its own clock, and with it the server judges the certificates of others.".to_owned(),
        fix: "Set both clocks by a time server: `timedatectl set-ntp true` on this machine and on the database's.".to_owned(),
        since: None,
        work: None,
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

#[cfg(test)]
mod tests {
    use cb_core::config::ServerRole;
    use chrono::{DateTime, TimeDelta};

    use super::{Code, FabricMode, FabricOut, LinkOut, degraded, nobody_works, server};
    use crate::replicas;
    use crate::storage::{StorageOut, StorageState};

    const FINE: StorageOut = StorageOut { state: StorageState::Serving, trouble: None };

    fn cluster(redis: bool, nats: bool) -> FabricOut {
        let link = |up| Some(LinkOut { up, since: DateTime::UNIX_EPOCH, error: None });
        FabricOut { mode: FabricMode::Cluster, redis: link(redis), nats: link(nats) }
    }

    #[test]
    fn what_is_degraded_is_said_in_whole_sentences() {
        assert!(degraded(&FINE, &cluster(true, true), None, None, TimeDelta::seconds(59)).is_empty());
        let away = StorageOut { state: StorageState::Away, trouble: Some("Start it.") };
        let all = degraded(&away, &cluster(false, false), None, Some(&[]), TimeDelta::minutes(-1));
        let codes: Vec<Code> = all.iter().map(|one| one.code).collect();
        assert_eq!(codes, [Code::Storage, Code::Redis, Code::Nats, Code::NoWorker, Code::Clock]);
        for one in &all {
            for text in [&one.what, &one.means, &one.fix] {
                assert_eq!(*text, cb_core::error::sentence(text));
            }
        }
    }

    #[test]
    fn a_clock_that_is_off_is_told_in_the_largest_unit() {
        for (ahead, why) in [
            (TimeDelta::seconds(-60), "It is a minute behind the clock of PostgreSQL."),
            (TimeDelta::minutes(119), "It is 119 minutes ahead of the clock of PostgreSQL."),
            (TimeDelta::hours(47), "It is 47 hours ahead of the clock of PostgreSQL."),
            (TimeDelta::days(-20_000), "It is 20000 days behind the clock of PostgreSQL."),
        ] {
            let all = degraded(&FINE, &cluster(true, true), None, None, ahead);
            assert_eq!(all[0].why.as_deref(), Some(why));
        }
    }

    fn row(role: ServerRole, site: Option<&str>, live: bool) -> (server::Model, bool) {
        (replicas::row("id", "id/1", role, site, DateTime::UNIX_EPOCH), live)
    }

    #[test]
    fn a_live_worker_of_the_main_site_is_missed_unless_there_is_one() {
        use ServerRole::{All, Api, Worker};
        let api = row(Api, None, true);
        for worker in [row(All, None, true), row(Worker, None, true)] {
            assert!(nobody_works(&[api.clone(), worker, row(Worker, None, false)]).is_none());
        }
        let none = nobody_works(std::slice::from_ref(&api)).expect("degraded");
        assert_eq!((none.what.as_str(), none.since), ("No worker runs.", None));
        let killed = nobody_works(&[api.clone(), row(Worker, None, false)]).expect("degraded");
        assert!(killed.since.is_some() && killed.why.is_some_and(|why| why.ends_with('.')));
        let elsewhere = [api, row(Worker, Some("cellar"), true), row(Worker, Some("attic"), false)];
        let elsewhere = nobody_works(&elsewhere).expect("degraded");
        assert_eq!((elsewhere.what.as_str(), elsewhere.since), ("No worker of the main site runs.", None));
    }
}
