use std::collections::BTreeSet;

use cb_core::config::ServerRole;
use cb_store::entities::server;
use chrono::{DateTime, TimeDelta};

use super::super::{FabricMode, FabricOut};
use super::{Code, Degraded, LinkOut, Sights, all, here, lost_servers, nobody_works};
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
        unread: BTreeSet::new(),
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
    assert_eq!(what(&elsewhere), ["No worker of the main site runs.", "No worker of the site attic runs."]);
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
    let mut servers: Vec<_> = (0..7).map(|n| row(ServerRole::Worker, Some(&n.to_string()), false)).collect();
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
