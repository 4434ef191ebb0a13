//! Sessions: where they come from, whom they stand for, and how they end.

use cb_core::audit::Action;
use std::time::Duration;

use cb_core::clock::Time;
use cb_core::ids::{SessionId, UserId};
use cb_core::{Error, Event, Permission, Principal, Result, Role, Secret};
use cb_store::entities::{auth_step, session, token as token_row, user};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    QueryFilter as _, QueryOrder as _,
};
use cb_store::{WriteTx, db};
use cb_vault::token;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::device::{self, DeviceCookie};
use super::factors::{self, Method};
use super::steps::{self, Purpose};
use super::{UserOut, active, own, wrong_login};
use crate::app::{App, Authenticated};
use crate::ctx::Ctx;
use crate::replay;

/// A session ends so long after its last request …
pub const IDLE: TimeDelta = TimeDelta::hours(24);
/// … and so long after it began.
pub const ABSOLUTE: TimeDelta = TimeDelta::days(30);
/// `last_seen_at` is written at most so often.
pub(crate) const TOUCH: TimeDelta = TimeDelta::minutes(1);
/// Sessions that one user can have; the oldest ends when there is one more.
const SESSIONS_MOST: usize = 100;

/// The answer of sign-in and setup.
#[derive(Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionOut {
    pub user: UserOut,
    /// Send it in the header `X-CSRF-Token` of every write.
    pub csrf_token: String,
}

/// The password is correct, but a second factor is required.
#[derive(Serialize, ToSchema)]
pub struct SecondFactorRequired {
    /// Always true; distinguishes this answer from a session.
    pub mfa_required: bool,
    /// The token for `POST /auth/mfa`; valid for five minutes.
    pub mfa_token: String,
    pub methods: Vec<Method>,
}

#[derive(Serialize, ToSchema)]
pub struct Me {
    pub user: UserOut,
    pub csrf_token: String,
    /// What the user's role permits.
    pub permissions: Vec<&'static str>,
    /// How the user can confirm their identity. If the list is empty, they must sign in again.
    pub proofs: Vec<ProofKind>,
    /// When the session ends at the latest.
    pub session_expires_at: DateTime<Utc>,
}

/// What `POST /auth/proof` accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProofKind {
    /// Enough only for a user without a second factor.
    Password,
    /// The password together with a one-time code or a recovery code.
    PasswordAndCode,
    Passkey,
}

/// One of the user's own sessions.
#[derive(Debug, Serialize, ToSchema)]
pub struct OpenSession {
    pub id: SessionId,
    /// Whether this is the session of the request.
    pub current: bool,
    pub ip: String,
    pub user_agent: String,
    pub created_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// A session that was just opened: the answer, and what goes into the cookie.
pub struct Opened {
    pub out: SessionOut,
    pub cookie: Secret,
    pub max_age: Duration,
    /// At a sign-in: the browser is known from now on.
    pub device: Option<DeviceCookie>,
}

/// What a proof of identity leads to.
pub enum Admission {
    Session(Opened),
    SecondFactor(SecondFactorRequired),
}

/// Says which of the two it is; what it holds is secret.
impl std::fmt::Debug for Admission {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Admission::Session(_) => "Session(…)",
            Admission::SecondFactor(_) => "SecondFactor(…)",
        })
    }
}

impl Admission {
    /// For whom nothing more can be asked.
    pub fn session(self) -> Result<Opened> {
        match self {
            Admission::Session(opened) => Ok(opened),
            Admission::SecondFactor(_) => {
                Err(Error::Internal("a second factor is asked for twice".to_owned()))
            }
        }
    }
}

/// How somebody has just shown who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A password; not enough for a user who has a second factor. In the browser `device`, if it is a known one.
    Password { device: Option<String> },
    /// A provider's word; like a password, not enough for a user who has a second factor here. It proves as much as the provider
    /// says that was shown to it, and when.
    Provider { authenticated_at: Option<Time>, device: Option<String> },
    /// A second factor after one of these.
    SecondFactor,
    /// A passkey, which verifies its holder itself: two factors in one.
    Passkey,
    /// The setup code, an invite: the user has just been made.
    Setup,
}

