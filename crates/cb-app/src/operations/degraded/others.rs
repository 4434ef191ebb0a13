//! What is degraded at other servers, or between them and this one.

use std::collections::BTreeMap;

use cb_core::clock::Time;
use cb_core::config::{self, Engine, ServerRole};
use cb_store::entities::server;

use super::super::{Code, Degraded, FabricMode, FabricOut};
use super::{Sights, WITHOUT_NATS, WITHOUT_REDIS, WORKS_NAMED, work_fails};
use crate::apart::Where;
use crate::metrics::told::Told;
use crate::reconcile::Name;
use crate::replicas;

/// Other live servers that say that they have lost this link, and since when. A worker opens no port, so nobody can ask it.
fn lost<'a>(sights: &'a Sights<'_>, link: &str) -> Vec<(&'a server::Model, Time)> {
    let lost = sights.live_others().filter_map(|row| {
        let since = Told::of(row)?.links.get(link)?.lost_since(row.seen_at)?;
        Some((row, since))
    });
    lost.collect()
}

/// What one cause takes from this server and from others is said once.
pub(super) fn unusable(sights: &Sights<'_>, name: &str, link: &str) -> String {
    match lost(sights, link) {
        others if others.is_empty() => format!("This server cannot use {name}."),
        others => {
            let named = sights.named(others.into_iter().map(|(row, _)| row));
            format!("This server cannot use {name}, nor can others: {named}.")
        }
    }
}

pub(super) fn lost_by_others(sights: &Sights<'_>) -> Vec<Degraded> {
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
pub(super) fn not_met(sights: &Sights<'_>) -> Vec<Degraded> {
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
pub(super) fn failing_at_others(sights: &Sights<'_>) -> Vec<Degraded> {
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
pub(super) fn lost_servers(sights: &Sights<'_>) -> Option<Degraded> {
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
pub(super) fn different_tokens(sights: &Sights<'_>) -> Option<Degraded> {
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
pub(super) fn same_id(sights: &Sights<'_>) -> Option<Degraded> {
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
