//! What does not work as it should, in words for people.

use std::collections::{BTreeMap, BTreeSet};

use cb_core::clock::Time;
use cb_core::config::{self, Engine, ServerRole};
use cb_core::{Result, error};
use cb_store::Foreign;
use cb_store::entities::server;
use chrono::TimeDelta;

use super::{Code, Degraded, FabricMode, FabricOut, LinkOut, foreign};
use crate::apart::Where;
use crate::app::App;
use crate::jumps::NOTICED;
use crate::metrics::told::Told;
use crate::reconcile::{Name, Works};
use crate::replicas;
use crate::storage::{StorageOut, StorageState};

/// So many works and sites have a paragraph of their own.
const WORKS_NAMED: usize = 10;
/// A sentence names so many machines.
const HOSTS_NAMED: usize = 5;
/// Of servers of one machine that look alike, so many are told apart.
const IDS_NAMED: usize = 3;
const WITHOUT_REDIS: &str = "Each server counts failed sign-ins and rates by itself, from where the shared count was. Limits still hold, but each server allows as much as all of them together did.";
const WITHOUT_NATS: &str = "Changes that one server makes reach the pages of the other servers a few seconds later. Nothing is lost.";

/// What this server knows. What is none was not read.
pub(super) struct Sights<'a> {
    storage: &'a StorageOut,
    fabric: &'a FabricOut,
    ahead: TimeDelta,
    me: server::Model,
    /// Another server has this one's ID.
    has_twin: bool,
    pub works: Option<Works>,
    /// Each with whether it is live.
    pub servers: Option<Vec<(server::Model, bool)>>,
    /// Transactions of other programs that are in the way.
    pub foreign: Vec<Foreign>,
    /// How many scans wait at each site that has some.
    pub waiting: Vec<(String, i64)>,
    unread: BTreeSet<String>,
    /// Processes of other servers that this one does not meet.
    apart: Vec<(Where, String)>,
}

impl<'a> Sights<'a> {
    /// What needs no database.
    pub fn here(app: &App, storage: &'a StorageOut, fabric: &'a FabricOut) -> Self {
        Self {
            storage,
            fabric,
            ahead: app.clock().ahead(),
            me: replicas::own(app),
            has_twin: app.has_twin(),
            works: None,
            servers: None,
            foreign: Vec::new(),
            waiting: Vec::new(),
            unread: BTreeSet::new(),
            apart: app.apart().lasting(app.steady()),
        }
    }

    pub fn read<T>(&mut self, answer: Result<T>) -> Option<T> {
        if let Err(error) = &answer {
            tracing::warn!(%error, "the server could not read a part of how the servers do");
            let why = error.outage().map_or_else(|| error.to_string(), str::to_owned);
            self.unread.insert(error::sentence(why));
        }
        answer.ok()
    }

    fn all_servers(&self) -> &[(server::Model, bool)] {
        self.servers.as_deref().unwrap_or_default()
    }

    /// "attic (worker of the site cellar), shed (api, 2 servers), vm (worker, …3f2a91bc) and 3 more". Where some of those that look the same
    /// are meant, the ends of their IDs tell which.
    fn named<'b>(&self, rows: impl IntoIterator<Item = &'b server::Model>) -> String {
        let alike = |row: &server::Model| (row.host.clone(), row.role.clone(), row.site.clone());
        let mut groups: BTreeMap<_, Vec<&server::Model>> = BTreeMap::new();
        for row in rows {
            groups.entry(alike(row)).or_default().push(row);
        }
        let more = groups.values().skip(HOSTS_NAMED).map(Vec::len).sum::<usize>();
        let named = groups.iter().take(HOSTS_NAMED).map(|(group, rows)| {
            let (host, role, site) = group;
            let site = site.as_ref().map(|site| format!(" of the site {site}")).unwrap_or_default();
            let all = self.all_servers().iter().filter(|(row, _)| alike(row) == *group).count();
            let which = match rows.len() {
                some if some < all => {
                    let ids = rows.iter().take(IDS_NAMED).map(|row| ending(&row.id));
                    let ids = ids.collect::<Vec<_>>().join(", ");
                    let more = some.saturating_sub(IDS_NAMED);
                    if more > 0 { format!(", {ids} and {more} more") } else { format!(", {ids}") }
                }
                1 => String::new(),
                all => format!(", {all} servers"),
            };
            format!("{host} ({role}{site}{which})")
        });
        let named = named.collect::<Vec<_>>().join(", ");
        if more > 0 { format!("{named} and {more} more") } else { named }
    }

    fn live_others(&self) -> impl Iterator<Item = &server::Model> {
        self.all_servers().iter().filter(|(row, live)| *live && row.id != self.me.id).map(|(row, _)| row)
    }
}