impl App {
    /// Who the session cookie stands for, if its session is alive.
    pub async fn by_session(&self, cookie: &str) -> Result<Option<Authenticated>> {
        let now = self.now();
        let Some(sid) = self.signer().read_session(cookie, now) else { return Ok(None) };
        let Some((row, owner)) = self.session_row(token::hash(&sid)).await? else { return Ok(None) };
        if !alive(&row, &owner, now) {
            return Ok(None);
        }
        // Also what a clock that was ahead has left in the future.
        if (now - row.last_seen_at).abs() >= TOUCH {
            self.recent_sessions().forget(&row.token_hash);
            self.store().touch_session(row.id, now).await;
        }
        let principal = Principal::User {
            id: owner.id.into(),
            role: role(&owner)?,
            username: owner.username,
            session: row.id.into(),
            proved_at: row.proved_at,
        };
        Ok(Some(Authenticated { principal, expires_at: row.expires_at, sid: Secret::new(sid) }))
    }

    async fn session_row(&self, hash: String) -> Result<Option<(session::Model, user::Model)>> {
        if let Some(known) = self.recent_sessions().find(self.store(), &hash) {
            return Ok(Some(known));
        }
        let moment = self.recent_sessions().moment(self.store());
        let found = session::Entity::find()
            .filter(session::Column::TokenHash.eq(hash.as_str()))
            .find_also_related(user::Entity)
            .one(self.store().reader())
            .await
            .map_err(db)?;
        let Some((row, Some(owner))) = found else { return Ok(None) };
        self.recent_sessions().keep(moment, hash, &row, &owner);
        Ok(Some((row, owner)))
    }

    /// Whether the credential behind a principal still stands; what is no credential of a user always does.
    pub async fn still_alive(&self, principal: &Principal) -> Result<bool> {
        stands(self.store().reader(), principal, self.now()).await
    }

    pub fn csrf_matches(&self, who: &Authenticated, candidate: &[u8]) -> bool {
        self.signer().csrf_matches(who.sid.expose(), candidate)
    }
}

/// The same as `conn` sees it: within a write, under its lock, where nothing can end it any more.
pub(crate) async fn stands(conn: &impl ConnectionTrait, principal: &Principal, now: Time) -> Result<bool> {
    match principal {
        Principal::User { session, role: had, .. } => {
            let found = session::Entity::find_by_id(session.0).find_also_related(user::Entity).one(conn);
            let found = found.await.map_err(db)?;
            Ok(matches!(found, Some((row, Some(owner))) if alive(&row, &owner, now) && role(&owner)? == *had))
        }
        Principal::Token { id, role: had, .. } => {
            let found = token_row::Entity::find_by_id(id.0).find_also_related(user::Entity).one(conn);
            let found = found.await.map_err(db)?;
            let alive = |row, owner| crate::tokens::alive(row, owner, now);
            Ok(matches!(found, Some((row, Some(owner))) if alive(&row, &owner) && role(&owner)? == *had))
        }
        _ => Ok(true),
    }
}

fn alive(row: &session::Model, owner: &user::Model, now: Time) -> bool {
    let life = Life {
        expires_at: row.expires_at,
        last_seen_at: row.last_seen_at,
        current: row.auth_epoch == owner.auth_epoch,
        disabled_at: owner.disabled_at,
    };
    life.until(now).is_some()
}

/// What decides whether a session is alive.
pub(crate) struct Life {
    pub expires_at: Time,
    pub last_seen_at: Time,
    /// It is of its user's current epoch.
    pub current: bool,
    /// Of its user.
    pub disabled_at: Option<Time>,
}

impl Life {
    /// When it ends unless it is used before; none if it has ended.
    pub fn until(&self, now: Time) -> Option<Time> {
        let until = self.expires_at.min(self.last_seen_at + IDLE);
        (until > now && self.current && self.disabled_at.is_none()).then_some(until)
    }
}

