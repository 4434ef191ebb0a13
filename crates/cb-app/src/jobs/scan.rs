//! A scan as a job: runs it, records what it sees, and ends it together with its job.
//!
//! The scan has the state that people see, the job the one that the mechanism needs. A scan that failed leaves its job among the dead
//! letters: whoever retries that lets the scan wait again.

use std::time::Duration;

use cb_collect::{Completeness, Env, HostReport, Outcome, ScanEvent};
use cb_core::audit::Action;
use cb_core::ids::ScanId;
use cb_core::inventory::ScanStatus;
use cb_core::{Error, Event, OsEntropy, Permission, Principal, Result};
use cb_fabric::{Heard, Listener};
use cb_store::bookkeeping::Progress;
use cb_store::entities::scan;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _,
};
use cb_store::{End, WriteTx, db};
use chrono::TimeDelta;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Access, Job, Kind, Limits, Verdict, Work, reason};
use crate::app::App;
use crate::ctx::Ctx;
use crate::notify::news;
use crate::record::record;
use crate::scans;
use crate::sight;

/// A cancellation that was not heard is noticed so often.
const LOOK: Duration = Duration::from_secs(1);
/// Reports are recorded together, at most so long after the first …
const GATHER: Duration = Duration::from_millis(300);
/// … and so many at a time.
const BATCH: usize = 64;
/// Events that the engine may be ahead of the database; then it waits.
const QUEUE: usize = 256;

pub(crate) struct Scan;

impl Kind for Scan {
    fn name(&self) -> &'static str {
        "scan"
    }

    fn limits(&self) -> Limits {
        Limits { at_once: 1, lease: Duration::from_secs(30), attempts: 3, waiting: 20 }
    }

    fn access(&self) -> Access {
        Access { read: Permission::DiscoveryRead, write: Permission::DiscoveryWrite }
    }

    fn run(&self, app: App, job: Job) -> Work<'static, Verdict> {
        Box::pin(async move {
            match run(&app, &job).await {
                Ok(verdict) => verdict,
                Err(error) => {
                    if !job.lost().is_cancelled() {
                        tracing::error!(job = %job.id, %error, "a scan was broken off; the server begins it again");
                    }
                    Verdict::of(&error)
                }
            }
        })
    }

    fn died<'a>(&'a self, app: &'a App, job: &'a Job, reason: &'a str) -> Work<'a, Result<()>> {
        Box::pin(async move {
            let Some(row) = of(app.store().reader(), job.id).await? else { return Ok(()) };
            let ctx = job.ctx(app, Principal::Scanner { scan: row.id.into() });
            finish(&ctx, job, &row, ScanStatus::Failed, &[], Some(reason.to_owned()), None).await
        })
    }

    fn left<'a>(&'a self, app: &'a App) -> Work<'a, Result<()>> {
        Box::pin(async move {
            let scans = app.store().left_scans_wait().await?;
            app.bus().publish(scans.into_iter().map(|id| Event::ScanChanged { id: id.into() }));
            Ok(())
        })
    }

    fn retried<'a>(&'a self, tx: &'a mut WriteTx, job: Uuid) -> Work<'a, Result<()>> {
        Box::pin(async move {
            let Some(row) = of(tx.conn(), job).await? else {
                return Err(Error::Conflict("The scan of this job does not exist any more.".to_owned()));
            };
            tx.emit(Event::ScanChanged { id: row.id.into() });
            let mut change: scan::ActiveModel = row.into();
            change.status = Set(ScanStatus::Queued.as_str().to_owned());
            change.cancel_requested = Set(false);
            change.error = Set(None);
            change.finished_at = Set(None);
            change.update(tx.conn()).await.map_err(db)?;
            Ok(())
        })
    }
}

async fn of(conn: &impl ConnectionTrait, job: Uuid) -> Result<Option<scan::Model>> {
    scan::Entity::find().filter(scan::Column::JobId.eq(job)).one(conn).await.map_err(db)
}

