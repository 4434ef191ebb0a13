//! The worker of one kind: claims as many jobs as it has room for, runs them beside each other, renews what it holds in one statement,
//! and writes down in one statement what is done.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use cb_core::Result;
use cb_core::clock::Time;
use cb_fabric::Sleeper;
use cb_store::entities::job;
use cb_store::{Duty, Hold, Order};
use chrono::TimeDelta;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{FAULT, Job, Kind, Limits, PAUSE, Verdict, left, longest};
use crate::app::App;

/// A wake-up can be lost, and another server may have made a job: so often a worker looks anyway.
const POLL: Duration = Duration::from_secs(5);
/// No wait is shorter, so that no mistake and no outage makes a worker spin.
const FLOOR: Duration = Duration::from_millis(10);
const BRIEFLY: Duration = Duration::from_millis(100);
/// A job that was given back while the server goes on begins no sooner.
const HELD_UP: Duration = Duration::from_secs(5);
/// What runs for a job that is another worker's has so long to end by itself: its writes are refused, but it may have something to say
/// about what it kept before.
const GRACE: Duration = Duration::from_secs(2);
/// One claim in so many takes the jobs that were made first, so that none waits for ever behind those of a higher priority.
const BY_AGE: u32 = 4;
/// So often the end of a job is told, then it ends untold.
const TELLINGS: i32 = 5;
/// A server that stops waits so long for jobs that run. [`App::close`] waits longer.
const DRAIN: Duration = Duration::from_secs(7);
/// The wait before the second attempt, which each further one doubles …
const AGAIN: Duration = Duration::from_secs(1);
/// … up to this.
const AGAIN_MOST: Duration = Duration::from_mins(5);

pub(super) async fn run(app: App, kind: Arc<dyn Kind>) {
    let sleeper = app.sleeper(kind.name());
    let lane = Lane {
        limits: kind.limits(),
        renewed: app.steady(),
        looked: app.steady(),
        app,
        kind,
        tasks: JoinSet::new(),
        held: HashMap::new(),
        ended: Vec::new(),
        more: true,
        claims: 0,
    };
    lane.work(sleeper).await;
}

struct Lane {
    app: App,
    kind: Arc<dyn Kind>,
    limits: Limits,
    tasks: JoinSet<Outcome>,
    held: HashMap<Id, (Held, AbortHandle)>,
    /// Not written down yet.
    ended: Vec<(Held, Outcome)>,
    /// When the leases were last renewed, by the clock that only goes forward.
    renewed: Duration,
    /// When it last looked for what is not its own, by the same clock.
    looked: Duration,
    /// There may be a job to claim.
    more: bool,
    claims: u32,
}

struct Held {
    hold: Hold,
    attempt: i32,
    /// By the clock that only goes forward.
    until: Duration,
    lost: CancellationToken,
}

/// What becomes of a job.
enum Outcome {
    Done,
    Again { wait: Duration, reason: String },
    Dead { reason: String },
    GiveBack,
}

