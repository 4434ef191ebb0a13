//! Signing in: a password, then a second factor where there is one; and showing again who one is.

use cb_core::error::Violations;
use cb_core::{Error, Principal, Result, Secret};
use cb_store::db;
use cb_store::entities::{session, user};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::passkeys::{self, PasskeyLoginIn};
use super::rules::{PASSWORD_MOST, USERNAME_MOST};
use super::sessions::{self, Admission, Opened, Proof};
use super::site::Site;
use super::steps::{self, Purpose};
use super::tickets::Kind;
use super::{factors, own, place, wrong_login};
use crate::app::App;
use crate::ctx::{Ctx, RequestMeta};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginIn {
    #[schema(example = "ada")]
    pub username: String,
    #[schema(value_type = String)]
    pub password: Secret,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MfaIn {
    /// What the password's answer gave.
    #[schema(value_type = String)]
    pub mfa_token: Secret,
    /// Six digits, or a recovery code; or else a passkey.
    #[schema(value_type = Option<String>)]
    pub code: Option<Secret>,
    /// What `POST /auth/mfa/passkey` gave.
    #[schema(value_type = Option<String>)]
    pub passkey_token: Option<Secret>,
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>)]
    pub credential: Option<Value>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofIn {
    #[schema(value_type = Option<String>)]
    pub password: Option<Secret>,
    /// Six digits, or a recovery code.
    #[schema(value_type = Option<String>)]
    pub code: Option<Secret>,
    /// What `POST /auth/proof/passkey` gave.
    #[schema(value_type = Option<String>)]
    pub passkey_token: Option<Secret>,
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>)]
    pub credential: Option<Value>,
}

/// What somebody shows to prove who they are: one thing, not two.
enum Shown {
    Password(Secret),
    Code(Secret),
    Passkey(PasskeyLoginIn),
}

impl Shown {
    fn one_of(
        password: Option<Secret>,
        code: Option<Secret>,
        passkey_token: Option<Secret>,
        credential: Option<Value>,
    ) -> Result<Self> {
        let mut wrong = Violations::new();
        wrong.require(
            passkey_token.is_some() == credential.is_some(),
            "credential",
            "and passkey_token go together",
        );
        wrong.require(
            password.as_ref().is_none_or(|p| p.expose().len() <= PASSWORD_MOST),
            "password",
            "is too long",
        );
        if let Some(code) = &code {
            factors::bounded(&mut wrong, "code", code);
        }
        wrong.into_result()?;
        match (password, code, passkey_token.zip(credential)) {
            (Some(password), None, None) => Ok(Shown::Password(password)),
            (None, Some(code), None) => Ok(Shown::Code(code)),
            (None, None, Some((passkey_token, credential))) => {
                Ok(Shown::Passkey(PasskeyLoginIn { passkey_token, credential }))
            }
            _ => Err(Error::invalid("code", "or another proof must be given, exactly one")),
        }
    }
}

/// 401 with the same words and at the same cost, whatever was wrong; 429 when there were too many tries.
pub async fn login(app: &App, meta: RequestMeta, input: LoginIn) -> Result<Admission> {
    let key = input.username.trim().to_lowercase();
    let place = place(meta.ip);
    let (account, address) = (format!("login/{place}/{key}"), format!("login/{place}"));
    let keys = [account.as_str(), address.as_str()];
    app.throttle().enter(&keys)?;

    let named = key.chars().count() <= USERNAME_MOST && input.password.expose().len() <= PASSWORD_MOST;
    let found = if named {
        user::Entity::find()
            .filter(user::Column::UsernameKey.eq(key.as_str()))
            .one(app.store().reader())
            .await
            .map_err(db)?
    } else {
        None
    };
    // A user without a password (one who signs in elsewhere) costs what an unknown one does.
    let hash = found.as_ref().map(|u| u.password_hash.clone()).filter(|h| !h.is_empty());
    let password = if named { input.password } else { Secret::new("too long".to_owned()) };
    let right = cb_vault::password::verify(password, hash).await?;
    let Some(user) = found.filter(|u| right && u.disabled_at.is_none()) else {
        let name: String = key.chars().filter(|c| !c.is_control()).take(USERNAME_MOST).collect();
        let ctx = app.ctx(Principal::SignIn { username: name.clone() }, meta.clone());
        ctx.record("login_failed", async |tx| {
            tx.detail(json!({ "username": name, "address": meta.ip }));
            Ok(())
        })
        .await?;
        return Err(wrong_login());
    };
    let ctx = app.ctx(Principal::SignIn { username: user.username.clone() }, meta);
    let admission = ctx
        .record("login", async |tx| {
            sessions::admit(&ctx, tx, user.id, user.auth_epoch, Proof::Password).await
        })
        .await?;
    app.throttle().forgive(&account);
    // With a second factor to come nothing is proved yet; and one's own account gives no free guesses at others'.
    app.throttle().spare(&address);
    Ok(admission)
}

