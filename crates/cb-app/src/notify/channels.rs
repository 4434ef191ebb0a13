//! Channels: who is told through a service that people read.
//!
//! Its secret goes where it was typed for and nowhere else: whoever changes where it is sent, or whom is trusted there, gives it
//! again in the same change.

use cb_core::audit::Action;
use std::collections::BTreeMap;

use cb_core::error::Violations;
use cb_core::form::{Public, Secrets};
use cb_core::ids::{ChannelId, DeliveryId};
use cb_core::notice::{Notice, NoticeKind, Severity};
use cb_core::{Error, Event, Patch, Permission, Result, Secret};
use cb_net::http::Pin;
use cb_notify::Answer;
pub use cb_notify::channels::Kind;
use cb_notify::channels::{Channel, Letter, Sender};
use cb_store::entities::channel;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    PaginatorTrait as _, QueryFilter as _,
};
use cb_store::sealed::CHANNEL_SECRET;
use cb_store::{Subscriber, WriteTx, db, taken};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::deliveries::{self, DeliveryOut, DeliveryState};
use super::kinds;
use super::trial::{self, TestOut};
use super::webhooks::certificate;
use crate::app::App;
use crate::auth::active;
use crate::credentials::kinds::Pinned;
use crate::ctx::Ctx;
use crate::input;
use crate::order::name_key;
use crate::page::{self, List, Page, Sort, contains};

/// Channels that there can be: each notice is written down for each of them.
const CHANNELS_MOST: u64 = 100;
const TAKEN: (&str, &str) = ("name", "A channel with this name already exists.");

/// A kind with everything that a form needs.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ChannelKindDescription)]
pub struct ChannelKindOut {
    pub kind: Kind,
    #[schema(value_type = String)]
    pub title: &'static str,
    /// A JSON schema. `x-order` is the order of the fields. A change of a field with `x-binds-secret` must include the
    /// secret again.
    #[schema(value_type = Object)]
    pub public: Value,
    #[schema(value_type = Object)]
    pub secret: Value,
    /// What can be pinned.
    #[schema(required)]
    pub pin: Option<Pinned>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Channel)]
pub struct ChannelOut {
    pub id: ChannelId,
    pub name: String,
    pub kind: Kind,
    /// All events if empty.
    pub events: Vec<NoticeKind>,
    /// Events with a lower severity are not sent.
    pub min_severity: Severity,
    pub public: BTreeMap<String, String>,
    /// Scheme, host and port to which messages are sent; null if they are part of the secret and the secret cannot be decrypted.
    #[schema(required)]
    pub to: Option<String>,
    pub has_secret: bool,
    #[schema(required)]
    pub certificate_sha256: Option<String>,
    pub enabled: bool,
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
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChannelIn)]
pub struct ChannelIn {
    #[schema(example = "Phone")]
    pub name: String,
    pub kind: Kind,
    /// All events if empty or absent.
    #[serde(default)]
    pub events: Vec<NoticeKind>,
    /// `info` if absent, which includes everything.
    pub min_severity: Option<Severity>,
    /// The fields of the kind; see `/channel-kinds`.
    #[serde(default)]
    pub public: BTreeMap<String, String>,
    /// Write-only.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>, write_only)]
    pub secret: BTreeMap<String, Secret>,
    /// The fingerprint of the certificate there, if this server does not trust its issuer.
    pub certificate_sha256: Option<String>,
    /// True if absent.
    pub enabled: Option<bool>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChannelPatch)]
pub struct ChannelPatch {
    pub name: Option<String>,
    /// The complete list; every kind if empty.
    pub events: Option<Vec<NoticeKind>>,
    pub min_severity: Option<Severity>,
    /// The complete set of public fields. Changes of some fields must include the secret again.
    pub public: Option<BTreeMap<String, String>>,
    /// The complete set of secret fields.
    #[schema(value_type = Option<BTreeMap<String, String>>, write_only)]
    pub secret: Option<BTreeMap<String, Secret>>,
    /// A change must include the secret again.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub certificate_sha256: Patch<String>,
    /// True also clears its failures. False discards its waiting messages.
    pub enabled: Option<bool>,
}

/// A channel with its secrets open.
pub(super) struct Opened {
    kind: Kind,
    public: Public,
    secrets: Secrets,
    pin: Option<Pin>,
}

