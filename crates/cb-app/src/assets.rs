//! Assets: anything the user has. What a person typed is remembered by field, so that a scan never
//! overwrites it.

mod bulk;
mod export;
mod product;
mod search;
mod shown;

use cb_core::audit::Action;
use std::collections::BTreeSet;
use std::net::IpAddr;

use cb_core::error::Violations;
use cb_core::ids::{AddressId, AssetId, ServiceId, TagId};
use cb_core::inventory::{AssetKind, AssetStatus, Protocol, Source, WebScheme};
use cb_core::{Error, Event, Patch, Permission, Result};
use cb_store::entities::{address, asset, asset_tag, interface, link, service, tag};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use cb_store::{Row, WriteTx, db};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::addresses::{self, AddressOut};
use crate::auth::active;
use crate::conflicts::{self, Conflict};
use crate::ctx::Ctx;
use crate::input::{self, NAME_MAX, SHORT_MAX};
use crate::interfaces::InterfaceOut;
use crate::links::LinkOut;
use crate::networks;
use crate::notify::news;
use crate::order::name_key;
use crate::page::{self, List, Page, Sort};
use crate::rank::{self, Wanted};
pub(crate) use bulk::MOST as BULK_MOST;
pub use bulk::{AssetsDone, AssetsIn, AssetsTagIn, delete_many, tag_many};
pub use export::{Export, export};
pub use search::AssetFilter;
use search::{by_match, first_address, narrowed};
pub(crate) use search::{named_tag, plain_role, role_word};
use shown::{out, outs, shown};

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TagRef {
    pub id: TagId,
    pub name: String,
    pub color: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Asset)]
pub struct AssetOut {
    pub id: AssetId,
    pub name: String,
    pub kind: AssetKind,
    #[schema(required)]
    pub role: Option<String>,
    #[schema(required)]
    pub vendor: Option<String>,
    #[schema(required)]
    pub model: Option<String>,
    #[schema(required)]
    pub os: Option<String>,
    /// Markdown.
    pub notes: String,
    /// The status that is shown: the one that a person set, or otherwise the one that was seen.
    pub status: AssetStatus,
    /// The status that a person set. It stays until a person changes it.
    #[schema(required)]
    pub status_set: Option<AssetStatus>,
    /// What the scans saw. `up`: it answered the last scan that looked for it; `not_seen`: it did not answer that scan;
    /// `unknown`: it was never seen.
    pub status_seen: AssetStatus,
    /// The time since which `status_seen` has this value. For `not_seen`: when it last answered.
    #[schema(required)]
    pub status_since: Option<DateTime<Utc>>,
    pub source: Source,
    /// Fields that a person entered; a scan does not change them.
    pub typed_fields: Vec<String>,
    pub tags: Vec<TagRef>,
    /// Its IP addresses, in order.
    pub addresses: Vec<String>,
    #[schema(required)]
    pub first_seen_at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub last_seen_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub version: i64,
}

/// An asset with everything that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AssetDetail {
    #[serde(flatten)]
    pub asset: AssetOut,
    pub interfaces: Vec<InterfaceOut>,
    pub address_list: Vec<AddressOut>,
    pub services: Vec<ServiceOut>,
    pub links: Vec<LinkOut>,
    /// Addresses that other assets also have, with those assets.
    pub conflicts: Vec<Conflict>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Service)]
