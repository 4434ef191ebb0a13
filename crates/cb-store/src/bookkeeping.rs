//! What machines write down all the time and nobody decides: a session was seen, a scan has
//! progressed, a lease was taken, a known device answered again. No audit entry, no event, and no
//! function here that could change what a person typed or may do.

mod ahead;
mod answers;
#[cfg(test)]
mod held;
mod hooks;
mod jobs;
mod periodic;
mod scans;
mod servers;
mod sight;
#[cfg(test)]
mod turns;

use std::time::Duration;

use cb_core::Result;
use cb_core::clock::Time;
use chrono::TimeDelta;
use sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, UpdateMany,
};
use uuid::Uuid;

use crate::entities::{
    auth_step, credential, credential_use, session, setting, spent_ticket, token, vault_key,
};
use crate::fault::conflict;
use crate::fault::db;
use crate::open::Store;

mod deliveries;

pub use ahead::Longest;
pub use deliveries::{Health, Held, Outcome};
pub use jobs::{JobCount, JobsAhead};
pub use periodic::Turn;
pub use scans::Progress;
pub use servers::{Joining, LIVE, Seen as ServerSeen, Watch};
pub(crate) use servers::{Sign, Working, working};
pub use sight::{NOT_SEEN, Seen, UP};

/// A look at the vault's schedule.
pub struct VaultLook {
    pub at: Time,
    /// The moment that it was due for.
    pub slot: Time,
    /// What the clocks of two servers may differ by.
    pub skew: TimeDelta,
    pub result: &'static str,
    pub error: Option<String>,
    /// Since when the last rotation lies in the future.
    pub future_since: Option<Time>,
}

impl Store {
    /// Notes a look at the vault's schedule. Of two servers that have looked, the one that has rotated is right.
    pub async fn vault_looked(&self, look: VaultLook) -> Result<()> {
        let mut update = setting::Entity::update_many()
            .col_expr(setting::Column::VaultLookedAt, Expr::value(look.at))
            .col_expr(setting::Column::VaultLookResult, Expr::value(look.result))
            .col_expr(setting::Column::VaultLookError, Expr::value(look.error))
            .col_expr(setting::Column::VaultFutureSince, Expr::value(look.future_since))
            .filter(setting::Column::Id.eq(1));
        if look.result != "rotated" {
            let at = setting::Column::VaultLookedAt;
            let first = at.is_null().or(at.lt(look.slot)).or(at.gt(look.at + look.skew));
            update = update.filter(first);
        }
        update.exec(self.writer()).await.map_err(db)?;
        Ok(())
    }

    /// Notes a use of a credential before its secret is given out, and forgets the oldest behind `keep`.
    pub async fn credential_used(&self, used: credential_use::Model, keep: u64) -> Result<()> {
        let (id, at) = (used.credential_id, used.at);
        let row = credential_use::ActiveModel::from(used).reset_all();
        // Somebody may have removed the credential a moment ago.
        credential_use::Entity::insert(row)
            .exec_without_returning(self.writer())
            .await
            .map_err(|e| conflict(&e, "this use is noted already"))?;
        credential::Entity::update_many()
            .col_expr(credential::Column::LastUsedAt, Expr::value(at))
            .filter(credential::Column::Id.eq(id))
            .exec(self.writer())
            .await
            .map_err(db)?;
        let oldest: Option<Uuid> = credential_use::Entity::find()
            .select_only()
            .column(credential_use::Column::Id)
            .filter(credential_use::Column::CredentialId.eq(id))
            .order_by_desc(credential_use::Column::Id)
            .offset(keep)
            .limit(1)
            .into_tuple()
            .one(self.reader())
            .await
            .map_err(db)?;
        if let Some(oldest) = oldest {
            credential_use::Entity::delete_many()
                .filter(credential_use::Column::CredentialId.eq(id))
                .filter(credential_use::Column::Id.lte(oldest))
                .exec(self.writer())
                .await
                .map_err(db)?;
        }
        Ok(())
    }

