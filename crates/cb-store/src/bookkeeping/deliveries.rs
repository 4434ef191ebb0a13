//! Deliveries on their way: taken by lease, tried, and forgotten when they are old.

use std::collections::HashMap;

use cb_core::Result;
use cb_core::clock::{SKEW, Time};
use chrono::TimeDelta;
use sea_orm::sea_query::{
    Alias, Expr, ExprTrait as _, IntoIden as _, LockBehavior, LockType, Query, SimpleExpr, TableRef,
    ValueTuple,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use crate::entities::{delivery, hook, notice, webhook};
use crate::fault::db;
use crate::locks::Until;
use crate::open::Store;
use crate::outbox::{Subscriber, waiting};

/// A delivery that somebody holds, and what it tells.
pub struct Held {
    pub delivery: delivery::Model,
    pub notice: notice::Model,
}

/// What a try has made of a delivery.
pub struct Outcome {
    pub id: Uuid,
    pub state: &'static str,
    pub tries: i32,
    /// While it waits.
    pub next_at: Option<Time>,
    pub finished_at: Option<Time>,
    pub attempts: String,
}

/// How some tries have gone, in their order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Health {
    pub last_delivered_at: Option<Time>,
    /// Of the failures behind the last that succeeded.
    pub first_failed_at: Option<Time>,
    pub failures: i32,
}

/// Notices removed at a time.
const SWEPT: u64 = 500;
/// No lease is longer, not even one of an earlier version. One that ends later was taken before the clock was set back: it is over.
const LONGEST_LEASE: TimeDelta = TimeDelta::minutes(4);

impl Store {
    /// Subscribers with a delivery that is due and that no worker holds.
    pub async fn due_subscribers(&self, now: Time) -> Result<Vec<Subscriber>> {
        let mut due = Vec::new();
        for (table, column, of) in [
            ("webhooks", delivery::Column::WebhookId, Subscriber::Webhook as fn(Uuid) -> Subscriber),
            ("channels", delivery::Column::ChannelId, Subscriber::Channel),
        ] {
            let mut first = Query::select();
            first.expr(Expr::val(1)).from(delivery::Entity);
            first.and_where(Expr::col((delivery::Entity, column)).equals((table, "id")));
            first.and_where(claimable(now));
            let mut select = Query::select();
            select.column((table, "id")).from(table);
            select.and_where(Expr::col((table, "enabled")).eq(true)).and_where(Expr::exists(first));
            for row in self.reader().query_all(&select).await.map_err(db)? {
                due.push(of(row.try_get_by_index(0).map_err(db)?));
            }
        }
        Ok(due)
    }

    /// Whether a worker holds a delivery of this subscriber.
    pub async fn is_served(&self, subscriber: Subscriber, now: Time) -> Result<bool> {
        let held = delivery::Entity::find()
            .filter(subscriber.deliveries())
            .filter(waiting())
            .filter(delivery::Column::LeaseUntil.gt(now))
            .one(self.reader())
            .await
            .map_err(db)?;
        Ok(held.is_some())
    }

    /// Takes up to `most` of one subscriber's due deliveries until `until`, the longest due first.
    pub async fn claim_deliveries(
        &self,
        subscriber: Subscriber,
        owner: &str,
        now: Time,
        until: Time,
        most: u64,
    ) -> Result<Vec<Held>> {
        let tx = self.begin_write().await?;
        let mut select = delivery::Entity::find()
            .filter(subscriber.deliveries())
            .filter(claimable(now))
            .order_by_asc(delivery::Column::NextAt)
            .limit(most);
        // PostgreSQL has several writers: what another one is taking is passed over. SQLite has one.
        select = select.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let found = select.all(&tx).await.map_err(db)?;
        if found.is_empty() {
            tx.rollback().await?;
            return Ok(Vec::new());
        }
        delivery::Entity::update_many()
            .col_expr(delivery::Column::LeaseOwner, Expr::value(owner))
            .col_expr(delivery::Column::LeaseUntil, Expr::value(until))
            .filter(delivery::Column::Id.is_in(found.iter().map(|row| row.id)))
            .exec(&tx)
            .await
            .map_err(db)?;
        let told = notice::Entity::find()
            .filter(notice::Column::Id.is_in(found.iter().map(|row| row.notice_id)))
            .all(&tx)
            .await
            .map_err(db)?;
        tx.commit().await?;
        let told: HashMap<Uuid, notice::Model> = told.into_iter().map(|row| (row.id, row)).collect();
        let held = found.into_iter().filter_map(|row| {
            let notice = told.get(&row.notice_id)?.clone();
            let delivery =
                delivery::Model { lease_owner: Some(owner.to_owned()), lease_until: Some(until), ..row };
            Some(Held { delivery, notice })
        });
        Ok(held.collect())
    }

