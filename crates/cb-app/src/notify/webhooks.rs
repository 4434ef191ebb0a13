//! Webhooks: who is told by a signed request.
//!
//! The secret that signs is made here, shown once, and belongs to one origin: another origin has another secret from its first
//! request on, so that nobody is handed what was signed for somebody else.

use cb_core::audit::Action;
use cb_core::error::{Violations, sentence};
use cb_core::ids::{DeliveryId, WebhookId};
use cb_core::notice::NoticeKind;
use cb_core::{Error, Event, Patch, Permission, Result, Secret};
use cb_net::http::{OutboundError, Pin};
use cb_net::judge::Policy;
use cb_store::entities::webhook;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _, PaginatorTrait as _,
    QueryFilter as _,
};
use cb_store::sealed::{WEBHOOK_PREVIOUS_SECRET, WEBHOOK_SECRET};
use cb_store::{Subscriber, db, taken};
use cb_vault::webhook::Key;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::OVERLAP;
use super::deliveries::{self, DeliveryOut, DeliveryState};
use super::kinds;
use super::subscriber::{origin, signs_along};
use super::trial::{self, TestOut};
use crate::app::App;
use crate::auth::active;
use crate::ctx::Ctx;
use crate::input;
use crate::order::name_key;
use crate::page::{self, List, Page, Sort, contains};

/// Webhooks that there can be: each notice is written down for each of them.
const WEBHOOKS_MOST: u64 = 100;
pub(crate) const URL_MAX: usize = 2_000;
const TAKEN: (&str, &str) = ("name", "A webhook with this name already exists.");

#[derive(Serialize, ToSchema)]
#[schema(as = Webhook)]
pub struct WebhookOut {
    pub id: WebhookId,
    pub name: String,
    /// Without `notifications:write` only its origin, because its path may be a secret.
    pub url: String,
    /// All events if empty.
    pub events: Vec<NoticeKind>,
    pub enabled: bool,
    #[schema(required)]
    pub certificate_sha256: Option<String>,
    /// Whether messages are also signed with the previous secret.
    pub has_previous_secret: bool,
    #[schema(required)]
    pub previous_secret_until: Option<DateTime<Utc>>,
    pub secret_changed_at: DateTime<Utc>,
    /// The time since which every attempt has failed.
    #[schema(required)]
    pub failing_since: Option<DateTime<Utc>>,
    /// When the server turned it off because of failures.
    #[schema(required)]
    pub disabled_at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub disabled_reason: Option<String>,
    #[schema(required)]
    pub last_delivered_at: Option<DateTime<Utc>>,
    /// The signing secret, `whsec_…`; only in the answer that creates it.
    #[schema(required)]
    pub secret: Option<String>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookIn)]
pub struct WebhookIn {
    #[schema(example = "Home automation")]
    pub name: String,
    #[schema(example = "https://hooks.lan/circuit-breaker")]
    pub url: String,
    /// All events if empty or absent.
    #[serde(default)]
    pub events: Vec<NoticeKind>,
    /// The fingerprint of the certificate there, if this server does not trust its issuer.
    pub certificate_sha256: Option<String>,
    /// True if absent.
    pub enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WebhookPatch)]
pub struct WebhookPatch {
    pub name: Option<String>,
    /// If the origin changes, the server creates a new secret.
    pub url: Option<String>,
    /// The complete list; every kind if empty.
    pub events: Option<Vec<NoticeKind>>,
    /// True also clears its failures. False discards its waiting messages.
    pub enabled: Option<bool>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub certificate_sha256: Patch<String>,
}

pub async fn list(ctx: &Ctx, list: &List) -> Result<Page<WebhookOut>> {
    let conn = ctx.read(Permission::NotificationsRead)?;
    let mut select = webhook::Entity::find();
    for word in list.patterns()? {
        let name = cb_store::sea_orm::sea_query::Expr::col((webhook::Entity, webhook::Column::Name));
        select = select.filter(contains(name, &word));
    }
    let sorts = [
        ("name", Sort::text(webhook::Column::NameKey)),
        ("created_at", Sort::time(webhook::Column::CreatedAt)),
    ];
    let page = page::page(conn, select, list, webhook::Column::Id, &sorts, "name").await?;
    Ok(page.map(|row| out(ctx, row, None)))
}

pub async fn get(ctx: &Ctx, id: WebhookId) -> Result<WebhookOut> {
    let conn = ctx.read(Permission::NotificationsRead)?;
    Ok(out(ctx, find(conn, id).await?, None))
}

