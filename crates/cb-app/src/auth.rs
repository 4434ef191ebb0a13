//! Signing in and out, and who a credential stands for.

use std::net::IpAddr;
use std::time::Duration;

use cb_core::error::Violations;
use cb_core::ids::{SessionId, UserId};
use cb_core::{Error, Event, Permission, Principal, Result, Role, Secret};
use cb_store::entities::{session, user};
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IntoActiveModel, ModelTrait as _,
    QueryFilter as _, QueryOrder as _,
};
use cb_store::{WriteTx, db};
use cb_vault::token;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::app::{App, Authenticated};
use crate::ctx::{Ctx, RequestMeta};

/// A session ends so long after its last request …
pub const IDLE: TimeDelta = TimeDelta::hours(24);
/// … and so long after it began.
pub const ABSOLUTE: TimeDelta = TimeDelta::days(30);
/// `last_seen_at` is written at most so often.
const TOUCH: TimeDelta = TimeDelta::minutes(1);
/// Sessions that one user can have; the oldest ends when there is one more.
const SESSIONS_MOST: usize = 100;
const PASSWORD_LEAST: usize = 8;
/// In bytes; a bound on what is hashed, well above 64 characters in any script.
const PASSWORD_MOST: usize = 1024;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LoginIn {
    #[schema(example = "ada")]
    pub username: String,
    #[schema(value_type = String)]
    pub password: Secret,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserOut {
    pub id: UserId,
    pub username: String,
    #[schema(required)]
    pub email: Option<String>,
    pub role: Role,
}

/// What login and setup answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionOut {
    pub user: UserOut,
    /// For the header `X-CSRF-Token` of every write.
    pub csrf_token: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    pub user: UserOut,
    pub csrf_token: String,
    /// What the user's role permits.
    pub permissions: Vec<&'static str>,
}

/// A session that was just opened: the answer, and what goes into the cookie.
#[derive(Debug)]
pub struct Opened {
    pub out: SessionOut,
    pub cookie: Secret,
    pub max_age: Duration,
}

impl App {
    /// Who the session cookie stands for, if its session is alive.
    pub async fn by_session(&self, cookie: &str) -> Result<Option<Authenticated>> {
        let now = self.now();
        let Some(sid) = self.signer().read_session(cookie, now) else { return Ok(None) };
        let found = session::Entity::find()
            .filter(session::Column::TokenHash.eq(token::hash(&sid)))
            .find_also_related(user::Entity)
            .one(self.store().reader())
            .await
            .map_err(db)?;
        let Some((row, Some(owner))) = found else { return Ok(None) };
        if !alive(&row, &owner, now) {
            return Ok(None);
        }
        if now - row.last_seen_at >= TOUCH {
            self.store().touch_session(row.id, now).await?;
        }
        let role = Role::parse(&owner.role).ok_or_else(|| Error::Internal(format!("role {}", owner.role)))?;
        let principal =
            Principal::User { id: owner.id.into(), username: owner.username, role, session: row.id.into() };
        Ok(Some(Authenticated { principal, expires_at: row.expires_at, sid: Secret::new(sid) }))
    }

    /// Whether the session behind a principal is still alive; a principal without one always is.
    pub async fn still_alive(&self, principal: &Principal) -> Result<bool> {
        let Some(id) = principal.session() else { return Ok(true) };
        let found = session::Entity::find_by_id(id.0)
            .find_also_related(user::Entity)
            .one(self.store().reader())
            .await
            .map_err(db)?;
        let now = self.now();
        Ok(matches!(found, Some((row, Some(owner))) if alive(&row, &owner, now)))
    }

    /// Who a bearer token stands for: the operator, or nobody.
    pub fn by_bearer(&self, token: &[u8]) -> Option<Principal> {
        self.api_token().filter(|t| t.matches(token)).map(|_| Principal::Operator)
    }

    pub fn csrf_matches(&self, who: &Authenticated, candidate: &[u8]) -> bool {
        self.signer().csrf_matches(who.sid.expose(), candidate)
    }
}

fn alive(row: &session::Model, owner: &user::Model, now: cb_core::clock::Time) -> bool {
    row.expires_at > now
        && now - row.last_seen_at < IDLE
        && row.auth_epoch == owner.auth_epoch
        && owner.disabled_at.is_none()
}

