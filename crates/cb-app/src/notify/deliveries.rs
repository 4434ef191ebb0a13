//! What was sent to a subscriber, what it answered, and sending it again.

use cb_core::audit::Action;
use std::collections::HashMap;

use cb_core::clock::Time;
use cb_core::ids::DeliveryId;
use cb_core::notice::{Notice, NoticeKind, Severity};
use cb_core::{Error, Event, Permission, Result};
use cb_store::Subscriber;
use cb_store::entities::{delivery, notice};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};
use cb_store::{among, db};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ctx::Ctx;
use crate::page::{self, List, Page, Sort};

/// Tries that one delivery remembers, the newest.
const ATTEMPTS_KEPT: usize = 20;
/// What is said to whoever may not change subscribers: no word of it tells one failure from another.
const FAILED: &str = "It was not delivered. An administrator can see why.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// To be sent, for the first time or again.
    Waiting,
    Delivered,
    /// Every try has failed.
    Dead,
    /// Never to be sent: its subscriber was disabled, or had too many waiting.
    Dropped,
}

impl DeliveryState {
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryState::Waiting => "waiting",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Dead => "dead",
            DeliveryState::Dropped => "dropped",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        use DeliveryState as S;
        [S::Waiting, S::Delivered, S::Dead, S::Dropped].into_iter().find(|state| state.as_str() == text)
    }
}

/// One attempt.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[schema(as = DeliveryAttempt)]
pub struct Attempt {
    pub at: DateTime<Utc>,
    /// Always 0 for a failure without `notifications:write`.
    pub took_ms: u64,
    /// The status of HTTP or of the mail server; null if there was no answer.
    #[schema(required)]
    pub status: Option<u16>,
    /// The reason for a failure; without `notifications:write` always the same.
    #[schema(required)]
    pub error: Option<String>,
    /// The beginning of the answer; null without `notifications:write`.
    #[schema(required)]
    pub excerpt: Option<String>,
}

