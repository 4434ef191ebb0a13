//! Signing in: a password, then a second factor where there is one; and showing again who one is.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::{Error, Principal, Result, Secret};
use cb_fabric::Key;
use cb_store::db;
use cb_store::entities::user;
use cb_store::sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::guesses::Guess;
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
    /// The token from the answer to the password.
    #[schema(value_type = String)]
    pub mfa_token: Secret,
    /// Six digits or a recovery code; leave it out if you use a passkey.
    #[schema(value_type = Option<String>)]
    pub code: Option<Secret>,
    /// The token from `POST /auth/mfa/passkey`.
    #[schema(value_type = Option<String>)]
    pub passkey_token: Option<Secret>,
    #[schema(value_type = Option<std::collections::HashMap<String, Value>>)]
    pub credential: Option<Value>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProofIn {
    /// Enough for a user without a second factor.
    #[schema(value_type = Option<String>)]
    pub password: Option<Secret>,
    /// Six digits or a recovery code; sent together with the password.
    #[schema(value_type = Option<String>)]
    pub code: Option<Secret>,
    /// The token from `POST /auth/proof/passkey`.
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
            "Send credential and passkey_token together.",
        );
        wrong.require(
            password.as_ref().is_none_or(|p| p.expose().chars().count() <= PASSWORD_MOST),
            "password",
            "Use at most 1,024 characters.",
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
            _ => Err(Error::invalid("code", "Send exactly one of a password, a code and a passkey.")),
        }
    }
}

/// What an attempt to sign in counts against. A browser in which the account's holder has signed in has a count of its own. An
/// attempt from any other browser counts against its address, and against the account together with those of all strangers.
enum Counts {
    Own(String),
    Shared {
        near: String,
        place: String,
        account: String,
    },
    /// Nobody knows which account is meant.
    Place(String),
}

impl Counts {
    fn of(app: &App, what: &str, account: &str, meta: &RequestMeta) -> Self {
        let place = place(meta.ip);
        if account.is_empty() {
            return Self::Place(format!("{what}/{place}"));
        }
        match meta.devices.known(app, account) {
            Some(device) => Self::Own(format!("{what}-device/{device}")),
            None => Self::Shared {
                near: format!("{what}/{place}/{account}"),
                place: format!("{what}/{place}"),
                account: format!("{what}-account/{account}"),
            },
        }
    }

    async fn attempt<T>(&self, app: &App, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self {
            Self::Own(key) | Self::Place(key) => app.throttle().attempt([key], Box::pin(work)).await,
            Self::Shared { near, place, account } => {
                let keys = [near.into(), place.into(), Key::together(account)];
                app.throttle().attempt(keys, work).await
            }
        }
    }

    /// The attempt was right, and nothing more is asked for.
    async fn admitted(&self, app: &App) {
        match self {
            Self::Own(key) => app.throttle().forgive(key).await,
            Self::Place(key) => app.throttle().spare(key).await,
            Self::Shared { near, place, account } => {
                app.throttle().forgive(near).await;
                // One's own account gives no free guesses at others', nor do strangers get new ones at it.
                app.throttle().spare(place).await;
                app.throttle().spare(account).await;
            }
        }
    }

    /// The password was right and a second factor is still to come, so nothing is proved yet.
    async fn spared(&self, app: &App) {
        match self {
            Self::Own(key) | Self::Place(key) => app.throttle().spare(key).await,
            Self::Shared { near, place, account } => {
                for key in [near, place, account] {
                    app.throttle().spare(key).await;
                }
            }
        }
    }
}

/// 401 with the same words and at the same cost, whatever was wrong; 429 when there were too many tries.
pub async fn login(app: &App, meta: RequestMeta, input: LoginIn) -> Result<Admission> {
    let key = input.username.trim().to_lowercase();
    let counts = Counts::of(app, "login", &key, &meta);
    let admission = counts.attempt(app, Box::pin(by_password(app, meta, input, &key))).await?;
    match &admission {
        Admission::Session(_) => counts.admitted(app).await,
        Admission::SecondFactor(_) => counts.spared(app).await,
    }
    Ok(admission)
}

