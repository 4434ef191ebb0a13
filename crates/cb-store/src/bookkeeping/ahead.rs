//! Times that lie further ahead than anything of their kind can wait: of a clock that was wrong, or was set back since.

use cb_core::Result;
use cb_core::clock::{SKEW, Time};
use chrono::TimeDelta;
use sea_orm::ConnectionTrait as _;
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SimpleExpr, UpdateStatement};

use crate::entities::delivery;
use crate::fault::db;
use crate::open::Store;
use crate::outbox::waiting;
use crate::queue::{WAITING, is};

/// How long each kind of thing waits, or is good for, at most.
pub struct Longest {
    pub session: TimeDelta,
    /// By their purpose.
    pub steps: Vec<(&'static str, TimeDelta)>,
    /// Of a delivery, behind so many tries.
    pub tries: Vec<TimeDelta>,
    /// Of a secret beside its successor.
    pub previous_secret: TimeDelta,
    /// Of periodic work until its next run, by its name.
    pub works: Vec<(&'static str, TimeDelta)>,
    /// Of the lease of one run of it.
    pub run: TimeDelta,
    /// Of a job until its next attempt.
    pub job: TimeDelta,
}

/// A column whose times may lie ahead of now by so much and no more.
struct Bound {
    table: &'static str,
    column: &'static str,
    which: Option<SimpleExpr>,
    most: TimeDelta,
}

impl Bound {
    fn new(table: &'static str, column: &'static str, most: TimeDelta) -> Self {
        Self { table, column, which: None, most }
    }

    fn exceeded(&self, now: Time) -> SimpleExpr {
        let ahead = Expr::col(self.column).gt(now + self.most + SKEW);
        match &self.which {
            Some(which) => ahead.and(which.clone()),
            None => ahead,
        }
    }
}

impl Store {
    /// Brings every such time back to the longest wait of its kind, and makes a delivery due; answers how many there were. What
    /// was seen or failed in the future was so now. Nothing is changed unless it is `still` about that time: what others have
    /// written since would look as if it lay ahead.
    pub async fn bring_back(
        &self,
        now: Time,
        longest: &Longest,
        still: impl Fn() -> bool + Send,
    ) -> Result<u64> {
        let zero = TimeDelta::zero();
        let mut bounds = vec![
            Bound::new("sessions", "last_seen_at", zero),
            Bound::new("sessions", "expires_at", longest.session),
            Bound::new("webhooks", "previous_secret_until", longest.previous_secret),
            Bound::new("hooks", "previous_until", longest.previous_secret),
            Bound::new("webhooks", "failing_since", zero),
            Bound::new("channels", "failing_since", zero),
            Bound::new("periodic_work", "held_until", longest.run),
            Bound { which: Some(is(WAITING)), ..Bound::new("jobs", "not_before", longest.job) },
        ];
        bounds.extend(longest.steps.iter().map(|(purpose, most)| {
            let which = Some(Expr::col("purpose").eq(*purpose));
            Bound { which, ..Bound::new("auth_steps", "expires_at", *most) }
        }));
        bounds.extend(longest.works.iter().map(|(name, most)| {
            let which = Some(Expr::col("name").eq(*name));
            Bound { which, ..Bound::new("periodic_work", "next_at", *most) }
        }));
        let mut updates = Vec::new();
        for bound in bounds {
            let mut any = Query::select();
            any.expr(Expr::val(1)).from(bound.table).and_where(bound.exceeded(now)).limit(1);
            if self.reader().query_one(&any).await.map_err(db)?.is_none() {
                continue;
            }
            let mut update = Query::update();
            update.table(bound.table).value(bound.column, now + bound.most).and_where(bound.exceeded(now));
            updates.push(update);
        }
        updates.extend(self.deliveries_ahead(now, &longest.tries).await?);
        if updates.is_empty() {
            return Ok(0);
        }
        let tx = self.begin_write().await?;
        let mut rows = 0;
        for update in updates {
            rows += tx.execute(&update).await.map_err(db)?.rows_affected();
        }
        if !still() {
            tx.rollback().await?;
            return Ok(0);
        }
        tx.commit().await?;
        Ok(rows)
    }

    async fn deliveries_ahead(&self, now: Time, tries: &[TimeDelta]) -> Result<Option<UpdateStatement>> {
        let col = |column: delivery::Column| Expr::col((delivery::Entity, column));
        let ahead = (0_i32..).zip(tries).map(|(tried, most)| {
            col(delivery::Column::Tries).eq(tried).and(col(delivery::Column::NextAt).gt(now + *most + SKEW))
        });
        let Some(ahead) = ahead.reduce(SimpleExpr::or) else { return Ok(None) };
        // The first condition bounds the search by its index.
        let ahead = waiting().and(col(delivery::Column::NextAt).gt(now + SKEW)).and(ahead);
        let mut found = false;
        for (table, column) in
            [("webhooks", delivery::Column::WebhookId), ("channels", delivery::Column::ChannelId)]
        {
            let mut one = Query::select();
            one.expr(Expr::val(1)).from(delivery::Entity).and_where(ahead.clone());
            one.and_where(col(column).equals((table, "id")));
            let mut any = Query::select();
            any.expr(Expr::val(1)).from(table).and_where(Expr::exists(one)).limit(1);
            found |= self.reader().query_one(&any).await.map_err(db)?.is_some();
        }
        if !found {
            return Ok(None);
        }
        let mut update = Query::update();
        update.table(delivery::Entity).value(delivery::Column::NextAt, now).and_where(ahead);
        Ok(Some(update))
    }
}