pub async fn create(ctx: &Ctx, given: WebhookIn) -> Result<WebhookOut> {
    ctx.authorize(Permission::NotificationsWrite)?;
    ctx.require_proof()?;
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "name", &given.name, input::SHORT_MAX).unwrap_or_default();
    let url = address(ctx.app(), &mut wrong, &given.url).await;
    let events = kinds::read(&mut wrong, "events", &given.events);
    let certificate_sha256 = certificate(&mut wrong, given.certificate_sha256);
    wrong.into_result()?;
    let now = ctx.now();
    let mut row = webhook::Model {
        id: ctx.new_id(),
        name_key: name_key(&name),
        name,
        url,
        secret: String::new(),
        previous_secret: None,
        previous_secret_until: None,
        secret_changed_at: now,
        certificate_sha256,
        events: kinds::to_json(&events),
        enabled: given.enabled.unwrap_or(true),
        failing_since: None,
        failures: 0,
        disabled_at: None,
        disabled_reason: None,
        last_delivered_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    ctx.write(Permission::NotificationsWrite, Action::WebhookCreated, async |tx| {
        if webhook::Entity::find().count(tx.conn()).await.map_err(db)? >= WEBHOOKS_MOST {
            let most =
                format!("There are already {WEBHOOKS_MOST} webhooks, which is the limit. Delete one first.");
            return Err(Error::Conflict(most));
        }
        let secret = Key::generate(ctx.app().entropy());
        row.secret = ctx.app().seal(tx, WEBHOOK_SECRET.place(&row.id), &secret).await?;
        webhook::Entity::insert(active(row.clone())).exec(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        tx.about("webhook", row.id);
        tx.emit(Event::SubscriberChanged { id: row.id });
        tx.detail(told(&row));
        Ok(out(ctx, row, Some(&secret)))
    })
    .await
}

pub async fn update(
    ctx: &Ctx,
    id: WebhookId,
    patch: WebhookPatch,
    version: Option<i64>,
) -> Result<WebhookOut> {
    ctx.authorize(Permission::NotificationsWrite)?;
    let known = find(ctx.store().reader(), id).await?;
    let mut wrong = Violations::new();
    let name = patch.name.and_then(|name| input::line(&mut wrong, "name", &name, input::SHORT_MAX));
    // A form sends the address that it has: that is no change, and asks for nothing.
    let url = match &patch.url {
        Some(url) if *url != known.url => Some(address(ctx.app(), &mut wrong, url).await),
        _ => None,
    };
    let events = patch.events.map(|given| kinds::read(&mut wrong, "events", &given));
    let pin = patch.certificate_sha256.change().map(|pin| certificate(&mut wrong, pin));
    wrong.into_result()?;
    if url.is_some() || pin.as_ref().is_some_and(|pin| *pin != known.certificate_sha256) {
        ctx.require_proof()?;
    }
    ctx.write(Permission::NotificationsWrite, Action::WebhookUpdated, async |tx| {
        let before = find(tx.conn(), id).await?;
        input::expect_version(before.version, version)?;
        if before.url != known.url || before.certificate_sha256 != known.certificate_sha256 {
            // What was judged is not what would be changed.
            return Err(Error::Stale);
        }
        // Field by field: the worker writes its own beside this.
        let mut row = webhook::ActiveModel::from(before.clone());
        if let Some(name) = name {
            row.name_key = Set(name_key(&name));
            row.name = Set(name);
        }
        let mut secret = None;
        if let Some(url) = url {
            if origin(&url) != origin(&before.url) {
                let fresh = Key::generate(ctx.app().entropy());
                row.secret = Set(ctx.app().seal(tx, WEBHOOK_SECRET.place(&before.id), &fresh).await?);
                row.previous_secret = Set(None);
                row.previous_secret_until = Set(None);
                row.secret_changed_at = Set(ctx.now());
                secret = Some(fresh);
            }
            row.url = Set(url);
        }
        if let Some(pin) = pin {
            row.certificate_sha256 = Set(pin);
        }
        if let Some(events) = events {
            row.events = Set(kinds::to_json(&events));
        }
        match patch.enabled {
            Some(true) => {
                row.enabled = Set(true);
                row.disabled_at = Set(None);
                row.disabled_reason = Set(None);
                row.failing_since = Set(None);
                row.failures = Set(0);
            }
            Some(false) => row.enabled = Set(false),
            None => {}
        }
        row.version = Set(before.version + 1);
        row.updated_at = Set(ctx.now());
        let row = row.update(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        if patch.enabled == Some(false) {
            tx.drop_waiting(Subscriber::Webhook(row.id), ctx.now()).await?;
        }
        let mut detail = json!({ "from": told(&before), "to": told(&row) });
        detail["secret_changed"] = json!(secret.is_some());
        tx.about("webhook", row.id);
        tx.emit(Event::SubscriberChanged { id: row.id });
        tx.detail(detail);
        Ok(out(ctx, row, secret.as_ref()))
    })
    .await
}

/// With its log of deliveries, and whatever waits.
pub async fn delete(ctx: &Ctx, id: WebhookId, version: Option<i64>) -> Result<()> {
    ctx.write(Permission::NotificationsWrite, Action::WebhookDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        tx.about("webhook", row.id);
        tx.emit(Event::SubscriberChanged { id: row.id });
        tx.detail(told(&row));
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

/// A new secret. The one that it replaces signs along for a day; one that did so until now does so no more.
pub async fn rotate_secret(ctx: &Ctx, id: WebhookId) -> Result<WebhookOut> {
    ctx.authorize(Permission::NotificationsWrite)?;
    ctx.require_proof()?;
    ctx.write(Permission::NotificationsWrite, Action::WebhookSecretRotated, async |tx| {
        let before = find(tx.conn(), id).await?;
        let (app, until) = (ctx.app(), ctx.now() + OVERLAP);
        let old = app.unseal(WEBHOOK_SECRET.place(&before.id), &before.secret).await?;
        let fresh = Key::generate(app.entropy());
        let mut row = webhook::ActiveModel::from(before.clone());
        row.secret = Set(app.seal(tx, WEBHOOK_SECRET.place(&before.id), &fresh).await?);
        row.previous_secret = Set(Some(app.seal(tx, WEBHOOK_PREVIOUS_SECRET.place(&before.id), &old).await?));
        row.previous_secret_until = Set(Some(until));
        row.secret_changed_at = Set(ctx.now());
        row.version = Set(before.version + 1);
        row.updated_at = Set(ctx.now());
        let row = row.update(tx.conn()).await.map_err(db)?;
        tx.about("webhook", row.id);
        tx.emit(Event::SubscriberChanged { id: row.id });
        tx.detail(json!({ "name": row.name, "previous_until": until }));
        Ok(out(ctx, row, Some(&fresh)))
    })
    .await
}

/// Sends a notice of kind `test` now.
pub async fn test(ctx: &Ctx, id: WebhookId) -> Result<TestOut> {
    trial::run(ctx, Subscriber::Webhook(id.0)).await
}

/// Its log, the newest first.
pub async fn deliveries(
    ctx: &Ctx,
    id: WebhookId,
    list: &List,
    state: Option<DeliveryState>,
) -> Result<Page<DeliveryOut>> {
    find(ctx.read(Permission::NotificationsRead)?, id).await?;
    deliveries::list(ctx, Subscriber::Webhook(id.0), list, state).await
}

/// Sends one again.
pub async fn redeliver(ctx: &Ctx, id: WebhookId, delivery: DeliveryId) -> Result<DeliveryOut> {
    deliveries::redeliver(ctx, Subscriber::Webhook(id.0), Action::WebhookRedelivered, delivery).await
}

/// Judged as a request to it would be; what is wrong is noted, and then the text is of no use.
async fn address(app: &App, wrong: &mut Violations, given: &str) -> String {
    let Some(url) = input::line(wrong, "url", given, URL_MAX) else { return String::new() };
    match app.outbound().check(Policy::Lan, &url).await {
        Ok(_) => {}
        // A name whose entry at the name server comes later. What it leads to is judged when something is sent.
        Err(error) if error.is_unresolved() => {}
        Err(OutboundError::Refused(reason)) => wrong.add("url", sentence(reason)),
        Err(error) => wrong.add("url", sentence(error)),
    }
    url
}

pub(super) fn certificate(wrong: &mut Violations, given: Option<String>) -> Option<String> {
    let given = given.filter(|text| !text.trim().is_empty())?;
    match given.trim().parse::<Pin>() {
        Ok(pin) => Some(pin.to_string()),
        Err(reason) => {
            wrong.add("certificate_sha256", reason);
            None
        }
    }
}

/// What the log shows of it: not the path, which may be a secret.
fn told(row: &webhook::Model) -> Value {
    json!({
        "name": row.name, "origin": origin(&row.url), "events": row.events, "enabled": row.enabled,
        "certificate_sha256": row.certificate_sha256,
    })
}

async fn find(conn: &impl ConnectionTrait, id: WebhookId) -> Result<webhook::Model> {
    webhook::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

fn out(ctx: &Ctx, row: webhook::Model, secret: Option<&Secret>) -> WebhookOut {
    let may_know = ctx.principal().permits(Permission::NotificationsWrite);
    let signs_along = signs_along(&row, ctx.now());
    WebhookOut {
        id: row.id.into(),
        url: if may_know { row.url } else { origin(&row.url) },
        events: kinds::stored(&row.events),
        has_previous_secret: signs_along,
        previous_secret_until: row.previous_secret_until.filter(|_| signs_along),
        secret: secret.map(|secret| secret.expose().to_owned()),
        name: row.name,
        enabled: row.enabled,
        certificate_sha256: row.certificate_sha256,
        secret_changed_at: row.secret_changed_at,
        failing_since: row.failing_since,
        disabled_at: row.disabled_at,
        disabled_reason: row.disabled_reason,
        last_delivered_at: row.last_delivered_at,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