/// All that is degraded, what matters most first.
pub(super) fn all(sights: &Sights<'_>) -> Vec<Degraded> {
    let mut all = here(sights);
    all.extend(lost_by_others(sights));
    all.extend(not_met(sights));
    all.extend(failing_at_others(sights));
    all.extend(lost_servers(sights));
    all.extend(different_tokens(sights));
    all.extend(unread(&sights.unread));
    all
}

fn here(sights: &Sights<'_>) -> Vec<Degraded> {
    let Sights { storage, fabric, .. } = sights;
    let database = storage.trouble.map(|trouble| database_in(storage.state, trouble));
    let down = |link: &Option<LinkOut>| link.clone().filter(|link| !link.up);
    let redis = down(&fabric.redis).map(|link| Degraded {
        code: Code::Redis,
        what: unusable(sights, "Redis", "redis"),
        why: link.error,
        means: WITHOUT_REDIS.to_owned(),
        fix: fix_link("Redis", "CB_REDIS_URL"),
        since: Some(link.since),
        work: None,
    });
    let nats = down(&fabric.nats).map(|link| Degraded {
        code: Code::Nats,
        what: unusable(sights, "NATS", "nats"),
        why: link.error,
        means: WITHOUT_NATS.to_owned(),
        fix: fix_link("NATS", "CB_NATS_URL"),
        since: Some(link.since),
        work: None,
    });
    let failing = sights.works.iter().flat_map(|works| &works.items).filter_map(|work| {
        Some(work_fails(work.name, "Periodic work fails.".to_owned(), work.error.clone()?, work.ended_at))
    });
    let clock = (sights.ahead.abs() >= NOTICED).then(|| clock_is_off(sights.ahead));
    database
        .into_iter()
        .chain(sights.foreign.iter().map(foreign::told))
        .chain(redis)
        .chain(nats)
        .chain(nobody_works(sights))
        .chain(failing)
        .chain(same_id(sights))
        .chain(clock)
        .collect()
}

fn fix_link(name: &str, setting: &str) -> String {
    format!(
        "If {name} is stopped, start it: the server notices within ten seconds. If the reason is the password or another part of {setting}, correct it where you set it, and restart this server."
    )
}

/// Nothing else is said of the work where it runs on time, so the reason has to help.
fn work_fails(work: Name, what: String, why: String, since: Option<Time>) -> Degraded {
    Degraded {
        code: Code::PeriodicWorkFailing,
        what,
        why: Some(why),
        means: "This work is late until a run succeeds. Everything else goes on.".to_owned(),
        fix: "Do what the reason says. If it asks for nothing, wait: the server tries again by itself, and its log has the details.".to_owned(),
        since,
        work: Some(work),
    }
}

/// Other live servers that say that they have lost this link, and since when. A worker opens no port, so nobody can ask it.
fn lost<'a>(sights: &'a Sights<'_>, link: &str) -> Vec<(&'a server::Model, Time)> {
    let lost = sights.live_others().filter_map(|row| {
        let since = Told::of(row)?.links.get(link)?.lost_since(row.seen_at)?;
        Some((row, since))
    });
    lost.collect()
}

/// What one cause takes from this server and from others is said once.
fn unusable(sights: &Sights<'_>, name: &str, link: &str) -> String {
    match lost(sights, link) {
        others if others.is_empty() => format!("This server cannot use {name}."),
        others => {
            let named = sights.named(others.into_iter().map(|(row, _)| row));
            format!("This server cannot use {name}, nor can others: {named}.")
        }
    }
}