    /// Holds what `owner` has of one subscriber until `until`; answers how many that is.
    pub async fn renew_deliveries(&self, subscriber: Subscriber, owner: &str, until: Time) -> Result<u64> {
        let renewed = delivery::Entity::update_many()
            .col_expr(delivery::Column::LeaseUntil, Expr::value(until))
            .filter(delivery::Column::LeaseOwner.eq(owner))
            .filter(subscriber.deliveries())
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(renewed.rows_affected)
    }

    /// Notes what became of deliveries that `owner` holds, and how their subscriber does. One that is not `owner`'s any more is
    /// left to whom it belongs. Noting the same again, when nobody knows whether it was kept, changes nothing.
    pub async fn deliveries_tried(
        &self,
        subscriber: Subscriber,
        owner: &str,
        outcomes: &[Outcome],
        health: Health,
    ) -> Result<()> {
        let tx = self.begin_write().await?;
        // The subscriber before its deliveries, as one that is removed is locked.
        note_health(&tx, subscriber, health).await?;
        let rows = outcomes.iter().map(|o| {
            ValueTuple::Many(vec![
                o.id.into(),
                o.state.into(),
                o.tries.into(),
                o.next_at.into(),
                o.finished_at.into(),
                o.attempts.as_str().into(),
            ])
        });
        // Both databases call the columns of a bare list so.
        let given = |name: &'static str| Expr::col(("given", name));
        let mut update = Query::update();
        update.table("deliveries");
        update.from(TableRef::ValuesList(rows.collect(), Alias::new("given").into_iden()));
        update
            .value("state", given("column2"))
            .value("tries", given("column3"))
            .value("next_at", given("column4"))
            .value("finished_at", given("column5"))
            .value("attempts", given("column6"))
            .value("lease_owner", Expr::value(None::<String>))
            .value("lease_until", Expr::value(None::<Time>))
            .and_where(Expr::col(("deliveries", "id")).eq(given("column1")))
            .and_where(Expr::col(("deliveries", "lease_owner")).eq(owner));
        if tx.execute(&update).await.map_err(db)?.rows_affected() == 0 {
            return tx.rollback().await;
        }
        tx.commit().await
    }

    /// Gives back what `owner` holds of one subscriber, untried.
    pub async fn release_deliveries(&self, subscriber: Subscriber, owner: &str) -> Result<()> {
        self.release(delivery::Column::LeaseOwner.eq(owner).and(subscriber.deliveries())).await
    }

    /// At the start of a server: what its last run had taken waits again. Without a name the server has the database to itself,
    /// and that is everything.
    pub async fn release_deliveries_of(&self, server: Option<&str>) -> Result<()> {
        let owner = delivery::Column::LeaseOwner;
        self.release(server.map_or(owner.is_not_null(), |server| owner.starts_with(format!("{server}/"))))
            .await
    }

    async fn release(&self, which: SimpleExpr) -> Result<()> {
        delivery::Entity::update_many()
            .col_expr(delivery::Column::LeaseOwner, Expr::value(None::<String>))
            .col_expr(delivery::Column::LeaseUntil, Expr::value(None::<Time>))
            .filter(waiting())
            .filter(which)
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(())
    }

