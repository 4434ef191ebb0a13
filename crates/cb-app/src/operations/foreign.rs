//! Transactions of other programs in PostgreSQL that are in the way, in words for people.

use std::time::Duration;

use cb_store::Foreign;
use chrono::TimeDelta;

use super::degraded::length;
use super::{Code, Degraded};

/// A transaction that is open for so long keeps PostgreSQL from clearing away old rows, whatever it does.
pub(super) const LONG: Duration = Duration::from_mins(5);
/// A sentence names so many tables.
const TABLES_NAMED: usize = 5;

pub(super) fn told(foreign: &Foreign) -> Degraded {
    let Foreign { pid, user, program, open_for, locks } = foreign;
    let minutes = open_for.and_then(|open| TimeDelta::from_std(open).ok()).map(|open| open.num_minutes());
    let time = minutes.filter(|minutes| *minutes > 0).map(length);
    let (what, means) = if locks.is_empty() {
        (
            "A transaction of another program has been open for a long time.".to_owned(),
            "PostgreSQL cannot clear away old rows before it ends, so the servers become slower. If it has changed rows, nobody else can change them.",
        )
    } else {
        let more = locks.len().saturating_sub(TABLES_NAMED);
        let named = locks.iter().take(TABLES_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (
            format!("Another program has locked tables of the database: {named}{more}."),
            "Requests that need these tables are refused until it ends, and work that needs them waits. Nothing that was saved is lost.",
        )
    };
    let program = if program.is_empty() { String::new() } else { format!(", program {program}") };
    let time = time.map(|time| format!(" Its transaction has been open for {time}.")).unwrap_or_default();
    Degraded {
        code: Code::ForeignTransaction,
        what,
        why: Some(format!(
            "It is the session of PostgreSQL with the process {pid} (user {user}{program}).{time}"
        )),
        means: means.to_owned(),
        fix: format!(
            "End the transaction where it was begun, or end its session: SELECT pg_terminate_backend({pid}). If it is a backup or a change that is needed, wait until it is done."
        ),
        since: None,
        work: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_named_with_what_it_keeps() {
        let mut foreign = Foreign {
            pid: 4711,
            user: "ann".to_owned(),
            program: "psql".to_owned(),
            open_for: Some(Duration::from_mins(1)),
            locks: (0..7).map(|n| format!("t{n}")).collect(),
        };
        let locked = told(&foreign);
        assert_eq!(
            locked.what,
            "Another program has locked tables of the database: t0, t1, t2, t3, t4 and 2 more."
        );
        assert_eq!(
            locked.why.as_deref(),
            Some(
                "It is the session of PostgreSQL with the process 4711 (user ann, program psql). Its transaction has been open for a minute."
            )
        );
        (foreign.locks, foreign.program, foreign.open_for) = (Vec::new(), String::new(), None);
        let open = told(&foreign);
        assert_eq!(open.what, "A transaction of another program has been open for a long time.");
        assert_eq!(
            open.why.as_deref(),
            Some("It is the session of PostgreSQL with the process 4711 (user ann).")
        );
        for text in [&locked.what, &locked.means, &locked.fix, &open.means, &open.fix] {
            assert_eq!(*text, cb_core::error::sentence(text));
        }
    }
}
