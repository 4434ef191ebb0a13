//! One who is told, of whatever kind: opening what it takes, one try, and an end when it has failed for too long.

use cb_core::audit::Action;
use std::time::{Duration, Instant};

use cb_core::clock::Time;
use cb_core::notice::Notice;
use cb_core::{Error, Event, Principal, Result};
use cb_net::http::Pin;
use cb_notify::webhook::Webhook;
use cb_notify::{Answer, End};
use cb_store::db;
use cb_store::entities::{channel, webhook};
use cb_store::sea_orm::EntityTrait as _;
use cb_store::sealed::{WEBHOOK_PREVIOUS_SECRET, WEBHOOK_SECRET};
use cb_store::{Standing, Subscriber};
use cb_vault::webhook::Key;
use chrono::TimeDelta;
use serde_json::json;
use url::Url;

use super::channels::Opened;
use super::deliveries::Attempt;
use super::news;
use crate::app::App;

/// How long every try may fail, and how many at least, before it is given up.
const PATIENCE: TimeDelta = TimeDelta::days(5);
const FAILURES_LEAST: i32 = 10;

/// A subscriber with its secrets open.
pub(super) struct Receiver {
    pub name: String,
    /// The last try has failed.
    pub failing: bool,
    enabled: bool,
    way: Way,
}

enum Way {
    Webhook(Webhook),
    Channel(Opened),
}

/// As the log and the database call it.
pub(super) fn word(subscriber: Subscriber) -> &'static str {
    match subscriber {
        Subscriber::Webhook(_) => "webhook",
        Subscriber::Channel(_) => "channel",
    }
}

/// What became of one try.
pub(super) struct Tried {
    pub attempt: Attempt,
    pub answer: Answer,
}

impl Tried {
    pub fn delivered(&self) -> bool {
        self.answer.end == End::Delivered
    }

    fn of(answer: Answer, at: Time, took: Duration) -> Self {
        let attempt = Attempt {
            at,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            status: answer.status,
            error: answer.error.clone(),
            excerpt: answer.excerpt.clone(),
        };
        Self { attempt, answer }
    }

    /// What is stored is of no version that this one knows: nothing was sent.
    pub fn unreadable(app: &App, error: &Error) -> Self {
        tracing::error!(%error, "a notice cannot be read");
        let answer = Answer::failed(End::Retry, "a waiting notice cannot be read");
        Self::of(answer, app.now(), Duration::ZERO)
    }
}

impl Receiver {
    /// As the database has it now; none: it is gone or told nothing.
    pub async fn open(app: &App, subscriber: Subscriber) -> Result<Option<Self>> {
        Ok(Self::find(app, subscriber).await?.filter(|receiver| receiver.enabled))
    }

    /// Also one that is told nothing.
    pub async fn find(app: &App, subscriber: Subscriber) -> Result<Option<Self>> {
        let conn = app.store().reader();
        match subscriber {
            Subscriber::Webhook(id) => {
                let row = webhook::Entity::find_by_id(id).one(conn).await.map_err(db)?;
                let Some(row) = row else { return Ok(None) };
                let way = Way::Webhook(opened(app, &row).await?);
                let failing = row.failing_since.is_some();
                Ok(Some(Self { name: row.name, failing, enabled: row.enabled, way }))
            }
            Subscriber::Channel(id) => {
                let row = channel::Entity::find_by_id(id).one(conn).await.map_err(db)?;
                let Some(row) = row else { return Ok(None) };
                let way = Way::Channel(Opened::of(app, &row).await?);
                let failing = row.failing_since.is_some();
                Ok(Some(Self { name: row.name, failing, enabled: row.enabled, way }))
            }
        }
    }

    /// Whom it is sent to: without a path, which may be a secret.
    pub fn where_to(&self) -> String {
        match &self.way {
            Way::Webhook(webhook) => origin(&webhook.url),
            Way::Channel(channel) => channel.where_to().unwrap_or_default(),
        }
    }

