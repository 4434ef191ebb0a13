//! One who is told, of whatever kind: opening what it takes, one try, and an end when it has failed for too long.

use std::time::Instant;

use cb_core::clock::Time;
use cb_core::notice::Notice;
use cb_core::{Error, Result};
use cb_net::http::Pin;
use cb_notify::webhook::Webhook;
use cb_notify::{Answer, End};
use cb_store::Subscriber;
use cb_store::db;
use cb_store::entities::webhook;
use cb_store::sea_orm::EntityTrait as _;
use cb_store::sealed::{WEBHOOK_PREVIOUS_SECRET, WEBHOOK_SECRET};
use cb_vault::webhook::Key;

use super::deliveries::Attempt;
use crate::app::App;

/// A subscriber with its secrets open.
pub(super) enum Receiver {
    Webhook(Webhook),
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
}

impl Receiver {
    /// As the database has it now; none: it is gone or told nothing.
    pub async fn open(app: &App, subscriber: Subscriber) -> Result<Option<Self>> {
        match subscriber {
            Subscriber::Webhook(id) => {
                let row = webhook::Entity::find_by_id(id).one(app.store().reader()).await.map_err(db)?;
                match row {
                    Some(row) if row.enabled => Ok(Some(Self::Webhook(opened(app, &row).await?))),
                    _ => Ok(None),
                }
            }
            Subscriber::Channel(_) => Ok(None),
        }
    }

    /// One try.
    pub async fn tell(&self, app: &App, notice: &Notice) -> Tried {
        let (at, began) = (app.now(), Instant::now());
        let answer = match self {
            Self::Webhook(webhook) => webhook.tell(app.outbound(), notice, app.public_url(), at).await,
        };
        let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let attempt = Attempt {
            at,
            took_ms,
            status: answer.status,
            error: answer.error.clone(),
            excerpt: answer.excerpt.clone(),
        };
        Tried { attempt, answer }
    }
}

/// With the keys that sign now.
pub(super) async fn opened(app: &App, row: &webhook::Model) -> Result<Webhook> {
    let damaged = |what: &str| Error::Internal(format!("webhook {}: {what}", row.id));
    let key = |text| Key::parse(&text).map_err(|reason| damaged(&format!("its secret {reason}")));
    let mut keys = vec![key(app.unseal(WEBHOOK_SECRET.place(&row.id), &row.secret).await?)?];
    if let Some(previous) = row.previous_secret.as_deref().filter(|_| signs_along(row, app.now())) {
        keys.push(key(app.unseal(WEBHOOK_PREVIOUS_SECRET.place(&row.id), previous).await?)?);
    }
    let pin = row.certificate_sha256.as_deref().map(str::parse::<Pin>).transpose();
    let pin = pin.map_err(|reason| damaged(&format!("its pin {reason}")))?;
    Ok(Webhook { url: row.url.clone(), pin, keys })
}

/// Whether the previous secret still does.
pub(super) fn signs_along(row: &webhook::Model, now: Time) -> bool {
    row.previous_secret_until.is_some_and(|until| now < until)
}