/// The second factor after a password. A step takes five wrong answers, then the password is asked for again.
pub async fn second_factor(app: &App, meta: RequestMeta, site: &Site, input: MfaIn) -> Result<Opened> {
    let now = app.now();
    let mut wrong = Violations::new();
    factors::bounded(&mut wrong, "mfa_token", &input.mfa_token);
    wrong.into_result()?;
    let shown = Shown::one_of(None, input.code, input.passkey_token, input.credential)?;
    let address = format!("mfa/{}", place(meta.ip));
    app.throttle().enter(&[&address])?;
    let gone = || Error::Unauthenticated("the code is wrong, or it took too long; sign in again".to_owned());

    let ctx = app.ctx(Principal::SignIn { username: "second factor".to_owned() }, meta.clone());
    let opened = ctx
        .record("login", async |tx| {
            let refused = || Ok(None);
            tx.action("login_failed");
            tx.detail(json!({ "second_factor": true, "address": meta.ip }));
            let Some(step) = steps::find(now, tx.conn(), Purpose::Mfa, &input.mfa_token).await? else {
                return refused();
            };
            let Some((id, epoch)) = step.user_id.zip(step.auth_epoch) else { return refused() };
            let user = user::Entity::find_by_id(id).one(tx.conn()).await.map_err(db)?;
            let Some(user) = user.filter(|u| u.auth_epoch == epoch && u.disabled_at.is_none()) else {
                return refused();
            };
            tx.about("user", user.id);
            let per_user = format!("mfa-user/{}", user.id);
            app.throttle().enter(&[&per_user])?;
            let right = match &shown {
                Shown::Password(_) => false,
                Shown::Code(code) => factors::check(&ctx, tx, &user, code).await?,
                Shown::Passkey(given) => {
                    let kind = Kind::PasskeyStep;
                    passkeys::check(&ctx, tx, site, kind, given, Some(user.id)).await?.is_some()
                }
            };
            if !right {
                steps::fail(tx, step).await?;
                return refused();
            }
            app.throttle().forgive(&per_user);
            tx.action("login");
            tx.detail(json!({ "username": user.username, "second_factor": true }));
            steps::finish(tx, step).await?;
            sessions::admit(&ctx, tx, id, epoch, Proof::SecondFactor).await?.session().map(Some)
        })
        .await?;
    let opened = opened.ok_or_else(gone)?;
    app.throttle().spare(&address);
    Ok(opened)
}

/// Shows again who the session's holder is, for what needs a proof of the last ten minutes.
pub async fn prove(ctx: &Ctx, site: &Site, input: ProofIn) -> Result<()> {
    let Principal::User { id, session, .. } = ctx.principal() else { return Err(Error::NotFound) };
    let (id, session) = (*id, *session);
    let now = ctx.now();
    let shown = Shown::one_of(input.password, input.code, input.passkey_token, input.credential)?;
    let key = format!("proof/{id}");
    ctx.app().throttle().enter(&[&key])?;
    let user = own(ctx.store().reader(), ctx).await?;
    let known = match &shown {
        Shown::Password(password) => {
            let hash = Some(user.password_hash.clone()).filter(|h| !h.is_empty());
            cb_vault::password::verify(password.clone(), hash).await?
        }
        Shown::Code(_) | Shown::Passkey(_) => false,
    };
    let proved = ctx
        .record("identity_proved", async |tx| {
            tx.about("user", id);
            let right = match &shown {
                Shown::Password(_) => known,
                Shown::Code(code) => {
                    let user = own(tx.conn(), ctx).await?;
                    factors::check(ctx, tx, &user, code).await?
                }
                Shown::Passkey(given) => {
                    passkeys::check(ctx, tx, site, Kind::PasskeyProof, given, Some(id.0)).await?.is_some()
                }
            };
            if !right {
                tx.action("identity_proof_failed");
                return Ok(false);
            }
            let mut change =
                session::ActiveModel { id: Set(session.0), ..cb_store::sea_orm::ActiveModelTrait::default() };
            change.proved_at = Set(Some(now));
            change.update(tx.conn()).await.map_err(db)?;
            Ok(true)
        })
        .await?;
    if !proved {
        return Err(Error::Denied("this is not right; try again".to_owned()));
    }
    ctx.app().throttle().forgive(&key);
    Ok(())
}
