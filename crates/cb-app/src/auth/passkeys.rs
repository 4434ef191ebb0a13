//! Passkeys (WebAuthn Level 3): instead of a password, after one, and to show again who one is. Each verifies its holder
//! itself, so one passkey is as good as a password with a second factor.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::PasskeyId;
use cb_core::{Error, Principal, Result, Secret, objects};
use cb_store::entities::{passkey, user};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    QueryFilter as _, QueryOrder as _,
};
use cb_store::{WriteTx, conflict, db};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;
use webauthn_rs::prelude::{
    CredentialID, DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, RequestChallengeResponse,
};

use super::guesses::Guess;
use super::sessions::{self, Kept, Opened, Proof, SessionOut};
use super::site::Site;
use super::steps::{self, Purpose};
use super::tickets::{self, Kind, Ticket};
use super::{Without, active, factors, own, place, stays_reachable};
use crate::app::App;
use crate::ctx::{Ctx, RequestMeta};
use crate::input;

/// Passkeys that one user can have.
const PASSKEYS_MOST: i32 = 20;
pub(crate) const NAME_MOST: usize = 64;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Passkey)]
pub struct PasskeyOut {
    pub id: PasskeyId,
    #[schema(example = "Laptop")]
    pub name: String,
    /// The server name under which the passkey was created and works.
    pub rp_id: String,
    pub created_at: DateTime<Utc>,
    #[schema(required)]
    pub last_used_at: Option<DateTime<Utc>>,
}

/// The options with which the browser creates a new passkey.
#[derive(Serialize, ToSchema)]
pub struct PasskeyRegistrationOut {
    /// Send it back with the credential within ten minutes.
    pub registration_token: String,
    /// WebAuthn's `CredentialCreationOptions`, as JSON.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    pub options: Value,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyIn {
    #[schema(value_type = String)]
    pub registration_token: Secret,
    pub name: String,
    /// WebAuthn's `RegistrationResponseJSON`.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    pub credential: Value,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyPatch {
    pub name: String,
}

/// The passkey, recovery codes if the user had none, and the session with its new ID.
#[derive(Serialize, ToSchema)]
pub struct PasskeyAdded {
    pub passkey: PasskeyOut,
    /// Shown only once; empty if the user already has recovery codes.
    pub recovery_codes: Vec<String>,
    #[serde(flatten)]
    pub session: SessionOut,
}

/// The options with which the browser asks for a passkey.
#[derive(Serialize, ToSchema)]
pub struct PasskeyChallenge {
    /// Send it back with the credential within ten minutes.
    pub passkey_token: String,
    /// WebAuthn's `CredentialRequestOptions`, as JSON.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    pub options: Value,
}

/// The answer of a passkey.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasskeyLoginIn {
    #[schema(value_type = String)]
    pub passkey_token: Secret,
    /// WebAuthn's `AuthenticationResponseJSON`.
    #[schema(value_type = std::collections::HashMap<String, Value>)]
    pub credential: Value,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MfaPasskeyIn {
    #[schema(value_type = String)]
    pub mfa_token: Secret,
}

