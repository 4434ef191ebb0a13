//! Jobs: work that outlives the request, the transaction or the server that asks for it.
//!
//! A job is made by the transaction that gives the reason for it ([`enqueue`]), so it is there if and only if that was kept. One worker at
//! a time holds it, by a lease that is renewed while it runs. A worker that dies or is late loses it, and another begins again: a job may
//! run more than once, and must not mind. What it writes through [`Job::ctx`] is kept only as long as it holds the job, and in the same
//! transaction ([`cb_store::WriteTx::end_job`]) it can end, so that its effect happens once.
//!
//! An attempt counts when it begins. A job that kills each worker that takes it becomes a dead letter like one that fails, and waits there
//! for an administrator ([`dead`]). A server that stops, or whose database is away, gives back what has not ended, and that attempt does
//! not count ([`Verdict::of`]).
//!
//! To add a kind: a file here with its [`Kind`], and a line in [`kinds`].

mod counts;
pub mod dead;
mod lane;
pub(crate) mod scan;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cb_core::{Error, Permission, Principal, Result};
use cb_store::{Enqueued, Hold, NewJob, WriteTx};
use chrono::TimeDelta;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::App;
use crate::ctx::Ctx;
use crate::keep_up::keep_up;

pub(crate) use counts::metrics;
pub use counts::{JobCount, counts};

/// What this server can do, each by its own file.
pub fn kinds() -> Vec<Arc<dyn Kind>> {
    vec![Arc::new(scan::Scan)]
}

pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One kind of job.
pub trait Kind: Send + Sync + 'static {
    /// As it stands in the database; never changes.
    fn name(&self) -> &'static str;

    fn limits(&self) -> Limits;

    /// Who may see what its dead letters say, and who may retry or remove them.
    fn access(&self) -> Access;

    /// One attempt. It should end soon when the job is no longer this worker's ([`Job::lost`]) or the server stops ([`App::stopping`]);
    /// if it does not, the worker drops it.
    fn run(&self, app: App, job: Job) -> Work<'static, Verdict>;

    /// The job is about to become a dead letter: tells whoever waits for it. It may end the job in its own transaction.
    fn died<'a>(&'a self, app: &'a App, job: &'a Job, reason: &'a str) -> Work<'a, Result<()>>;

    /// Jobs of this kind that had begun may wait again, because their worker died or gave them back: tells whoever sees them as running.
    fn left<'a>(&'a self, _app: &'a App) -> Work<'a, Result<()>> {
        Box::pin(async { Ok(()) })
    }

    /// An administrator lets this dead letter wait again, in this transaction.
    fn retried<'a>(&'a self, tx: &'a mut WriteTx, job: Uuid) -> Work<'a, Result<()>>;
}

/// What a kind may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Jobs that one server runs at a time.
    pub at_once: usize,
    /// After this time without a sign of life another worker begins again.
    pub lease: Duration,
    /// Attempts before a job becomes a dead letter.
    pub attempts: i32,
    /// Jobs that may wait.
    pub waiting: u64,
}

/// The permissions that a dead letter of a kind needs, besides those that all dead letters need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    pub read: Permission,
    pub write: Permission,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Done,
    /// It may go better after this time, which grows with the attempts. Behind the last attempt the job is a dead letter.
    Retry {
        after: Duration,
        reason: String,
    },
    /// It will never go better. The reason is a sentence for an administrator, without secrets.
    Fail {
        reason: String,
    },
    /// Nothing is wrong with the job: the server stops, or what it needs is away. The attempt does not count. Another begins at once
    /// when the server stops, otherwise in a moment.
    GiveBack,
}

/// What people see of a fault of the server.
const FAULT: &str = "The server met a fault of its own. Its log has the details";

impl Verdict {
    /// What an error means for the attempt: an outage waits until it is over, everything else counts.
    pub fn of(error: &Error) -> Self {
        if error.is_outage() {
            Self::GiveBack
        } else {
            Self::Retry { after: Duration::ZERO, reason: reason(error) }
        }
    }
}

