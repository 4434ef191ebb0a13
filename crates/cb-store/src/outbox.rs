//! The outbox: a notice and its deliveries are written by the transaction that makes the notice true.

use std::collections::HashMap;

use cb_core::clock::Time;
use cb_core::notice::{Notice, NoticeKind, Severity};
use cb_core::{Event, Result};
use sea_orm::sea_query::{DynIden, Expr, ExprTrait as _, IntoIden as _, Query, SimpleExpr, UnionType};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, IntoActiveModel as _,
    PaginatorTrait as _, QueryFilter as _,
};
use serde_json::Value;
use uuid::Uuid;

use crate::entities::{channel, delivery, notice, webhook};
use crate::fault::db;
use crate::write::WriteTx;

/// Who is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subscriber {
    Webhook(Uuid),
    Channel(Uuid),
}

impl Subscriber {
    pub fn id(self) -> Uuid {
        match self {
            Self::Webhook(id) | Self::Channel(id) => id,
        }
    }

    /// The table that it is a row of.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhooks",
            Self::Channel(_) => "channels",
        }
    }

    /// Its deliveries.
    pub(crate) fn deliveries(self) -> SimpleExpr {
        match self {
            Self::Webhook(id) => delivery::Column::WebhookId.eq(id),
            Self::Channel(id) => delivery::Column::ChannelId.eq(id),
        }
    }
}

/// What is known of a subscriber of any kind.
pub struct Standing {
    pub name: String,
    pub enabled: bool,
    pub failing_since: Option<Time>,
    pub failures: i32,
}

impl Subscriber {
    pub async fn standing(self, conn: &impl ConnectionTrait) -> Result<Option<Standing>> {
        let mut select = Query::select();
        select.columns(["name", "enabled", "failing_since", "failures"]).from(self.table());
        select.and_where(Expr::col("id").eq(self.id()));
        let Some(row) = conn.query_one(&select).await.map_err(db)? else { return Ok(None) };
        Ok(Some(Standing {
            name: row.try_get_by_index(0).map_err(db)?,
            enabled: row.try_get_by_index(1).map_err(db)?,
            failing_since: row.try_get_by_index(2).map_err(db)?,
            failures: row.try_get_by_index(3).map_err(db)?,
        }))
    }
}

/// Deliveries that may wait for one subscriber.
pub const WAITING_MOST: u64 = 10_000;

/// Those who are told anything, as one transaction sees them.
pub(crate) struct Audience {
    listeners: Vec<Listener>,
    /// How many wait for whom. Writes beside this one may add some; each can overstep the bound by its own.
    waiting: HashMap<Subscriber, u64>,
}

struct Listener {
    subscriber: Subscriber,
    /// All events if empty.
    events: Vec<NoticeKind>,
    min_severity: Severity,
}

impl Listener {
    fn wants(&self, notice: &Notice) -> bool {
        notice.severity >= self.min_severity && (self.events.is_empty() || self.events.contains(&notice.kind))
    }
}

impl Audience {
    async fn read(conn: &impl ConnectionTrait) -> Result<Self> {
        // One question: every write that makes news asks it.
        let of = |name: &str, least: SimpleExpr, from: DynIden| {
            Query::select()
                .expr_as(Expr::cust(format!("'{name}'")), "kind")
                .columns(["id", "events"])
                .expr_as(least, "least")
                .from(from)
                .and_where(Expr::col("enabled").eq(true))
                .take()
        };
        let both = of("webhook", Expr::cust("'info'"), webhook::Entity.into_iden())
            .union(UnionType::All, of("channel", Expr::col("min_severity"), channel::Entity.into_iden()))
            .take();
        let rows = conn.query_all(&both).await.map_err(db)?;
        let listeners = rows.into_iter().map(|row| {
            let (kind, id, events, least): (String, Uuid, Value, String) =
                row.try_get_many_by_index().map_err(db)?;
            Ok(Listener {
                subscriber: if kind == "webhook" { Subscriber::Webhook(id) } else { Subscriber::Channel(id) },
                events: kinds(&events),
                min_severity: Severity::parse(&least).unwrap_or(Severity::Info),
            })
        });
        Ok(Self { listeners: listeners.collect::<Result<_>>()?, waiting: HashMap::new() })
    }

