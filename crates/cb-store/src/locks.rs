//! What a write on PostgreSQL locks at its beginning, in one exchange. SQLite has one writer, and needs none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use uuid::Uuid;

/// The audited writes of a database, of whatever server: each holds this lock until it has ended, alone or with others. A number of
/// our own; the lock is one of the transaction, so it holds behind a pooler of connections too.
const WRITES: i64 = 4_836_519_251;
/// Whoever wants the head of the audit log takes this lock first. PostgreSQL gives it to one of those who wait, in their order. A row
/// that is free again wakes all who wait for it, and all but one go back to sleep: with three servers that was a quarter of its work.
pub(crate) const HEAD: i64 = 4_836_519_252;
/// What another program that changes the tables of the audit log keeps from every write.
pub(crate) const LOG: &str = "LOCK TABLE audit_log, audit_head IN ROW EXCLUSIVE MODE";
/// A COMMIT that does not wait for the disk. `Store::is_durable` does, when the locks are free.
const WITHOUT_DISK: &str = "SET LOCAL synchronous_commit = off";

/// When what a transaction did is on the disk of PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// When its COMMIT is answered, as for any other transaction.
    Committed,
    /// Only after a flush, which whoever commits must wait for (`Store::is_durable`).
    Flushed,
}

/// A row that a write decides on. It is locked before the write's work begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// An asset that the write reads and changes or removes.
    Asset(Uuid),
    /// An asset that the write refers to: nobody changes or removes it meanwhile, and others may refer to it too.
    AssetStays(Uuid),
    Tag(Uuid),
}

impl Row {
    fn lock(self) -> (&'static str, &'static str, Uuid) {
        match self {
            Self::Asset(id) => ("assets", "UPDATE", id),
            Self::AssetStays(id) => ("assets", "KEY SHARE", id),
            Self::Tag(id) => ("tags", "UPDATE", id),
        }
    }
}

/// No other write runs meanwhile, and the head is locked too. Each lock is waited for no longer than `most`, where that is less than
/// for any lock.
pub(crate) fn alone(until: Until, most: Option<Duration>) -> String {
    let writes = format!("SELECT pg_advisory_xact_lock({WRITES}); {}", head(None));
    match until {
        Until::Flushed => format!("{WITHOUT_DISK}; {}{writes}", waits(most)),
        Until::Committed => format!("{}{writes}", waits(most)),
    }
}

/// The head of the audit log is locked: nobody appends meanwhile.
pub(crate) fn head(most: Option<Duration>) -> String {
    format!("{}SELECT pg_advisory_xact_lock({HEAD}); SELECT seq FROM audit_head FOR UPDATE", waits(most))
}

fn waits(most: Option<Duration>) -> String {
    most.map_or_else(String::new, |most| format!("SET LOCAL lock_timeout = {}; ", most.as_millis()))
}

/// Other writes run meanwhile, but none that runs alone or needs one of `rows`. Each statement of the transaction ends after `most`.
///
/// A row is never waited for here: whoever waits holds up the writes that want to be alone, and these hold up all others. A lock that
/// is not free ends the transaction at once, one that the work needs later after `within` (a reference, a unique index). A row that is
/// not there locks nothing.
pub(crate) fn beside(rows: &[Row], most: Duration, within: Duration) -> String {
    let mut kinds: BTreeMap<(&str, &str), BTreeSet<Uuid>> = BTreeMap::new();
    for (table, strength, id) in rows.iter().map(|row| row.lock()) {
        kinds.entry((table, strength)).or_default().insert(id);
    }
    let locks = kinds.into_iter().map(|((table, strength), ids)| {
        let ids = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
        format!("; SELECT id FROM {table} WHERE id IN ({ids}) ORDER BY id FOR {strength} NOWAIT")
    });
    let (most, within) = (most.as_millis(), within.as_millis());
    let first = format!(
        "{WITHOUT_DISK}; SET LOCAL statement_timeout = {most}; SELECT pg_advisory_xact_lock_shared({WRITES}); \
         SET LOCAL lock_timeout = {within}"
    );
    std::iter::once(first).chain(locks).collect()
}