fn lost_by_others(sights: &Sights<'_>) -> Vec<Degraded> {
    let FabricOut { redis, nats, .. } = sights.fabric;
    let links = [
        (redis, Code::Redis, "redis", "Redis", WITHOUT_REDIS, "CB_REDIS_URL"),
        (nats, Code::Nats, "nats", "NATS", WITHOUT_NATS, "CB_NATS_URL"),
    ];
    let theirs = links.into_iter().filter(|(own, ..)| own.as_ref().is_none_or(|own| own.up));
    let of = |(_, code, link, name, means, setting): (_, Code, &str, &str, &str, &str)| {
        let lost = lost(sights, link);
        let since = lost.iter().map(|(_, since)| *since).min()?;
        let named = sights.named(lost.into_iter().map(|(row, _)| row));
        Some(Degraded {
            code,
            what: format!("Other servers cannot use {name}: {named}."),
            why: None,
            means: means.to_owned(),
            fix: format!(
                "Make {name} reachable from there, or correct {setting} there. The log of each of these servers says why it has no connection."
            ),
            since: Some(since),
            work: None,
        })
    };
    theirs.filter_map(of).collect()
}

/// Servers whose settings name another Redis or NATS, or none.
fn not_met(sights: &Sights<'_>) -> Vec<Degraded> {
    let links = [
        (
            Where::Redis,
            Code::Redis,
            config::REDIS,
            "They count failed sign-ins and rates apart, so together they allow more than one of them does.",
        ),
        (
            Where::Nats,
            Code::Nats,
            config::NATS,
            "Changes that one of them makes reach the pages of the others up to ten seconds later. Nothing is lost.",
        ),
    ];
    let joins = sights.fabric.mode == FabricMode::Cluster;
    let of = |(at, code, Engine { name, setting, .. }, means): (Where, Code, Engine, &str)| {
        let apart = sights
            .live_others()
            .filter(|row| sights.apart.iter().any(|(w, run)| *w == at && *run == row.run));
        let (others, without): (Vec<_>, Vec<_>) =
            apart.partition(|row| Told::of(row).is_some_and(|told| told.joins()));
        let said = |what: String, why: String| Degraded {
            code,
            what,
            why: Some(why),
            means: means.to_owned(),
            fix: format!(
                "Set {setting} to the same {name} on every server, and restart those that you changed."
            ),
            since: None,
            work: None,
        };
        if !joins {
            let all: Vec<_> = others.into_iter().chain(without).collect();
            return Vec::from_iter((!all.is_empty()).then(|| {
                let what = format!(
                    "This server uses no {name}, but shares its database with others: {}.",
                    sights.named(all)
                );
                said(what, format!("{setting} is not set on this server."))
            }));
        }
        let different = (!others.is_empty()).then(|| {
            let what =
                format!("This server and others use different {name} servers: {}.", sights.named(others));
            let why = format!(
                "Each of them reaches the {name} that its {setting} names, but they do not meet there."
            );
            said(what, why)
        });
        let missing = (!without.is_empty()).then(|| {
            let what = format!("Servers that share this database use no {name}: {}.", sights.named(without));
            said(what, format!("{setting} is not set on them."))
        });
        different.into_iter().chain(missing).collect()
    };
    links.into_iter().flat_map(of).collect()
}

/// Work that each server does for itself, and that fails at others.
fn failing_at_others(sights: &Sights<'_>) -> Vec<Degraded> {
    let mut failing: BTreeMap<(&str, String), (Name, Vec<&server::Model>)> = BTreeMap::new();
    for row in sights.live_others() {
        for (work, why) in Told::of(row).into_iter().flat_map(|told| told.failing) {
            // A later version may have works that this one does not know.
            if let Some(name) = Name::parse(&work) {
                failing.entry((name.as_str(), why)).or_insert((name, Vec::new())).1.push(row);
            }
        }
    }
    let say = |((_, why), (name, rows)): (_, (Name, Vec<&server::Model>))| {
        work_fails(name, format!("Periodic work fails on {}.", sights.named(rows)), why, None)
    };
    failing.into_iter().take(WORKS_NAMED).map(say).collect()
}

