//! Periodic work: what a server does again and again without being asked, as one table ([`WORKS`]). To add to it: a function that takes the
//! application and answers whether it worked, and a line.
//!
//! What changes the database is done by one of the servers on it, whichever comes first when it is due ([`Who::One`]): a row holds the lease,
//! the last begin and end, the failure and the next time. The lease is short and renewed while the work runs, so that another server soon
//! does what a server has left that died. A server that cannot renew it breaks the work off before the lease ends. What a process keeps for itself is done by each ([`Who::Each`]).
//! A failure is told once, not at each try, and tried again sooner than the next regular time.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cb_core::clock::Time;
use cb_core::{Error, Permission, Result};
use cb_fabric::FabricState;
use cb_store::bookkeeping::Turn;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use utoipa::ToSchema;

use crate::app::App;
use crate::ctx::Ctx;
use crate::metrics::Page;
use crate::{audit, auth, jobs, jumps, notify, replicas, vault};

type Run = fn(App, bool) -> Pin<Box<dyn Future<Output = Result<()>> + Send>>;

/// Which periodic work it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PeriodicWorkName)]
pub enum Name {
    Sessions,
    Notices,
    DeadLetters,
    AuditRetention,
    VaultRotation,
    VaultRootKey,
    Clock,
    WrongGuesses,
    AuditCheckpoint,
    Servers,
}

impl Name {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Name::Sessions => "sessions",
            Name::Notices => "notices",
            Name::DeadLetters => "dead_letters",
            Name::AuditRetention => "audit_retention",
            Name::VaultRotation => "vault_rotation",
            Name::VaultRootKey => "vault_root_key",
            Name::Clock => "clock",
            Name::WrongGuesses => "wrong_guesses",
            Name::AuditCheckpoint => "audit_checkpoint",
            Name::Servers => "servers",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        WORKS.iter().map(|work| work.name).find(|name| name.as_str() == word)
    }
}

struct Work {
    name: Name,
    every: Duration,
    who: Who,
    /// Told whether the server stops.
    run: Run,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PeriodicWorkWho)]
pub enum Who {
    /// One server for all that share the database.
    One,
    /// Each server for itself.
    Each,
    /// The same, and once more when it stops.
    EachAndAtStop,
}

/// `async fn(&App) -> Result<()>`, as the table holds it.
macro_rules! run {
    ($work:path) => {
        |app, _stopping| Box::pin(async move { $work(&app).await })
    };
}

const WORKS: &[Work] = &[
    Work {
        name: Name::Sessions,
        every: Duration::from_mins(10),
        who: Who::One,
        run: run!(auth::sessions::sweep_dead),
    },
    Work {
        name: Name::Notices,
        every: Duration::from_mins(10),
        who: Who::One,
        run: run!(notify::worker::sweep),
    },
    Work { name: Name::DeadLetters, every: Duration::from_mins(10), who: Who::One, run: run!(jobs::sweep) },
    Work {
        name: Name::AuditRetention,
        every: Duration::from_hours(24),
        who: Who::One,
        run: run!(audit::keep_to_retention),
    },
    Work {
        name: Name::VaultRotation,
        every: Duration::from_mins(1),
        who: Who::One,
        run: run!(vault::look_here),
    },
    Work {
        name: Name::VaultRootKey,
        every: Duration::from_mins(1),
        who: Who::Each,
        run: run!(vault::notice_new_root),
    },
    Work { name: Name::Clock, every: Duration::from_secs(5), who: Who::Each, run: run!(jumps::watch) },
    Work {
        name: Name::WrongGuesses,
        every: Duration::from_secs(5),
        who: Who::EachAndAtStop,
        run: |app, stopping| Box::pin(async move { auth::guesses::close(&app, stopping).await }),
    },
    Work {
        name: Name::AuditCheckpoint,
        every: Duration::from_hours(1),
        who: Who::EachAndAtStop,
        run: run!(App::checkpoint),
    },
    Work {
        name: Name::Servers,
        every: Duration::from_secs(10),
        who: Who::EachAndAtStop,
        run: |app, stopping| Box::pin(async move { replicas::seen(&app, stopping).await }),
    },
];

