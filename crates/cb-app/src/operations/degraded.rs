//! What does not work as it should, in words for people.

mod others;
mod sights;
mod workers;

use std::collections::BTreeSet;

use cb_core::clock::Time;
use chrono::TimeDelta;

use self::others::{
    different_tokens, failing_at_others, lost_by_others, lost_servers, not_met, same_id, unusable,
};
pub(super) use self::sights::Sights;
use self::workers::nobody_works;
use super::{Code, Degraded, LinkOut, foreign};
use crate::jumps::NOTICED;
use crate::reconcile::Name;
use crate::storage::StorageState;

/// So many works and sites have a paragraph of their own.
const WORKS_NAMED: usize = 10;
const WITHOUT_REDIS: &str = "Each server counts failed sign-ins and rates by itself, from where the shared count was. Limits still hold, but each server allows as much as all of them together did.";
const WITHOUT_NATS: &str = "Changes that one server makes reach the pages of the other servers a few seconds later. Nothing is lost.";

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
mod tests;
