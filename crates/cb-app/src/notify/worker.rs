//! Sends what waits. Each subscriber that something is due for has a lane of its own: it takes a few deliveries by lease, sends
//! them beside each other, writes down together what became of them, and goes on until nothing is due.
//!
//! A lane renews its lease, and sends nothing that the lease might not cover to the end, so that no two servers send the same at a time.
//! What was sent is written down as soon as the database takes it. Only what could not be written down before another server took it
//! over, or was sent by a server that died, is sent again, with the same id.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cb_core::{Event, Result};
use cb_fabric::{Heard, Listener};
use cb_notify::End;
use cb_store::Subscriber;
use cb_store::bookkeeping::{Health, Held, Outcome};
use cb_store::entities::delivery;
use chrono::TimeDelta;
use tokio::sync::{Semaphore, watch};
use tokio::task::{Id, JoinSet};

use super::deliveries::{DeliveryState, notice_of, with_attempt};
use super::schedule;
use super::subscriber::{self, Receiver, Tried};
use crate::app::App;
use crate::keep_up::keep_up;
use crate::metrics::{Page, ServerFigures};

/// Requests that are under way at a time, to everybody …
const AT_ONCE: usize = 64;
/// … and to one subscriber; one that fails gets one at a time, so that those who are away leave room for the others.
const AT_ONCE_EACH: usize = 8;
/// Deliveries that a lane takes at a time.
const BATCH: u64 = 64;
/// The same of a subscriber that fails.
const BATCH_FAILING: u64 = 8;
/// A server that is killed keeps what it has taken for so long.
const LEASE: Duration = Duration::from_mins(1);
const RENEWED_AFTER: Duration = Duration::from_secs(10);
/// What one try may take at most, with room.
const TRY: Duration = Duration::from_secs(30);
/// What another worker's lane should have begun by now is anybody's.
const FORSAKEN: Duration = Duration::from_mins(1);
/// So often is looked what is due, also for what another server has written down.
const POLL: Duration = Duration::from_secs(1);
/// What is under way when the server stops has so long to end, so that what was sent is noted.
const AT_STOP: Duration = Duration::from_secs(6);
/// What was sent and cannot be written down, because the database is away, is forgotten after this time; it is sent again.
const NOTED_WITHIN: Duration = Duration::from_mins(4);
/// The same after the end of [`AT_STOP`].
const NOTE_AT_STOP: Duration = Duration::from_secs(3);
/// What was sent and could not be written down is tried again after this time, and each time later, up to [`PAUSE`].
const NOTE_AGAIN: Duration = Duration::from_millis(200);
/// After a fault of ours.
const PAUSE: Duration = Duration::from_secs(5);

/// Notices are remembered so long …
const KEPT: TimeDelta = TimeDelta::days(30);
/// … and no more than these, the newest.
const KEPT_MOST: u64 = 200_000;

/// Sends until the server stops.
pub(crate) async fn run(app: App) {
    keep_up(app.stopping(), "deliveries", || send(app.clone())).await;
}

async fn send(app: App) {
    if let Err(error) = app.store().release_deliveries_of(app.takes_over()).await {
        tracing::warn!(%error, "deliveries of the last run could not be released; they are sent when their lease ends");
    }
    let mut events = app.listen();
    let mut lanes = Lanes {
        app: app.clone(),
        set: JoinSet::new(),
        of: HashMap::new(),
        forsaken: HashMap::new(),
        room: Arc::new(Semaphore::new(AT_ONCE)),
    };
    while !app.stopping().is_cancelled() {
        if let Err(error) = lanes.open().await {
            tracing::error!(%error, "the waiting notices cannot be read; the server tries again in a moment");
        }
        lanes.wait(&mut events).await;
    }
    // Each sees that the server stops, and gives back what it has not sent.
    while lanes.set.join_next().await.is_some() {}
}

/// Forgets notices and signing secrets that are old.
pub(crate) async fn sweep(app: &App) -> Result<()> {
    let now = app.now();
    while !app.removals_held() && !app.stopping().is_cancelled() {
        if app.store().sweep_notices(now - KEPT, KEPT_MOST).await? == 0 {
            break;
        }
    }
    if !app.removals_held() {
        app.store().sweep_previous_secrets(now).await?;
    }
    Ok(())
}

/// What each server has sent.
pub(crate) fn counted(app: &App, page: &mut Page, figures: &[ServerFigures]) {
    let mut attempts = page.counter(
        "cb_delivery_attempts_total",
        "Attempts to deliver a notice: delivered, failed (the server retries), or given up.",
    );
    for ServerFigures { id, told } in figures {
        for (outcome, _) in app.counts().delivery_attempts.iter() {
            let count = told.delivery_attempts.get(outcome).copied().unwrap_or_default();
            attempts.of_server(*id, &[("outcome", outcome)], count);
        }
    }
}

pub(crate) async fn metrics(app: &App, page: &mut Page) -> Result<()> {
    let (webhooks, channels) = app.store().deliveries_waiting().await?;
    page.gauge("cb_deliveries_waiting", "Deliveries that wait to be sent, for the first time or again.")
        .value(&[("to", "webhook")], webhooks)
        .value(&[("to", "channel")], channels);
    Ok(())
}

