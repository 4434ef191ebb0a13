//! API tokens: a user's own, for programs. Stored hashed, shown once, cut to what their owner's role permits at each use.

use cb_core::audit::Action;
use cb_core::clock::Time;
use cb_core::error::Violations;
use cb_core::ids::TokenId;
use cb_core::{Error, Event, Permission, Principal, Result};
use cb_store::db;
use cb_store::entities::{token, user};
use cb_store::sea_orm::{
    ColumnTrait as _, EntityTrait as _, ModelTrait as _, PaginatorTrait as _, QueryFilter as _,
    QueryOrder as _,
};
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::guesses::Guess;
use crate::auth::sessions::{TOUCH, role};
use crate::auth::{active, own, place};
use crate::ctx::{Ctx, RequestMeta};
use crate::input;

/// What every one begins with, so that a leaked one is recognised.
pub const PREFIX: &str = cb_core::config::PERSONAL_TOKEN;
pub(crate) const NAME_MOST: usize = 64;
const TOKENS_MOST: u64 = 50;
pub(crate) const SCOPES_MOST: usize = 32;
pub(crate) const DAYS_MOST: i64 = 3650;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenIn {
    #[schema(example = "backup script")]
    pub name: String,
    /// Such as `inventory:read`; see `/roles`.
    pub scopes: Vec<String>,
    /// 1 to 3650; 90 if absent, no expiry if null.
    #[serde(default = "ninety")]
    #[schema(example = 90)]
    pub expires_in_days: Option<i64>,
}

#[expect(clippy::unnecessary_wraps, reason = "serde's default for an Option")]
fn ninety() -> Option<i64> {
    Some(90)
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Token)]
pub struct TokenOut {
    pub id: TokenId,
    pub name: String,
    /// The first characters of the token. The server does not store the rest.
    pub hint: String,
    pub scopes: Vec<String>,
    pub created_at: DateTime<Utc>,
    #[schema(required)]
    pub expires_at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub last_used_at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub last_used_ip: Option<String>,
}

/// A token that was just created.
#[derive(Serialize, ToSchema)]
pub struct NewToken {
    /// Shown only once.
    pub secret: String,
    #[serde(flatten)]
    pub token: TokenOut,
}

impl TryFrom<token::Model> for TokenOut {
    type Error = Error;

    fn try_from(row: token::Model) -> Result<Self> {
        Ok(Self {
            scopes: scopes(&row)?.iter().map(|p| p.as_str().to_owned()).collect(),
            id: row.id.into(),
            name: row.name,
            hint: row.hint,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
            last_used_ip: row.last_used_ip,
        })
    }
}

fn scopes(row: &token::Model) -> Result<Vec<Permission>> {
    let damaged = |why: &str| Error::Internal(format!("the scopes of token {}: {why}", row.id));
    let words: Vec<String> =
        serde_json::from_value(row.scopes.clone()).map_err(|e| damaged(&e.to_string()))?;
    words.iter().map(|w| Permission::parse(w).ok_or_else(|| damaged(w))).collect()
}

fn of(owner: uuid::Uuid) -> cb_store::sea_orm::Select<token::Entity> {
    token::Entity::find().filter(token::Column::UserId.eq(owner))
}

/// The caller's own, the newest first.
pub async fn list(ctx: &Ctx) -> Result<Vec<TokenOut>> {
    let owner = own(ctx.store().reader(), ctx).await?;
    let rows = of(owner.id).order_by_desc(token::Column::CreatedAt);
    rows.all(ctx.store().reader()).await.map_err(db)?.into_iter().map(TryInto::try_into).collect()
}