/// Those that were killed, or do not reach the database any more. One that stopped in order has left no row.
fn lost_servers(sights: &Sights<'_>) -> Option<Degraded> {
    let lost: Vec<_> = sights.all_servers().iter().filter(|(_, live)| !live).map(|(row, _)| row).collect();
    let since = lost.iter().map(|row| row.seen_at).min()?;
    // What only they can do is told by `nobody_works`.
    let worked = lost.iter().any(|row| replicas::works(row));
    let taken = !worked || sights.all_servers().iter().any(|(row, live)| *live && replicas::works(row));
    Some(Degraded {
        code: Code::ServerLost,
        what: format!("Servers are not seen any more: {}.", sights.named(lost)),
        why: Some("For half a minute they have not told the database that they are there, and they did not stop in order. They were killed, are cut off, or find no free connection.".to_owned()),
        means: if taken { "The other servers take over what they did." } else { "What they did waits." }
            .to_owned(),
        fix: "Start those that do not run. If one runs, its log says why it does not reach the database. If you have removed one for good, it is forgotten an hour after it was last seen.".to_owned(),
        since: Some(since),
        work: None,
    })
}

/// The token of an operator's programs is a setting of each server.
fn different_tokens(sights: &Sights<'_>) -> Option<Degraded> {
    let token = |row: &server::Model| Told::of(row)?.operator_fingerprint.filter(|_| serves(row));
    let own = token(&sights.me)?;
    let others: Vec<_> =
        sights.live_others().filter(|row| token(row).is_some_and(|other| other != own)).collect();
    (!others.is_empty()).then(|| Degraded {
        code: Code::ApiToken,
        what: "Servers have different values of CB_API_TOKEN.".to_owned(),
        why: Some(format!(
            "The value of this server ({}) is another one than that of {}.",
            sights.me.host,
            sights.named(others)
        )),
        means: "A program that uses this token is let in by some servers and refused by others.".to_owned(),
        fix: "Set CB_API_TOKEN to one value on every server with the role api or all, or on none of them, and restart those that you changed.".to_owned(),
        since: None,
        work: None,
    })
}

fn serves(row: &server::Model) -> bool {
    row.role.parse::<ServerRole>().is_ok_and(ServerRole::serves)
}

/// Only the process that came first notices it, and the row is the other one's: it says so there.
fn same_id(sights: &Sights<'_>) -> Option<Degraded> {
    let shared = |row: &&server::Model| replicas::has_twin(row) || sights.has_twin && row.id == sights.me.id;
    let rows: Vec<_> =
        sights.all_servers().iter().filter(|(_, live)| *live).map(|(row, _)| row).filter(shared).collect();
    if rows.is_empty() && !sights.has_twin {
        return None;
    }
    let rows = if rows.is_empty() { vec![&sights.me] } else { rows };
    Some(Degraded {
        code: Code::SameServerId,
        what: "Two servers have the same server-id.".to_owned(),
        why: Some(format!(
            "Their data folders are copies of each other, with the same file server-id in them. One that is seen: {}.",
            sights.named(rows)
        )),
        means:
            "Only one of them is shown here, and each takes over what the other one is doing when it starts."
                .to_owned(),
        fix: "Stop one of the two servers, delete the file server-id in its data folder, and start it again."
            .to_owned(),
        since: None,
        work: None,
    })
}

fn unread(reasons: &BTreeSet<String>) -> Option<Degraded> {
    (!reasons.is_empty()).then(|| Degraded {
        code: Code::Unread,
        what: "The server could not read everything that this page shows.".to_owned(),
        why: Some(reasons.iter().map(String::as_str).collect::<Vec<_>>().join(" ")),
        means: "Something may be degraded that is not listed here.".to_owned(),
        fix:
            "The page asks again by itself. If this stays, the log of the server says what it could not read."
                .to_owned(),
        since: None,
        work: None,
    })
}

/// IDs begin with the time at which they were made, so those of servers that were set up together differ at their end.
fn ending(id: &str) -> String {
    let letters: Vec<char> = id.chars().collect();
    format!("…{}", letters[letters.len().saturating_sub(8)..].iter().collect::<String>())
}

const START: &str = "Start a server with the role worker or all, without CB_SITE: cb serve --role worker.";