pub(crate) fn role(owner: &user::Model) -> Result<Role> {
    role_of(&owner.role)
}

pub(crate) fn role_of(word: &str) -> Result<Role> {
    Role::parse(word).ok_or_else(|| Error::Internal(format!("role {word}")))
}

/// The one place where a session comes from. Reads the user again under the write's lock: a password that was changed or
/// a user who was disabled since `epoch` was read ends this attempt.
pub(crate) async fn admit(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: Uuid,
    epoch: i64,
    proof: Proof,
) -> Result<Admission> {
    let current = user::Entity::find_by_id(user).one(tx.conn()).await.map_err(db)?;
    let current =
        current.filter(|u| u.auth_epoch == epoch && u.disabled_at.is_none()).ok_or_else(wrong_login)?;
    tx.about("user", current.id);
    let methods = factors::methods(&current);
    if let Proof::Password { device } | Proof::Provider { device, .. } = &proof
        && !methods.is_empty()
    {
        // Somebody else who knows the password does not push out the steps that a known browser has begun.
        let begun_in = json!({ "device": device });
        let (_, secret) = steps::begin(ctx, tx, Purpose::Mfa, Some((current.id, epoch)), begun_in).await?;
        tx.action(Action::SecondFactorAsked);
        return Ok(Admission::SecondFactor(SecondFactorRequired {
            mfa_required: true,
            mfa_token: secret.expose().to_owned(),
            methods,
        }));
    }
    let mut seen: user::ActiveModel = current.into();
    seen.last_login_at = Set(Some(ctx.now()));
    let current = seen.update(tx.conn()).await.map_err(db)?;
    let proved_at = match proof {
        Proof::Provider { authenticated_at, .. } => authenticated_at.map(|at| at.min(ctx.now())),
        _ => Some(ctx.now()),
    };
    let mut opened = open(ctx, tx, &current, proved_at, None).await?;
    opened.device = Some(device::cookie(ctx.app(), &current.username_key));
    Ok(Admission::Session(opened))
}

/// The caller's session under a new id, after a fresh proof: a copy of the old cookie is worth nothing afterwards. Its limits stay.
pub(crate) async fn prove(ctx: &Ctx, tx: &mut WriteTx, user: &user::Model) -> Result<Opened> {
    let id = ctx.principal().session().ok_or_else(factors::no_session)?;
    let before = session::Entity::find_by_id(id.0).one(tx.conn()).await.map_err(db)?;
    let before = before.filter(|row| row.user_id == user.id).ok_or_else(factors::no_session)?;
    session::Entity::delete_by_id(before.id).exec(tx.conn()).await.map_err(db)?;
    tx.emit(Event::SessionEnded { id });
    open(ctx, tx, user, Some(ctx.now()), Some(&before)).await
}

/// A new session row under a new id; with the limits of the session that it carries on. Only [`admit`], [`prove`] and [`revoke`] may.
async fn open(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: &user::Model,
    proved_at: Option<Time>,
    carries_on: Option<&session::Model>,
) -> Result<Opened> {
    let app = ctx.app();
    let now = app.now();
    let sid = Secret::new(app.entropy().token());
    let (ip, agent) = ctx.meta().map_or_else(
        || (String::new(), String::new()),
        |m| (m.ip.to_string(), m.user_agent.chars().filter(|c| !c.is_control()).take(300).collect()),
    );
    let row = session::Model {
        id: app.new_id(),
        user_id: user.id,
        token_hash: token::hash(sid.expose()),
        auth_epoch: user.auth_epoch,
        ip,
        user_agent: agent,
        created_at: carries_on.map_or(now, |before| before.created_at),
        last_seen_at: now,
        expires_at: carries_on.map_or(now + ABSOLUTE, |before| before.expires_at),
        proved_at,
    };
    let older = of(tx, user.id).await?;
    for surplus in older.into_iter().skip(SESSIONS_MOST - 1) {
        tx.emit(Event::SessionEnded { id: SessionId(surplus.id) });
        surplus.delete(tx.conn()).await.map_err(db)?;
    }
    let expires = row.expires_at;
    session::Entity::insert(active(row)).exec(tx.conn()).await.map_err(db)?;
    Ok(Opened {
        cookie: Secret::new(app.signer().session(sid.expose(), now, expires)?),
        max_age: (expires - now).to_std().unwrap_or_default(),
        device: None,
        out: SessionOut { user: user.clone().into(), csrf_token: app.signer().csrf(sid.expose()) },
    })
}