async fn run(app: &App, job: &Job) -> Result<Verdict> {
    let (now, began) = (app.now(), app.steady());
    let Some(row) = of(app.store().reader(), job.id).await? else {
        return Ok(Verdict::Fail { reason: "The scan of this job does not exist any more".to_owned() });
    };
    let ctx = job.ctx(app, Principal::Scanner { scan: row.id.into() });
    if row.cancel_requested {
        finish(&ctx, job, &row, ScanStatus::Cancelled, &[], None, None).await?;
        return Ok(Verdict::Done);
    }
    let request = match scans::stored_request(&ctx, &row) {
        Ok(request) => request,
        Err(error @ Error::Invalid(_)) => {
            let reason = format!("Its targets can no longer be scanned: {}", reason(&error));
            return Ok(Verdict::Fail { reason });
        }
        Err(error) => return Err(error),
    };
    let mut events = app.listen();
    if !app.store().scan_started(job.hold(), row.id, now).await? {
        // Somebody has stopped it since, and its job has ended with it.
        return Ok(Verdict::Done);
    }
    app.bus().publish([Event::ScanChanged { id: row.id.into() }]);
    let mut running = Running {
        ctx: &ctx,
        job,
        id: row.id.into(),
        cancel: CancellationToken::new(),
        progress: Progress { addresses_total: row.addresses_total, ..Progress::default() },
    };
    let end = running.drive(request, &mut events).await?;
    let progress = running.progress.clone();
    Ok(match end {
        Way::Over(outcome) => {
            let (status, error) = verdict(&outcome);
            loop {
                let ended = async {
                    if status == ScanStatus::Completed {
                        // What answered after the clock was set back has an earlier time than the beginning had.
                        let passed = TimeDelta::from_std(app.steady().saturating_sub(began));
                        let since = now.min(app.now() - passed.unwrap_or_default());
                        sight::missed(&ctx, &outcome.sweeps, since).await?;
                    }
                    finish(&ctx, job, &row, status, &outcome.limitations, error.clone(), Some(&progress))
                        .await
                };
                let ended = ended.await;
                if !try_again(job, &ended).await {
                    ended?;
                    break;
                }
            }
            Verdict::Done
        }
        Way::Failed(reason) => {
            running.tell().await;
            Verdict::Fail { reason }
        }
        Way::Stopping => Verdict::GiveBack,
    })
}

enum Way {
    Over(Outcome),
    /// Something broke that a retry would not mend.
    Failed(String),
    /// The server stops, or the job is another worker's; the scan goes back to the queue.
    Stopping,
}

struct Running<'a> {
    ctx: &'a Ctx,
    job: &'a Job,
    id: ScanId,
    cancel: CancellationToken,
    progress: Progress,
}