/// 401 with the same words and at the same cost, whatever was wrong; 429 when there were too many tries.
pub async fn login(app: &App, meta: RequestMeta, input: LoginIn) -> Result<Opened> {
    let now = app.now();
    let key = input.username.trim().to_lowercase();
    let place = place(meta.ip);
    let (account, address) = (format!("login/{place}/{key}"), format!("login/{place}"));
    let keys = [account.as_str(), address.as_str()];
    if let Some(retry_after) = app.throttle().wait(&keys, now) {
        return Err(Error::RateLimited { retry_after });
    }
    app.throttle().strike(&keys, now);

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
    let hash = found.as_ref().map(|u| u.password_hash.clone());
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
        return Err(Error::Unauthenticated("the username or the password is wrong".to_owned()));
    };
    for key in keys {
        app.throttle().forgive(key);
    }

    let ctx = app.ctx(Principal::SignIn { username: user.username.clone() }, meta);
    ctx.record("login", async |tx| {
        // Read again under the lock: a password changed or a user disabled meanwhile ends this attempt.
        let current = user::Entity::find_by_id(user.id).one(tx.conn()).await.map_err(db)?;
        let current = current.filter(|u| u.auth_epoch == user.auth_epoch && u.disabled_at.is_none());
        let Some(current) = current else {
            return Err(Error::Unauthenticated("the username or the password is wrong".to_owned()));
        };
        tx.about("user", current.id);
        let mut seen = current.clone().into_active_model();
        seen.last_login_at = cb_store::sea_orm::ActiveValue::Set(Some(now));
        seen.update(tx.conn()).await.map_err(db)?;
        open_session(&ctx, tx, &current).await
    })
    .await
}

/// Ends the session of this request.
pub async fn logout(ctx: &Ctx) -> Result<()> {
    let Some(id) = ctx.principal().session() else {
        return Err(Error::Conflict("a token has no session to end".to_owned()));
    };
    ctx.record("logout", async |tx| {
        session::Entity::delete_by_id(id.0).exec(tx.conn()).await.map_err(db)?;
        tx.about("session", id);
        tx.emit(Event::SessionEnded { id });
        Ok(())
    })
    .await
}

/// Who is signed in. A token has no user: 404.
pub async fn me(ctx: &Ctx, who: &Authenticated) -> Result<Me> {
    let Principal::User { id, role, .. } = ctx.principal() else { return Err(Error::NotFound) };
    let row = user::Entity::find_by_id(id.0).one(ctx.store().reader()).await.map_err(db)?;
    let user = UserOut::from(row.ok_or(Error::NotFound)?);
    Ok(Me {
        user,
        csrf_token: ctx.app().signer().csrf(who.sid.expose()),
        permissions: Permission::ALL.iter().filter(|p| role.permits(**p)).map(|p| p.as_str()).collect(),
    })
}

/// A new session for `user`, within the transaction that proved them.
pub(crate) async fn open_session(ctx: &Ctx, tx: &mut WriteTx, user: &user::Model) -> Result<Opened> {
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
        created_at: now,
        last_seen_at: now,
        expires_at: now + ABSOLUTE,
    };
    let older = session::Entity::find()
        .filter(session::Column::UserId.eq(user.id))
        .order_by_desc(session::Column::CreatedAt)
        .all(tx.conn())
        .await
        .map_err(db)?;
    for surplus in older.into_iter().skip(SESSIONS_MOST - 1) {
        tx.emit(Event::SessionEnded { id: SessionId(surplus.id) });
        surplus.delete(tx.conn()).await.map_err(db)?;
    }
    let expires = row.expires_at;
    session::Entity::insert(active(row)).exec(tx.conn()).await.map_err(db)?;
    Ok(Opened {
        cookie: Secret::new(app.signer().session(sid.expose(), now, expires)?),
        max_age: ABSOLUTE.to_std().unwrap_or_default(),
        out: SessionOut { user: user.clone().into(), csrf_token: app.signer().csrf(sid.expose()) },
    })
}

/// Removes dead sessions, now and then.
pub(crate) async fn sweep(app: App) {
    const EVERY: Duration = Duration::from_mins(10);
    loop {
        let now = app.now();
        if let Err(error) = app.store().sweep_sessions(now, now - IDLE).await {
            tracing::warn!(%error, "dead sessions could not be removed; they stay unusable");
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = app.stopping().cancelled() => return,
        }
    }
}