pub struct ServiceOut {
    pub id: ServiceId,
    pub asset_id: AssetId,
    #[schema(required)]
    pub address_id: Option<AddressId>,
    pub protocol: Protocol,
    pub port: i32,
    pub name: String,
    #[schema(required)]
    pub product: Option<String>,
    #[schema(required)]
    pub version_text: Option<String>,
    /// The scheme over which it sent a page, so that a browser can open it; null if it sent no page.
    #[schema(required)]
    pub scheme: Option<WebScheme>,
    /// 0 to 100.
    pub confidence: i32,
    #[schema(required)]
    pub last_seen_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetIn {
    #[schema(example = "nas-1")]
    pub name: String,
    pub kind: AssetKind,
    pub role: Option<String>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub os: Option<String>,
    pub notes: Option<String>,
    /// Overrides the status that scans see until it is cleared.
    pub status: Option<AssetStatus>,
    /// IDs of tags.
    pub tags: Option<Vec<TagId>>,
    /// Its IP addresses, at most 64.
    #[schema(max_items = 64, example = json!(["192.168.1.20"]))]
    pub addresses: Option<Vec<String>>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetPatch {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub kind: Option<AssetKind>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub role: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub vendor: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub model: Patch<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub os: Patch<String>,
    #[serde(default)]
    pub notes: Option<String>,
    /// Overrides the status that scans see; null clears it.
    #[serde(default)]
    #[schema(value_type = Option<AssetStatus>)]
    pub status: Patch<AssetStatus>,
    /// IDs of tags; they replace the existing tags.
    #[serde(default)]
    pub tags: Option<Vec<TagId>>,
}

pub async fn list(ctx: &Ctx, list: &List, filter: &AssetFilter) -> Result<Page<AssetOut>> {
    let conn = ctx.read(Permission::InventoryRead)?;
    let select = narrowed(filter, list.q.as_deref())?;
    let wanted = Wanted::new(list.q.as_deref())?;
    let sorts = [
        (rank::MATCH, by_match(&wanted)),
        ("name", Sort::text(asset::Column::NameKey)),
        ("status", Sort::derived(asset::Column::shown_status())),
        ("address", Sort::derived(first_address())),
        ("kind", Sort::text(asset::Column::Kind)),
        ("role", Sort::derived(asset::Column::shown_role())),
        ("vendor", Sort::text(asset::Column::Vendor)),
        ("created_at", Sort::time(asset::Column::CreatedAt)),
        ("last_seen_at", Sort::time(asset::Column::LastSeenAt)),
    ];
    let page = page::page(conn, select, list, asset::Column::Id, &sorts, wanted.order_or("name")).await?;
    Ok(Page { items: outs(conn, page.items).await?, next_cursor: page.next_cursor, total: page.total })
}

pub async fn get(ctx: &Ctx, id: AssetId) -> Result<AssetDetail> {
    let conn = ctx.read(Permission::InventoryRead)?;
    let row = find(conn, id).await?;
    let interfaces =
        row.find_related(interface::Entity).order_by_asc(interface::Column::Name).all(conn).await;
    let addresses = row.find_related(address::Entity).order_by_asc(address::Column::IpKey).all(conn).await;
    let services = row.find_related(service::Entity).order_by_asc(service::Column::Port).all(conn).await;
    let links = link::Entity::find()
        .filter(Condition::any().add(link::Column::AAssetId.eq(id.0)).add(link::Column::BAssetId.eq(id.0)))
        .all(conn)
        .await;
    let asset = outs(conn, vec![row]).await?.pop().ok_or(Error::NotFound)?;
    Ok(AssetDetail {
        asset,
        interfaces: interfaces.map_err(db)?.into_iter().map(Into::into).collect(),
        address_list: addresses.map_err(db)?.into_iter().map(AddressOut::try_from).collect::<Result<_>>()?,
        services: services.map_err(db)?.into_iter().map(ServiceOut::try_from).collect::<Result<_>>()?,
        links: links.map_err(db)?.into_iter().map(LinkOut::try_from).collect::<Result<_>>()?,
        conflicts: conflicts::of_asset(conn, id).await?,
    })
}

pub async fn create(ctx: &Ctx, input: AssetIn) -> Result<AssetOut> {
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "name", &input.name, NAME_MAX).unwrap_or_default();
    let mut text =
        |field, value: &Option<String>| input::optional_line(&mut wrong, field, value.as_deref(), SHORT_MAX);
    let (role, vendor) = (text("role", &input.role), text("vendor", &input.vendor));
    let (model, os) = (text("model", &input.model), text("os", &input.os));
    let notes = input::notes(&mut wrong, input.notes.as_deref().unwrap_or_default());
    let tags = tag_set(&mut wrong, input.tags);
    let addresses = typed_addresses(&mut wrong, &input.addresses.unwrap_or_default());
    wrong.into_result()?;
    let typed: Vec<&str> = [
        Some("name"),
        Some("kind"),
        role.as_ref().map(|_| "role"),
        vendor.as_ref().map(|_| "vendor"),
        model.as_ref().map(|_| "model"),
        os.as_ref().map(|_| "os"),
    ]
    .into_iter()
    .flatten()
    .collect();
    let now = ctx.now();
    let row = asset::Model {
        id: ctx.new_id(),
        name_key: name_key(&name),
        name,
        kind: input.kind.as_str().to_owned(),
        role,
        vendor,
        model,
        os,
        notes,
        status_set: input.status.map(|status| status.as_str().to_owned()),
        status_seen: AssetStatus::Unknown.as_str().to_owned(),
        status_since: None,
        source: Source::Manual.as_str().to_owned(),
        typed_fields: json!(typed),
        first_seen_at: None,
        last_seen_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    };
    ctx.write_rows(Permission::InventoryWrite, Action::AssetCreated, &[], async |tx| {
        asset::Entity::insert(active(row.clone())).exec_without_returning(tx.conn()).await.map_err(db)?;
        let tags = give_tags(tx, row.id, &tags.unwrap_or_default()).await?;
        for ip in &addresses {
            let network = networks::containing(tx.conn(), *ip).await?.map(|n| n.id);
            let address = addresses::new_row(ctx, row.id, None, network, *ip, None, Source::Manual);
            address::Entity::insert(active(address)).exec_without_returning(tx.conn()).await.map_err(db)?;
        }
        tx.about("asset", row.id);
        tx.detail(if addresses.is_empty() {
            json!({ "name": row.name, "kind": row.kind })
        } else {
            json!({ "name": row.name, "kind": row.kind, "addresses": addresses })
        });
        tx.emit(Event::AssetChanged { id: row.id.into() });
        news::asset_created(ctx, tx, &row).await?;
        shown(row, tags, addresses.iter().map(IpAddr::to_string).collect())
    })
    .await
}

fn typed_addresses(wrong: &mut Violations, texts: &[String]) -> BTreeSet<IpAddr> {
    wrong.require(texts.len() <= ADDRESSES_MOST, "addresses", "Enter at most 64 addresses.");
    let typed = texts.iter().enumerate().take(ADDRESSES_MOST);
    typed.filter_map(|(at, text)| addresses::ip(wrong, &format!("addresses[{at}]"), text)).collect()
}

pub async fn update(ctx: &Ctx, id: AssetId, patch: AssetPatch, version: Option<i64>) -> Result<AssetOut> {
    let mut wrong = Violations::new();
    let name = patch.name.and_then(|n| input::line(&mut wrong, "name", &n, NAME_MAX));
    let role = input::line_patch(&mut wrong, "role", patch.role, SHORT_MAX);
    let vendor = input::line_patch(&mut wrong, "vendor", patch.vendor, SHORT_MAX);
    let model = input::line_patch(&mut wrong, "model", patch.model, SHORT_MAX);
    let os = input::line_patch(&mut wrong, "os", patch.os, SHORT_MAX);
    let notes = patch.notes.map(|n| input::notes(&mut wrong, &n));
    let tags = tag_set(&mut wrong, patch.tags);
    wrong.into_result()?;
    ctx.write_rows(Permission::InventoryWrite, Action::AssetUpdated, &[Row::Asset(id.0)], async |tx| {
        // Locked: a scan that sees it at the same moment counts its version up too.
        let row = asset::Entity::find_by_id(id.0).lock_exclusive().one(tx.conn()).await;
        let row = row.map_err(db)?.ok_or(Error::NotFound)?;
        input::expect_version(row.version, version)?;
        let before = row.clone();
        let mut typed = typed_fields(&row)?;
        let mut change: asset::ActiveModel = row.into();
        if let Some(name) = name {
            typed.insert("name".to_owned());
            change.name_key = Set(name_key(&name));
            change.name = Set(name);
        }
        if let Some(kind) = patch.kind {
            typed.insert("kind".to_owned());
            change.kind = Set(kind.as_str().to_owned());
        }
        let texts = [
            ("role", role, &mut change.role),
            ("vendor", vendor, &mut change.vendor),
            ("model", model, &mut change.model),
            ("os", os, &mut change.os),
        ];
        for (field, value, column) in texts {
            let Some(value) = value else { continue };
            // Cleared by a person: from now on a scan may fill it again.
            if value.is_some() {
                typed.insert(field.to_owned())
            } else {
                typed.remove(field)
            };
            *column = Set(value);
        }
        if let Some(status) = patch.status.change() {
            change.status_set = Set(status.map(|status| status.as_str().to_owned()));
        }
        if let Some(notes) = notes {
            change.notes = Set(notes);
        }
        change.typed_fields = Set(json!(typed));
        change.version = Set(before.version + 1);
        change.updated_at = Set(ctx.now());
        let row = change.update(tx.conn()).await.map_err(db)?;
        if let Some(tags) = tags {
            set_tags(tx, row.id, &tags).await?;
        }
        tx.about("asset", row.id);
        tx.detail(difference(&before, &row));
        tx.emit(Event::AssetChanged { id: row.id.into() });
        out(tx.conn(), row).await
    })
    .await
}

pub async fn delete(ctx: &Ctx, id: AssetId, version: Option<i64>) -> Result<()> {
    // Alone: its links go with it, and belong to other assets too.
    ctx.write(Permission::InventoryWrite, Action::AssetDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        tx.about("asset", row.id);
        tx.detail(json!({ "name": row.name, "kind": row.kind }));
        tx.emit(Event::AssetRemoved { id });
        news::asset_removed(ctx, tx, &row).await?;
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

pub(crate) async fn find(conn: &impl ConnectionTrait, id: AssetId) -> Result<asset::Model> {
    asset::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

/// The asset that an input names; when it is not there the input is wrong, not the path.
pub(crate) async fn named(conn: &impl ConnectionTrait, field: &str, id: AssetId) -> Result<asset::Model> {
    find(conn, id).await.map_err(|e| match e {
        Error::NotFound => Error::invalid(field, "This asset does not exist. Choose another one."),
        other => other,
    })
}

/// An error when the row is damaged: taking it for "nothing was typed" would let a scan overwrite a person.
pub(crate) fn typed_fields(row: &asset::Model) -> Result<BTreeSet<String>> {
    serde_json::from_value(row.typed_fields.clone())
        .map_err(|e| Error::Internal(format!("the typed fields of asset {}: {e}", row.id)))
}

/// What a scan knows of an asset, into the fields that no person has typed; says whether any changed.
pub(crate) fn observe(
    row: &asset::Model,
    change: &mut asset::ActiveModel,
    guess: &cb_collect::report::Guess,
) -> Result<bool> {
    let typed = typed_fields(row)?;
    let mut changed = false;
    let texts = [
        ("role", &guess.role, &row.role, &mut change.role),
        ("vendor", &guess.vendor, &row.vendor, &mut change.vendor),
        ("model", &guess.model, &row.model, &mut change.model),
        ("os", &guess.os, &row.os, &mut change.os),
    ];
    for (field, seen, known, column) in texts {
        if seen.is_some() && known.is_none() && !typed.contains(field) {
            *column = Set(seen.clone());
            changed = true;
        }
    }
    Ok(changed)
}

/// For the audit log: each field that changed, before and after.
fn difference(before: &asset::Model, after: &asset::Model) -> serde_json::Value {
    let fields = |row: &asset::Model| {
        json!({
            "name": row.name, "kind": row.kind, "role": row.role, "vendor": row.vendor, "model": row.model,
            "os": row.os, "notes": row.notes, "status": row.status_set,
        })
    };
    let (old, new) = (fields(before), fields(after));
    let mut changes = serde_json::Map::new();
    if let (Some(old), Some(new)) = (old.as_object(), new.as_object()) {
        for (field, value) in new {
            if old.get(field) != Some(value) {
                changes.insert(field.clone(), json!({ "from": old.get(field), "to": value }));
            }
        }
    }
    changes.insert("name_now".to_owned(), json!(after.name));
    changes.into()
}

pub(crate) const TAGS_MOST: usize = 50;
const ADDRESSES_MOST: usize = 64;

pub(crate) fn tag_set(wrong: &mut Violations, tags: Option<Vec<TagId>>) -> Option<BTreeSet<Uuid>> {
    let tags = tags?;
    wrong.require(tags.len() <= TAGS_MOST, "tags", "Use at most 50 tags.");
    Some(tags.into_iter().map(|t| t.0).collect())
}

async fn set_tags(tx: &mut WriteTx, asset: Uuid, tags: &BTreeSet<Uuid>) -> Result<()> {
    let of_asset = asset_tag::Column::AssetId.eq(asset);
    asset_tag::Entity::delete_many().filter(of_asset).exec(tx.conn()).await.map_err(db)?;
    give_tags(tx, asset, tags).await.map(drop)
}

/// To an asset that has none. Gives them back by name.
async fn give_tags(tx: &mut WriteTx, asset: Uuid, tags: &BTreeSet<Uuid>) -> Result<Vec<TagRef>> {
    if tags.is_empty() {
        return Ok(Vec::new());
    }
    let conn = tx.conn();
    let known = tag::Entity::find().filter(tag::Column::Id.is_in(tags.iter().copied()));
    let known = known.order_by_asc(tag::Column::NameKey).all(conn).await.map_err(db)?;
    if known.len() != tags.len() {
        return Err(Error::invalid("tags", "One of these tags does not exist."));
    }
    let rows = tags.iter().map(|&tag_id| active(asset_tag::Model { asset_id: asset, tag_id }));
    asset_tag::Entity::insert_many(rows).exec_without_returning(conn).await.map_err(db)?;
    Ok(known.into_iter().map(|tag| TagRef { id: tag.id.into(), name: tag.name, color: tag.color }).collect())
}

/// A stored word of a closed vocabulary; one that is not in it means a damaged row.
pub(crate) fn word<T>(parsed: Option<T>, text: &str) -> Result<T> {
    parsed.ok_or_else(|| Error::Internal(format!("the database holds the unknown word {text:?}")))
}

impl TryFrom<service::Model> for ServiceOut {
    type Error = Error;

    fn try_from(row: service::Model) -> Result<Self> {
        Ok(Self {
            protocol: word(Protocol::parse(&row.protocol), &row.protocol)?,
            id: row.id.into(),
            asset_id: row.asset_id.into(),
            address_id: Some(row.address_id.into()),
            port: row.port,
            name: row.name,
            product: row.product,
            version_text: row.version_text,
            scheme: row.scheme.map(|text| word(WebScheme::parse(&text), &text)).transpose()?,
            confidence: row.confidence,
            last_seen_at: row.last_seen_at,
        })
    }
}