/// How often a server looks whether something that one of them does is due.
const LOOK: Duration = Duration::from_secs(30);
/// A failed run is tried again after this time, or at its regular time if that is sooner.
const AGAIN: Duration = Duration::from_mins(10);
/// The same when the database was away: it may be back at any moment, and until the next run the work is shown as failing.
const SOON: Duration = Duration::from_secs(5);
/// After this time without a sign of life another server begins the work.
const LEASE: Duration = Duration::from_secs(30);
/// So often a lease is renewed.
const RENEW: Duration = Duration::from_secs(5);
/// A run that was not renewed for so long is broken off: a statement that is under way ends before the lease does.
const UNRENEWED: Duration = Duration::from_secs(24);
/// A run that takes longer is broken off.
const LONGEST: Duration = Duration::from_mins(10);
/// A run of a server that stops is broken off after this time, and another server takes it.
const AT_STOP: Duration = Duration::from_secs(5);

/// What this process remembers of each work that it has done itself.
#[derive(Default)]
pub(crate) struct Done {
    last: Mutex<Vec<Last>>,
    /// A work that had failed went well.
    well: Notify,
}

#[derive(Debug, Clone)]
struct Last {
    name: Name,
    started_at: Time,
    ended_at: Option<Time>,
    next_at: Option<Time>,
    error: Option<String>,
    /// Since this process started.
    failures: u64,
}

impl Done {
    fn all(&self) -> MutexGuard<'_, Vec<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What this process does for itself, and failed the last time it ended.
    pub(crate) fn failing(&self) -> BTreeMap<String, String> {
        let each = |name| WORKS.iter().any(|work| work.name == name && work.who != Who::One);
        let all = self.all();
        let failed = all.iter().filter(|last| each(last.name));
        failed.filter_map(|last| Some((last.name.as_str().to_owned(), last.error.clone()?))).collect()
    }

    fn begun(&self, name: Name, started_at: Time) {
        let mut all = self.all();
        match all.iter_mut().find(|last| last.name == name) {
            Some(last) => (last.started_at, last.ended_at, last.next_at) = (started_at, None, None),
            None => {
                all.push(Last { name, started_at, ended_at: None, next_at: None, error: None, failures: 0 });
            }
        }
    }

    /// Answers whether that is news: another failure than the last one, or none after one.
    fn ended(&self, name: Name, ended_at: Time, next_at: Time, error: Option<String>) -> bool {
        let mut all = self.all();
        let Some(last) = all.iter_mut().find(|last| last.name == name) else { return false };
        (last.ended_at, last.next_at) = (Some(ended_at), Some(next_at));
        last.failures += u64::from(error.is_some());
        let news = last.error != error;
        if news && error.is_none() {
            self.well.notify_one();
        }
        last.error = error;
        news
    }
}

/// Starts what the role of this server asks for.
pub(crate) async fn start(app: &App) {
    let works = app.role().works();
    if works && let Err(error) = app.store().give_back_work(app.takes_over()).await {
        tracing::warn!(%error, "periodic work of the last run could not be given back; its lease ends in half a minute");
    }
    for work in WORKS.iter().filter(|work| works || work.who != Who::One) {
        app.spawn(keep(app.clone(), work));
    }
}

/// Signs the audit log before anything else runs.
pub(crate) async fn checkpoint(app: &App) {
    for work in WORKS.iter().filter(|work| work.name == Name::AuditCheckpoint) {
        here(app, work, false).await;
    }
}