impl From<user::Model> for UserOut {
    fn from(row: user::Model) -> Self {
        Self {
            id: row.id.into(),
            username: row.username,
            email: row.email,
            // An unknown role permits nothing more than the least one.
            role: Role::parse(&row.role).unwrap_or(Role::Viewer),
        }
    }
}

/// A whole row for an insert.
pub(crate) fn active<M, A>(row: M) -> A
where
    M: IntoActiveModel<A>,
    A: cb_store::sea_orm::ActiveModelTrait,
{
    row.into_active_model().reset_all()
}

/// Guesses are counted by address, for IPv6 by the /64 that one customer has.
pub(crate) fn place(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let s = v6.segments();
            format!("{:x}:{:x}:{:x}:{:x}::/64", s[0], s[1], s[2], s[3])
        }
    }
}

const USERNAME_MOST: usize = 64;

pub(crate) fn username(wrong: &mut Violations, text: &str) -> String {
    let name = text.trim();
    wrong.require(
        !name.is_empty()
            && name.chars().count() <= USERNAME_MOST
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@')),
        "username",
        "must have 1 to 64 letters, digits or . _ - @",
    );
    name.to_owned()
}

pub(crate) fn email(wrong: &mut Violations, text: Option<&str>) -> Option<String> {
    let text = text.map(str::trim).filter(|t| !t.is_empty())?;
    let ok = text.len() <= 254
        && !text.chars().any(|c| c.is_control() || c.is_whitespace())
        && text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty() && !host.contains('@'));
    wrong.require(ok, "email", "is not an e-mail address");
    Some(text.to_owned())
}

/// After NIST SP 800-63B: length counts, no composition rules, what is guessed first is refused.
pub(crate) fn password(wrong: &mut Violations, field: &str, password: &Secret, username: &str) {
    let text = password.expose();
    let lower = text.to_lowercase();
    let name = username.trim().to_lowercase();
    if text.chars().count() < PASSWORD_LEAST {
        wrong.add(field, format!("must have at least {PASSWORD_LEAST} characters"));
    } else if text.len() > PASSWORD_MOST {
        wrong.add(field, format!("may have at most {PASSWORD_MOST} bytes"));
    } else if name.chars().count() >= 3 && lower.contains(&name) {
        wrong.add(field, "may not contain the username");
    } else {
        let distinct = lower.chars().collect::<std::collections::HashSet<_>>().len();
        let steps: std::collections::HashSet<i64> = lower
            .chars()
            .zip(lower.chars().skip(1))
            .map(|(a, b)| i64::from(u32::from(b)) - i64::from(u32::from(a)))
            .collect();
        let run = steps.len() == 1 && steps.iter().all(|s| s.abs() <= 1);
        let stem = lower.trim_end_matches(|c: char| c.is_ascii_digit() || c == '!' || c == '.');
        let common = [
            "password",
            "circuitbreaker",
            "circuit-breaker",
            "circuit breaker",
            "admin",
            "administrator",
            "letmein",
            "welcome",
            "qwertyuiop",
            "qwerty",
            "iloveyou",
        ];
        if distinct <= 3 || run || common.contains(&stem) {
            wrong.add(field, "is one of the first that would be guessed");
        }
    }
}

#[cfg(test)]
mod tests {
    use cb_core::Secret;
    use cb_core::error::Violations;

    use super::place;

    fn refused(password: &str, username: &str) -> bool {
        let mut wrong = Violations::new();
        super::password(&mut wrong, "password", &Secret::new(password.to_owned()), username);
        wrong.into_result().is_err()
    }

    #[test]
    fn passwords_are_judged_by_length_and_by_what_is_guessed_first() {
        for bad in [
            "short",
            "12345678",
            "abcdefgh",
            "aaaabbbb",
            "Password123!",
            "maria-2026",
            "administrator",
            &"x".repeat(1025),
        ] {
            assert!(refused(bad, "maria"), "{bad}");
        }
        for good in ["seven green kettles sing", "пароль из слов", "tr0ub4dor", &"äöü!".repeat(20)]
        {
            assert!(!refused(good, "maria"), "{good}");
        }
    }

    #[test]
    fn a_place_is_an_address_or_a_customers_prefix() {
        let of = |t: &str| place(t.parse().expect("an address"));
        assert_eq!(of("::ffff:10.0.0.1"), "10.0.0.1");
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }
}