impl Running<'_> {
    async fn drive(&mut self, request: cb_collect::ScanRequest, events: &mut Listener) -> Result<Way> {
        let app = self.ctx.app();
        let (sender, mut reports) = mpsc::channel(QUEUE);
        let scope = app.outbound().scope().await;
        let env = Env { clock: app.clock(), entropy: std::sync::Arc::new(OsEntropy), scope };
        let cancel = self.cancel.clone();
        // A task of its own: what breaks in there ends this scan, not the worker. It ends with this function, also with one that is
        // dropped.
        let mut engine = JoinSet::new();
        engine.spawn(async move { cb_collect::scan(request, &env, sender, cancel).await });
        let way = self.hear(&mut engine, &mut reports, events).await;
        self.cancel.cancel();
        drop(reports);
        while engine.join_next().await.is_some() {}
        way
    }

    async fn hear(
        &mut self,
        engine: &mut JoinSet<Outcome>,
        reports: &mut mpsc::Receiver<ScanEvent>,
        events: &mut Listener,
    ) -> Result<Way> {
        let app = self.ctx.app();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gather = tokio::time::interval(GATHER);
        gather.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch: Vec<HostReport> = Vec::new();
        let mut outcome = None;
        let mut stopping = false;
        let mut told = Instant::now();
        loop {
            tokio::select! {
                Some(done) = engine.join_next() => outcome = Some(done),
                // While the database is away the engine waits.
                event = reports.recv(), if batch.len() < BATCH => match event {
                    Some(ScanEvent::Host(report)) => {
                        batch.push(*report);
                        if batch.len() >= BATCH {
                            self.keep(&mut batch).await?;
                        }
                    }
                    Some(ScanEvent::Progress { phase, done, total, hosts }) => {
                        let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
                        phase.as_str().clone_into(&mut self.progress.phase);
                        self.progress.addresses_done = number(done);
                        self.progress.addresses_total = number(total);
                        self.progress.hosts_found = number(hosts);
                    }
                    // The engine has let go of its sender: everything it had to say has been heard.
                    None => {
                        while !batch.is_empty() && !self.job.lost().is_cancelled() {
                            self.keep(&mut batch).await?;
                            gather.tick().await;
                        }
                        if outcome.is_none() {
                            outcome = engine.join_next().await;
                        }
                        return Ok(match outcome {
                            Some(Ok(_)) if stopping => Way::Stopping,
                            Some(Ok(outcome)) => Way::Over(outcome),
                            failed => {
                                tracing::error!(scan = %self.id, ?failed, "the scanner failed");
                                Way::Failed("The scanner failed. Its findings so far are kept, and the server's log has the details".to_owned())
                            }
                        });
                    }
                },
                _ = gather.tick() => {
                    self.keep(&mut batch).await?;
                    if told.elapsed() >= GATHER {
                        self.tell().await;
                        told = Instant::now();
                    }
                }
                _ = look.tick() => {
                    // When it cannot be read, the scan goes on: its lease decides how long.
                    if scans::find(app.store().reader(), self.id).await.is_ok_and(|row| row.cancel_requested) {
                        self.cancel.cancel();
                    }
                }
                heard = events.hear() => {
                    // The row says whether it is so.
                    if matches!(heard, Heard::Event(Event::ScanCancelRequested { id }) if id == self.id) {
                        look.reset_immediately();
                    }
                }
                () = app.stopping().cancelled(), if !stopping => {
                    stopping = true;
                    self.cancel.cancel();
                }
                () = self.job.lost().cancelled(), if !stopping => {
                    stopping = true;
                    self.cancel.cancel();
                }
            }
        }
    }

    /// What an outage keeps from being recorded stays in the batch for the next time: recording it twice does no harm.
    async fn keep(&mut self, batch: &mut Vec<HostReport>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        match record(self.ctx, self.id, batch).await {
            Ok(recorded) => {
                batch.clear();
                self.progress.assets_seen += recorded.assets_seen;
                Ok(())
            }
            Err(error) if error.is_outage() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn tell(&self) {
        match self.ctx.store().scan_progress(self.job.hold(), self.id.0, &self.progress).await {
            Ok(()) => self.ctx.app().bus().publish([Event::ScanChanged { id: self.id }]),
            Err(error) => tracing::debug!(scan = %self.id, %error, "the progress of a scan was not noted"),
        }
    }
}

/// Waits a moment and says yes when the database was away and the job is still this worker's.
async fn try_again(job: &Job, tried: &Result<()>) -> bool {
    let away = matches!(tried, Err(error) if error.is_outage()) && !job.lost().is_cancelled();
    if away {
        tokio::time::sleep(LOOK).await;
    }
    away
}

fn verdict(outcome: &Outcome) -> (ScanStatus, Option<String>) {
    match &outcome.status {
        Completeness::Complete => (ScanStatus::Completed, None),
        Completeness::Cancelled => (ScanStatus::Cancelled, None),
        Completeness::Partial { collected, expected, reason } => (
            ScanStatus::Partial,
            Some(format!("The scan covered {collected} of {expected} addresses: {reason}")),
        ),
    }
}

/// Ends a scan and its job, with the audit entry that says how.
async fn finish(
    ctx: &Ctx,
    job: &Job,
    row: &scan::Model,
    status: ScanStatus,
    limitations: &[String],
    error: Option<String>,
    progress: Option<&Progress>,
) -> Result<()> {
    let ended = ctx.write(Permission::DiscoveryWrite, Action::ScanFinished, async |tx| {
        let now = ctx.now();
        let mut change: scan::ActiveModel = scans::find(tx.conn(), row.id.into()).await?.into();
        change.status = Set(status.as_str().to_owned());
        change.phase = Set(None);
        change.limitations = Set(json!(limitations));
        change.error = Set(error.clone());
        change.finished_at = Set(Some(now));
        if let Some(progress) = progress {
            change.addresses_total = Set(progress.addresses_total);
            change.addresses_done = Set(progress.addresses_done);
            change.hosts_found = Set(progress.hosts_found);
            change.assets_seen = Set(progress.assets_seen);
        }
        let scan = change.update(tx.conn()).await.map_err(db)?;
        let end = match (status, &error) {
            (ScanStatus::Failed, Some(reason)) => End::Dead { at: now, reason },
            _ => End::Done,
        };
        tx.end_job(job.hold(), end).await?;
        tx.about("scan", scan.id);
        tx.detail(json!({
            "targets": scan.targets, "status": scan.status, "hosts": scan.hosts_found,
            "findings_new": scan.findings_new, "assets_seen": scan.assets_seen, "error": scan.error,
        }));
        tx.emit(Event::ScanChanged { id: scan.id.into() });
        // Each of them was seen later than the pages say. One event, because a scan may see thousands.
        if scan.assets_seen > 0 {
            tx.emit(Event::TopologyChanged);
        }
        news::scan_finished(ctx, tx, &scan, status).await
    });
    ended.await?;
    ctx.app().counts().scans_ended.one(status.as_str());
    Ok(())
}