pub async fn create(ctx: &Ctx, input: TokenIn) -> Result<NewToken> {
    ctx.require_proof()?;
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "name", &input.name, NAME_MOST).unwrap_or_default();
    let mut wanted = Vec::new();
    for word in &input.scopes {
        match Permission::parse(word) {
            Some(p) if !ctx.principal().permits(p) => {
                wrong.add("scopes", format!("Your role does not permit {word}."));
            }
            Some(p) if wanted.contains(&p) => {}
            Some(p) => wanted.push(p),
            None => {
                let known: Vec<&str> = Permission::ALL.iter().map(|p| p.as_str()).collect();
                wrong.add(
                    "scopes",
                    format!("{word:?} is not a scope. Choose one of these: {}.", known.join(", ")),
                );
            }
        }
    }
    wrong.require(!input.scopes.is_empty(), "scopes", "Choose at least one scope.");
    wrong.require(input.scopes.len() <= SCOPES_MOST, "scopes", "Choose at most 32 scopes.");
    let days = input.expires_in_days;
    wrong.require(
        days.is_none_or(|d| (1..=DAYS_MOST).contains(&d)),
        "expires_in_days",
        "Use a number from 1 to 3650, or null for no end.",
    );
    wrong.into_result()?;
    let secret = format!("{PREFIX}{}", ctx.app().entropy().token());
    let now = ctx.now();
    ctx.record(Action::TokenCreated, async |tx| {
        let owner = own(tx.conn(), ctx).await?;
        if of(owner.id).count(tx.conn()).await.map_err(db)? >= TOKENS_MOST {
            return Err(Error::Conflict(format!(
                "You already have {TOKENS_MOST} tokens, which is the limit. Remove one first."
            )));
        }
        let words: Vec<&str> = wanted.iter().map(|p| p.as_str()).collect();
        let row = token::Model {
            id: ctx.new_id(),
            user_id: owner.id,
            name,
            token_hash: cb_vault::token::hash(&secret),
            hint: secret.chars().take(PREFIX.len() + 4).collect(),
            scopes: json!(words),
            created_at: now,
            expires_at: days.map(|d| now + TimeDelta::days(d)),
            last_used_at: None,
            last_used_ip: None,
        };
        token::Entity::insert(active(row.clone())).exec(tx.conn()).await.map_err(db)?;
        tx.about("token", row.id);
        tx.detail(json!({ "name": row.name, "scopes": words, "expires_at": row.expires_at }));
        Ok(NewToken { secret: secret.clone(), token: row.try_into()? })
    })
    .await
}

/// Ends one of the caller's own; an administrator ends anyone's.
pub async fn delete(ctx: &Ctx, id: TokenId) -> Result<()> {
    ctx.record(Action::TokenDeleted, async |tx| {
        let row = token::Entity::find_by_id(id.0).one(tx.conn()).await.map_err(db)?.ok_or(Error::NotFound)?;
        let is_own = matches!(ctx.principal(), Principal::User { id, .. } if id.0 == row.user_id);
        if !is_own && !ctx.principal().permits(Permission::UsersWrite) {
            return Err(Error::NotFound);
        }
        tx.about("token", row.id);
        tx.detail(json!({ "name": row.name }));
        tx.emit(Event::TokenEnded { id });
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

pub(crate) fn alive(row: &token::Model, owner: &user::Model, now: Time) -> bool {
    stands(row.expires_at, owner.disabled_at, now)
}

pub(crate) fn stands(expires_at: Option<Time>, owner_disabled_at: Option<Time>, now: Time) -> bool {
    expires_at.is_none_or(|end| end > now) && owner_disabled_at.is_none()
}

impl App {
    /// Whether `principal` may still do what it was let in for, for what goes on after the answer has begun. A session does not
    /// survive another role of its user; a token does, and is cut to it.
    pub async fn still_may(&self, principal: &Principal, permission: Permission) -> Result<bool> {
        let Principal::Token { id, .. } = principal else { return self.still_alive(principal).await };
        let found = token::Entity::find_by_id(id.0).find_also_related(user::Entity);
        match found.one(self.store().reader()).await.map_err(db)? {
            Some((row, Some(owner))) => Ok(alive(&row, &owner, self.now())
                && principal.permits(permission)
                && role(&owner)?.permits(permission)),
            _ => Ok(false),
        }
    }

    /// Who a bearer token stands for: the operator, a user's program, or nobody. Wrong ones are slowed by address; a right
    /// one never is.
    pub async fn by_bearer(&self, given: &[u8], meta: &RequestMeta) -> Result<Option<Principal>> {
        if self.api_token().is_some_and(|t| t.matches(given)) {
            return Ok(Some(Principal::Operator));
        }
        let text = std::str::from_utf8(given).ok().filter(|t| t.starts_with(PREFIX) && t.len() <= 100);
        let now = self.now();
        if let Some(text) = text {
            let found = token::Entity::find()
                .filter(token::Column::TokenHash.eq(cb_vault::token::hash(text)))
                .find_also_related(user::Entity)
                .one(self.store().reader())
                .await
                .map_err(db)?;
            if let Some((row, Some(owner))) = found
                && alive(&row, &owner, now)
            {
                if row.last_used_at.is_none_or(|last| (now - last).abs() >= TOUCH) {
                    self.store().touch_token(row.id, now, &meta.ip.to_string()).await;
                }
                return Ok(Some(Principal::Token {
                    scopes: scopes(&row)?,
                    id: row.id.into(),
                    name: row.name,
                    owner: owner.id.into(),
                    role: role(&owner)?,
                    username: owner.username,
                }));
            }
        }
        let key = format!("bearer/{}", place(meta.ip));
        self.throttle().enter([&key]).await?;
        let actor = Principal::SignIn { username: "API token".to_owned() };
        self.guessed(meta, Guess::at_nobody(Action::TokenRefused, actor)).await;
        Ok(None)
    }
}