impl From<passkey::Model> for PasskeyOut {
    fn from(row: passkey::Model) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            rp_id: row.rp_id,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Begun {
    user: Uuid,
    epoch: i64,
    state: PasskeyRegistration,
}

/// A challenge, for one user or for whoever has the passkey.
#[derive(Serialize, Deserialize)]
struct Asked {
    user: Option<Uuid>,
    state: DiscoverableAuthentication,
}

/// The caller's passkeys, oldest first.
pub async fn list(ctx: &Ctx) -> Result<Vec<PasskeyOut>> {
    let Principal::User { id, .. } = ctx.principal() else { return Err(Error::NotFound) };
    Ok(of(ctx.store().reader(), id.0).await?.into_iter().map(Into::into).collect())
}

/// What a new passkey is asked for with. Nothing changes until [`register`].
pub async fn begin(ctx: &Ctx, site: &Site) -> Result<PasskeyRegistrationOut> {
    ctx.require_proof()?;
    let conn = ctx.store().reader();
    let user = own(conn, ctx).await?;
    bounded(&user)?;
    let known: Vec<CredentialID> = of(conn, user.id)
        .await?
        .iter()
        .filter(|row| site.rp_id().is_ok_and(|rp| rp == row.rp_id))
        .map(|row| read(row).map(|key| key.cred_id().clone()))
        .collect::<Result<_>>()?;
    let (options, state) = site
        .webauthn()?
        .start_passkey_registration(user.id, &user.username, &user.username, Some(known))
        .map_err(Error::internal)?;
    let mut options = serde_json::to_value(options).map_err(Error::internal)?;
    // Kept in the authenticator, so that it can be found without a username.
    options["publicKey"]["authenticatorSelection"]["residentKey"] = json!("required");
    options["publicKey"]["authenticatorSelection"]["requireResidentKey"] = json!(true);
    let begun = Begun { user: user.id, epoch: user.auth_epoch, state };
    let token = tickets::issue(ctx.app(), Kind::NewPasskey, begun)?;
    Ok(PasskeyRegistrationOut { registration_token: token.expose().to_owned(), options })
}

/// Keeps a new passkey. Every other session ends; this one goes on under a new id.
pub async fn register(ctx: &Ctx, site: &Site, given: PasskeyIn) -> Result<(PasskeyOut, Vec<String>, Opened)> {
    ctx.require_proof()?;
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "name", &given.name, NAME_MOST);
    let credential: Option<RegisterPublicKeyCredential> = objects::from_value(given.credential).ok();
    wrong.require(credential.is_some(), "credential", "This is not the response of a passkey.");
    let framed = credential.as_ref().is_some_and(|c| !is_from_own_page(c.response.client_data_json.as_ref()));
    wrong.require(!framed, "credential", "The passkey was created in a frame of another site.");
    wrong.into_result()?;
    let (Some(name), Some(credential)) = (name, credential) else { return Err(Error::NotFound) };
    let too_late = || Error::Conflict("This took too long or was already done. Start again.".to_owned());
    let ticket: Ticket<Begun> =
        tickets::open(ctx.app(), Kind::NewPasskey, &given.registration_token).await.ok_or_else(too_late)?;
    let key =
        site.webauthn()?.finish_passkey_registration(&credential, &ticket.payload.state).map_err(|e| {
            Error::invalid("credential", format!("The server does not accept this passkey: {e}."))
        })?;
    // WebAuthn Level 3, 4: a credential's id has at most 1023 bytes.
    if key.cred_id().len() > 1023 {
        return Err(Error::invalid("credential", "The ID of this passkey is longer than 1,023 bytes."));
    }
    ctx.record(Action::PasskeyAdded, async |tx| {
        let user = own(tx.conn(), ctx).await?;
        let Begun { user: asked, epoch, .. } = ticket.payload;
        if user.id != asked || user.auth_epoch != epoch || !tickets::spend(tx, &ticket).await? {
            return Err(too_late());
        }
        bounded(&user)?;
        tx.about("user", user.id);
        tx.detail(json!({ "passkey": name }));
        let row = passkey::Model {
            id: ctx.new_id(),
            user_id: user.id,
            name,
            rp_id: site.rp_id()?.to_owned(),
            credential_id: spelled(key.cred_id()),
            credential: serde_json::to_value(&key).map_err(Error::internal)?,
            created_at: ctx.now(),
            last_used_at: None,
        };
        passkey::Entity::insert(active(row.clone()))
            .exec(tx.conn())
            .await
            .map_err(|e| conflict(&e, "This passkey is already registered."))?;
        let user = count(tx, user, 1).await?;
        let codes = factors::ensure_recovery_codes(ctx, tx, user.id).await?;
        let opened = sessions::revoke(ctx, tx, user, Kept::Current).await?.ok_or_else(factors::no_session)?;
        Ok((row.into(), codes, opened))
    })
    .await
}

pub async fn rename(ctx: &Ctx, id: PasskeyId, patch: PasskeyPatch) -> Result<PasskeyOut> {
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "name", &patch.name, NAME_MOST);
    wrong.into_result()?;
    let name = name.ok_or(Error::NotFound)?;
    ctx.record(Action::PasskeyRenamed, async |tx| {
        let row = find(tx.conn(), ctx, id).await?;
        tx.about("passkey", row.id);
        tx.detail(json!({ "name": { "from": row.name, "to": name } }));
        let mut change: passkey::ActiveModel = row.into();
        change.name = Set(name);
        Ok(change.update(tx.conn()).await.map_err(db)?.into())
    })
    .await
}

/// Every other session ends; this one goes on under a new id.
pub async fn remove(ctx: &Ctx, id: PasskeyId) -> Result<Opened> {
    ctx.require_proof()?;
    ctx.record(Action::PasskeyRemoved, async |tx| {
        let row = find(tx.conn(), ctx, id).await?;
        let user = own(tx.conn(), ctx).await?;
        stays_reachable(tx.conn(), &user, Without::Passkey).await?;
        tx.about("user", user.id);
        tx.detail(json!({ "passkey": row.name }));
        row.delete(tx.conn()).await.map_err(db)?;
        let user = count(tx, user, -1).await?;
        factors::forget_idle_codes(tx, &user).await?;
        sessions::revoke(ctx, tx, user, Kept::Current).await?.ok_or_else(factors::no_session)
    })
    .await
}

