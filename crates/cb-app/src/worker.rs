//! The worker: takes scan jobs by lease, runs them, records what they see, and ends them.
//!
//! A job whose server died is taken again when its lease has run out (at once, when no other process
//! can be working on it), and given up with a reason after [`ATTEMPTS`]. Nothing runs for ever.

use cb_core::audit::Action;
use std::time::Duration;

use cb_collect::{Completeness, Env, HostReport, Outcome, ScanEvent};
use cb_core::ids::ScanId;
use cb_core::inventory::ScanStatus;
use cb_core::{Error, Event, OsEntropy, Permission, Principal, Result};
use cb_fabric::{Heard, Listener};
use cb_store::bookkeeping::Progress;
use cb_store::db;
use cb_store::entities::{job, scan};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use chrono::TimeDelta;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::ctx::Ctx;
use crate::notify::news;
use crate::record::record;
use crate::scans::{self, JOB};
use crate::sight;

const ATTEMPTS: i32 = 3;
const LEASE: TimeDelta = TimeDelta::seconds(30);
/// A lease is renewed, and a cancellation from another replica noticed, so often.
const RENEW: Duration = Duration::from_secs(1);
/// Reports are recorded together, at most so long after the first …
const GATHER: Duration = Duration::from_millis(300);
/// … and so many at a time.
const BATCH: usize = 64;
/// Events that the engine may be ahead of the database; then it waits.
const QUEUE: usize = 256;
const IDLE: Duration = Duration::from_secs(5);

pub(crate) async fn run(app: App) {
    if let Err(error) = app.store().release_jobs_of(app.takes_over()).await {
        tracing::warn!(%error, "jobs of the last run could not be released; the server takes them when their lease ends");
    }
    let mut events = app.listen();
    while !app.stopping().is_cancelled() {
        match next(&app, &mut events).await {
            Ok(true) => {}
            Ok(false) => wait(&app, &mut events).await,
            Err(error) => {
                tracing::error!(%error, "the scan worker failed; it continues in a moment");
                pause(&app, IDLE).await;
            }
        }
    }
}

async fn pause(app: &App, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = app.stopping().cancelled() => {}
    }
}

/// Until there may be something to do.
async fn wait(app: &App, events: &mut Listener) {
    let deadline = tokio::time::sleep(IDLE);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            () = &mut deadline => return,
            () = app.stopping().cancelled() => return,
            heard = events.hear() => match heard {
                Heard::Event(Event::ScanChanged { .. }) | Heard::Missed(_) => return,
                Heard::Event(_) => {}
                Heard::Closed => return pause(app, IDLE).await,
            },
        }
    }
}

/// Does one job, if there is one.
async fn next(app: &App, events: &mut Listener) -> Result<bool> {
    let now = app.now();
    let Some(job) = app.store().claim_job(JOB, app.worker_name(), now, now + LEASE).await? else {
        return Ok(false);
    };
    let row = scan::Entity::find()
        .filter(scan::Column::JobId.eq(job.id))
        .one(app.store().reader())
        .await
        .map_err(db)?;
    let row = row.ok_or_else(|| Error::Internal(format!("job {} has no scan", job.id)))?;
    let ctx = app.own_ctx(Principal::Scanner { scan: row.id.into() });
    if row.cancel_requested {
        finish(&ctx, &row, ScanStatus::Cancelled, &[], None, None).await?;
        return Ok(true);
    }
    if job.attempts > ATTEMPTS {
        let reason = format!(
            "The server stopped {ATTEMPTS} times while this scan was running, so it gave up. Start the scan again with smaller targets"
        );
        finish(&ctx, &row, ScanStatus::Failed, &[], Some(reason), None).await?;
        return Ok(true);
    }
    let request = match scans::stored_request(&ctx, &row) {
        Ok(request) => request,
        Err(error) => {
            let reason = format!("Its targets can no longer be scanned: {}", reasons(&error));
            finish(&ctx, &row, ScanStatus::Failed, &[], Some(reason), None).await?;
            return Ok(true);
        }
    };
    if !app.store().scan_started(row.id, now).await? {
        return Ok(true);
    }
    app.bus().publish([Event::ScanChanged { id: row.id.into() }]);
    let mut running = Running {
        ctx: &ctx,
        job,
        id: row.id.into(),
        cancel: CancellationToken::new(),
        progress: Progress { addresses_total: row.addresses_total, ..Progress::default() },
    };
    let end = running.drive(request, events).await?;
    let Running { progress, job, .. } = running;
    match end {
        End::Over(outcome) => {
            let (status, error) = verdict(&outcome);
            if status == ScanStatus::Completed {
                sight::missed(&ctx, &outcome.sweeps, now).await?;
            }
            finish(&ctx, &row, status, &outcome.limitations, error, Some(&progress)).await?;
        }
        End::Failed(reason) => {
            finish(&ctx, &row, ScanStatus::Failed, &[], Some(reason), Some(&progress)).await?;
        }
        End::Stopping => {
            app.store().scan_requeued(row.id).await?;
            app.store().release_job(job.id, app.worker_name()).await?;
        }
        End::Lost => tracing::warn!(scan = %row.id, "another worker has taken this scan over"),
    }
    Ok(true)
}