    /// One attempt.
    pub async fn tell(&self, app: &App, notice: &Notice) -> Tried {
        let (at, began) = (app.now(), Instant::now());
        let answer = match &self.way {
            Way::Webhook(webhook) => webhook.tell(app.outbound(), notice, app.public_url(), at).await,
            Way::Channel(channel) => channel.tell(app, notice).await,
        };
        Tried::of(answer, at, began.elapsed())
    }
}

/// Ends a subscriber that has said that it wants no more.
pub(super) async fn is_gone(app: &App, subscriber: Subscriber) -> Result<()> {
    let reason = match subscriber {
        Subscriber::Webhook(_) => "the receiver does not accept any more messages (410)",
        Subscriber::Channel(_) => "the service says that the channel no longer exists",
    };
    disable(app, subscriber, reason, |_| true).await
}

/// Ends a subscriber that has failed for too long.
pub(super) async fn give_up(app: &App, subscriber: Subscriber) -> Result<()> {
    let since = app.now() - PATIENCE;
    let too_long = move |standing: &Standing| {
        standing.failures >= FAILURES_LEAST && standing.failing_since.is_some_and(|at| at <= since)
    };
    let standing = subscriber.standing(app.store().reader()).await?;
    if !standing.is_some_and(|standing| too_long(&standing)) {
        return Ok(());
    }
    let reason = format!("every attempt of the last {} days failed", PATIENCE.num_days());
    disable(app, subscriber, &reason, too_long).await
}

/// Looked at again under the lock: of two servers one does so, and none when a person was faster.
async fn disable(
    app: &App,
    subscriber: Subscriber,
    reason: &str,
    still: impl Fn(&Standing) -> bool,
) -> Result<()> {
    let ctx = app.own_ctx(Principal::Server);
    let kind = word(subscriber);
    let action = match subscriber {
        Subscriber::Webhook(_) => Action::WebhookDisabled,
        Subscriber::Channel(_) => Action::ChannelDisabled,
    };
    let done = ctx
        .record(action, async |tx| {
            let standing = subscriber.standing(tx.conn()).await?;
            let standing = standing.filter(|s| s.enabled && still(s)).ok_or(Error::Stale)?;
            tx.disable(subscriber, ctx.now(), reason).await?;
            tx.about(kind, subscriber.id());
            tx.emit(Event::SubscriberChanged { id: subscriber.id() });
            tx.detail(json!({
                "name": standing.name, "reason": reason, "failing_since": standing.failing_since,
                "failures": standing.failures,
            }));
            news::subscriber_disabled(&ctx, tx, kind, subscriber.id(), &standing.name, reason).await
        })
        .await;
    match done {
        Err(Error::Stale) => Ok(()),
        done => done,
    }
}

/// With the keys that sign now.
async fn opened(app: &App, row: &webhook::Model) -> Result<Webhook> {
    let damaged = |what: &str| Error::Internal(format!("webhook {}: {what}", row.id));
    let key = |text| Key::parse(&text).map_err(|reason| damaged(&format!("its secret: {reason}")));
    let mut keys = vec![key(app.unseal(WEBHOOK_SECRET.place(&row.id), &row.secret).await?)?];
    if let Some(previous) = row.previous_secret.as_deref().filter(|_| signs_along(row, app.now())) {
        keys.push(key(app.unseal(WEBHOOK_PREVIOUS_SECRET.place(&row.id), previous).await?)?);
    }
    let pin = row.certificate_sha256.as_deref().map(str::parse::<Pin>).transpose();
    let pin = pin.map_err(|reason| damaged(&format!("its pin: {reason}")))?;
    Ok(Webhook { url: row.url.clone(), pin, keys })
}

/// Scheme, host and port.
pub(super) fn origin(url: &str) -> String {
    Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// Whether the previous secret still does.
pub(super) fn signs_along(row: &webhook::Model, now: Time) -> bool {
    row.previous_secret_until.is_some_and(|until| now < until)
}