async fn keep(app: App, work: &'static Work) {
    // What is done at the stop too was done at the last one.
    let mut wait = if work.who == Who::EachAndAtStop { work.every } else { Duration::ZERO };
    let tells = work.name == Name::Servers;
    let mut links = app.links();
    if matches!(*links.borrow(), FabricState::Cluster { .. }) {
        // They may have come up since this server told of itself at its start.
        links.mark_changed();
    }
    loop {
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            // What the other servers have read of this one is not so any more.
            () = app.works_done().well.notified(), if tells => {}
            Ok(()) = links.changed(), if tells => {}
            () = app.stopping().cancelled() => break,
        }
        wait = match work.who {
            Who::One => in_turn(&app, work).await,
            Who::Each | Who::EachAndAtStop => here(&app, work, false).await,
        };
    }
    if work.who == Who::EachAndAtStop {
        here(&app, work, true).await;
    }
}

/// Does it in this process; answers when to do it again.
async fn here(app: &App, work: &'static Work, stopping: bool) -> Duration {
    let done = app.works_done();
    done.begun(work.name, app.now());
    let failed = attempt(app, work, stopping).await;
    let wait = wait(work, failed.as_ref());
    let (now, error) = (app.now(), failed.map(|failed| failed.why));
    tell(work, done.ended(work.name, now, later(now, wait), error.clone()), error.as_deref());
    wait
}

/// Does it if it is due and no other server does it; answers when to look again.
async fn in_turn(app: &App, work: &'static Work) -> Duration {
    let look = Ord::min(work.every, LOOK);
    let (now, began) = (app.now(), app.steady());
    let turn = match app.store().begin_work(work.name.as_str(), app.worker_name(), now, now + lease()).await {
        Ok(Some(turn)) => turn,
        Ok(None) => return look,
        Err(error) => {
            tracing::warn!(work = work.name.as_str(), %error, "the server could not see whether periodic work is due");
            return Ord::min(look, SOON);
        }
    };
    let done = app.works_done();
    done.begun(work.name, now);
    let held = &turn;
    let renew = || async move {
        match app.store().renew_work(held, app.now() + lease()).await {
            // No other server is there to take it, and a long write of the work itself may keep this one waiting.
            Err(error) if app.store().is_sqlite() && error.is_outage() => Ok(true),
            renewed => renewed,
        }
    };
    let (failed, lost) = tokio::select! {
        failed = attempt(app, work, false) => (failed, false),
        why = loses(|| app.steady(), began, renew) => (Some(Failed::of(why)), true),
    };
    let ended = app.now();
    let broken_off = lost || failed.is_some() && app.stopping().is_cancelled();
    let wait = wait(work, failed.as_ref());
    let next = if broken_off { ended } else { later(ended, wait) };
    let error = failed.map(|failed| failed.why);
    tell(work, done.ended(work.name, ended, next, error.clone()), error.as_deref());
    if let Err(error) = note_end(app, &turn, ended, next, error.as_deref()).await {
        tracing::warn!(work = work.name.as_str(), %error, "the end of periodic work could not be noted; its lease ends in half a minute");
    }
    Ord::min(look, wait)
}

/// No server begins the work again before its end is noted or the lease is over. Until then it is tried.
async fn note_end(app: &App, turn: &Turn, ended: Time, next: Time, error: Option<&str>) -> Result<()> {
    let since = app.steady();
    loop {
        let noted = app.store().end_work(turn, ended, next, error).await;
        let again = app.steady().saturating_sub(since) + SOON < LEASE && !app.stopping().is_cancelled();
        match noted {
            Err(error) if error.is_outage() && again => tokio::select! {
                () = tokio::time::sleep(SOON) => {}
                () = app.stopping().cancelled() => {}
            },
            noted => return noted.map(drop),
        }
    }
}

/// Renews a lease that was taken at `since` until it is another's or about to end; answers why it is lost.
async fn loses<R: Future<Output = Result<bool>>>(
    steady: impl Fn() -> Duration,
    mut since: Duration,
    renew: impl Fn() -> R,
) -> &'static str {
    loop {
        let left = (since + UNRENEWED).saturating_sub(steady());
        tokio::time::sleep(Ord::min(RENEW, left)).await;
        let asked = steady();
        let left = (since + UNRENEWED).saturating_sub(asked);
        if left.is_zero() {
            return "The server could not reach the database for too long, and stopped the work";
        }
        match tokio::time::timeout(left, renew()).await {
            Ok(Ok(true)) => since = asked,
            Ok(Ok(false)) => return "Another server has taken the work over",
            Ok(Err(error)) => tracing::warn!(%error, "the lease of periodic work could not be renewed"),
            Err(_) => {}
        }
    }
}

