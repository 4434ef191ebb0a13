//! Hooks: where other systems tell us something. What they say is taken by `receive.rs`.
//!
//! The format decides how a message proves where it comes from; a secret is made here and shown once. One that signs is kept
//! sealed, for it is needed again; a token only as its hash.

use cb_core::audit::Action;
use cb_core::clock::Time;
use cb_core::error::Violations;
use cb_core::ids::{HookEventId, HookId};
use cb_core::{Error, Event, Permission, Result, Secret, Severity};
use cb_notify::incoming::{Format, Verification};
use cb_store::entities::{hook, hook_event};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    PaginatorTrait as _, QueryFilter as _,
};
use cb_store::sealed::{HOOK_PREVIOUS_SECRET, HOOK_SECRET};
use cb_store::{WriteTx, db, taken};
use cb_vault::webhook::Key;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::OVERLAP;
use crate::app::App;
use crate::auth::active;
use crate::ctx::Ctx;
use crate::input;
use crate::order::name_key;
use crate::page::{self, List, Page, Sort, contains};

/// Hooks that there can be.
const HOOKS_MOST: u64 = 100;
const TAKEN: (&str, &str) = ("name", "A hook with this name already exists.");
/// A token says what it is, so that one that is lost is recognized.
pub const TOKEN_PREFIX: &str = cb_core::config::HOOK_TOKEN;

#[derive(Serialize, ToSchema)]
#[schema(as = Hook)]
pub struct HookOut {
    pub id: HookId,
    pub name: String,
    pub format: Format,
    /// How a message must prove where it comes from.
    pub verification: Verification,
    pub enabled: bool,
    /// The path on this server to which messages are sent.
    #[schema(example = "/api/v1/hooks/0198c0de-0000-7000-8000-000000000001")]
    pub path: String,
    pub received: i64,
    #[schema(required)]
    pub last_received_at: Option<DateTime<Utc>>,
    /// Messages that were refused, because they had no valid proof, were too old, were sent twice or were not in the
    /// format of the hook.
    pub refused: i64,
    #[schema(required)]
    pub last_refused_at: Option<DateTime<Utc>>,
    /// Why the last message was refused; only for people who can change hooks.
    #[schema(required)]
    pub last_refused_reason: Option<String>,
    pub secret_changed_at: DateTime<Utc>,
    /// The time until which the previous secret is also accepted.
    #[schema(required)]
    pub previous_secret_until: Option<DateTime<Utc>>,
    /// `whsec_…` to sign with, or `cb_hook_…` to send as a token; only in the answer that creates it.
    #[schema(required)]
    pub secret: Option<String>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HookIn)]
pub struct HookIn {
    #[schema(example = "Alertmanager")]
    pub name: String,
    pub format: Format,
    /// True if absent.
    pub enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = HookPatch)]
pub struct HookPatch {
    pub name: Option<String>,
    pub enabled: Option<bool>,
}

/// A message that was accepted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HookEvent)]
pub struct HookEventOut {
    pub id: HookEventId,
    pub at: DateTime<Utc>,
    /// Who sent it.
    pub address: String,
    pub severity: Severity,
    /// The message reports that a problem is over.
    pub resolved: bool,
    pub title: String,
    pub text: String,
    #[schema(required)]
    pub link: Option<String>,
}