async fn by_password(app: &App, meta: RequestMeta, input: LoginIn, key: &str) -> Result<Admission> {
    let named =
        key.chars().count() <= USERNAME_MOST && input.password.expose().chars().count() <= PASSWORD_MOST;
    let found = if named {
        user::Entity::find()
            .filter(user::Column::UsernameKey.eq(key))
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
    let user = match found {
        Some(user) if right && user.disabled_at.is_none() => user,
        other => {
            app.guessed(&meta, wrong_guess(app, other.as_ref(), key)).await;
            return Err(wrong_login());
        }
    };
    let device = meta.devices.known(app, &user.username_key);
    let ctx = app.ctx(Principal::SignIn { username: user.username.clone() }, meta);
    ctx.record(Action::Login, async |tx| {
        let proof = Proof::Password { device };
        sessions::admit(&ctx, tx, user.id, user.auth_epoch, proof).await
    })
    .await
}

/// The name is kept only if a user has it: people type their password into the wrong field. Otherwise an alias shows repetitions.
fn wrong_guess(app: &App, user: Option<&user::Model>, typed: &str) -> Guess {
    let alias = app.signer().alias(typed);
    let (name, detail) = if let Some(user) = user {
        (user.username.clone(), json!({ "username": user.username }))
    } else {
        ("unknown name".to_owned(), json!({ "name_alias": alias, "name_length": typed.chars().count() }))
    };
    Guess {
        action: Action::LoginFailed,
        actor: Principal::SignIn { username: name },
        user: user.map(|u| u.id),
        account: alias,
        detail,
    }
}

/// The second factor after a password. A step takes five wrong answers, then the password is asked for again.
pub async fn second_factor(app: &App, meta: RequestMeta, site: &Site, input: MfaIn) -> Result<Opened> {
    let now = app.now();
    let mut wrong = Violations::new();
    factors::bounded(&mut wrong, "mfa_token", &input.mfa_token);
    wrong.into_result()?;
    let shown = Shown::one_of(None, input.code, input.passkey_token, input.credential)?;
    // A step belongs to somebody who knows the password. What is no step counts for its place alone.
    let begun = steps::find(now, app.store().reader(), Purpose::Mfa, &input.mfa_token).await?;
    let known = begun.is_some();
    let owner = match begun.and_then(|step| step.user_id) {
        Some(id) => user::Entity::find_by_id(id).one(app.store().reader()).await.map_err(db)?,
        None => None,
    };
    let account = owner.map(|owner| owner.username_key).unwrap_or_default();
    let counts = Counts::of(app, "mfa", &account, &meta);
    let work = async {
        let gone = || {
            Error::Unauthenticated(
                "The code is wrong, or the sign-in took too long. Sign in again.".to_owned(),
            )
        };

        let actor = Principal::SignIn { username: "second factor".to_owned() };
        if !known {
            let mut guess = Guess::at_nobody(Action::LoginFailed, actor);
            guess.detail = json!({ "second_factor": true });
            app.guessed(&meta, guess).await;
            return Err(gone());
        }
        let ctx = app.ctx(actor, meta.clone());
        let opened = ctx
            .record(Action::Login, async |tx| {
                let refused = || Ok(None);
                tx.action(Action::LoginFailed);
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
                tx.action(Action::Login);
                tx.detail(json!({ "username": user.username, "second_factor": true }));
                steps::finish(tx, step).await?;
                sessions::admit(&ctx, tx, id, epoch, Proof::SecondFactor).await?.session().map(Some)
            })
            .await?;
        opened.ok_or_else(gone)
    };
    let opened = counts.attempt(app, Box::pin(work)).await?;
    counts.admitted(app).await;
    Ok(opened)
}

/// Shows again who the session's holder is, for what needs a proof of the last ten minutes. The session goes on under a new id.
///
/// Whoever has a second factor shows a passkey, or their password and a code.
pub async fn prove(ctx: &Ctx, site: &Site, input: ProofIn) -> Result<Opened> {
    let Principal::User { id, session, .. } = ctx.principal() else { return Err(Error::NotFound) };
    let id = *id;
    let (code, with_code) = (input.code, input.password.is_some());
    let only_code = code.clone().filter(|_| !with_code);
    let shown = Shown::one_of(input.password, only_code, input.passkey_token, input.credential)?;
    let code = code.filter(|_| with_code);
    let mut wrong = Violations::new();
    if let Some(code) = &code {
        factors::bounded(&mut wrong, "code", code);
    }
    let user = own(ctx.store().reader(), ctx).await?;
    let has_second = !factors::methods(&user).is_empty();
    match &shown {
        Shown::Password(_) => {
            let fits = code.is_some() || !has_second;
            wrong.require(fits, "code", "Enter the code too, because you have a second factor.");
        }
        Shown::Code(_) => wrong.add("password", "Enter the password too."),
        Shown::Passkey(_) => {}
    }
    wrong.into_result()?;
    // By session: whoever has stolen one does not keep the owner out in theirs.
    let key = format!("proof/{session}");
    let work = async {
        let known = match &shown {
            Shown::Password(password) => {
                let hash = Some(user.password_hash.clone()).filter(|h| !h.is_empty());
                cb_vault::password::verify(password.clone(), hash).await?
            }
            Shown::Code(_) | Shown::Passkey(_) => false,
        };
        let proved = ctx
            .record(Action::IdentityProved, async |tx| {
                tx.about("user", id);
                let user = own(tx.conn(), ctx).await?;
                let right = match &shown {
                    Shown::Password(_) => {
                        // A factor that was added meanwhile is asked for too. A code is used up only beside the right password.
                        let second = match &code {
                            Some(code) if known && has_second => factors::check(ctx, tx, &user, code).await?,
                            _ => factors::methods(&user).is_empty(),
                        };
                        known && second
                    }
                    Shown::Code(_) => false,
                    Shown::Passkey(given) => {
                        passkeys::check(ctx, tx, site, Kind::PasskeyProof, given, Some(id.0)).await?.is_some()
                    }
                };
                if !right {
                    tx.action(Action::IdentityProofFailed);
                    return Ok(None);
                }
                sessions::prove(ctx, tx, &user).await.map(Some)
            })
            .await?;
        proved.ok_or_else(|| Error::Denied("The code or the passkey is wrong. Try again.".to_owned()))
    };
    let opened = ctx.app().throttle().attempt([&key], Box::pin(work)).await?;
    ctx.app().throttle().forgive(&key).await;
    Ok(opened)
}
