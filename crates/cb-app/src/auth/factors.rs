//! Second factors: one-time codes by time, and recovery codes for when the device is lost; [`super::passkeys`] are the third.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::{Error, Result, Secret};
use cb_store::entities::{recovery_code, user};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _,
};
use cb_store::sealed::TOTP_SECRET;
use cb_store::{WriteTx, db};
use cb_vault::{token, totp};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::sessions::{self, Kept, Opened, SessionOut};
use super::{active, own, passkeys};
use crate::ctx::Ctx;

const RECOVERY_CODES: usize = 10;

/// A kind of second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    Passkey,
    Totp,
    RecoveryCode,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Totp {
    pub enabled: bool,
    #[schema(required)]
    pub enabled_at: Option<DateTime<Utc>>,
    pub recovery_codes_left: u64,
}

/// What an authenticator app needs. It is shown only once and takes effect when a code confirms it.
#[derive(Serialize, ToSchema)]
pub struct TotpEnrolment {
    /// Base32.
    pub secret: String,
    /// For a QR code.
    pub uri: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TotpConfirm {
    /// Six digits.
    #[schema(value_type = String)]
    pub code: Secret,
}

/// Shown only once.
#[derive(Serialize, ToSchema)]
pub struct RecoveryCodes {
    pub recovery_codes: Vec<String>,
}

/// Recovery codes, and the session with its new ID.
#[derive(Serialize, ToSchema)]
pub struct TotpEnabled {
    pub recovery_codes: Vec<String>,
    #[serde(flatten)]
    pub session: SessionOut,
}

/// What `user` has; empty when a password is enough.
pub(crate) fn methods(user: &user::Model) -> Vec<Method> {
    let has = [
        (Method::Passkey, user.passkeys > 0),
        (Method::Totp, user.totp_enabled_at.is_some()),
        (Method::RecoveryCode, user.passkeys > 0 || user.totp_enabled_at.is_some()),
    ];
    has.into_iter().filter(|(_, has)| *has).map(|(method, _)| method).collect()
}

/// Whether `code` is a right one now: a one-time code, or a recovery code that is used up by this.
pub(crate) async fn check(ctx: &Ctx, tx: &WriteTx, user: &user::Model, code: &Secret) -> Result<bool> {
    if methods(user).is_empty() {
        return Ok(false);
    }
    if let Some(sealed) = user.totp_secret.as_deref().filter(|_| user.totp_enabled_at.is_some()) {
        let secret = ctx.app().unseal(TOTP_SECRET.place(&user.id), sealed).await?;
        if let Some(step) = totp::check(&secret, code.expose(), ctx.now(), user.totp_step)? {
            let mut change: user::ActiveModel = user.clone().into();
            change.totp_step = Set(Some(step));
            change.update(tx.conn()).await.map_err(db)?;
            return Ok(true);
        }
    }
    let redeemed = recovery_code::Entity::update_many()
        .col_expr(recovery_code::Column::UsedAt, cb_store::sea_orm::sea_query::Expr::value(ctx.now()))
        .filter(recovery_code::Column::UserId.eq(user.id))
        .filter(recovery_code::Column::CodeHash.eq(hash(code)))
        .filter(recovery_code::Column::UsedAt.is_null())
        .exec(tx.conn())
        .await
        .map_err(db)?;
    Ok(redeemed.rows_affected == 1)
}

pub async fn state(ctx: &Ctx) -> Result<Totp> {
    let conn = ctx.store().reader();
    let user = own(conn, ctx).await?;
    Ok(Totp {
        enabled: user.totp_enabled_at.is_some(),
        enabled_at: user.totp_enabled_at,
        recovery_codes_left: left(conn, user.id).await?,
    })
}

/// A new secret for an authenticator. What was in force stays so until [`confirm`].
pub async fn begin(ctx: &Ctx) -> Result<TotpEnrolment> {
    ctx.require_proof()?;
    ctx.record(Action::TotpEnrolmentBegun, async |tx| {
        let user = own(tx.conn(), ctx).await?;
        if user.totp_enabled_at.is_some() {
            return Err(Error::Conflict(
                "An authenticator app is already set up. Turn it off first.".to_owned(),
            ));
        }
        tx.about("user", user.id);
        let secret = totp::new_secret(ctx.app().entropy());
        let uri = totp::uri(&secret, &user.username)?;
        let sealed = ctx.app().seal(tx, TOTP_SECRET.place(&user.id), &secret).await?;
        let mut change: user::ActiveModel = user.into();
        change.totp_secret = Set(Some(sealed));
        change.totp_step = Set(None);
        change.update(tx.conn()).await.map_err(db)?;
        Ok(TotpEnrolment { secret: secret.expose().to_owned(), uri: uri.expose().to_owned() })
    })
    .await
}

/// Turns one-time codes on. Every other session ends; this one goes on under a new id.
pub async fn confirm(ctx: &Ctx, input: TotpConfirm) -> Result<(Vec<String>, Opened)> {
    ctx.require_proof()?;
    ctx.record(Action::TotpEnabled, async |tx| {
        let user = own(tx.conn(), ctx).await?;
        let sealed = user.totp_secret.clone().filter(|_| user.totp_enabled_at.is_none());
        let sealed = sealed.ok_or_else(|| Error::Conflict("Begin with a new secret first.".to_owned()))?;
        let secret = ctx.app().unseal(TOTP_SECRET.place(&user.id), &sealed).await?;
        let Some(step) = totp::check(&secret, input.code.expose(), ctx.now(), None)? else {
            return Err(Error::invalid(
                "code",
                "This code is wrong. Check that the clock on your phone is right.",
            ));
        };
        tx.about("user", user.id);
        let mut change: user::ActiveModel = user.into();
        change.totp_enabled_at = Set(Some(ctx.now()));
        change.totp_step = Set(Some(step));
        let user = change.update(tx.conn()).await.map_err(db)?;
        let codes = renew(ctx, tx, user.id).await?;
        let opened = sessions::revoke(ctx, tx, user, Kept::Current).await?;
        Ok((codes, opened.ok_or_else(no_session)?))
    })
    .await
}

/// Turns one-time codes off. Every other session ends.
pub async fn turn_off(ctx: &Ctx) -> Result<Opened> {
    ctx.require_proof()?;
    ctx.record(Action::TotpDisabled, async |tx| {
        let user = own(tx.conn(), ctx).await?;
        tx.about("user", user.id);
        let user = forget_totp(tx, user).await?;
        forget_idle_codes(tx, &user).await?;
        sessions::revoke(ctx, tx, user, Kept::Current).await?.ok_or_else(no_session)
    })
    .await
}

/// Creates new recovery codes; the old ones stop working.
pub async fn new_recovery_codes(ctx: &Ctx) -> Result<RecoveryCodes> {
    ctx.require_proof()?;
    ctx.record(Action::RecoveryCodesRenewed, async |tx| {
        let user = own(tx.conn(), ctx).await?;
        if methods(&user).is_empty() {
            return Err(Error::Conflict("You have no second factor. Set one up first.".to_owned()));
        }
        tx.about("user", user.id);
        Ok(RecoveryCodes { recovery_codes: renew(ctx, tx, user.id).await? })
    })
    .await
}

/// Takes every second factor from `user`, as an administrator does for somebody who has lost theirs.
pub(crate) async fn clear(tx: &WriteTx, user: user::Model) -> Result<user::Model> {
    passkeys::clear(tx, user.id).await?;
    let user = forget_totp(tx, user).await?;
    let mut change: user::ActiveModel = user.into();
    change.passkeys = Set(0);
    let user = change.update(tx.conn()).await.map_err(db)?;
    forget_idle_codes(tx, &user).await?;
    Ok(user)
}

/// Recovery codes go with the last factor that they stood in for.
pub(crate) async fn forget_idle_codes(tx: &WriteTx, user: &user::Model) -> Result<()> {
    if methods(user).is_empty() {
        forget_codes(tx, user.id).await?;
    }
    Ok(())
}

/// New recovery codes for whoever has none left; else none.
pub(crate) async fn ensure_recovery_codes(ctx: &Ctx, tx: &WriteTx, user: Uuid) -> Result<Vec<String>> {
    if left(tx.conn(), user).await? > 0 { Ok(Vec::new()) } else { renew(ctx, tx, user).await }
}

async fn forget_totp(tx: &WriteTx, user: user::Model) -> Result<user::Model> {
    let mut change: user::ActiveModel = user.into();
    change.totp_secret = Set(None);
    change.totp_step = Set(None);
    change.totp_enabled_at = Set(None);
    change.update(tx.conn()).await.map_err(db)
}

async fn forget_codes(tx: &WriteTx, user: Uuid) -> Result<()> {
    recovery_code::Entity::delete_many()
        .filter(recovery_code::Column::UserId.eq(user))
        .exec(tx.conn())
        .await
        .map_err(db)?;
    Ok(())
}

async fn renew(ctx: &Ctx, tx: &WriteTx, user: Uuid) -> Result<Vec<String>> {
    forget_codes(tx, user).await?;
    let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| ctx.app().entropy().spoken_code()).collect();
    let rows = codes.iter().map(|code| {
        active(recovery_code::Model {
            id: ctx.new_id(),
            user_id: user,
            code_hash: hash(&Secret::new(code.clone())),
            used_at: None,
        })
    });
    recovery_code::Entity::insert_many::<recovery_code::ActiveModel, _>(rows)
        .exec(tx.conn())
        .await
        .map_err(db)?;
    Ok(codes)
}

async fn left(conn: &impl ConnectionTrait, user: Uuid) -> Result<u64> {
    recovery_code::Entity::find()
        .filter(recovery_code::Column::UserId.eq(user))
        .filter(recovery_code::Column::UsedAt.is_null())
        .count(conn)
        .await
        .map_err(db)
}

/// As a person types it: case, spaces and dashes do not count.
fn hash(code: &Secret) -> String {
    let bare: String = code.expose().chars().filter(char::is_ascii_alphanumeric).collect();
    token::hash(&bare.to_ascii_uppercase())
}

pub(crate) fn no_session() -> Error {
    Error::Denied("This needs a session of your own.".to_owned())
}

pub(crate) const CODE_MOST: usize = 128;

/// A code in a request's body, within bounds.
pub(crate) fn bounded(wrong: &mut Violations, field: &str, code: &Secret) {
    let most = format!("Use at most {CODE_MOST} characters.");
    wrong.require(code.expose().chars().count() <= CODE_MOST, field, &most);
}