/// An error as a sentence for people. What only the log may say is logged.
pub(crate) fn reason(error: &Error) -> String {
    match error {
        Error::Invalid(fields) => fields.iter().map(|f| f.reason.as_str()).collect::<Vec<_>>().join(" "),
        Error::Conflict(reason) | Error::Denied(reason) => reason.clone(),
        Error::Taken(field) => field.reason.clone(),
        Error::Internal(_) => {
            tracing::error!(%error, "a job met a fault of the server");
            FAULT.to_owned()
        }
        other => other.to_string(),
    }
}

/// A job that this worker holds.
#[derive(Debug, Clone)]
pub struct Job {
    pub id: Uuid,
    pub key: Option<String>,
    pub payload: Value,
    /// Which attempt this is, from 1.
    pub attempt: i32,
    hold: Hold,
    lost: CancellationToken,
}

impl Job {
    /// A context whose writes are kept only as long as this worker holds the job.
    pub fn ctx(&self, app: &App, principal: Principal) -> Ctx {
        app.own_ctx(principal).holding(self.hold.clone())
    }

    pub fn hold(&self) -> &Hold {
        &self.hold
    }

    /// Cancelled when the job is no longer this worker's. The work has a moment to end by itself.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }
}

/// What a cause wants done.
pub(crate) struct Wanted {
    pub id: Uuid,
    /// Whose workers do it. Empty: those of the main site. None: any worker.
    pub place: Option<String>,
    /// No second job of the kind with this key waits or runs.
    pub key: Option<String>,
    /// Small: an id, a few words.
    pub payload: Value,
    /// The higher, the sooner.
    pub priority: i32,
    pub after: Duration,
}

/// Makes a job in the transaction of its cause. The workers hear of it when that has committed.
pub(crate) async fn enqueue(
    ctx: &Ctx,
    tx: &mut WriteTx,
    kind: &dyn Kind,
    wanted: Wanted,
) -> Result<Enqueued> {
    let new = NewJob {
        id: wanted.id,
        kind: kind.name(),
        place: wanted.place,
        key: wanted.key.map(|key| format!("{} {key}", kind.name())),
        payload: wanted.payload,
        priority: wanted.priority,
        after: longest(wanted.after),
        created_at: ctx.now(),
    };
    tx.enqueue(new, kind.limits().waiting).await
}

/// No job waits longer for its time.
const LONGEST_WAIT: Duration = Duration::from_hours(24 * 7);

pub(crate) fn longest_wait() -> TimeDelta {
    longest(LONGEST_WAIT)
}

/// Dead letters are kept so long …
const KEPT: TimeDelta = TimeDelta::days(30);
/// … and no more of each kind than these, the newest.
const KEPT_MOST: u64 = 1_000;

/// Forgets dead letters that are old.
pub(crate) async fn sweep(app: &App) -> Result<()> {
    let now = app.now();
    while !app.removals_held() && !app.stopping().is_cancelled() {
        if app.store().sweep_jobs(now - KEPT, KEPT_MOST).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// A wait as the database takes it.
fn longest(wait: Duration) -> TimeDelta {
    TimeDelta::from_std(wait.min(LONGEST_WAIT)).unwrap_or(TimeDelta::zero())
}

/// What this server's last run was doing waits again; then its workers begin.
pub(crate) async fn start(app: &App) {
    if let Err(error) = app.store().release_jobs_of(app.takes_over()).await {
        tracing::warn!(%error, "jobs of the last run could not be released; the server takes them when their lease ends");
    }
    for kind in kinds() {
        left(app, &*kind).await;
    }
    app.spawn(run(app.clone(), kinds()));
}

/// Tells of jobs that wait again.
async fn left(app: &App, kind: &dyn Kind) {
    if let Err(error) = kind.left(app).await {
        tracing::warn!(kind = kind.name(), %error, "jobs that wait again are still shown as running");
    }
}

/// A worker that cannot reach the queue tries again after this time.
const PAUSE: Duration = Duration::from_secs(1);

/// Does jobs of these kinds until the server stops.
pub async fn run(app: App, kinds: Vec<Arc<dyn Kind>>) {
    let mut lanes = JoinSet::new();
    for kind in kinds {
        let app = app.clone();
        lanes.spawn(async move {
            keep_up(app.stopping(), kind.name(), || lane::run(app.clone(), kind.clone())).await;
        });
    }
    lanes.join_all().await;
}
