//! Things begun that a secret will finish: a second factor after a password, an invite, a reset.
//! One table, one way: the secret is stored hashed, it belongs to one purpose and, if it has a user, to that user's
//! epoch, so that whatever ends their sessions ends what is half done too.

use cb_core::clock::Time;
use cb_core::{Error, Result, Secret};
use cb_store::entities::auth_step;
use cb_store::sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _, QueryFilter as _, QueryOrder as _,
};
use cb_store::{WriteTx, db};
use cb_vault::token;
use chrono::TimeDelta;
use serde_json::Value;
use uuid::Uuid;

use super::active;
use crate::ctx::Ctx;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Mfa,
    Reset,
    Invite,
}

impl Purpose {
    pub const ALL: [Self; 3] = [Self::Mfa, Self::Reset, Self::Invite];

    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Mfa => "mfa",
            Purpose::Reset => "reset",
            Purpose::Invite => "invite",
        }
    }

    pub fn lives(self) -> TimeDelta {
        match self {
            Purpose::Mfa => TimeDelta::minutes(5),
            Purpose::Reset => TimeDelta::hours(24),
            Purpose::Invite => TimeDelta::days(7),
        }
    }
}

/// Steps of one purpose that one user can have open with the same payload; the oldest goes when there is one more.
pub(crate) const OPEN_MOST: usize = 10;
/// Wrong answers that a step survives.
const ATTEMPTS_MOST: i32 = 5;

/// How many of a user's steps with this payload can still be finished.
pub(crate) async fn open(
    now: Time,
    conn: &impl ConnectionTrait,
    purpose: Purpose,
    user: Uuid,
    payload: &Value,
) -> Result<usize> {
    let rows = auth_step::Entity::find()
        .filter(auth_step::Column::Purpose.eq(purpose.as_str()))
        .filter(auth_step::Column::UserId.eq(user))
        .filter(auth_step::Column::ExpiresAt.gt(now));
    let rows = rows.all(conn).await.map_err(db)?;
    Ok(rows.iter().filter(|step| step.payload == *payload).count())
}

/// Begins one; the secret is shown this once.
pub(crate) async fn begin(
    ctx: &Ctx,
    tx: &WriteTx,
    purpose: Purpose,
    user: Option<(Uuid, i64)>,
    payload: Value,
) -> Result<(auth_step::Model, Secret)> {
    let open = auth_step::Entity::find()
        .filter(auth_step::Column::Purpose.eq(purpose.as_str()))
        .filter(match user {
            Some((id, _)) => auth_step::Column::UserId.eq(id),
            None => auth_step::Column::UserId.is_null(),
        })
        .order_by_desc(auth_step::Column::CreatedAt)
        .all(tx.conn())
        .await
        .map_err(db)?;
    let most = if user.is_some() { OPEN_MOST } else { 100 };
    let rivals = open.into_iter().filter(|step| user.is_none() || step.payload == payload);
    for surplus in rivals.skip(most - 1) {
        surplus.delete(tx.conn()).await.map_err(db)?;
    }
    let secret = Secret::new(ctx.app().entropy().token());
    let now = ctx.now();
    let row = auth_step::Model {
        id: ctx.new_id(),
        purpose: purpose.as_str().to_owned(),
        token_hash: token::hash(secret.expose()),
        user_id: user.map(|u| u.0),
        auth_epoch: user.map(|u| u.1),
        payload,
        attempts: 0,
        created_at: now,
        expires_at: now + purpose.lives(),
    };
    auth_step::Entity::insert(active(row.clone())).exec(tx.conn()).await.map_err(db)?;
    Ok((row, secret))
}

/// The step that this secret can finish now.
pub(crate) async fn find(
    now: Time,
    conn: &impl ConnectionTrait,
    purpose: Purpose,
    secret: &Secret,
) -> Result<Option<auth_step::Model>> {
    let found = auth_step::Entity::find()
        .filter(auth_step::Column::TokenHash.eq(token::hash(secret.expose())))
        .filter(auth_step::Column::Purpose.eq(purpose.as_str()))
        .one(conn)
        .await
        .map_err(db)?;
    Ok(found.filter(|step| step.expires_at > now))
}

/// It has been used: it cannot be again.
pub(crate) async fn finish(tx: &WriteTx, step: auth_step::Model) -> Result<()> {
    let gone = step.delete(tx.conn()).await.map_err(db)?;
    if gone.rows_affected == 1 { Ok(()) } else { Err(Error::Internal("a step was used twice".to_owned())) }
}

/// A wrong answer was given to it; after too many it is gone.
pub(crate) async fn fail(tx: &WriteTx, step: auth_step::Model) -> Result<()> {
    use cb_store::sea_orm::ActiveModelTrait as _;
    use cb_store::sea_orm::ActiveValue::Set;
    let attempts = step.attempts + 1;
    if attempts >= ATTEMPTS_MOST {
        step.delete(tx.conn()).await.map_err(db)?;
    } else {
        let mut change: auth_step::ActiveModel = step.into();
        change.attempts = Set(attempts);
        change.update(tx.conn()).await.map_err(db)?;
    }
    Ok(())
}