/// The user's sessions, the newest first.
async fn of(tx: &WriteTx, user: Uuid) -> Result<Vec<session::Model>> {
    session::Entity::find()
        .filter(session::Column::UserId.eq(user))
        .order_by_desc(session::Column::CreatedAt)
        .all(tx.conn())
        .await
        .map_err(db)
}

/// Whose credentials survive a [`revoke`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kept {
    /// The session that asks, under a new id; API tokens too.
    Current,
    /// The same, and its holder has just shown all that they have.
    Proved,
    /// No session; API tokens stay, cut to the role that their owner now has.
    Tokens,
    /// Nothing.
    Nothing,
}

/// Ends what `user` has open, in the transaction that gives the reason: sessions, half-finished steps and, unless they
/// are kept, API tokens. The epoch makes sure of what is under way.
pub(crate) async fn revoke(
    ctx: &Ctx,
    tx: &mut WriteTx,
    user: user::Model,
    kept: Kept,
) -> Result<Option<Opened>> {
    let (id, epoch) = (user.id, user.auth_epoch + 1);
    let current = match ctx.principal() {
        Principal::User { id: own, session, .. }
            if own.0 == id && matches!(kept, Kept::Current | Kept::Proved) =>
        {
            session::Entity::find_by_id(session.0).one(tx.conn()).await.map_err(db)?
        }
        _ => None,
    };
    let mut change: user::ActiveModel = user.into();
    change.auth_epoch = Set(epoch);
    change.updated_at = Set(ctx.now());
    let user = change.update(tx.conn()).await.map_err(db)?;
    session::Entity::delete_many()
        .filter(session::Column::UserId.eq(id))
        .exec(tx.conn())
        .await
        .map_err(db)?;
    auth_step::Entity::delete_many()
        .filter(auth_step::Column::UserId.eq(id))
        .exec(tx.conn())
        .await
        .map_err(db)?;
    if kept == Kept::Nothing {
        end_tokens(tx, id).await?;
    }
    tx.emit(Event::UserSessionsEnded { id: UserId(id) });
    match current {
        Some(before) => {
            let proved_at = if kept == Kept::Proved { Some(ctx.now()) } else { before.proved_at };
            open(ctx, tx, &user, proved_at, Some(&before)).await.map(Some)
        }
        None => Ok(None),
    }
}

/// Ends every API token of `user`.
pub(crate) async fn end_tokens(tx: &mut WriteTx, user: Uuid) -> Result<()> {
    let tokens = token_row::Entity::find().filter(token_row::Column::UserId.eq(user)).all(tx.conn());
    for token in tokens.await.map_err(db)? {
        tx.emit(Event::TokenEnded { id: token.id.into() });
        token.delete(tx.conn()).await.map_err(db)?;
    }
    Ok(())
}

/// The caller's own sessions, the newest first.
pub async fn list(ctx: &Ctx) -> Result<Vec<OpenSession>> {
    let Principal::User { id, session, .. } = ctx.principal() else { return Err(Error::NotFound) };
    open_sessions(ctx, *id, Some(*session)).await
}