impl Opened {
    pub(super) async fn of(app: &App, row: &channel::Model) -> Result<Self> {
        let pin = row.certificate_sha256.as_deref().map(str::parse::<Pin>).transpose();
        let pin = pin.map_err(|reason| Error::Internal(format!("channel {}: its pin {reason}", row.id)))?;
        Ok(Self { kind: kind_of(row)?, public: public_of(row)?, secrets: secrets_of(app, row).await?, pin })
    }

    fn channel(&self) -> Channel<'_> {
        Channel { kind: self.kind, public: &self.public, secrets: &self.secrets, pin: self.pin }
    }

    pub(super) fn where_to(&self) -> Option<String> {
        self.kind.where_to(&self.public, &self.secrets)
    }

    /// One attempt.
    pub(super) async fn tell(&self, app: &App, notice: &Notice) -> Answer {
        Sender::new(app.outbound().clone()).send(&self.channel(), notice, app.public_url()).await
    }

    /// One try to hand in a mail to one person.
    pub(super) async fn write(&self, app: &App, letter: &Letter<'_>) -> Answer {
        Sender::new(app.outbound().clone()).write(&self.channel(), letter).await
    }

    /// Judged as it would be sent to; what is wrong is noted.
    async fn check(&self, app: &App, wrong: &mut Violations) {
        if let Err((field, reason)) = Sender::new(app.outbound().clone()).check(&self.channel()).await {
            wrong.add(field, reason);
        }
    }
}

/// Every kind with its fields.
pub fn kinds(ctx: &Ctx) -> Result<Vec<ChannelKindOut>> {
    ctx.authorize(Permission::NotificationsRead)?;
    let described = |kind: Kind| ChannelKindOut {
        kind,
        title: kind.title(),
        public: kind.form().public_schema(),
        secret: kind.form().secret_schema(),
        pin: kind.takes_pin().then_some(Pinned::Certificate),
    };
    Ok(Kind::ALL.into_iter().map(described).collect())
}

