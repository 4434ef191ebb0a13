//! What comes in at a hook and is not taken, or not for the first time.

use cb_core::Result;
use cb_core::clock::Time;
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use uuid::Uuid;

use crate::entities::{hook, hook_event};
use crate::fault::db;
use crate::open::Store;

impl Store {
    /// Counts a message that was not taken.
    pub async fn hook_refused(&self, id: Uuid, now: Time, reason: &str) -> Result<()> {
        hook::Entity::update_many()
            .col_expr(hook::Column::Refused, Expr::col(hook::Column::Refused).add(1))
            .col_expr(hook::Column::LastRefusedAt, Expr::value(now))
            .col_expr(hook::Column::LastRefusedReason, Expr::value(reason))
            .filter(hook::Column::Id.eq(id))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(())
    }

    /// Notes that a message was sent again; says whether that was later than every time before.
    pub async fn hook_event_sent(&self, id: Uuid, sent_at: Time) -> Result<bool> {
        let later = hook_event::Entity::update_many()
            .col_expr(hook_event::Column::SentAt, Expr::value(sent_at))
            .filter(hook_event::Column::Id.eq(id))
            .filter(hook_event::Column::SentAt.lt(sent_at))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(later.rows_affected == 1)
    }
}
