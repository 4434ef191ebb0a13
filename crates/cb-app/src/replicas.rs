//! The servers that work on this database: each notes that it is there, reads who else is, and so knows which part of the work is its
//! own.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use cb_core::clock::Time;
use cb_core::config::ServerRole;
use cb_core::{Result, rendezvous};
use cb_store::SmallRoom;
use cb_store::bookkeeping::{LIVE, ServerSeen};
use cb_store::entities::server;

use crate::apart;
use crate::app::App;
use crate::jumps;
use crate::metrics::told::Told;
use crate::metrics::{Page, process};
use crate::shared::jwt_fits;
use crate::sites;

/// After an outage every server has given a sign of life within this time.
const SETTLED: Duration = Duration::from_secs(15);

/// The live workers, as they were read last.
#[derive(Default)]
pub(crate) struct Workers(RwLock<Arc<[String]>>);

impl Workers {
    fn set(&self, ids: Vec<String>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = ids.into();
    }

    fn all(&self) -> Arc<[String]> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Whether this server could tell of itself lately. While the database takes no signs of life, and until every server has had the time to give
/// its next one, an old row says nothing about the server that wrote it.
#[derive(Default)]
pub(crate) struct Presence(Mutex<Noted>);

#[derive(Default)]
struct Noted {
    last: Option<Time>,
    /// The last sign of life before the outage.
    before: Option<Time>,
    /// When there was one again.
    again: Option<Duration>,
}

impl Presence {
    fn noted(&self, worked: bool, now: Time, steady: Duration) {
        let mut noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if worked {
            noted.last = Some(now);
            if noted.before.is_some() && noted.again.is_none() {
                noted.again = Some(steady);
            }
            if noted.again.is_some_and(|again| steady.saturating_sub(again) >= SETTLED) {
                (noted.before, noted.again) = (None, None);
            }
        } else {
            noted.before = noted.before.or(noted.last);
            noted.again = None;
        }
    }

    /// Since when rows say nothing of their servers, if they do not.
    fn unclear_since(&self, steady: Duration) -> Option<Time> {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let settled = noted.again.is_some_and(|again| steady.saturating_sub(again) >= SETTLED);
        noted.before.filter(|_| !settled)
    }
}

/// What a server says of itself.
pub(crate) fn row(id: &str, run: &str, role: ServerRole, site: Option<&str>, now: Time) -> server::Model {
    server::Model {
        id: id.to_owned(),
        run: run.to_owned(),
        role: role.as_str().to_owned(),
        version: process::VERSION.to_owned(),
        schema: cb_store::backup::newest_schema(),
        host: process::host(),
        started_at: now,
        seen_at: now,
        memory_bytes: None,
        site: site.map(str::to_owned),
        sight: None,
        told: None,
        twin_at: None,
    }
}

/// Notes that this server is there, or that it stops, and reads who else is there.
pub(crate) async fn seen(app: &App, stopping: bool) -> Result<()> {
    let (store, me) = (app.store(), app.own_row());
    if stopping {
        return store.server_left(&me.id, &me.run).await;
    }
    let noted = note(app).await;
    app.presence().noted(noted.is_ok(), app.now(), app.steady());
    noted?;
    let all = all(app).await?;
    if app.presence().unclear_since(app.steady()).is_none() {
        apart::look(app, &all).await;
    }
    app.workers().set(sharing(all));
    Ok(())
}

async fn note(app: &App) -> Result<()> {
    let (store, me) = (app.store(), app.own_row());
    jumps::follow(store, &*app.clock()).await?;
    app.notice_own_clock();
    // One that was away for a while misses that all the others were started again with a new secret.
    if !store.is_sqlite()
        && jwt_fits(&store.shared_secrets().await?, app.checkpoint_key(), app.jwt()).is_some_and(|fits| !fits)
    {
        app.refuse("the secret that signs sessions is not the one of the other servers any more: they were started with a new one while this server could not reach the database. Set CB_JWT_SECRET, or the file jwt-secret in the data folder, to the new one, and start this server again".to_owned());
        return Ok(());
    }
    let twin = store.server_seen(own(app)).await? == ServerSeen::Taken;
    if app.set_twin(twin) && twin {
        tracing::warn!(
            server_id = me.id,
            "another server of this database has the same server-id as this one. Delete the file server-id in one of the two data folders, and start that server again"
        );
    }
    Ok(())
}

/// Says in the log when PostgreSQL has too few connections for the servers that are live now.
pub(crate) async fn tell_small_room(app: &App) {
    let lacking = async {
        let live = all(app).await?.iter().filter(|(_, live)| *live).count();
        app.store().small_room(live).await
    };
    match lacking.await {
        Ok(None) => {}
        Ok(Some(room)) => tracing::warn!("{room}."),
        Err(error) => {
            tracing::warn!(%error, "the server could not see how many connections PostgreSQL allows");
        }
    }
}

/// Those that share what no site owns: the live workers of the main site, as receivers are near that one; where it has none, all.
fn sharing(servers: Vec<(server::Model, bool)>) -> Vec<String> {
    let mut live: Vec<_> =
        servers.into_iter().filter(|(row, live)| *live && works(row)).map(|(row, _)| row).collect();
    if live.iter().any(|row| row.site.is_none()) {
        live.retain(|row| row.site.is_none());
    }
    live.into_iter().map(|row| row.id).collect()
}

/// Whether this server does the work behind the requests.
pub(crate) fn works(row: &server::Model) -> bool {
    row.role.parse::<ServerRole>().is_ok_and(ServerRole::works)
}

/// Whether another process has the ID of this one.
pub(crate) fn has_twin(row: &server::Model) -> bool {
    row.twin_at.is_some_and(|met| met > row.seen_at - LIVE)
}

impl App {
    /// The site whose jobs this server does; empty for the main one.
    pub(crate) fn place(&self) -> &str {
        self.own_row().site.as_deref().unwrap_or_default()
    }