impl Lane {
    async fn work(mut self, mut sleeper: Sleeper) {
        let stopping = self.app.stopping().clone();
        let mut failing = false;
        while !stopping.is_cancelled() {
            let wait = match self.turn().await {
                Ok(wait) => {
                    failing = false;
                    wait
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        tracing::error!(kind = self.kind.name(), %error, "jobs cannot be read or written; the server tries again in a moment");
                    }
                    PAUSE
                }
            };
            let idle = self.held.is_empty() && self.ended.is_empty();
            let nap = if idle || failing { wait } else { wait.min(self.next_renewal()) };
            let nap = nap.max(FLOOR);
            let began = Instant::now();
            tokio::select! {
                () = stopping.cancelled() => {}
                () = tokio::time::sleep(nap), if failing => {}
                Some(ended) = self.tasks.join_next_with_id(), if !failing => self.note(ended),
                // Whoever was woken before its time has heard of new jobs.
                () = sleeper.sleep(nap), if !failing => self.more |= began.elapsed() < nap,
            }
            while let Some(ended) = self.tasks.try_join_next_with_id() {
                self.note(ended);
            }
        }
        self.drain().await;
    }

    /// One round. Answers how long there is nothing to do, unless somebody calls or a job ends.
    async fn turn(&mut self) -> Result<Duration> {
        if self.next_renewal().is_zero() {
            self.renew().await?;
        }
        self.settle().await?;
        let room = self.room();
        // Also a worker that always has something to do takes back what a killed one held.
        let long_ago = self.app.steady().saturating_sub(self.looked) >= POLL;
        if long_ago || (room > 0 && !self.more) {
            let wait = self.look().await?;
            return Ok(if room > 0 { wait } else { POLL });
        }
        if room == 0 {
            return Ok(POLL);
        }
        let claimed = self.claim(room).await?;
        // One that is due and cannot be had is in somebody's hands: it is not asked for without a pause.
        self.more = claimed == room;
        if self.more {
            return Ok(POLL);
        }
        Ok(self.look().await?.max(if claimed == 0 { BRIEFLY } else { Duration::ZERO }))
    }

    /// Only reads, unless a lease is over.
    async fn look(&mut self) -> Result<Duration> {
        let (store, name) = (self.app.store().clone(), self.kind.name());
        self.looked = self.app.steady();
        let ahead = store.jobs_ahead(self.duty(), self.times()).await?;
        let mut taken = 0;
        if ahead.over {
            // A clock that was set forward ends all leases at once: first this worker's own are made good.
            self.renew().await?;
            let mine: Vec<Uuid> = self.mine().map(|held| held.hold.id).collect();
            taken = store.take_back_jobs(name, self.times(), &mine).await?;
        }
        if taken > 0 {
            left(&self.app, &*self.kind).await;
        }
        let wait = ahead.due_in.map_or(POLL, |wait| wait.to_std().unwrap_or(Duration::ZERO).min(POLL));
        self.more = taken > 0 || wait.is_zero();
        Ok(if self.more { Duration::ZERO } else { wait })
    }

    /// Also one that was lost and has not ended yet takes room.
    fn room(&self) -> usize {
        self.limits.at_once.saturating_sub(self.tasks.len() + self.ended.len())
    }

    fn mine(&self) -> impl Iterator<Item = &Held> {
        self.held.values().map(|(held, _)| held).chain(self.ended.iter().map(|(held, _)| held))
    }

    fn duty(&self) -> Duty<'_> {
        Duty { kind: self.kind.name(), place: self.app.place() }
    }

    /// Now, and how long a lease is.
    fn times(&self) -> (Time, TimeDelta) {
        (self.app.now(), self.lease())
    }

    fn lease(&self) -> TimeDelta {
        longest(self.limits.lease)
    }

    async fn claim(&mut self, room: usize) -> Result<usize> {
        let steady = self.app.steady();
        let most = u64::try_from(room).unwrap_or(u64::MAX);
        self.claims = self.claims.wrapping_add(1);
        let order = if self.claims.is_multiple_of(BY_AGE) { Order::Age } else { Order::Priority };
        let of = (self.duty(), order);
        let rows = self.app.store().claim_jobs(of, self.app.worker_name(), self.times(), most).await?;
        let claimed = rows.len();
        if self.held.is_empty() && self.ended.is_empty() {
            self.renewed = steady;
        }
        for row in rows {
            self.begin(row, steady + self.limits.lease);
        }
        Ok(claimed)
    }

    fn begin(&mut self, row: job::Model, until: Duration) {
        let hold = Hold { id: row.id, owner: self.app.worker_name().to_owned(), fence: row.fence };
        let lost = CancellationToken::new();
        let mine = Held { hold: hold.clone(), attempt: row.attempts, until, lost: lost.clone() };
        let job =
            Job { id: row.id, key: row.dedup_key, payload: row.payload, attempt: row.attempts, hold, lost };
        if self.app.stopping().is_cancelled() {
            self.ended.push((mine, Outcome::GiveBack));
            return;
        }
        let most = self.limits.attempts;
        let task = self.tasks.spawn(attempt(self.app.clone(), self.kind.clone(), job, most, row.last_error));
        self.held.insert(task.id(), (mine, task));
    }

    fn note(&mut self, ended: std::result::Result<(Id, Outcome), JoinError>) {
        let (id, outcome) = match ended {
            Ok(ended) => ended,
            Err(error) if error.is_cancelled() => (error.id(), Outcome::GiveBack),
            Err(error) => (error.id(), Outcome::Again { wait: Duration::ZERO, reason: FAULT.to_owned() }),
        };
        // One that was let go is another worker's.
        if let Some((held, _)) = self.held.remove(&id) {
            self.ended.push((held, outcome));
        }
    }

    fn next_renewal(&self) -> Duration {
        (self.renewed + self.limits.lease / 3).saturating_sub(self.app.steady())
    }

    /// Keeps what is held, and lets go of what is not any more.
    async fn renew(&mut self) -> Result<()> {
        let steady = self.app.steady();
        let holds: Vec<Hold> = self.mine().map(|held| held.hold.clone()).collect();
        if holds.is_empty() {
            self.renewed = steady;
            return Ok(());
        }
        let kept = match self.app.store().renew_jobs(&holds, self.times()).await {
            Ok(kept) => HashSet::<Uuid>::from_iter(kept),
            Err(error) => {
                self.keep(|held| held.until > steady);
                return Err(error);
            }
        };
        self.renewed = steady;
        for (held, _) in self.held.values_mut() {
            held.until = steady + self.limits.lease;
        }
        for (held, _) in &mut self.ended {
            held.until = steady + self.limits.lease;
        }
        self.keep(|held| kept.contains(&held.hold.id));
        Ok(())
    }

    /// Breaks off all others, and forgets how they ended: another worker has them, or may have them.
    fn keep(&mut self, keep: impl Fn(&Held) -> bool) {
        let kind = self.kind.name();
        self.held.retain(|_, (held, task)| {
            let kept = keep(held);
            if !kept {
                tracing::warn!(kind, job = %held.hold.id, "a job is no longer this worker's and is broken off");
                held.lost.cancel();
                let task = task.clone();
                self.app.spawn(async move {
                    tokio::time::sleep(GRACE).await;
                    task.abort();
                });
            }
            kept
        });
        self.ended.retain(|(held, _)| keep(held));
    }

    /// Writes down what became of jobs. What cannot be written stays, and is held.
    async fn settle(&mut self) -> Result<()> {
        let store = self.app.store().clone();
        let of = |wanted: fn(&Outcome) -> bool, ended: &[(Held, Outcome)]| -> Vec<Hold> {
            ended.iter().filter(|(_, outcome)| wanted(outcome)).map(|(held, _)| held.hold.clone()).collect()
        };
        let done = of(|outcome| matches!(outcome, Outcome::Done), &self.ended);
        if !done.is_empty() {
            store.finish_jobs(&done).await?;
            self.ended.retain(|(_, outcome)| !matches!(outcome, Outcome::Done));
        }
        let back = of(|outcome| matches!(outcome, Outcome::GiveBack), &self.ended);
        if !back.is_empty() {
            let wait = if self.app.stopping().is_cancelled() { Duration::ZERO } else { HELD_UP };
            store.give_back_jobs(&back, (self.app.now(), longest(wait))).await?;
            self.ended.retain(|(_, outcome)| !matches!(outcome, Outcome::GiveBack));
            left(&self.app, &*self.kind).await;
        }
        while let Some((held, outcome)) = self.ended.last() {
            let now = self.app.now();
            match outcome {
                Outcome::Again { wait, reason } => {
                    let wait = longest((*wait).max(floor(held.attempt)));
                    store.retry_job(&held.hold, (now, wait), reason).await?;
                    left(&self.app, &*self.kind).await;
                }
                Outcome::Dead { reason } => {
                    tracing::warn!(kind = self.kind.name(), job = %held.hold.id, reason, "a job was given up; it is among the dead letters");
                    store.fail_job(&held.hold, now, reason).await?;
                }
                Outcome::Done | Outcome::GiveBack => {}
            }
            self.ended.pop();
        }
        Ok(())
    }

    /// Claims nothing more, waits for what runs, and gives back the rest.
    async fn drain(mut self) {
        let over = tokio::time::sleep(DRAIN);
        tokio::pin!(over);
        while !self.held.is_empty() {
            let renewal = self.next_renewal().max(BRIEFLY);
            tokio::select! {
                Some(ended) = self.tasks.join_next_with_id() => self.note(ended),
                () = tokio::time::sleep(renewal) => {
                    if let Err(error) = self.renew().await {
                        tracing::debug!(%error, "jobs could not be renewed while the server stops");
                    }
                }
                () = &mut over => break,
            }
        }
        self.tasks.abort_all();
        while let Some(ended) = self.tasks.join_next_with_id().await {
            self.note(ended);
        }
        if let Err(error) = self.settle().await {
            tracing::warn!(kind = self.kind.name(), %error, "jobs could not be given back; the server takes them again after its next start, or when their lease ends");
        }
    }
}