    /// What became of it.
    pub async fn credential_use_ended(&self, id: Uuid, ok: bool) -> Result<()> {
        credential_use::Entity::update_many()
            .col_expr(credential_use::Column::Ok, Expr::value(ok))
            .filter(credential_use::Column::Id.eq(id))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(())
    }

    /// The fingerprint of the root key that the vault's current key is wrapped by, behind every commit that is under way,
    /// also of a process that has died: a database may still be at it.
    pub async fn vault_root_settled(&self) -> Result<Option<String>> {
        let (tx, head) = self.begin_at_head().await?;
        let current = vault_key::Entity::find().filter(vault_key::Column::RetiredAt.is_null());
        let current = current.one(&tx).await.map_err(db)?;
        tx.rollback().await?;
        if head.seq > 0 {
            self.stays(head.seq, &head.hash).await?;
        }
        Ok(current.map(|row| row.root_fingerprint))
    }

    /// Notes that a session was seen. A request is answered all the same when nothing can be written.
    pub async fn touch_session(&self, id: Uuid, now: Time) {
        let touch = session::Entity::update_many()
            .col_expr(session::Column::LastSeenAt, Expr::value(now))
            .filter(session::Column::Id.eq(id));
        self.touch(touch).await;
    }

    /// The same of a token.
    pub async fn touch_token(&self, id: Uuid, now: Time, ip: &str) {
        let touch = token::Entity::update_many()
            .col_expr(token::Column::LastUsedAt, Expr::value(now))
            .col_expr(token::Column::LastUsedIp, Expr::value(ip))
            .filter(token::Column::Id.eq(id));
        self.touch(touch).await;
    }

    async fn touch<E: sea_orm::EntityTrait>(&self, touch: UpdateMany<E>) {
        if self.is_in_trouble() {
            return;
        }
        match tokio::time::timeout(TOUCH, touch.exec(self.writer())).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => self.met(&db(error)),
            Err(_) => tracing::debug!("no time to note who was seen"),
        }
    }

    /// Removes half-finished steps that can no longer be finished.
    pub async fn sweep_steps(&self, now: Time) -> Result<u64> {
        let gone = auth_step::Entity::delete_many()
            .filter(auth_step::Column::ExpiresAt.lte(now))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(gone.rows_affected)
    }

    /// Marks a ticket as spent after its request was refused, so that nobody uses it again.
    pub async fn void_ticket(&self, hash: String, expires_at: Time) -> Result<()> {
        let row = spent_ticket::Model { hash, expires_at };
        spent_ticket::Entity::insert(spent_ticket::ActiveModel::from(row).reset_all())
            .on_conflict(OnConflict::column(spent_ticket::Column::Hash).do_nothing().to_owned())
            .exec_without_returning(self.writer())
            .await
            .map_err(db)?;
        Ok(())
    }

    /// Forgets the spent tickets that are too old to be taken anyway.
    pub async fn sweep_tickets(&self, now: Time) -> Result<u64> {
        let gone = spent_ticket::Entity::delete_many()
            .filter(spent_ticket::Column::ExpiresAt.lte(now))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(gone.rows_affected)
    }

    /// Removes sessions that can no longer be used; at most a thousand, the next call takes the rest.
    pub async fn sweep_sessions(&self, expired_before: Time, idle_before: Time) -> Result<u64> {
        let dead: Vec<Uuid> = session::Entity::find()
            .select_only()
            .column(session::Column::Id)
            .filter(
                session::Column::ExpiresAt
                    .lte(expired_before)
                    .or(session::Column::LastSeenAt.lte(idle_before)),
            )
            .limit(1000)
            .into_tuple()
            .all(self.reader())
            .await
            .map_err(db)?;
        if dead.is_empty() {
            return Ok(0);
        }
        let gone = session::Entity::delete_many()
            .filter(session::Column::Id.is_in(dead))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(gone.rows_affected)
    }
}

/// A request waits no longer for a note of who was seen.
const TOUCH: Duration = Duration::from_millis(500);