/// Why a run failed.
struct Failed {
    /// A sentence for the page.
    why: String,
    /// The database did not answer, or not in time.
    away: bool,
}

impl Failed {
    fn of(why: &str) -> Self {
        Self { why: why.to_owned(), away: false }
    }
}

/// Why it failed, if it did. Dropped, it breaks the work off.
async fn attempt(app: &App, work: &Work, stopping: bool) -> Option<Failed> {
    // In a task of its own: should it panic, that is a failure like others, and it is tried again.
    let mut task = JoinSet::new();
    task.spawn((work.run)(app.clone(), stopping));
    // What is done at the stop ends by itself.
    let broken_off = async {
        app.stopping().cancelled().await;
        tokio::time::sleep(AT_STOP).await;
    };
    let ended = tokio::select! {
        ended = tokio::time::timeout(LONGEST, task.join_next()) => ended,
        () = broken_off, if work.who == Who::One => {
            return Some(Failed::of("The server stopped before the work was complete"));
        }
    };
    match ended {
        Ok(None | Some(Ok(Ok(())))) => None,
        Ok(Some(Err(_))) => Some(Failed::of("The server met a fault of its own. Its log has the details")),
        Ok(Some(Ok(Err(error)))) => Some(match error {
            Error::Unavailable(why) | Error::OutcomeUnknown(why) => Failed { why, away: true },
            Error::StorageFull(why) => Failed::of(&why),
            error => Failed::of(&error.to_string()),
        }),
        Err(_) => {
            let minutes = LONGEST.as_secs() / 60;
            Some(Failed::of(&format!("It took longer than {minutes} minutes, and the server stopped it")))
        }
    }
}

fn tell(work: &Work, news: bool, error: Option<&str>) {
    match error {
        Some(error) if news => {
            tracing::warn!(work = work.name.as_str(), error, "periodic work failed; the server tries again");
        }
        None if news => tracing::info!(work = work.name.as_str(), "periodic work goes well again"),
        _ => {}
    }
}

fn wait(work: &Work, failed: Option<&Failed>) -> Duration {
    match failed {
        None => work.every,
        Some(failed) => Ord::min(work.every, if failed.away { SOON } else { AGAIN }),
    }
}

fn later(now: Time, wait: Duration) -> Time {
    now + TimeDelta::from_std(wait).unwrap_or(TimeDelta::MAX)
}

/// How long each work waits at most for its next run.
pub(crate) fn longest_waits() -> Vec<(&'static str, TimeDelta)> {
    let wait = |work: &Work| TimeDelta::from_std(work.every).unwrap_or(TimeDelta::MAX);
    WORKS.iter().map(|work| (work.name.as_str(), wait(work))).collect()
}

/// How long a lease is good for, by the clock that the servers share.
pub(crate) fn lease() -> TimeDelta {
    TimeDelta::from_std(LEASE).unwrap_or(TimeDelta::MAX)
}

/// Something that the servers do again and again without being asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PeriodicWork)]
pub struct WorkOut {
    pub name: Name,
    /// Whether one server does it for all (`one`), each for itself (`each`), or each for itself and once more when it stops
    /// (`each_and_at_stop`).
    pub who: Who,
    /// The time between two runs.
    pub every_seconds: u64,
    /// When the last run began; null if there was none. What each server does for itself is told of the server that answers.
    #[schema(required)]
    pub started_at: Option<DateTime<Utc>>,
    /// When the last run that ended did so.
    #[schema(required)]
    pub ended_at: Option<DateTime<Utc>>,
    /// When the next run begins at the earliest.
    #[schema(required)]
    pub next_at: Option<DateTime<Utc>>,
    /// A server is doing it now.
    pub running: bool,
    /// Why the last run failed; null if it did not.
    #[schema(required)]
    pub error: Option<String>,
}