struct Lanes {
    app: App,
    set: JoinSet<()>,
    of: HashMap<Id, Subscriber>,
    /// Others' subscribers that nobody serves, and since when this server has seen so on every look.
    forsaken: HashMap<Subscriber, Duration>,
    room: Arc<Semaphore>,
}

impl Lanes {
    /// One for each subscriber of this server that something is due for and that has none.
    async fn open(&mut self) -> Result<()> {
        let (now, steady) = (self.app.now(), self.app.steady());
        let busy: HashSet<Subscriber> = self.of.values().copied().collect();
        let mut due = self.app.store().due_subscribers(now).await?;
        // Another worker sends to the others, so that a receiver never gets more at a time because there are more workers …
        let others: Vec<_> = due.extract_if(.., |it| !self.app.is_mine(it.id().as_bytes())).collect();
        // … unless nobody comes: it may die each time it has started.
        let mut forsaken = HashMap::new();
        for subscriber in others {
            if self.app.store().is_served(subscriber, now).await? {
                continue;
            }
            let since = self.forsaken.get(&subscriber).copied().unwrap_or(steady);
            forsaken.insert(subscriber, since);
            if steady.saturating_sub(since) >= FORSAKEN {
                due.push(subscriber);
            }
        }
        self.forsaken = forsaken;
        for subscriber in due {
            if busy.contains(&subscriber) {
                continue;
            }
            let lane = Lane { app: self.app.clone(), subscriber, room: self.room.clone() };
            let task = self.set.spawn(lane.run());
            self.of.insert(task.id(), subscriber);
        }
        Ok(())
    }

    /// Until there may be something to do.
    async fn wait(&mut self, events: &mut Listener) {
        let deadline = tokio::time::sleep(POLL);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                () = &mut deadline => return,
                () = self.app.stopping().cancelled() => return,
                Some(ended) = self.set.join_next_with_id() => {
                    let id = match ended {
                        Ok((id, ())) => id,
                        Err(error) => {
                            tracing::error!(%error, "a delivery worker failed; its messages are sent when its lease ends");
                            error.id()
                        }
                    };
                    self.of.remove(&id);
                    // What came while it ended is somebody else's now.
                    return;
                }
                heard = events.hear() => match heard {
                    Heard::Event(Event::DeliveriesWaiting { .. }) | Heard::Missed(_) => return,
                    Heard::Event(_) => {}
                    // The deadline still comes.
                    Heard::Closed => return deadline.await,
                },
            }
        }
    }
}

struct Lane {
    app: App,
    subscriber: Subscriber,
    room: Arc<Semaphore>,
}