/// Asks for any passkey of this server's, to sign in with.
pub fn challenge(app: &App, site: &Site) -> Result<PasskeyChallenge> {
    ask(app, site, Kind::PasskeyLogin, None, &[])
}

/// Signs in by a passkey alone. 401 with the same words, whatever was wrong.
pub async fn login(app: &App, meta: RequestMeta, site: &Site, input: PasskeyLoginIn) -> Result<Opened> {
    let address = format!("passkey/{}", place(meta.ip));
    let work = async {
        let actor = Principal::SignIn { username: "passkey".to_owned() };
        let ctx = app.ctx(actor.clone(), meta.clone());
        let refused = || {
            Error::Unauthenticated(
                "This server does not know the passkey, or the sign-in took too long.".to_owned(),
            )
        };
        let opened = ctx
            .record(Action::Login, async |tx| {
                let user =
                    check(&ctx, tx, site, Kind::PasskeyLogin, &input, None).await?.ok_or_else(refused)?;
                if user.disabled_at.is_some() {
                    return Err(refused());
                }
                tx.about("user", user.id);
                tx.detail(json!({ "username": user.username, "passkey": true }));
                let epoch = user.auth_epoch;
                sessions::admit(&ctx, tx, user.id, epoch, Proof::Passkey).await?.session()
            })
            .await;
        if matches!(opened, Err(Error::Unauthenticated(_))) {
            // A challenge can be answered once. A wrong answer spends it too.
            if let Some(ticket) = tickets::open::<Asked>(app, Kind::PasskeyLogin, &input.passkey_token).await
            {
                tickets::void(app, &ticket).await?;
            }
            let mut guess = Guess::at_nobody(Action::LoginFailed, actor);
            guess.detail = json!({ "passkey": true });
            app.guessed(&meta, guess).await;
        }
        opened
    };
    let opened = app.throttle().attempt([&address], Box::pin(work)).await?;
    app.throttle().spare(&address).await;
    Ok(opened)
}

/// Asks for a passkey of the user who has given their password.
pub async fn mfa_challenge(app: &App, site: &Site, input: MfaPasskeyIn) -> Result<PasskeyChallenge> {
    let mut wrong = Violations::new();
    factors::bounded(&mut wrong, "mfa_token", &input.mfa_token);
    wrong.into_result()?;
    let conn = app.store().reader();
    let step = steps::find(app.now(), conn, Purpose::Mfa, &input.mfa_token).await?;
    let user = step
        .and_then(|s| s.user_id)
        .ok_or_else(|| Error::Unauthenticated("The sign-in took too long. Sign in again.".to_owned()))?;
    ask(app, site, Kind::PasskeyStep, Some(user), &of(conn, user).await?)
}

/// Asks the session's holder for a passkey.
pub async fn proof_challenge(ctx: &Ctx, site: &Site) -> Result<PasskeyChallenge> {
    let Principal::User { id, .. } = ctx.principal() else { return Err(Error::NotFound) };
    let known = of(ctx.store().reader(), id.0).await?;
    ask(ctx.app(), site, Kind::PasskeyProof, Some(id.0), &known)
}

fn ask(
    app: &App,
    site: &Site,
    kind: Kind,
    user: Option<Uuid>,
    known: &[passkey::Model],
) -> Result<PasskeyChallenge> {
    let (RequestChallengeResponse { mut public_key, .. }, state) =
        site.webauthn()?.start_discoverable_authentication().map_err(Error::internal)?;
    let rp = site.rp_id()?;
    public_key.allow_credentials.clear();
    let mut options = serde_json::to_value(public_key).map_err(Error::internal)?;
    options["allowCredentials"] = known
        .iter()
        .filter(|row| row.rp_id == rp)
        .map(|row| json!({ "type": "public-key", "id": row.credential_id }))
        .collect();
    if user.is_some() && options["allowCredentials"].as_array().is_none_or(Vec::is_empty) {
        return Err(Error::Conflict(
            "There is no passkey for this name of the server. Sign in another way, or open the server with the name under which the passkey was created."
                .to_owned(),
        ));
    }
    let token = tickets::issue(app, kind, Asked { user, state })?;
    Ok(PasskeyChallenge {
        passkey_token: token.expose().to_owned(),
        options: json!({ "publicKey": options }),
    })
}