    /// Whether this server takes a part of the work before others do. It is a preference: whoever does something holds a lease on it,
    /// and a part whose owner does not come is taken by another server after a while (`Lanes::open`).
    pub(crate) fn is_mine(&self, part: &[u8]) -> bool {
        let workers = self.workers().all();
        let owner = rendezvous::owner(part, workers.iter().map(String::as_str));
        owner.is_none_or(|owner| owner == self.own_row().id)
    }
}

/// What a command sees of the servers of its database.
pub struct Around {
    /// Whether the secret that signs sessions is theirs; none where no server has said which one that is.
    pub jwt_fits: Option<bool>,
    /// The live ones: host, role and version.
    pub servers: Vec<String>,
    /// The hosts of those whose ID another process has too.
    pub same_id: Vec<String>,
    /// Whether one of them does the work behind the requests.
    pub works: bool,
    /// The sites that no live worker belongs to, each with how many scans wait there.
    pub left_sites: Vec<(String, i64)>,
    /// Those whose settings name no Redis and NATS.
    pub without_engines: Vec<String>,
    /// What PostgreSQL lacks for their connections.
    pub small_room: Option<SmallRoom>,
    /// Why PostgreSQL saves nothing, and what to do.
    pub refuses_writes: Option<String>,
}

impl App {
    pub async fn around(&self) -> Result<Around> {
        let store = self.store();
        let rows = store.servers(self.now()).await?.into_iter();
        let live: Vec<_> = rows.filter(|(_, live)| *live).map(|(row, _)| row).collect();
        let servers: Vec<_> =
            live.iter().map(|row| format!("{} ({}, {})", row.host, row.role, row.version)).collect();
        let mut left_sites = store.waiting_scans_of_sites().await?;
        left_sites.retain(|(site, _)| !live.iter().any(|row| works(row) && row.site.as_ref() == Some(site)));
        let same_id = live.iter().filter(|row| has_twin(row)).map(|row| row.host.clone()).collect();
        let alone = live.iter().filter(|row| Told::of(row).is_some_and(|told| !told.joins()));
        let without_engines = alone.map(|row| format!("{} ({})", row.host, row.role)).collect();
        Ok(Around {
            left_sites,
            without_engines,
            same_id,
            works: live.iter().any(works),
            small_room: store.small_room(servers.len().max(1)).await?,
            refuses_writes: store.refuses_writes().await?,
            jwt_fits: jwt_fits(&store.shared_secrets().await?, self.checkpoint_key(), self.jwt()),
            servers,
        })
    }
}

/// The servers that were seen within an hour, each with whether it is live. This one is.
pub(crate) async fn all(app: &App) -> Result<Vec<(server::Model, bool)>> {
    let mut all = app.store().servers(app.now()).await?;
    if let Some(since) = app.presence().unclear_since(app.steady()) {
        for (row, live) in &mut all {
            *live |= row.seen_at > since - LIVE;
        }
    }
    match all.iter_mut().find(|(row, _)| row.id == app.server()) {
        Some((_, live)) => *live = true,
        None => all.push((own(app), true)),
    }
    Ok(all)
}

pub(crate) async fn metrics(app: &App, page: &mut Page) -> Result<()> {
    let all = all(app).await?;
    let mut servers = page.gauge("cb_servers", "Live servers of this database, by their role.");
    for role in ServerRole::ALL {
        let count = all.iter().filter(|(row, live)| *live && row.role == role.as_str()).count();
        servers.value(&[("role", role.as_str())], count);
    }
    Ok(())
}

/// This server's row as it is now.
pub(crate) fn own(app: &App) -> server::Model {
    let memory = process::resident_bytes().and_then(|bytes| i64::try_from(bytes).ok());
    server::Model {
        seen_at: app.now(),
        memory_bytes: memory,
        sight: sites::own_sight(app),
        told: serde_json::to_value(Told::now(app)).ok(),
        ..app.own_row().clone()
    }
}

#[cfg(test)]
mod tests {
    use cb_core::config::ServerRole;
    use chrono::DateTime;