/// Whether a site that has work, or the whole installation, has no live worker.
fn nobody_works(sights: &Sights<'_>) -> Vec<Degraded> {
    let Some(servers) = &sights.servers else { return Vec::new() };
    let workers = || servers.iter().filter(|(row, _)| replicas::works(row));
    let runs_at = |site: Option<&str>| workers().any(|(row, live)| *live && row.site.as_deref() == site);
    let somewhere = workers().any(|(_, live)| *live);
    // One that stopped in order has left no row.
    let killed_at = |site: Option<Option<&str>>| {
        let killed =
            workers().filter(|(row, live)| !live && site.is_none_or(|site| row.site.as_deref() == site));
        killed.max_by_key(|(row, _)| row.seen_at).map(|(row, _)| row)
    };
    let say = |what: String, means: String, fix: &str, last: Option<&server::Model>| Degraded {
        code: Code::NoWorker,
        what,
        why: last.map(|row| format!("The worker on {} has not been seen for half a minute.", row.host)),
        means,
        fix: format!("{fix} If one runs, its log says why it does not reach the database."),
        since: last.map(|row| row.seen_at),
        work: None,
    };
    let mut all = Vec::new();
    if !somewhere {
        all.push(say(
            "No worker runs.".to_owned(),
            "Scans and messages wait, and no periodic work is done, until a worker runs. Nothing that waits is lost.".to_owned(),
            START,
            killed_at(None),
        ));
    } else if !runs_at(None) {
        all.push(say(
            "No worker of the main site runs.".to_owned(),
            "Scans of the main site wait until one runs. The workers of the other sites send the messages and do the periodic work.".to_owned(),
            START,
            killed_at(Some(None)),
        ));
    }
    let killed = workers().filter_map(|(row, _)| row.site.as_deref());
    let sites: BTreeSet<_> = killed.chain(sights.waiting.iter().map(|(site, _)| site.as_str())).collect();
    for site in sites.into_iter().filter(|site| !runs_at(Some(site))).take(WORKS_NAMED) {
        let waiting = sights.waiting.iter().find(|(name, _)| name == site).map_or(0, |(_, count)| *count);
        let means = match waiting {
            0 => "Scans of this site wait until one runs.".to_owned(),
            1 => "One scan of this site waits until one runs.".to_owned(),
            count => format!("{count} scans of this site wait until one runs."),
        };
        all.push(say(
            format!("No worker of the site {site} runs."),
            means,
            "Start one at that site, with CB_SITE set to its name. If you have given the site up, stop its scans on the page Discovery.",
            killed_at(Some(Some(site))),
        ));
    }
    all
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
    let fix = match state {
        StorageState::LogRemoved => "Do what the reason says, and restart the server.",
        StorageState::Away => {
            "Start PostgreSQL if it is stopped, or make it reachable from this server; the log of this server says what it tried. The server tries again every second and continues by itself."
        }
        _ => "Do what the reason says. The server checks the database every second and continues by itself.",
    };
    Degraded {
        code: Code::Storage,
        what: what.to_owned(),
        // Of a database that does not answer there is no more to say.
        why: (state != StorageState::Away).then(|| trouble.to_owned()),
        means: means.to_owned(),
        fix: fix.to_owned(),
        since: None,
        work: None,
    }
}

/// So many minutes, in the largest unit of which there are some.
pub(super) fn length(minutes: i64) -> String {
    match (minutes / (24 * 60), minutes / 60, minutes) {
        (days @ 2.., _, _) => format!("{days} days"),
        (_, hours @ 2.., _) => format!("{hours} hours"),
        (_, _, 1) => "a minute".to_owned(),
        (_, _, minutes) => format!("{minutes} minutes"),
    }
}

fn clock_is_off(ahead: TimeDelta) -> Degraded {
    let length = length(ahead.abs().num_minutes());
    let side = if ahead > TimeDelta::zero() { "ahead of" } else { "behind" };
    Degraded {
        code: Code::Clock,
        what: "The clock of this server is not the database's.".to_owned(),
        why: Some(format!("It is {length} {side} the clock of PostgreSQL.")),
        means: "All servers go by the database's clock, so nothing is early or late. Only this server's log has the time of its own clock, and with it the server judges the certificates of others.".to_owned(),
        fix: "Set both clocks by a time server: timedatectl set-ntp true, on this machine and on the database's.".to_owned(),
        since: None,
        work: None,
    }
}