pub async fn list(ctx: &Ctx, list: &List) -> Result<Page<HookOut>> {
    let conn = ctx.read(Permission::NotificationsRead)?;
    let mut select = hook::Entity::find();
    for word in list.patterns()? {
        let name = cb_store::sea_orm::sea_query::Expr::col((hook::Entity, hook::Column::Name));
        select = select.filter(contains(name, &word));
    }
    let sorts =
        [("name", Sort::text(hook::Column::NameKey)), ("created_at", Sort::time(hook::Column::CreatedAt))];
    let page = page::page(conn, select, list, hook::Column::Id, &sorts, "name").await?;
    let items = page.items.into_iter().map(|row| out(ctx, row, None)).collect::<Result<_>>()?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

pub async fn get(ctx: &Ctx, id: HookId) -> Result<HookOut> {
    let conn = ctx.read(Permission::NotificationsRead)?;
    out(ctx, find(conn, id).await?, None)
}

pub async fn create(ctx: &Ctx, given: HookIn) -> Result<HookOut> {
    ctx.authorize(Permission::NotificationsWrite)?;
    ctx.require_proof()?;
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "name", &given.name, input::SHORT_MAX).unwrap_or_default();
    wrong.into_result()?;
    let now = ctx.now();
    ctx.write(Permission::NotificationsWrite, Action::HookCreated, async |tx| {
        if hook::Entity::find().count(tx.conn()).await.map_err(db)? >= HOOKS_MOST {
            return Err(Error::Conflict(format!(
                "There are already {HOOKS_MOST} hooks, which is the limit. Delete one first."
            )));
        }
        let id = ctx.new_id();
        let fresh = Fresh::of(given.format, ctx.app(), tx, HookId(id)).await?;
        let row = hook::Model {
            id,
            name_key: name_key(&name),
            name,
            format: given.format.as_str().to_owned(),
            secret: fresh.sealed,
            previous_secret: None,
            token_hash: fresh.hash,
            previous_token_hash: None,
            previous_until: None,
            secret_changed_at: now,
            enabled: given.enabled.unwrap_or(true),
            received: 0,
            last_received_at: None,
            refused: 0,
            last_refused_at: None,
            last_refused_reason: None,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        hook::Entity::insert(active(row.clone())).exec(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        tx.about("hook", row.id);
        tx.emit(Event::HookChanged { id: row.id.into() });
        tx.detail(told(&row));
        out(ctx, row, Some(&fresh.secret))
    })
    .await
}

pub async fn update(ctx: &Ctx, id: HookId, patch: HookPatch, version: Option<i64>) -> Result<HookOut> {
    let mut wrong = Violations::new();
    let name = patch.name.and_then(|name| input::line(&mut wrong, "name", &name, input::SHORT_MAX));
    wrong.into_result()?;
    ctx.write(Permission::NotificationsWrite, Action::HookUpdated, async |tx| {
        let before = find(tx.conn(), id).await?;
        input::expect_version(before.version, version)?;
        // Field by field: what comes in counts beside this.
        let mut row = hook::ActiveModel::from(before.clone());
        if let Some(name) = name {
            row.name_key = Set(name_key(&name));
            row.name = Set(name);
        }
        if let Some(enabled) = patch.enabled {
            row.enabled = Set(enabled);
        }
        row.version = Set(before.version + 1);
        row.updated_at = Set(ctx.now());
        let row = row.update(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        tx.about("hook", row.id);
        tx.emit(Event::HookChanged { id: row.id.into() });
        tx.detail(json!({ "from": told(&before), "to": told(&row) }));
        out(ctx, row, None)
    })
    .await
}

/// With its messages.
pub async fn delete(ctx: &Ctx, id: HookId, version: Option<i64>) -> Result<()> {
    ctx.write(Permission::NotificationsWrite, Action::HookDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        tx.about("hook", row.id);
        tx.emit(Event::HookChanged { id: row.id.into() });
        tx.detail(told(&row));
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

/// A new secret. The one that it replaces is taken for a day; one that was until now is so no more.
pub async fn rotate_secret(ctx: &Ctx, id: HookId) -> Result<HookOut> {
    ctx.authorize(Permission::NotificationsWrite)?;
    ctx.require_proof()?;
    ctx.write(Permission::NotificationsWrite, Action::HookSecretRotated, async |tx| {
        let before = find(tx.conn(), id).await?;
        let (app, until) = (ctx.app(), ctx.now() + OVERLAP);
        let fresh = Fresh::of(format(&before)?, app, tx, id).await?;
        let mut row = hook::ActiveModel::from(before.clone());
        if let Some(old) = &before.secret {
            let old = app.unseal(HOOK_SECRET.place(&before.id), old).await?;
            row.previous_secret =
                Set(Some(app.seal(tx, HOOK_PREVIOUS_SECRET.place(&before.id), &old).await?));
        }
        row.previous_token_hash = Set(before.token_hash.clone());
        row.secret = Set(fresh.sealed);
        row.token_hash = Set(fresh.hash);
        row.previous_until = Set(Some(until));
        row.secret_changed_at = Set(ctx.now());
        row.version = Set(before.version + 1);
        row.updated_at = Set(ctx.now());
        let row = row.update(tx.conn()).await.map_err(db)?;
        tx.about("hook", row.id);
        tx.emit(Event::HookChanged { id: row.id.into() });
        tx.detail(json!({ "name": row.name, "previous_until": until }));
        out(ctx, row, Some(&fresh.secret))
    })
    .await
}

/// What it has taken, the newest first, and the newest thousand.
pub async fn events(ctx: &Ctx, id: HookId, list: &List) -> Result<Page<HookEventOut>> {
    let conn = ctx.read(Permission::NotificationsRead)?;
    let row = find(conn, id).await?;
    if list.q.as_deref().is_some_and(|q| !q.is_empty()) {
        return Err(Error::invalid("q", "This list has no search. Leave q out."));
    }
    let select = hook_event::Entity::find().filter(hook_event::Column::HookId.eq(row.id));
    let sorts = [("at", Sort::time(hook_event::Column::At))];
    let page = page::page(conn, select, list, hook_event::Column::Id, &sorts, "-at").await?;
    let items = page.items.into_iter().map(|row| {
        Ok(HookEventOut {
            severity: Severity::parse(&row.severity)
                .ok_or_else(|| Error::Internal(format!("the severity of hook event {}", row.id)))?,
            id: row.id.into(),
            at: row.at,
            address: row.address,
            resolved: row.resolved,
            title: row.title,
            text: row.text,
            link: row.link,
        })
    });
    Ok(Page { items: items.collect::<Result<_>>()?, next_cursor: page.next_cursor, total: page.total })
}

/// A secret just made, and how it is kept.
struct Fresh {
    secret: Secret,
    sealed: Option<String>,
    hash: Option<String>,
}

impl Fresh {
    async fn of(format: Format, app: &App, tx: &WriteTx, id: HookId) -> Result<Self> {
        match format.verification() {
            Verification::Signature => {
                let secret = Key::generate(app.entropy());
                let sealed = app.seal(tx, HOOK_SECRET.place(&id.0), &secret).await?;
                Ok(Self { secret, sealed: Some(sealed), hash: None })
            }
            Verification::Bearer => {
                let secret = Secret::new(format!("{TOKEN_PREFIX}{}", app.entropy().token()));
                let hash = cb_vault::token::hash(secret.expose());
                Ok(Self { secret, sealed: None, hash: Some(hash) })
            }
        }
    }
}

pub(super) async fn find(conn: &impl ConnectionTrait, id: HookId) -> Result<hook::Model> {
    hook::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

pub(super) fn format(row: &hook::Model) -> Result<Format> {
    Format::parse(&row.format).ok_or_else(|| Error::Internal(format!("the format of hook {}", row.id)))
}

/// Whether the previous secret is still taken.
pub(super) fn previous_counts(row: &hook::Model, now: Time) -> bool {
    row.previous_until.is_some_and(|until| now < until)
}

/// What the log shows of it.
fn told(row: &hook::Model) -> Value {
    json!({ "name": row.name, "format": row.format, "enabled": row.enabled })
}

fn out(ctx: &Ctx, row: hook::Model, secret: Option<&Secret>) -> Result<HookOut> {
    let format = format(&row)?;
    let may_write = ctx.principal().permits(Permission::NotificationsWrite);
    Ok(HookOut {
        format,
        verification: format.verification(),
        path: format!("/api/v1/hooks/{}", row.id),
        previous_secret_until: row.previous_until.filter(|_| previous_counts(&row, ctx.now())),
        last_refused_reason: row.last_refused_reason.filter(|_| may_write),
        secret: secret.map(|s| s.expose().to_owned()),
        id: row.id.into(),
        name: row.name,
        enabled: row.enabled,
        received: row.received,
        last_received_at: row.last_received_at,
        refused: row.refused,
        last_refused_at: row.last_refused_at,
        secret_changed_at: row.secret_changed_at,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