pub(crate) async fn open_sessions(
    ctx: &Ctx,
    user: UserId,
    current: Option<SessionId>,
) -> Result<Vec<OpenSession>> {
    let owner = user::Entity::find_by_id(user.0).one(ctx.store().reader()).await.map_err(db)?;
    let owner = owner.ok_or(Error::NotFound)?;
    let rows = session::Entity::find()
        .filter(session::Column::UserId.eq(user.0))
        .order_by_desc(session::Column::CreatedAt)
        .all(ctx.store().reader())
        .await
        .map_err(db)?;
    let now = ctx.now();
    Ok(rows
        .into_iter()
        .filter(|row| alive(row, &owner, now))
        .map(|row| OpenSession {
            id: row.id.into(),
            current: current.is_some_and(|c| c.0 == row.id),
            ip: row.ip,
            user_agent: row.user_agent,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            expires_at: row.expires_at,
        })
        .collect())
}

/// Ends one of the caller's own sessions. Somebody else's is not found.
pub async fn end(ctx: &Ctx, id: SessionId) -> Result<()> {
    let Principal::User { id: owner, .. } = ctx.principal() else { return Err(Error::NotFound) };
    ctx.record(Action::SessionEnded, async |tx| {
        let gone = session::Entity::delete_many()
            .filter(session::Column::Id.eq(id.0))
            .filter(session::Column::UserId.eq(owner.0))
            .exec(tx.conn())
            .await
            .map_err(db)?;
        if gone.rows_affected == 0 {
            return Err(Error::NotFound);
        }
        tx.about("session", id);
        tx.emit(Event::SessionEnded { id });
        Ok(())
    })
    .await
}

/// Ends every session of the caller but the one that asks.
pub async fn end_others(ctx: &Ctx) -> Result<()> {
    let Principal::User { id: owner, session: current, .. } = ctx.principal() else {
        return Err(Error::NotFound);
    };
    ctx.record(Action::SessionsEnded, async |tx| {
        let others: Vec<_> = of(tx, owner.0).await?.into_iter().filter(|s| s.id != current.0).collect();
        tx.about("user", *owner);
        tx.detail(json!({ "sessions": others.len() }));
        for other in others {
            tx.emit(Event::SessionEnded { id: SessionId(other.id) });
            other.delete(tx.conn()).await.map_err(db)?;
        }
        Ok(())
    })
    .await
}

/// Ends the session of this request.
pub async fn logout(ctx: &Ctx) -> Result<()> {
    let Some(id) = ctx.principal().session() else {
        return Err(Error::Conflict("A token has no session to end.".to_owned()));
    };
    ctx.record(Action::Logout, async |tx| {
        session::Entity::delete_by_id(id.0).exec(tx.conn()).await.map_err(db)?;
        tx.about("session", id);
        tx.emit(Event::SessionEnded { id });
        Ok(())
    })
    .await
}

/// Who is signed in. A token has no user: 404.
pub async fn me(ctx: &Ctx, who: &Authenticated) -> Result<Me> {
    let Principal::User { role, .. } = ctx.principal() else { return Err(Error::NotFound) };
    let user = own(ctx.store().reader(), ctx).await?;
    let (has_password, has_second) = (!user.password_hash.is_empty(), !factors::methods(&user).is_empty());
    let proofs = [
        (ProofKind::Password, has_password && !has_second),
        (ProofKind::PasswordAndCode, has_password && has_second),
        (ProofKind::Passkey, user.passkeys > 0),
    ];
    Ok(Me {
        user: user.into(),
        proofs: proofs.into_iter().filter(|(_, has)| *has).map(|(kind, _)| kind).collect(),
        session_expires_at: who.expires_at,
        csrf_token: ctx.app().signer().csrf(who.sid.expose()),
        permissions: Permission::ALL.iter().filter(|p| role.permits(**p)).map(|p| p.as_str()).collect(),
    })
}

/// Removes what is dead; nothing while the clock may be wrong. What cannot be removed stays unusable, and the rest is removed all the same.
pub async fn sweep_dead(app: &App) -> Result<()> {
    let now = app.now();
    if app.removals_held() {
        return Ok(());
    }
    let store = app.store();
    let swept = [
        store.sweep_sessions(now, now - IDLE).await.map(drop),
        store.sweep_steps(now).await.map(drop),
        store.sweep_tickets(now).await.map(drop),
        replay::sweep(app, now).await,
    ];
    swept.into_iter().collect()
}