impl Attempt {
    /// For whoever may see that it failed, and not why.
    fn uniform(self) -> Self {
        match self.error {
            None => Self { excerpt: None, ..self },
            Some(_) => {
                Self { at: self.at, took_ms: 0, status: None, error: Some(FAILED.to_owned()), excerpt: None }
            }
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryOut {
    pub id: DeliveryId,
    /// The same in every attempt: the header `webhook-id`.
    pub notice_id: Uuid,
    pub kind: NoticeKind,
    pub title: String,
    pub state: DeliveryState,
    /// At most 20, newest last.
    pub attempts: Vec<Attempt>,
    pub created_at: DateTime<Utc>,
    /// The time of the next attempt.
    #[schema(required)]
    pub next_at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub finished_at: Option<DateTime<Utc>>,
    /// What is sent.
    #[schema(value_type = Object)]
    pub payload: Value,
}

/// The tries of a row.
pub(super) fn attempts(row: &delivery::Model) -> Result<Vec<Attempt>> {
    serde_json::from_str(&row.attempts).map_err(Error::internal)
}

/// The same with one more, as it is stored. Earlier ones that cannot be read are forgotten: the message was sent, and that is to be
/// written down.
pub(super) fn with_attempt(row: &delivery::Model, attempt: Attempt) -> String {
    let mut all = attempts(row).unwrap_or_else(|error| {
        tracing::error!(%error, "the earlier attempts of a delivery could not be read");
        Vec::new()
    });
    all.push(attempt);
    let surplus = all.len().saturating_sub(ATTEMPTS_KEPT);
    all.drain(..surplus);
    json!(all).to_string()
}

/// A stored notice.
pub(super) fn notice_of(row: notice::Model) -> Result<Notice> {
    let unknown = |what: &str| Error::Internal(format!("notice {}: {what}", row.id));
    Ok(Notice {
        kind: NoticeKind::parse(&row.kind).ok_or_else(|| unknown("its kind"))?,
        severity: Severity::parse(&row.severity).ok_or_else(|| unknown("its severity"))?,
        data: serde_json::from_str(&row.data).map_err(|_| unknown("its data"))?,
        id: row.id,
        at: row.at,
        title: row.title,
        text: row.text,
        path: row.path,
    })
}

/// The log of one subscriber, the newest first.
pub(super) async fn list(
    ctx: &Ctx,
    subscriber: Subscriber,
    list: &List,
    state: Option<DeliveryState>,
) -> Result<Page<DeliveryOut>> {
    let conn = ctx.read(Permission::NotificationsRead)?;
    let mut select = delivery::Entity::find().filter(of(subscriber));
    if let Some(state) = state {
        select = select.filter(delivery::Column::State.eq(state.as_str()));
    }
    let sorts = [("created_at", Sort::time(delivery::Column::CreatedAt))];
    let page = page::page(conn, select, list, delivery::Column::Id, &sorts, "-created_at").await?;
    let ids: Vec<Uuid> = page.items.iter().map(|row| row.notice_id).collect();
    let notices =
        notice::Entity::find().filter(among(conn, notice::Column::Id, ids)).all(conn).await.map_err(db)?;
    let notices: HashMap<Uuid, notice::Model> = notices.into_iter().map(|n| (n.id, n)).collect();
    // A notice that the sweep has taken between the two readings took its deliveries along.
    let shown = |row: delivery::Model| Some(out(ctx, notices.get(&row.notice_id)?.clone(), &row));
    let items = page.items.into_iter().filter_map(shown).collect::<Result<_>>()?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

/// Sends it again from the first try, with the id that it had.
pub(super) async fn redeliver(
    ctx: &Ctx,
    subscriber: Subscriber,
    action: Action,
    id: DeliveryId,
) -> Result<DeliveryOut> {
    ctx.write(Permission::NotificationsWrite, action, async |tx| {
        if !subscriber.standing(tx.conn()).await?.ok_or(Error::NotFound)?.enabled {
            return Err(Error::Conflict(
                "It is turned off, so nothing is sent. Turn it on first.".to_owned(),
            ));
        }
        // Locked: a worker may be noting what became of it.
        let row = delivery::Entity::find_by_id(id.0).filter(of(subscriber)).lock_exclusive();
        let row = row.one(tx.conn()).await.map_err(db)?.ok_or(Error::NotFound)?;
        let told = notice_row(tx.conn(), row.notice_id).await?;
        tx.about("delivery", row.id);
        tx.detail(json!({ "kind": told.kind, "title": told.title, "state": row.state }));
        let again = again(row, ctx.now()).update(tx.conn()).await.map_err(db)?;
        tx.emit(Event::DeliveriesWaiting { to: vec![subscriber.id()] });
        out(ctx, told, &again)
    })
    .await
}

/// One that waits is sent now, and keeps its count of tries; a lease is left to who holds it.
fn again(row: delivery::Model, now: Time) -> delivery::ActiveModel {
    let waits = row.state == DeliveryState::Waiting.as_str();
    let mut change = delivery::ActiveModel::from(row);
    change.next_at = Set(Some(now));
    if !waits {
        change.state = Set(DeliveryState::Waiting.as_str().to_owned());
        change.tries = Set(0);
        change.finished_at = Set(None);
    }
    change
}

async fn notice_row(conn: &impl ConnectionTrait, id: Uuid) -> Result<notice::Model> {
    notice::Entity::find_by_id(id).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

fn of(subscriber: Subscriber) -> cb_store::sea_orm::sea_query::SimpleExpr {
    match subscriber {
        Subscriber::Webhook(id) => delivery::Column::WebhookId.eq(id),
        Subscriber::Channel(id) => delivery::Column::ChannelId.eq(id),
    }
}

fn out(ctx: &Ctx, told: notice::Model, row: &delivery::Model) -> Result<DeliveryOut> {
    let told = notice_of(told)?;
    let mut attempts = attempts(row)?;
    if !ctx.principal().permits(Permission::NotificationsWrite) {
        attempts = attempts.into_iter().map(Attempt::uniform).collect();
    }
    Ok(DeliveryOut {
        state: DeliveryState::parse(&row.state)
            .ok_or_else(|| Error::Internal(format!("delivery {}: state {}", row.id, row.state)))?,
        payload: cb_notify::webhook::payload(&told, ctx.app().public_url()),
        id: row.id.into(),
        notice_id: told.id,
        kind: told.kind,
        title: told.title,
        attempts,
        created_at: row.created_at,
        next_at: row.next_at,
        finished_at: row.finished_at,
    })
}
