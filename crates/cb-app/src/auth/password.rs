//! Changing a password, by its owner or by whoever holds a reset link.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::{Error, Principal, Result, Secret};
use cb_store::entities::user;
use cb_store::sea_orm::ActiveModelTrait as _;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::{WriteTx, db};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::guesses::Guess;
use super::link::{self, LinkPurpose};
use super::sessions::{self, Kept, Opened};
use super::steps::{self, Purpose};
use super::{factors, own, rules};
use crate::app::App;
use crate::ctx::{Ctx, RequestMeta};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordIn {
    /// A user without a password leaves this out and confirms their identity first.
    #[schema(value_type = Option<String>)]
    pub current_password: Option<Secret>,
    /// At least 8 characters; 15 or more are recommended.
    #[schema(value_type = String)]
    pub new_password: Secret,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetIn {
    /// The token from the reset link.
    #[schema(value_type = String)]
    pub token: Secret,
    #[schema(value_type = String)]
    pub new_password: Secret,
}

/// Every other session ends; this one goes on under a new id. A login with the old password that is under way is refused.
pub async fn change(ctx: &Ctx, input: PasswordIn) -> Result<Opened> {
    let Principal::User { session, .. } = ctx.principal() else { return Err(Error::NotFound) };
    // By session: whoever has stolen one does not keep the owner out in theirs.
    let key = format!("password/{session}");
    let work = async {
        let user = own(ctx.store().reader(), ctx).await?;
        let mut wrong = Violations::new();
        rules::password(&mut wrong, "new_password", &input.new_password, &user.username);
        let has_one = !user.password_hash.is_empty();
        let given = input.current_password.filter(|_| has_one);
        let fits = given.as_ref().is_none_or(|p| p.expose().chars().count() <= rules::PASSWORD_MOST);
        wrong.require(fits, "current_password", "The current password is wrong.");
        wrong.require(given.is_some() || !has_one, "current_password", "Enter your current password.");
        wrong.into_result()?;
        let has_second = !factors::methods(&user).is_empty();
        if has_second || given.is_none() {
            ctx.require_proof()?;
        }
        let proved = given.is_some() && !has_second;
        if let Some(current) = given
            && !cb_vault::password::verify(current, Some(user.password_hash.clone())).await?
        {
            let guess = Guess {
                action: Action::PasswordChangeFailed,
                actor: ctx.principal().clone(),
                user: Some(user.id),
                account: user.id.to_string(),
                detail: json!({ "username": user.username }),
            };
            if let Some(meta) = ctx.meta() {
                ctx.app().guessed(meta, guess).await;
            }
            return Err(Error::invalid("current_password", "The current password is wrong."));
        }
        ctx.app().throttle().forgive(&key).await;
        let hash = cb_vault::password::hash(input.new_password, ctx.app().entropy()).await?;
        ctx.record(Action::PasswordChanged, async |tx| {
            // Changed by somebody else meanwhile: whoever holds the older password has no say.
            let current = own(tx.conn(), ctx).await?;
            if current.auth_epoch != user.auth_epoch {
                return Err(Error::Unauthenticated("The session has ended. Sign in again.".to_owned()));
            }
            tx.about("user", current.id);
            let current = set(ctx, tx, current, hash).await?;
            let kept = if proved { Kept::Proved } else { Kept::Current };
            let opened = sessions::revoke(ctx, tx, current, kept).await?;
            opened.ok_or_else(|| Error::Internal("a password change without a session".to_owned()))
        })
        .await
    };
    ctx.app().throttle().attempt([&key], Box::pin(work)).await
}

/// A new password by a reset link. Everything of the user ends, API tokens too.
pub async fn reset(app: &App, meta: RequestMeta, input: ResetIn) -> Result<()> {
    let now = app.now();
    let address = LinkPurpose::Reset.throttle_key(&meta);
    let work = async {
        let mut wrong = Violations::new();
        factors::bounded(&mut wrong, "token", &input.token);
        rules::password(&mut wrong, "new_password", &input.new_password, "");
        wrong.into_result()?;
        let gone = || LinkPurpose::Reset.gone();
        if steps::find(now, app.store().reader(), Purpose::Reset, &input.token).await?.is_none() {
            return Err(LinkPurpose::Reset.guessed(app, &meta).await);
        }
        let plain = input.new_password.clone();
        let hash = cb_vault::password::hash(input.new_password, app.entropy()).await?;
        let ctx = app.ctx(LinkPurpose::Reset.actor(), meta);
        ctx.record(Action::PasswordReset, async |tx| {
            let step = steps::find(now, tx.conn(), Purpose::Reset, &input.token).await?.ok_or_else(gone)?;
            let user = link::owner(tx.conn(), &step).await?.ok_or_else(gone)?;
            let mut wrong = Violations::new();
            rules::password(&mut wrong, "new_password", &plain, &user.username);
            wrong.into_result()?;
            tx.about("user", user.id);
            tx.detail(json!({ "username": user.username }));
            steps::finish(tx, step).await?;
            let user = set(&ctx, tx, user, hash).await?;
            sessions::revoke(&ctx, tx, user, Kept::Nothing).await?;
            Ok(())
        })
        .await
    };
    app.throttle().attempt([&address], Box::pin(work)).await?;
    app.throttle().spare(&address).await;
    Ok(())
}

/// Puts the hash into the row; whoever calls this revokes in the same transaction.
pub(crate) async fn set(ctx: &Ctx, tx: &WriteTx, user: user::Model, hash: String) -> Result<user::Model> {
    let mut change: user::ActiveModel = user.into();
    change.password_hash = Set(hash);
    change.password_changed_at = Set(Some(ctx.now()));
    change.update(tx.conn()).await.map_err(db)
}