    /// Counts one more for `subscriber`; says whether there is room for it.
    async fn room(&mut self, conn: &impl ConnectionTrait, subscriber: Subscriber) -> Result<bool> {
        let waiting = match self.waiting.get(&subscriber) {
            Some(known) => *known,
            None => delivery::Entity::find()
                .filter(subscriber.deliveries())
                .filter(waiting())
                .count(conn)
                .await
                .map_err(db)?,
        };
        let room = waiting < WAITING_MOST;
        self.waiting.insert(subscriber, waiting + u64::from(room));
        Ok(room)
    }
}

/// Written out: a partial index is used where its very words stand.
pub(crate) fn waiting() -> SimpleExpr {
    Expr::col((delivery::Entity, delivery::Column::State)).eq(Expr::cust("'waiting'"))
}

/// A word that this version does not know is of another one, and nobody's wish here.
fn kinds(events: &Value) -> Vec<NoticeKind> {
    let words = events.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.filter_map(NoticeKind::parse).collect()
}

impl WriteTx {
    /// Tells `subscriber` nothing more.
    pub async fn disable(&mut self, subscriber: Subscriber, now: Time, reason: &str) -> Result<()> {
        let mut update = Query::update();
        update
            .table(subscriber.table())
            .value("enabled", false)
            .value("disabled_at", now)
            .value("disabled_reason", reason)
            .value("version", Expr::col("version").add(1))
            .value("updated_at", now)
            .and_where(Expr::col("id").eq(subscriber.id()));
        self.conn().execute(&update).await.map_err(db)?;
        self.drop_waiting(subscriber, now).await
    }

    /// What waits for `subscriber` is never sent.
    pub async fn drop_waiting(&mut self, subscriber: Subscriber, now: Time) -> Result<()> {
        delivery::Entity::update_many()
            .col_expr(delivery::Column::State, Expr::value("dropped"))
            .col_expr(delivery::Column::NextAt, Expr::value(None::<Time>))
            .col_expr(delivery::Column::LeaseOwner, Expr::value(None::<String>))
            .col_expr(delivery::Column::LeaseUntil, Expr::value(None::<Time>))
            .col_expr(delivery::Column::FinishedAt, Expr::value(now))
            .filter(subscriber.deliveries())
            .filter(waiting())
            .exec(self.conn())
            .await
            .map_err(db)?;
        Ok(())
    }

    /// Tells a notice to everybody who wants it, once this transaction has committed. `new_id` makes the ids of deliveries. Where
    /// nobody wants it nothing is written.
    pub async fn notify(&mut self, notice: &Notice, mut new_id: impl FnMut() -> Uuid) -> Result<()> {
        let mut audience = match self.audience.take() {
            Some(known) => known,
            None => Audience::read(self.conn()).await?,
        };
        let mut deliveries = Vec::new();
        let wanted: Vec<Subscriber> =
            audience.listeners.iter().filter(|l| l.wants(notice)).map(|l| l.subscriber).collect();
        let to = wanted.iter().map(|subscriber| subscriber.id()).collect();
        for subscriber in wanted {
            let room = audience.room(self.conn(), subscriber).await?;
            deliveries.push(first(notice, subscriber, room, new_id()).into_active_model().reset_all());
        }
        self.audience = Some(audience);
        if deliveries.is_empty() {
            return Ok(());
        }
        let row = notice::Model {
            id: notice.id,
            kind: notice.kind.as_str().to_owned(),
            at: notice.at,
            severity: notice.severity.as_str().to_owned(),
            title: notice.title.clone(),
            text: notice.text.clone(),
            path: notice.path.clone(),
            data: notice.data.to_string(),
        };
        notice::Entity::insert(row.into_active_model().reset_all())
            .exec_without_returning(self.conn())
            .await
            .map_err(db)?;
        delivery::Entity::insert_many(deliveries).exec_without_returning(self.conn()).await.map_err(db)?;
        self.emit(Event::DeliveriesWaiting { to });
        Ok(())
    }
}

fn first(notice: &Notice, subscriber: Subscriber, room: bool, id: Uuid) -> delivery::Model {
    let (webhook_id, channel_id) = match subscriber {
        Subscriber::Webhook(id) => (Some(id), None),
        Subscriber::Channel(id) => (None, Some(id)),
    };
    delivery::Model {
        id,
        notice_id: notice.id,
        webhook_id,
        channel_id,
        state: if room { "waiting" } else { "dropped" }.to_owned(),
        tries: 0,
        next_at: room.then_some(notice.at),
        lease_owner: None,
        lease_until: None,
        attempts: "[]".to_owned(),
        created_at: notice.at,
        finished_at: (!room).then_some(notice.at),
    }
}