    use super::{LIVE, Presence, SETTLED, row, sharing};

    /// An outage ages all rows; nobody is taken for dead before all have had their time.
    #[test]
    fn an_outage_of_the_database_makes_no_server_dead() {
        let presence = Presence::default();
        let at = |seconds: u64| {
            (
                DateTime::UNIX_EPOCH + LIVE * u32::try_from(seconds).expect("few"),
                SETTLED * u32::try_from(seconds).expect("few"),
            )
        };
        let noted = |worked: bool, tick: u64| presence.noted(worked, at(tick).0, at(tick).1);
        let unclear = |tick: u64| presence.unclear_since(at(tick).1);
        noted(false, 0);
        assert_eq!(unclear(0), None, "nothing was known before");
        noted(true, 1);
        assert_eq!(unclear(1), None);
        noted(false, 2);
        noted(false, 3);
        assert_eq!(unclear(3), Some(at(1).0));
        noted(true, 4);
        assert_eq!(unclear(4), Some(at(1).0), "the others have not had the time");
        // Before they have, it is away again.
        noted(false, 4);
        assert_eq!(unclear(9), Some(at(1).0));
        noted(true, 10);
        assert_eq!(unclear(11), None);
        noted(true, 11);
        noted(false, 12);
        assert_eq!(unclear(12), Some(at(11).0));
    }

    #[test]
    fn live_workers_of_the_main_site_share_the_work() {
        let servers = [
            ("all", ServerRole::All, None, true),
            ("api", ServerRole::Api, None, true),
            ("worker", ServerRole::Worker, None, true),
            ("dead", ServerRole::Worker, None, false),
            ("cellar", ServerRole::Worker, Some("cellar"), true),
        ];
        let servers = servers.map(|(id, role, site, live)| {
            (row(id, &format!("{id}/1"), role, site, DateTime::UNIX_EPOCH), live)
        });
        assert_eq!(sharing(servers.to_vec()), ["all", "worker"]);
        let [_, api, _, dead, cellar] = servers;
        assert_eq!(sharing(vec![api, dead, cellar]), ["cellar"]);
    }
}