pub async fn list(ctx: &Ctx, list: &List, kind: Option<Kind>) -> Result<Page<ChannelOut>> {
    let conn = ctx.read(Permission::NotificationsRead)?;
    let mut select = channel::Entity::find();
    for word in list.patterns()? {
        let name = cb_store::sea_orm::sea_query::Expr::col((channel::Entity, channel::Column::Name));
        select = select.filter(contains(name, &word));
    }
    if let Some(kind) = kind {
        select = select.filter(channel::Column::Kind.eq(kind.as_str()));
    }
    let sorts = [
        ("name", Sort::text(channel::Column::NameKey)),
        ("kind", Sort::text(channel::Column::Kind)),
        ("created_at", Sort::time(channel::Column::CreatedAt)),
    ];
    let page = page::page(conn, select, list, channel::Column::Id, &sorts, "name").await?;
    let mut items = Vec::new();
    for row in page.items {
        items.push(out(ctx.app(), row).await?);
    }
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

pub async fn get(ctx: &Ctx, id: ChannelId) -> Result<ChannelOut> {
    let conn = ctx.read(Permission::NotificationsRead)?;
    out(ctx.app(), find(conn, id).await?).await
}

pub async fn create(ctx: &Ctx, given: ChannelIn) -> Result<ChannelOut> {
    ctx.authorize(Permission::NotificationsWrite)?;
    ctx.require_proof()?;
    let mut wrong = Violations::new();
    let kind = given.kind;
    let name = input::line(&mut wrong, "name", &given.name, input::SHORT_MAX).unwrap_or_default();
    let events = kinds::read(&mut wrong, "events", &given.events);
    let public = kind.read(&mut wrong, &given.public);
    kind.judge(&mut wrong, &public, &given.secret);
    let certificate_sha256 = pinned(&mut wrong, kind, given.certificate_sha256);
    wrong.into_result()?;
    let opened = Opened { kind, public, secrets: given.secret, pin: None };
    let mut wrong = Violations::new();
    opened.check(ctx.app(), &mut wrong).await;
    wrong.into_result()?;
    let now = ctx.now();
    let mut row = channel::Model {
        id: ctx.new_id(),
        name_key: name_key(&name),
        name,
        kind: kind.as_str().to_owned(),
        public: json!(opened.public),
        secret: None,
        min_severity: given.min_severity.unwrap_or(Severity::Info).as_str().to_owned(),
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
    let row = ctx
        .write(Permission::NotificationsWrite, Action::ChannelCreated, async |tx| {
            if channel::Entity::find().count(tx.conn()).await.map_err(db)? >= CHANNELS_MOST {
                let most = format!(
                    "There are already {CHANNELS_MOST} channels, which is the limit. Delete one first."
                );
                return Err(Error::Conflict(most));
            }
            row.secret = sealed(ctx, tx, row.id, &opened.secrets).await?;
            channel::Entity::insert(active(row.clone()))
                .exec(tx.conn())
                .await
                .map_err(|e| taken(&e, TAKEN))?;
            tx.about("channel", row.id);
            tx.emit(Event::SubscriberChanged { id: row.id });
            tx.detail(told(&row));
            Ok(row)
        })
        .await?;
    out(ctx.app(), row).await
}

pub async fn update(
    ctx: &Ctx,
    id: ChannelId,
    patch: ChannelPatch,
    version: Option<i64>,
) -> Result<ChannelOut> {
    ctx.authorize(Permission::NotificationsWrite)?;
    let known = find(ctx.store().reader(), id).await?;
    let stored = Opened::of(ctx.app(), &known).await?;
    let kind = stored.kind;
    let mut wrong = Violations::new();
    let name = patch.name.and_then(|name| input::line(&mut wrong, "name", &name, input::SHORT_MAX));
    let events = patch.events.map(|given| kinds::read(&mut wrong, "events", &given));
    let public = match &patch.public {
        Some(given) => kind.read(&mut wrong, given),
        None => stored.public.clone(),
    };
    let pin = match patch.certificate_sha256.change() {
        Some(pin) => pinned(&mut wrong, kind, pin),
        None => known.certificate_sha256.clone(),
    };
    let mut reasons = Vec::new();
    if kind.rebound(&stored.public, &public).is_some() {
        reasons.push("it would be sent to a different receiver or in a different way");
    }
    if pin != known.certificate_sha256 {
        reasons.push("the trusted certificate changes");
    }
    let new_secret = patch.secret.is_some();
    if !new_secret && !stored.secrets.is_empty() && !reasons.is_empty() {
        wrong.add("secret", format!("Enter the secret again, because {}.", reasons.join(" and ")));
    }
    let moved = new_secret || public != stored.public;
    let opened = Opened { kind, public, secrets: patch.secret.unwrap_or(stored.secrets), pin: stored.pin };
    if moved {
        kind.judge(&mut wrong, &opened.public, &opened.secrets);
    }
    wrong.into_result()?;
    if moved || pin != known.certificate_sha256 {
        ctx.require_proof()?;
        let mut wrong = Violations::new();
        opened.check(ctx.app(), &mut wrong).await;
        wrong.into_result()?;
    }
    let row = ctx
        .write(Permission::NotificationsWrite, Action::ChannelUpdated, async |tx| {
            let before = find(tx.conn(), id).await?;
            input::expect_version(before.version, version)?;
            let judged = |row: &channel::Model| {
                (row.public.clone(), row.secret.clone(), row.certificate_sha256.clone())
            };
            if judged(&before) != judged(&known) {
                // What was judged is not what would be changed.
                return Err(Error::Stale);
            }
            // Field by field: the worker writes its own beside this.
            let mut row = channel::ActiveModel::from(before.clone());
            if let Some(name) = name {
                row.name_key = Set(name_key(&name));
                row.name = Set(name);
            }
            if let Some(events) = events {
                row.events = Set(kinds::to_json(&events));
            }
            if let Some(least) = patch.min_severity {
                row.min_severity = Set(least.as_str().to_owned());
            }
            row.public = Set(json!(opened.public));
            row.certificate_sha256 = Set(pin);
            if new_secret {
                row.secret = Set(sealed(ctx, tx, before.id, &opened.secrets).await?);
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
                tx.drop_waiting(Subscriber::Channel(row.id), ctx.now()).await?;
            }
            let mut detail = json!({ "from": told(&before), "to": told(&row) });
            detail["secret_changed"] = json!(new_secret);
            tx.about("channel", row.id);
            tx.emit(Event::SubscriberChanged { id: row.id });
            tx.detail(detail);
            Ok(row)
        })
        .await?;
    out(ctx.app(), row).await
}

/// With its log of deliveries, and whatever waits.
pub async fn delete(ctx: &Ctx, id: ChannelId, version: Option<i64>) -> Result<()> {
    ctx.write(Permission::NotificationsWrite, Action::ChannelDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        tx.about("channel", row.id);
        tx.emit(Event::SubscriberChanged { id: row.id });
        tx.detail(told(&row));
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

/// Sends a notice of kind `test` now.
pub async fn test(ctx: &Ctx, id: ChannelId) -> Result<TestOut> {
    trial::run(ctx, Subscriber::Channel(id.0)).await
}

/// Its log, the newest first.
pub async fn deliveries(
    ctx: &Ctx,
    id: ChannelId,
    list: &List,
    state: Option<DeliveryState>,
) -> Result<Page<DeliveryOut>> {
    find(ctx.read(Permission::NotificationsRead)?, id).await?;
    deliveries::list(ctx, Subscriber::Channel(id.0), list, state).await
}

/// Sends one again.
pub async fn redeliver(ctx: &Ctx, id: ChannelId, delivery: DeliveryId) -> Result<DeliveryOut> {
    deliveries::redeliver(ctx, Subscriber::Channel(id.0), Action::ChannelRedelivered, delivery).await
}

/// Within the transaction that writes the row, so that no rotation comes between.
async fn sealed(ctx: &Ctx, tx: &WriteTx, id: Uuid, secrets: &Secrets) -> Result<Option<String>> {
    if secrets.is_empty() {
        return Ok(None);
    }
    let texts: BTreeMap<&str, &str> =
        secrets.iter().map(|(name, text)| (name.as_str(), text.expose())).collect();
    let text = Secret::new(serde_json::to_string(&texts).map_err(Error::internal)?);
    ctx.app().seal(tx, CHANNEL_SECRET.place(&id), &text).await.map(Some)
}

async fn secrets_of(app: &App, row: &channel::Model) -> Result<Secrets> {
    let Some(sealed) = &row.secret else { return Ok(Secrets::new()) };
    let text = app.unseal(CHANNEL_SECRET.place(&row.id), sealed).await?;
    // Not the parser's words: they may have a part of it.
    serde_json::from_str(text.expose())
        .map_err(|_| Error::Internal(format!("channel {}: its secret cannot be read", row.id)))
}

fn pinned(wrong: &mut Violations, kind: Kind, given: Option<String>) -> Option<String> {
    let given = given.filter(|text| !text.trim().is_empty())?;
    if !kind.takes_pin() {
        wrong.add(
            "certificate_sha256",
            format!("Leave this field empty. The kind {} does not use it.", kind.as_str()),
        );
        return None;
    }
    certificate(wrong, Some(given))
}

/// What the log shows of it.
fn told(row: &channel::Model) -> Value {
    json!({
        "name": row.name, "kind": row.kind, "public": row.public, "events": row.events,
        "min_severity": row.min_severity, "enabled": row.enabled, "certificate_sha256": row.certificate_sha256,
    })
}

async fn find(conn: &impl ConnectionTrait, id: ChannelId) -> Result<channel::Model> {
    channel::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

fn kind_of(row: &channel::Model) -> Result<Kind> {
    Kind::parse(&row.kind).ok_or_else(|| Error::Internal(format!("channel {}: kind {}", row.id, row.kind)))
}

fn public_of(row: &channel::Model) -> Result<Public> {
    serde_json::from_value(row.public.clone()).map_err(Error::internal)
}

async fn out(app: &App, row: channel::Model) -> Result<ChannelOut> {
    let (kind, public) = (kind_of(&row)?, public_of(&row)?);
    let to = match kind.where_to(&public, &Secrets::new()) {
        Some(to) => Some(to),
        None => match secrets_of(app, &row).await {
            Ok(secrets) => kind.where_to(&public, &secrets),
            // Shown all the same: somebody has to be able to remove it.
            Err(error) => {
                tracing::error!(channel = %row.id, %error, "the secret of a channel cannot be opened");
                None
            }
        },
    };
    Ok(ChannelOut {
        to,
        kind,
        public,
        id: row.id.into(),
        name: row.name,
        events: kinds::stored(&row.events),
        min_severity: Severity::parse(&row.min_severity)
            .ok_or_else(|| Error::Internal(format!("channel {}: severity {}", row.id, row.min_severity)))?,
        has_secret: row.secret.is_some(),
        certificate_sha256: row.certificate_sha256,
        enabled: row.enabled,
        failing_since: row.failing_since,
        disabled_at: row.disabled_at,
        disabled_reason: row.disabled_reason,
        last_delivered_at: row.last_delivered_at,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
