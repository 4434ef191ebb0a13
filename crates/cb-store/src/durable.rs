//! What PostgreSQL has committed, on its disk, before anybody hears of it.
//!
//! An audited write commits without waiting for the disk, so the head of the audit log is free again at once. Then it waits here:
//! one tiny transaction of its own, which commits as the database was set up to commit (`synchronous_commit`), flushes the log of
//! PostgreSQL up to its end, and with it every commit before it. One such flush is under way in a process; the writes that arrive
//! meanwhile share the next one. It waits a moment for those that are about to arrive: a flush costs both sides about as much as
//! an insert.
//!
//! A flush alone proves nothing: PostgreSQL may have crashed after the commit and have started again without it. So the same
//! statement looks for the entry of each write, by number and hash. A newer entry does not prove an older one: it may have been
//! written after the crash.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, Statement};
use tokio::sync::watch;

use crate::bounded::{Connections, in_time};
use crate::fault::{Fault, unanswered};
use crate::open::Store;
use crate::write::COMMIT;

/// How long a flush waits for writes that are about to commit.
const COMPANY: Duration = Duration::from_millis(2);
/// A connection of its own is waited for no longer: the writes have some.
const AT_HAND: Duration = Duration::from_millis(200);

/// Those who wait for a flush.
#[derive(Debug, Default)]
pub(crate) struct Flushes {
    next: Mutex<Arc<Flush>>,
    turn: tokio::sync::Mutex<()>,
    /// Writes that append to the audit log now, or commit.
    coming: watch::Sender<usize>,
}

/// A write that will want a flush.
pub(crate) struct Coming<'a>(&'a watch::Sender<usize>);

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|coming| *coming = coming.saturating_sub(1));
    }
}

/// One flush, for all who joined it before it began.
#[derive(Debug, Default)]
pub(crate) struct Flush {
    /// Numbers of entries.
    joined: Mutex<Vec<i64>>,
    /// Which entries have these numbers.
    found: OnceLock<Result<Vec<(i64, String)>, DbErr>>,
}

impl Flushes {
    pub fn coming(&self) -> Coming<'_> {
        self.coming.send_modify(|coming| *coming += 1);
        Coming(&self.coming)
    }

    async fn company(&self) {
        let mut coming = self.coming.subscribe();
        let _ = tokio::time::timeout(COMPANY, coming.wait_for(|coming| *coming == 0)).await;
    }

    pub fn join(&self, seq: i64) -> Arc<Flush> {
        let next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.joined.lock().unwrap_or_else(PoisonError::into_inner).push(seq);
        Arc::clone(&next)
    }

    /// Nobody joins `flush` any more. Answers the numbers that it looks for.
    fn begin(&self, flush: &Arc<Flush>) -> Vec<i64> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&next, flush) {
            *next = Arc::default();
        }
        flush.joined.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Store {
    /// Waits until what the entry belongs to cannot be lost any more. False when the entry is not there: PostgreSQL has crashed
    /// since.
    pub(crate) async fn is_durable(&self, seq: i64, hash: &str) -> Result<bool, DbErr> {
        self.flushed(self.flushes().map(|flushes| flushes.join(seq)), seq, hash).await
    }

    /// The same, when `flush` was joined. SQLite has none: it commits onto the disk.
    pub(crate) async fn flushed(
        &self,
        flush: Option<Arc<Flush>>,
        seq: i64,
        hash: &str,
    ) -> Result<bool, DbErr> {
        let Some((flushes, flush)) = self.flushes().zip(flush) else { return Ok(true) };
        // The flush that is under way, and then this one, which another write may have begun.
        let turn = tokio::time::timeout(2 * COMMIT, flushes.turn.lock()).await;
        let _turn = turn.map_err(|_| unanswered(format!("no flush has ended for {:?}", 2 * COMMIT)))?;
        // A write that had the turn before may have been cancelled in the middle of this flush.
        if flush.found.get().is_none() {
            flushes.company().await;
            let _ = flush.found.set(self.flush(&flushes.begin(&flush)).await);
        }
        let Some(found) = flush.found.get().cloned() else { return Ok(false) };
        Ok(found?.iter().any(|entry| entry.0 == seq && entry.1 == hash))
    }

    async fn flush(&self, numbers: &[i64]) -> Result<Vec<(i64, String)>, DbErr> {
        if self.flusher().inner().is_connected(AT_HAND).await {
            match self.flush_on(self.flusher(), numbers).await {
                Err(error) if had_no_connection(&error) => {}
                done => return done,
            }
        }
        // Whoever waits here has given a connection back, so there is one when PostgreSQL has none left for the flusher.
        self.flush_on(self.writer(), numbers).await
    }

    async fn flush_on(&self, pool: &Connections, numbers: &[i64]) -> Result<Vec<(i64, String)>, DbErr> {
        let numbers = numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let flush = Statement::from_sql_and_values(DbBackend::Postgres, FLUSH, [numbers.into()]);
        let condemned = pool.inner().condemned().clone();
        // All of the answer: PostgreSQL commits, and flushes, behind the last row.
        let asked = pool.inner().query_all_raw(flush);
        let answer = in_time(DbBackend::Postgres, COMMIT, pool.signals(), asked, || condemned.now()).await;
        let rows = answer.inspect_err(|error| {
            if !had_no_connection(error) {
                condemned.now();
            }
        })?;
        let entries = rows.iter().map(|row| {
            let seq: Option<i64> = row.try_get_by_index(1)?;
            let hash: Option<String> = row.try_get_by_index(2)?;
            Ok(seq.zip(hash))
        });
        entries.filter_map(Result::transpose).collect()
    }
}

/// Such an error says nothing about the connections that there are.
fn had_no_connection(error: &DbErr) -> bool {
    matches!(Fault::of(error), Fault::Busy | Fault::Crowded)
}

/// The message is for nobody. It is the smallest thing that any role may write, and a transaction that writes nothing flushes nothing.
const FLUSH: &str = "
    WITH flush AS MATERIALIZED (SELECT pg_logical_emit_message(true, 'circuit-breaker', '')::text AS at)
    SELECT flush.at, entry.seq, entry.hash FROM flush
    LEFT JOIN audit_log entry ON entry.seq = ANY (string_to_array($1, ',')::bigint[])";

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flush_waits_for_those_who_come_and_for_no_others() {
        let (flushes, began) = (Flushes::default(), Instant::now());
        flushes.company().await;
        assert_eq!(began.elapsed(), Duration::ZERO, "nobody comes");
        let (one, other) = (flushes.coming(), flushes.coming());
        let arrive = async {
            drop(one);
            sleep(COMPANY / 2).await;
            drop(other);
        };
        tokio::join!(flushes.company(), arrive);
        assert_eq!(began.elapsed(), COMPANY / 2, "both have come");
        let (_late, began) = (flushes.coming(), Instant::now());
        flushes.company().await;
        assert!((COMPANY..2 * COMPANY).contains(&began.elapsed()), "{:?}", began.elapsed());
    }
}