impl Lane {
    async fn run(self) {
        let (app, subscriber) = (self.app.clone(), self.subscriber);
        let mut failed = match self.work().await {
            Ok(()) if !app.stopping().is_cancelled() => return,
            worked => worked.err(),
        };
        // Until it is given back nobody sends what this lane has taken.
        loop {
            if let Some(error) = failed {
                tracing::error!(subscriber = %subscriber.id(), %error, "a notice could not be queued for a webhook or a channel; the server tries again in a moment");
                tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = app.stopping().cancelled() => {}
                }
            }
            failed = app.store().release_deliveries(subscriber, app.worker_name()).await.err();
            if failed.is_none() || app.stopping().is_cancelled() {
                return;
            }
        }
    }

    async fn work(&self) -> Result<()> {
        let (app, owner) = (&self.app, self.app.worker_name());
        while !app.stopping().is_cancelled() {
            // Afresh for each batch: its address, secrets or wishes may have changed.
            let Some(receiver) = Receiver::open(app, self.subscriber).await? else { return Ok(()) };
            let now = app.now();
            // The database has the wall clock's time; what this lane may still send it judges by one that nobody sets.
            let (lease, until) = watch::channel(app.steady() + LEASE);
            let most = if receiver.failing { BATCH_FAILING } else { BATCH };
            let held = app.store().claim_deliveries(self.subscriber, owner, now, now + LEASE, most).await?;
            if held.is_empty() {
                return Ok(());
            }
            let count = held.len();
            let Batch { outcomes, health, gone, left } = tokio::select! {
                batch = self.send(Arc::new(receiver), held, until) => batch,
                never = self.renew(count, lease) => match never {},
            };
            if !outcomes.is_empty() {
                self.note(&outcomes, health).await?;
                app.bus().publish([Event::SubscriberChanged { id: self.subscriber.id() }]);
            }
            if left {
                app.store().release_deliveries(self.subscriber, owner).await?;
            }
            if gone {
                subscriber::is_gone(app, self.subscriber).await?;
            } else if health.failures > 0 {
                subscriber::give_up(app, self.subscriber).await?;
            }
            if !app.is_mine(self.subscriber.id().as_bytes()) {
                break;
            }
        }
        Ok(())
    }

    /// Keeps the `count` deliveries that this lane has taken. Where it cannot, the lane begins nothing that its lease does not cover.
    async fn renew(&self, count: usize, lease: watch::Sender<Duration>) -> Infallible {
        let app = &self.app;
        loop {
            tokio::time::sleep(RENEWED_AFTER).await;
            let (now, steady) = (app.now(), app.steady());
            match app.store().renew_deliveries(self.subscriber, app.worker_name(), now + LEASE).await {
                Ok(renewed) if usize::try_from(renewed) == Ok(count) => lease.send_replace(steady + LEASE),
                // Another server has some of them.
                Ok(_) => lease.send_replace(Duration::ZERO),
                Err(error) => {
                    tracing::debug!(subscriber = %self.subscriber.id(), %error, "a lease could not be renewed");
                    continue;
                }
            };
        }
    }

    /// Whoever does not write down what was sent sends it again. So an outage is waited for; when the server stops, only for a moment.
    async fn note(&self, outcomes: &[Outcome], health: Health) -> Result<()> {
        let (app, stopping) = (&self.app, self.app.stopping());
        let (mut pause, mut stops) = (NOTE_AGAIN, stopping.is_cancelled());
        let mut until = app.steady() + NOTED_WITHIN;
        if stops {
            until = until.min(app.steady() + NOTE_AT_STOP);
        }
        loop {
            let noted =
                app.store().deliveries_tried(self.subscriber, app.worker_name(), outcomes, health).await;
            let Err(error) = noted else { return Ok(()) };
            if !error.is_outage() || app.steady() + pause >= until {
                tracing::error!(
                    subscriber = %self.subscriber.id(),
                    deliveries = outcomes.len(),
                    %error,
                    "messages were sent and the server could not save that; it may send them a second time"
                );
                return Err(error);
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopping.cancelled(), if !stops => {
                    stops = true;
                    until = until.min(app.steady() + NOTE_AT_STOP);
                }
            }
            pause = PAUSE.min(pause * 2);
        }
    }

    async fn send(
        &self,
        receiver: Arc<Receiver>,
        held: Vec<Held>,
        until: watch::Receiver<Duration>,
    ) -> Batch {
        let width = if receiver.failing { 1 } else { AT_ONCE_EACH };
        let (mut queue, mut under_way, mut batch) = (held.into_iter(), JoinSet::new(), Batch::default());
        let stopping = self.app.stopping();
        let over = async {
            stopping.cancelled().await;
            tokio::time::sleep(AT_STOP).await;
        };
        tokio::pin!(over);
        loop {
            while under_way.len() < width && !batch.left {
                let Some(one) = queue.next() else { break };
                let permit = tokio::select! {
                    permit = self.room.clone().acquire_owned() => permit.ok(),
                    () = stopping.cancelled() => {
                        batch.left = true;
                        break;
                    }
                };
                if batch.gone || stopping.is_cancelled() || self.app.steady() + TRY > *until.borrow() {
                    batch.left = true;
                    break;
                }
                let (app, receiver) = (self.app.clone(), receiver.clone());
                under_way.spawn(async move {
                    let tried = match notice_of(one.notice) {
                        Ok(notice) => receiver.tell(&app, &notice).await,
                        Err(error) => Tried::unreadable(&app, &error),
                    };
                    drop(permit);
                    (one.delivery, tried)
                });
            }
            let ended = tokio::select! {
                ended = under_way.join_next() => ended,
                () = &mut over => {
                    batch.left = true;
                    return batch;
                }
            };
            match ended {
                None => return batch,
                Some(Ok((delivery, tried))) => batch.note(&self.app, &delivery, tried),
                Some(Err(error)) => {
                    tracing::error!(%error, "an attempt failed unexpectedly; the server repeats it when its lease ends");
                }
            }
        }
    }
}

/// What became of deliveries that were held together.
#[derive(Default)]
struct Batch {
    outcomes: Vec<Outcome>,
    health: Health,
    /// The receiver wants no more.
    gone: bool,
    /// Some were not tried, and are given back.
    left: bool,
}

impl Batch {
    fn note(&mut self, app: &App, row: &delivery::Model, outcome: Tried) {
        let (now, tries) = (app.now(), row.tries.saturating_add(1));
        if outcome.delivered() {
            self.health = Health { last_delivered_at: Some(now), ..Health::default() };
        } else {
            self.health.first_failed_at.get_or_insert(outcome.attempt.at);
            self.health.failures += 1;
        }
        self.gone |= outcome.answer.end == End::Gone;
        let (state, next_at) = match outcome.answer.end {
            End::Delivered => (DeliveryState::Delivered, None),
            End::Gone => (DeliveryState::Dead, None),
            End::Retry | End::Refused => {
                match schedule::wait(tries, outcome.answer.retry_after, app.entropy()) {
                    Some(wait) => (DeliveryState::Waiting, Some(now + wait)),
                    None => (DeliveryState::Dead, None),
                }
            }
        };
        app.counts().delivery_attempts.one(match state {
            DeliveryState::Delivered => "delivered",
            DeliveryState::Dead => "given_up",
            _ => "failed",
        });
        self.outcomes.push(Outcome {
            id: row.id,
            state: state.as_str(),
            tries,
            next_at,
            finished_at: next_at.is_none().then_some(now),
            attempts: with_attempt(row, outcome.attempt),
        });
    }
}