/// Whose passkey this is, if it is one that answers our challenge; `expected` when it must be a certain user's.
pub(crate) async fn check(
    ctx: &Ctx,
    tx: &WriteTx,
    site: &Site,
    kind: Kind,
    given: &PasskeyLoginIn,
    expected: Option<Uuid>,
) -> Result<Option<user::Model>> {
    let Some(ticket) = tickets::open::<Asked>(ctx.app(), kind, &given.passkey_token).await else {
        return Ok(None);
    };
    let Ok(answer) = objects::from_value::<PublicKeyCredential>(given.credential.clone()) else {
        return Ok(None);
    };
    if !is_from_own_page(answer.response.client_data_json.as_ref()) {
        return Ok(None);
    }
    if ticket.payload.user != expected || !tickets::spend(tx, &ticket).await? {
        return Ok(None);
    }
    let webauthn = site.webauthn()?;
    let row = passkey::Entity::find()
        .filter(passkey::Column::CredentialId.eq(spelled(answer.get_credential_id())))
        .one(tx.conn())
        .await
        .map_err(db)?;
    let Some(row) = row else { return Ok(None) };
    // Without a username before it, the passkey itself says whose it is (WebAuthn Level 3, 7.2, step 6).
    let said = webauthn.identify_discoverable_authentication(&answer).map(|(user, _)| user).ok();
    let whose = match expected {
        Some(user) => row.user_id == user && said.is_none_or(|said| said == user),
        None => said == Some(row.user_id),
    };
    if !whose {
        return Ok(None);
    }
    let mut key = read(&row)?;
    let verdict = webauthn.finish_discoverable_authentication_v2(&answer, ticket.payload.state, &key);
    let Ok(verdict) = verdict else { return Ok(None) };
    key.update_credential(&verdict);
    let user = row.user_id;
    let mut change: passkey::ActiveModel = row.into();
    change.credential = Set(serde_json::to_value(&key).map_err(Error::internal)?);
    change.last_used_at = Set(Some(ctx.now()));
    change.update(tx.conn()).await.map_err(db)?;
    user::Entity::find_by_id(user).one(tx.conn()).await.map_err(db)
}

/// Whether the browser asked for the passkey in a page of this server's own, and not in another site's frame (WebAuthn Level 3, 7.2,
/// steps 14 and 15). The library looks at this only when a passkey is made, and only at one of the two.
fn is_from_own_page(client_data: &[u8]) -> bool {
    let Ok(said) = serde_json::from_slice::<serde_json::Map<String, Value>>(client_data) else {
        return false;
    };
    let own_frame = said.get("crossOrigin").is_none_or(|framed| *framed == Value::Bool(false));
    own_frame && !said.contains_key("topOrigin")
}

/// Removes every passkey of a user; the caller writes the count.
pub(crate) async fn clear(tx: &WriteTx, user: Uuid) -> Result<()> {
    passkey::Entity::delete_many()
        .filter(passkey::Column::UserId.eq(user))
        .exec(tx.conn())
        .await
        .map_err(db)?;
    Ok(())
}

async fn of(conn: &impl ConnectionTrait, user: Uuid) -> Result<Vec<passkey::Model>> {
    passkey::Entity::find()
        .filter(passkey::Column::UserId.eq(user))
        .order_by_asc(passkey::Column::CreatedAt)
        .all(conn)
        .await
        .map_err(db)
}

/// One of the caller's own; somebody else's is not found.
async fn find(conn: &impl ConnectionTrait, ctx: &Ctx, id: PasskeyId) -> Result<passkey::Model> {
    let Principal::User { id: owner, .. } = ctx.principal() else { return Err(Error::NotFound) };
    let row = passkey::Entity::find_by_id(id.0).one(conn).await.map_err(db)?;
    row.filter(|r| r.user_id == owner.0).ok_or(Error::NotFound)
}

async fn count(tx: &WriteTx, user: user::Model, by: i32) -> Result<user::Model> {
    let passkeys = (user.passkeys + by).max(0);
    let mut change: user::ActiveModel = user.into();
    change.passkeys = Set(passkeys);
    change.update(tx.conn()).await.map_err(db)
}

fn bounded(user: &user::Model) -> Result<()> {
    if user.passkeys < PASSKEYS_MOST {
        return Ok(());
    }
    Err(Error::Conflict(format!(
        "You already have {PASSKEYS_MOST} passkeys, which is the limit. Remove one first."
    )))
}

fn read(row: &passkey::Model) -> Result<Passkey> {
    serde_json::from_value(row.credential.clone()).map_err(Error::internal)
}

/// A credential's id as the browser spells it.
fn spelled(id: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(id)
}