/// All periodic work; the list is short and complete.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PeriodicWorks)]
pub struct Works {
    pub items: Vec<WorkOut>,
}

/// All of it, as the servers last did it.
pub async fn list(ctx: &Ctx) -> Result<Works> {
    ctx.authorize(Permission::MetricsRead)?;
    seen(ctx.app()).await
}

/// Since 1970.
fn seconds(at: Time) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact in 53 bits")]
    let millis = at.timestamp_millis() as f64;
    millis / 1e3
}

pub(crate) async fn metrics(app: &App, page: &mut Page) -> Result<()> {
    let works = seen(app).await?.items;
    let mut began = page.gauge(
        "cb_periodic_last_start_timestamp_seconds",
        "When the last run of this periodic work began, as seconds since 1970.",
    );
    for work in &works {
        if let Some(started_at) = work.started_at {
            began.value(&[("work", work.name.as_str())], seconds(started_at));
        }
    }
    let mut ran = page.gauge(
        "cb_periodic_last_run_timestamp_seconds",
        "When the last run of this periodic work ended, as seconds since 1970.",
    );
    let mut runs = Vec::new();
    for work in &works {
        if let Some(ended_at) = work.ended_at {
            ran.value(&[("work", work.name.as_str())], seconds(ended_at));
            runs.push((work.name, (app.now() - ended_at).as_seconds_f64()));
        }
    }
    let mut age = page
        .gauge("cb_periodic_last_run_age_seconds", "How long ago the last run of this periodic work ended.");
    for (name, seconds) in runs {
        age.value(&[("work", name.as_str())], seconds);
    }
    let mut next = page.gauge(
        "cb_periodic_next_run_timestamp_seconds",
        "When the next run of this periodic work begins at the earliest, as seconds since 1970.",
    );
    for work in &works {
        if let Some(next_at) = work.next_at {
            next.value(&[("work", work.name.as_str())], seconds(next_at));
        }
    }
    let mut every =
        page.gauge("cb_periodic_interval_seconds", "The time between two runs of this periodic work.");
    for work in &works {
        every.value(&[("work", work.name.as_str())], work.every_seconds);
    }
    let mut failing = page.gauge("cb_periodic_failing", "1 if the last run of this periodic work failed.");
    for work in &works {
        failing.value(&[("work", work.name.as_str())], work.error.is_some());
    }
    let mut failures =
        page.counter("cb_periodic_failures_total", "Runs of this periodic work that failed on this server.");
    let here = app.works_done().all();
    for work in WORKS {
        let count = here.iter().find(|last| last.name == work.name).map_or(0, |last| last.failures);
        failures.value(&[("work", work.name.as_str())], count);
    }
    Ok(())
}

pub(crate) async fn seen(app: &App) -> Result<Works> {
    let now = app.now();
    let rows = app.store().works().await?;
    let here = app.works_done().all().clone();
    let of = |work: &Work| {
        let out = WorkOut {
            name: work.name,
            who: work.who,
            every_seconds: work.every.as_secs(),
            started_at: None,
            ended_at: None,
            next_at: None,
            running: false,
            error: None,
        };
        if work.who == Who::One {
            let Some(row) = rows.iter().find(|row| row.name == work.name.as_str()) else { return out };
            return WorkOut {
                started_at: row.started_at,
                ended_at: row.ended_at,
                next_at: Some(row.next_at),
                running: row.held_until.is_some_and(|until| until > now),
                error: row.error.clone(),
                ..out
            };
        }
        let Some(last) = here.iter().find(|last| last.name == work.name) else { return out };
        WorkOut {
            started_at: Some(last.started_at),
            ended_at: last.ended_at,
            next_at: last.next_at,
            running: last.ended_at.is_none(),
            error: last.error.clone(),
            ..out
        }
    };
    Ok(Works { items: WORKS.iter().map(of).collect() })
}

#[cfg(test)]
mod tests;