#[cfg(test)]
mod tests {
    use cb_core::config::ServerRole;
    use chrono::{DateTime, TimeDelta};

    use super::super::FabricMode;
    use super::{Code, Degraded, FabricOut, LinkOut, Sights, all, here, lost_servers, nobody_works, server};
    use crate::replicas;
    use crate::storage::{StorageOut, StorageState};

    const FINE: StorageOut = StorageOut { state: StorageState::Serving, trouble: None };

    fn cluster(redis: bool, nats: bool) -> FabricOut {
        let link = |up| Some(LinkOut { up, since: DateTime::UNIX_EPOCH, error: None });
        FabricOut { mode: FabricMode::Cluster, redis: link(redis), nats: link(nats) }
    }

    fn sights<'a>(
        storage: &'a StorageOut,
        fabric: &'a FabricOut,
        servers: Option<&[(server::Model, bool)]>,
        ahead: TimeDelta,
    ) -> Sights<'a> {
        Sights {
            storage,
            fabric,
            ahead,
            me: row(ServerRole::Api, None, true).0,
            has_twin: false,
            works: None,
            servers: servers.map(<[_]>::to_vec),
            foreign: Vec::new(),
            waiting: Vec::new(),
            unread: std::collections::BTreeSet::new(),
            apart: Vec::new(),
        }
    }

    #[test]
    fn what_is_degraded_is_said_in_whole_sentences() {
        let up = cluster(true, true);
        assert!(all(&sights(&FINE, &up, None, TimeDelta::seconds(59))).is_empty());
        let away = StorageOut { state: StorageState::Away, trouble: Some("Start it.") };
        let down = cluster(false, false);
        let gone = [row(ServerRole::Worker, None, false)];
        let mut sights = sights(&away, &down, Some(&gone), TimeDelta::minutes(-1));
        sights.has_twin = true;
        assert_eq!(sights.read::<()>(Err(cb_core::Error::Unavailable("it is locked".to_owned()))), None);
        let said = all(&sights);
        let codes: Vec<Code> = said.iter().map(|one| one.code).collect();
        assert_eq!(
            codes,
            [
                Code::Storage,
                Code::Redis,
                Code::Nats,
                Code::NoWorker,
                Code::SameServerId,
                Code::Clock,
                Code::ServerLost,
                Code::Unread
            ]
        );
        assert_eq!(said[7].why.as_deref(), Some("It is locked."));
        for one in &said {
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
            let said = here(&sights(&FINE, &cluster(true, true), None, ahead));
            assert_eq!(said[0].why.as_deref(), Some(why));
        }
    }

    #[test]
    fn servers_that_look_alike_are_told_apart_where_only_some_are_meant() {
        let up = cluster(true, true);
        let servers: Vec<_> = ["019ab8c4-3f2a91bc", "019ab8c4-77aa0000", "8b"]
            .map(|id| {
                (
                    server::Model {
                        id: id.to_owned(),
                        host: "vm".to_owned(),
                        ..row(ServerRole::Worker, None, true).0
                    },
                    true,
                )
            })
            .into();
        let sights = sights(&FINE, &up, Some(&servers), TimeDelta::zero());
        let named = |some: &[usize]| sights.named(some.iter().map(|n| &servers[*n].0));
        assert_eq!(named(&[0]), "vm (worker, …3f2a91bc)");
        assert_eq!(named(&[1, 2]), "vm (worker, …77aa0000, …8b)");
        assert_eq!(named(&[0, 1, 2]), "vm (worker, 3 servers)");
    }

    #[test]
    fn two_servers_with_one_id_are_told_whichever_of_them_answers() {
        let up = cluster(true, true);
        let mut other = row(ServerRole::Worker, None, true);
        (other.0.id, other.0.host) = ("w".to_owned(), "barn".to_owned());
        let said = |row: &(server::Model, bool)| {
            all(&sights(&FINE, &up, Some(std::slice::from_ref(row)), TimeDelta::zero()))
        };
        assert!(said(&other).is_empty());
        other.0.twin_at = Some(other.0.seen_at);
        let told = said(&other);
        assert_eq!(told[0].code, Code::SameServerId);
        assert!(told[0].why.as_ref().is_some_and(|why| why.ends_with("One that is seen: barn (worker).")));
        other.0.twin_at = Some(other.0.seen_at - cb_store::bookkeeping::LIVE);
        assert!(said(&other).is_empty(), "the other one has stopped");
        other.0.twin_at = Some(other.0.seen_at);
        other.1 = false;
        assert!(!said(&other).iter().any(|one| one.code == Code::SameServerId));
    }

    fn row(role: ServerRole, site: Option<&str>, live: bool) -> (server::Model, bool) {
        (replicas::row("id", "id/1", role, site, DateTime::UNIX_EPOCH), live)
    }

    #[test]
    fn a_live_worker_of_the_main_site_is_missed_unless_there_is_one() {
        use ServerRole::{All, Api, Worker};
        let up = cluster(true, true);
        let said = |servers: &[(server::Model, bool)], waiting: &[(&str, i64)]| -> Vec<Degraded> {
            let mut sights = sights(&FINE, &up, Some(servers), TimeDelta::zero());
            sights.waiting = waiting.iter().map(|(site, count)| ((*site).to_owned(), *count)).collect();
            nobody_works(&sights)
        };
        let what = |said: &[Degraded]| said.iter().map(|one| one.what.clone()).collect::<Vec<_>>();
        let api = row(Api, None, true);
        for worker in [row(All, None, true), row(Worker, None, true)] {
            assert!(said(&[api.clone(), worker, row(Worker, None, false)], &[]).is_empty());
        }
        let none = said(std::slice::from_ref(&api), &[("cellar", 1)]);
        assert_eq!(what(&none), ["No worker runs.", "No worker of the site cellar runs."]);
        assert_eq!(none[0].since, None);
        let killed = said(&[api.clone(), row(Worker, None, false)], &[]);
        assert!(killed[0].since.is_some() && killed[0].why.as_ref().is_some_and(|why| why.ends_with('.')));
        let cellar = row(Worker, Some("cellar"), true);
        let elsewhere = said(&[api.clone(), cellar.clone(), row(Worker, Some("attic"), false)], &[]);
        assert_eq!(
            what(&elsewhere),
            ["No worker of the main site runs.", "No worker of the site attic runs."]
        );
        assert!(elsewhere[0].since.is_none() && elsewhere[1].since.is_some());
        // It stopped in order, and scans wait for it.
        let here = [api, row(Worker, None, true)];
        let waits = said(&here, &[("cellar", 2)]);
        assert_eq!(what(&waits), ["No worker of the site cellar runs."]);
        assert_eq!(waits[0].means, "2 scans of this site wait until one runs.");
        let [api, worker] = here;
        assert!(said(&[api, worker, cellar], &[("cellar", 2)]).is_empty());
    }

    #[test]
    fn servers_that_did_not_stop_in_order_are_named() {
        let up = cluster(true, true);
        let mut servers: Vec<_> =
            (0..7).map(|n| row(ServerRole::Worker, Some(&n.to_string()), false)).collect();
        for (n, (row, _)) in servers.iter_mut().enumerate() {
            row.host = format!("h{n}");
        }
        let lost = lost_servers(&sights(&FINE, &up, Some(&servers), TimeDelta::zero())).expect("degraded");
        assert!(
            lost.what
                .ends_with(": h0 (worker of the site 0), h1 (worker of the site 1), h2 (worker of the site 2), h3 (worker of the site 3), h4 (worker of the site 4) and 2 more.")
        );
        assert_eq!(lost.means, "What they did waits.");
        servers.push(row(ServerRole::Worker, None, true));
        for (row, _) in &mut servers {
            (row.host, row.site) = ("vm".to_owned(), None);
        }
        let lost = lost_servers(&sights(&FINE, &up, Some(&servers), TimeDelta::zero())).expect("degraded");
        assert!(lost.what.ends_with(": vm (worker, …id, …id, …id and 4 more)."), "{}", lost.what);
        assert_eq!(lost.means, "The other servers take over what they did.");
        for (_, live) in &mut servers {
            *live = true;
        }
        assert!(lost_servers(&sights(&FINE, &up, Some(&servers), TimeDelta::zero())).is_none());
    }
}