    /// Removes notices from before `before`, and those behind the newest `keep`, with their deliveries; at most some hundreds,
    /// the next call takes the rest. What still waits is kept.
    pub async fn sweep_notices(&self, before: Time, keep: u64) -> Result<u64> {
        let surplus: Option<Time> = notice::Entity::find()
            .select_only()
            .column(notice::Column::At)
            .order_by_desc(notice::Column::At)
            .offset(keep)
            .limit(1)
            .into_tuple()
            .one(self.reader())
            .await
            .map_err(db)?;
        let before = surplus.map_or(before, |at| Ord::max(at, before));
        let mut waits = Query::select();
        waits.expr(Expr::val(1)).from(delivery::Entity).and_where(waiting()).and_where(
            Expr::col((delivery::Entity, delivery::Column::NoticeId))
                .equals((notice::Entity, notice::Column::Id)),
        );
        let old: Vec<Uuid> = notice::Entity::find()
            .select_only()
            .column(notice::Column::Id)
            .filter(notice::Column::At.lte(before))
            .filter(Expr::exists(waits).not())
            .order_by_asc(notice::Column::At)
            .limit(SWEPT)
            .into_tuple()
            .all(self.reader())
            .await
            .map_err(db)?;
        if old.is_empty() {
            return Ok(0);
        }
        let gone = notice::Entity::delete_many()
            .filter(notice::Column::Id.is_in(old))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(gone.rows_affected)
    }

    /// Forgets secrets that were good beside newer ones and are so no more: of webhooks and of hooks.
    pub async fn sweep_previous_secrets(&self, now: Time) -> Result<()> {
        let signed_along = webhook::Column::PreviousSecretUntil.lte(now);
        let taken = hook::Column::PreviousUntil.lte(now);
        let webhooks =
            webhook::Entity::find().filter(signed_along.clone()).one(self.reader()).await.map_err(db)?;
        let hooks = hook::Entity::find().filter(taken.clone()).one(self.reader()).await.map_err(db)?;
        if webhooks.is_none() && hooks.is_none() {
            return Ok(());
        }
        // A rotation of the vault wants every text to stand where it has read it.
        let tx = self.begin_alone(Until::Committed).await?;
        webhook::Entity::update_many()
            .col_expr(webhook::Column::PreviousSecret, Expr::value(None::<String>))
            .col_expr(webhook::Column::PreviousSecretUntil, Expr::value(None::<Time>))
            .filter(signed_along)
            .exec(&tx)
            .await
            .map_err(db)?;
        hook::Entity::update_many()
            .col_expr(hook::Column::PreviousSecret, Expr::value(None::<String>))
            .col_expr(hook::Column::PreviousTokenHash, Expr::value(None::<String>))
            .col_expr(hook::Column::PreviousUntil, Expr::value(None::<Time>))
            .filter(taken)
            .exec(&tx)
            .await
            .map_err(db)?;
        tx.commit().await
    }
}

async fn note_health(tx: &impl ConnectionTrait, subscriber: Subscriber, health: Health) -> Result<()> {
    let mut update = Query::update();
    update.table(subscriber.table()).and_where(Expr::col("id").eq(subscriber.id()));
    if let Some(at) = health.last_delivered_at {
        update
            .value("last_delivered_at", at)
            .value("failing_since", health.first_failed_at)
            .value("failures", health.failures);
    } else {
        update
            .value("failing_since", Expr::col("failing_since").if_null(Expr::value(health.first_failed_at)))
            .value("failures", Expr::col("failures").add(health.failures));
    }
    tx.execute(&update).await.map_err(db)?;
    Ok(())
}

/// Due, and held by no worker.
fn claimable(now: Time) -> SimpleExpr {
    let col = |column: delivery::Column| Expr::col((delivery::Entity, column));
    let lease = || col(delivery::Column::LeaseUntil);
    let free = lease().is_null().or(lease().lt(now)).or(lease().gt(now + LONGEST_LEASE + SKEW));
    waiting().and(col(delivery::Column::NextAt).lte(now)).and(free)
}
