//! IP addresses of assets. Each knows the narrowest network that contains it.

use cb_core::audit::Action;
use std::net::IpAddr;

use cb_core::error::Violations;
use cb_core::ids::{AddressId, AssetId, InterfaceId, NetworkId};
use cb_core::inventory::Source;
use cb_core::{Error, Event, Patch, Permission, Result};
use cb_store::entities::{address, interface};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::sea_query::Expr;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    QueryFilter as _,
};
use cb_store::{Row, db, taken};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::assets::{self, word};
use crate::auth::active;
use crate::ctx::Ctx;
use crate::input;
use crate::networks;
use crate::order::ip_key;
use crate::page::{self, List, Page, Sort, contains};

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Address)]
pub struct AddressOut {
    pub id: AddressId,
    pub asset_id: AssetId,
    #[schema(required)]
    pub interface_id: Option<InterfaceId>,
    #[schema(required)]
    pub network_id: Option<NetworkId>,
    pub ip: String,
    #[schema(required)]
    pub hostname: Option<String>,
    pub source: Source,
    #[schema(required)]
    pub last_seen_at: Option<DateTime<Utc>>,
    /// How it was last seen: `arp`, `icmp`, `tcp:22` (a port), `neighbor` (the server's neighbor table), `local` (the
    /// server itself), `mdns`, `ssdp`.
    pub seen_by: Vec<String>,
    /// When a scan looked for the address and got no answer; null when it is seen again.
    #[schema(required)]
    pub missed_at: Option<DateTime<Utc>>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressIn {
    pub asset_id: AssetId,
    pub interface_id: Option<InterfaceId>,
    #[schema(example = "192.168.1.20")]
    pub ip: String,
    pub hostname: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AddressPatch {
    #[serde(default)]
    pub asset_id: Option<AssetId>,
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    pub interface_id: Patch<InterfaceId>,
    #[serde(default)]
    pub ip: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub hostname: Patch<String>,
}

/// What a list of addresses can be narrowed to.
#[derive(Debug, Default)]
pub struct AddressFilter {
    pub asset: Option<AssetId>,
    pub network: Option<NetworkId>,
}

pub async fn list(ctx: &Ctx, list: &List, filter: &AddressFilter) -> Result<Page<AddressOut>> {
    let conn = ctx.read(Permission::InventoryRead)?;
    let mut select = address::Entity::find();
    if let Some(asset) = filter.asset {
        select = select.filter(address::Column::AssetId.eq(asset.0));
    }
    if let Some(network) = filter.network {
        select = select.filter(address::Column::NetworkId.eq(network.0));
    }
    for word in list.patterns()? {
        select = select.filter(
            Condition::any()
                .add(contains(Expr::col(address::Column::Ip), &word))
                .add(contains(Expr::col(address::Column::Hostname), &word)),
        );
    }
    let sorts = [
        ("ip", Sort::text(address::Column::IpKey)),
        ("hostname", Sort::text(address::Column::Hostname)),
        ("last_seen_at", Sort::time(address::Column::LastSeenAt)),
        ("created_at", Sort::time(address::Column::CreatedAt)),
    ];
    let page = page::page(conn, select, list, address::Column::Id, &sorts, "ip").await?;
    let items = page.items.into_iter().map(AddressOut::try_from).collect::<Result<_>>()?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

pub async fn get(ctx: &Ctx, id: AddressId) -> Result<AddressOut> {
    find(ctx.read(Permission::InventoryRead)?, id).await?.try_into()
}

pub async fn create(ctx: &Ctx, input: AddressIn) -> Result<AddressOut> {
    let mut wrong = Violations::new();
    let ip = ip(&mut wrong, "ip", &input.ip);
    let hostname =
        input::optional_line(&mut wrong, "hostname", input.hostname.as_deref(), input::HOSTNAME_MAX);
    wrong.into_result()?;
    let ip = ip.ok_or(Error::NotFound)?;
    ctx.write_rows(
        Permission::InventoryWrite,
        Action::AddressCreated,
        &[Row::AssetStays(input.asset_id.0)],
        async |tx| {
            let owner = assets::named(tx.conn(), "asset_id", input.asset_id).await?;
            let nic = match input.interface_id {
                Some(id) => Some(nic(tx.conn(), id, owner.id).await?.id),
                None => None,
            };
            let network = networks::containing(tx.conn(), ip).await?.map(|n| n.id);
            let row = new_row(ctx, owner.id, nic, network, ip, hostname, Source::Manual);
            address::Entity::insert(active(row.clone()))
                .exec(tx.conn())
                .await
                .map_err(|e| taken(&e, TAKEN))?;
            tx.about("address", row.id);
            tx.detail(json!({ "asset": owner.name, "ip": row.ip, "hostname": row.hostname }));
            tx.emit(Event::AssetChanged { id: row.asset_id.into() });
            row.try_into()
        },
    )
    .await
}

pub async fn update(
    ctx: &Ctx,
    id: AddressId,
    patch: AddressPatch,
    version: Option<i64>,
) -> Result<AddressOut> {
    let mut wrong = Violations::new();
    let ip = patch.ip.and_then(|text| ip(&mut wrong, "ip", &text));
    let hostname = input::line_patch(&mut wrong, "hostname", patch.hostname, input::HOSTNAME_MAX);
    wrong.into_result()?;
    ctx.write(Permission::InventoryWrite, Action::AddressUpdated, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        let before = json!({ "ip": row.ip, "hostname": row.hostname, "asset_id": row.asset_id });
        tx.emit(Event::AssetChanged { id: row.asset_id.into() });
        let (next, mut owner, key) = (row.version + 1, row.asset_id, row.ip_key.clone());
        let mut change: address::ActiveModel = row.into();
        if let Some(asset) = patch.asset_id {
            owner = assets::named(tx.conn(), "asset_id", asset).await?.id;
            change.asset_id = Set(owner);
        }
        if let Some(wanted) = patch.interface_id.change() {
            change.interface_id = Set(match wanted {
                Some(id) => Some(nic(tx.conn(), id, owner).await?.id),
                None => None,
            });
        }
        if let Some(ip) = ip {
            change.network_id = Set(networks::containing(tx.conn(), ip).await?.map(|n| n.id));
            change.ip_key = Set(ip_key(ip));
            change.ip = Set(ip.to_string());
            change.source = Set(Source::Manual.as_str().to_owned());
            if ip_key(ip) != key {
                // Nobody has seen it there.
                change.last_seen_at = Set(None);
                change.seen_by = Set(None);
                change.missed_at = Set(None);
            }
        }
        if let Some(hostname) = hostname {
            change.hostname = Set(hostname);
        }
        change.version = Set(next);
        change.updated_at = Set(ctx.now());
        let row = change.update(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        tx.about("address", row.id);
        tx.detail(json!({ "from": before, "to": { "ip": row.ip, "hostname": row.hostname, "asset_id": row.asset_id } }));
        tx.emit(Event::AssetChanged { id: row.asset_id.into() });
        row.try_into()
    })
    .await
}

pub async fn delete(ctx: &Ctx, id: AddressId, version: Option<i64>) -> Result<()> {
    ctx.write(Permission::InventoryWrite, Action::AddressDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        tx.about("address", row.id);
        tx.detail(json!({ "ip": row.ip, "asset_id": row.asset_id }));
        tx.emit(Event::AssetChanged { id: row.asset_id.into() });
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

const TAKEN: (&str, &str) = ("ip", "This asset already has this address.");

pub(crate) fn new_row(
    ctx: &Ctx,
    asset_id: Uuid,
    interface_id: Option<Uuid>,
    network_id: Option<Uuid>,
    ip: IpAddr,
    hostname: Option<String>,
    source: Source,
) -> address::Model {
    let now = ctx.now();
    address::Model {
        id: ctx.new_id(),
        asset_id,
        interface_id,
        network_id,
        ip: ip.to_string(),
        ip_key: ip_key(ip),
        hostname,
        source: source.as_str().to_owned(),
        last_seen_at: (source == Source::Discovered).then_some(now),
        seen_by: None,
        missed_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

pub(crate) fn ip(wrong: &mut Violations, field: &str, text: &str) -> Option<IpAddr> {
    match text.trim().parse::<IpAddr>() {
        Ok(ip) if !ip.is_unspecified() && !ip.is_multicast() => return Some(ip.to_canonical()),
        Ok(_) => wrong.add(field, "This is not the address of one device. Enter another address."),
        Err(_) => wrong.add(field, "Enter an IP address such as 192.168.1.20."),
    }
    None
}

/// The interface that an input names, on the same asset.
async fn nic(conn: &impl ConnectionTrait, id: InterfaceId, asset: Uuid) -> Result<interface::Model> {
    let found = interface::Entity::find_by_id(id.0).one(conn).await.map_err(db)?;
    found.filter(|i| i.asset_id == asset).ok_or_else(|| {
        Error::invalid("interface_id", "This asset does not have this interface. Choose another one.")
    })
}

async fn find(conn: &impl ConnectionTrait, id: AddressId) -> Result<address::Model> {
    address::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

impl TryFrom<address::Model> for AddressOut {
    type Error = Error;

    fn try_from(row: address::Model) -> Result<Self> {
        Ok(Self {
            source: word(Source::parse(&row.source), &row.source)?,
            id: row.id.into(),
            asset_id: row.asset_id.into(),
            interface_id: row.interface_id.map(Into::into),
            network_id: row.network_id.map(Into::into),
            ip: row.ip,
            hostname: row.hostname,
            last_seen_at: row.last_seen_at,
            seen_by: row.seen_by.iter().flat_map(|by| by.split(' ')).map(str::to_owned).collect(),
            missed_at: row.missed_at,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