/// One attempt and, behind the last, the news of it. In a task of its own: should it panic, that is a failed attempt. `said` is the
/// reason that an earlier attempt gave.
async fn attempt(app: App, kind: Arc<dyn Kind>, job: Job, most: i32, said: Option<String>) -> Outcome {
    let (number, last) = (job.attempt, job.attempt >= most);
    let verdict = if number > most {
        let reason = said.unwrap_or_else(|| {
            format!(
                "The server stopped, or lost its database, {most} times while this was running, so it gave up"
            )
        });
        Verdict::Fail { reason }
    } else {
        let mut task = JoinSet::new();
        task.spawn(kind.run(app.clone(), job.clone()));
        match task.join_next().await {
            Some(Ok(verdict)) => verdict,
            _ => Verdict::Retry { after: Duration::ZERO, reason: FAULT.to_owned() },
        }
    };
    let reason = match verdict {
        Verdict::Done => return Outcome::Done,
        Verdict::GiveBack => return Outcome::GiveBack,
        Verdict::Retry { after, reason } if !last => return Outcome::Again { wait: after, reason },
        Verdict::Retry { reason, .. } | Verdict::Fail { reason } => reason,
    };
    match kind.died(&app, &job, &reason).await {
        Ok(()) => Outcome::Dead { reason },
        // It is claimed once more, found to have no attempt left, and told again.
        Err(error) if number < most + TELLINGS => {
            tracing::warn!(kind = kind.name(), job = %job.id, %error, "the end of a job could not be told; the server tries again");
            Outcome::Again { wait: Duration::ZERO, reason }
        }
        Err(error) => {
            tracing::error!(kind = kind.name(), job = %job.id, %error, "the end of a job could not be told; it ends untold");
            Outcome::Dead { reason }
        }
    }
}

/// No attempt begins sooner after the one before.
fn floor(attempt: i32) -> Duration {
    let doubled = u32::try_from(attempt - 1).unwrap_or(0).min(16);
    (AGAIN * 2_u32.pow(doubled)).min(AGAIN_MOST)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{AGAIN, AGAIN_MOST, floor};

    #[test]
    fn each_attempt_waits_longer_and_none_without_end() {
        let waits: Vec<Duration> = (1..=40).map(floor).collect();
        assert_eq!(waits[..4], [AGAIN, AGAIN * 2, AGAIN * 4, AGAIN * 8]);
        assert!(waits.is_sorted() && waits.last() == Some(&AGAIN_MOST));
    }
}