enum End {
    Over(Outcome),
    /// Something broke that a retry would not mend.
    Failed(String),
    /// The server stops; the scan goes back to the queue.
    Stopping,
    /// The lease ran out, and the job is another worker's now.
    Lost,
}

struct Running<'a> {
    ctx: &'a Ctx,
    job: job::Model,
    id: ScanId,
    cancel: CancellationToken,
    progress: Progress,
}

impl Running<'_> {
    async fn drive(&mut self, request: cb_collect::ScanRequest, events: &mut Listener) -> Result<End> {
        let app = self.ctx.app();
        let (sender, mut reports) = mpsc::channel(QUEUE);
        let scope = app.outbound().scope().await;
        let env = Env { clock: app.clock(), entropy: std::sync::Arc::new(OsEntropy), scope };
        let cancel = self.cancel.clone();
        // However this function is left, the engine stops.
        let _stop = self.cancel.clone().drop_guard();
        // A task of its own: what breaks in there ends this scan, not the worker.
        let mut engine = tokio::spawn(async move { cb_collect::scan(request, &env, sender, cancel).await });
        let mut renew = tokio::time::interval(RENEW);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut gather = tokio::time::interval(GATHER);
        gather.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch: Vec<HostReport> = Vec::new();
        let mut outcome = None;
        let mut stopping = false;
        let mut told = Instant::now();
        loop {
            tokio::select! {
                done = &mut engine, if outcome.is_none() => outcome = Some(done),
                event = reports.recv() => match event {
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
                        self.keep(&mut batch).await?;
                        let outcome = match outcome.take() {
                            Some(outcome) => outcome,
                            None => engine.await,
                        };
                        return Ok(match outcome {
                            Ok(_) if stopping => End::Stopping,
                            Ok(outcome) => End::Over(outcome),
                            Err(error) => End::Failed(format!("The scanner failed ({error}). Its findings so far are kept")),
                        });
                    }
                },
                _ = gather.tick() => {
                    self.keep(&mut batch).await?;
                    if told.elapsed() >= GATHER {
                        self.tell().await?;
                        told = Instant::now();
                    }
                }
                _ = renew.tick() => {
                    let until = app.now() + LEASE;
                    if !app.store().renew_lease(self.job.id, app.worker_name(), until).await? {
                        self.cancel.cancel();
                        return Ok(End::Lost);
                    }
                    if scans::find(app.store().reader(), self.id).await?.cancel_requested {
                        self.cancel.cancel();
                    }
                }
                heard = events.hear() => {
                    if matches!(heard, Heard::Event(Event::ScanCancelRequested { id }) if id == self.id) {
                        self.cancel.cancel();
                    }
                }
                () = app.stopping().cancelled(), if !stopping => {
                    stopping = true;
                    self.cancel.cancel();
                }
            }
        }
    }

    async fn keep(&mut self, batch: &mut Vec<HostReport>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let recorded = record(self.ctx, self.id, batch).await?;
        batch.clear();
        self.progress.findings_new += recorded.findings_new;
        self.progress.assets_seen += recorded.assets_seen;
        Ok(())
    }

    async fn tell(&self) -> Result<()> {
        self.ctx.store().scan_progress(self.id.0, &self.progress).await?;
        self.ctx.app().bus().publish([Event::ScanChanged { id: self.id }]);
        Ok(())
    }
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
            change.findings_new = Set(progress.findings_new);
            change.assets_seen = Set(progress.assets_seen);
        }
        let scan = change.update(tx.conn()).await.map_err(db)?;
        let job = job::Entity::find_by_id(row.job_id).one(tx.conn()).await.map_err(db)?;
        let mut job: job::ActiveModel = job.ok_or(Error::NotFound)?.into();
        job.state = Set(if status == ScanStatus::Failed { "failed" } else { "done" }.to_owned());
        job.last_error = Set(error.clone());
        job.finished_at = Set(Some(now));
        job.lease_owner = Set(None);
        job.lease_until = Set(None);
        job.update(tx.conn()).await.map_err(db)?;
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

fn reasons(error: &Error) -> String {
    match error {
        Error::Invalid(fields) => fields.iter().map(|f| f.reason.as_str()).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
