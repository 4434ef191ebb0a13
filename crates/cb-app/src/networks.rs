//! Networks: subnets and VLANs. An address belongs to the narrowest one that contains it.

mod facts;
mod space;

use cb_core::audit::Action;
use std::cmp::Reverse;
use std::net::IpAddr;

use cb_core::error::Violations;
use cb_core::ids::NetworkId;
use cb_core::inventory::Source;
use cb_core::{Error, Event, Patch, Permission, Result};
use cb_store::entities::{address, network};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    QueryFilter as _, QueryOrder as _,
};
use cb_store::{WriteTx, db, taken};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::assets::word;
use crate::auth::active;
use crate::conflicts::{self, AssetRef, Conflict};
use crate::ctx::Ctx;
use crate::input::{self, NAME_MAX};
use crate::order::{network_key, range};
use crate::page::{self, List, Page, Sort, begins, contains};
use crate::rank::{self, Wanted, like};
use facts::Facts;
pub use facts::NetworkScan;

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Network)]
pub struct NetworkOut {
    pub id: NetworkId,
    pub name: String,
    pub cidr: String,
    #[schema(required)]
    pub vlan: Option<i32>,
    #[schema(required)]
    pub gateway: Option<String>,
    pub notes: String,
    pub source: Source,
    /// The number of asset addresses in it. Each address counts once; addresses in a narrower network do not count.
    pub address_count: u64,
    /// The number of addresses that machines can have, without the network address, the broadcast address and narrower
    /// networks. Null if there are more than 2^32.
    #[schema(required)]
    pub usable: Option<u64>,
    /// The number of usable addresses that no asset, no gateway and no finding that waits or is ignored has; null if
    /// `usable` is null.
    #[schema(required)]
    pub free: Option<u64>,
    /// The lowest of the free addresses; null if there is none.
    #[schema(required)]
    pub next_free: Option<String>,
    /// The number of addresses that several assets have.
    pub conflicts: u64,
    /// The asset that has the gateway's address.
    #[schema(required)]
    pub gateway_asset: Option<AssetRef>,
    /// The newest scan of the whole network, or otherwise of a part of it; null if none of the last 1,000 scans looked at
    /// it, and for callers without access to scans.
    #[schema(required)]
    pub last_scan: Option<NetworkScan>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

/// A network with its conflicts.
#[derive(Debug, Serialize, ToSchema)]
pub struct NetworkDetail {
    #[serde(flatten)]
    pub network: NetworkOut,
    /// The first 100 addresses that several assets have.
    pub conflict_list: Vec<Conflict>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkIn {
    #[schema(example = "Attic")]
    pub name: String,
    #[schema(example = "192.168.1.0/24")]
    pub cidr: String,
    /// 1 to 4094.
    pub vlan: Option<i32>,
    pub gateway: Option<String>,
    pub notes: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkPatch {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub cidr: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<i32>)]
    pub vlan: Patch<i32>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub gateway: Patch<String>,
    #[serde(default)]
    pub notes: Option<String>,
}

pub async fn list(ctx: &Ctx, list: &List) -> Result<Page<NetworkOut>> {
    let conn = ctx.read(Permission::InventoryRead)?;
    let mut select = network::Entity::find();
    for word in list.patterns()? {
        let any = [network::Column::Name, network::Column::Cidr, network::Column::Notes]
            .into_iter()
            .fold(Condition::any(), |any, column| any.add(contains(Expr::col(column), &word)));
        select = select.filter(any);
    }
    let wanted = Wanted::new(list.q.as_deref())?;
    let sorts = [
        (rank::MATCH, by_match(&wanted)),
        ("cidr", Sort::text(network::Column::CidrKey)),
        ("name", Sort::text(network::Column::Name)),
        ("created_at", Sort::time(network::Column::CreatedAt)),
    ];
    let page = page::page(conn, select, list, network::Column::Id, &sorts, wanted.order_or("cidr")).await?;
    let items = outs(ctx, conn, page.items).await?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

/// The order of what a search finds: by name and range, and then by range.
fn by_match(wanted: &Wanted) -> Sort<network::Entity> {
    use network::Column as N;
    let whole = wanted.whole();
    let exact = Condition::any()
        .add(Expr::expr(Func::lower(Expr::col(N::Name))).eq(whole.clone()))
        .add(Expr::col(N::Cidr).eq(whole.clone()));
    let close = Condition::all().add(like(Expr::col(N::Cidr), &begins(&whole)));
    Sort::derived(wanted.place(Expr::col(N::Name), exact, close, Expr::col(N::CidrKey)))
}

pub async fn get(ctx: &Ctx, id: NetworkId) -> Result<NetworkDetail> {
    let conn = ctx.read(Permission::InventoryRead)?;
    let network = told(ctx, conn, find(conn, id).await?).await?;
    Ok(NetworkDetail { network, conflict_list: conflicts::in_network(conn, id).await? })
}

pub async fn create(ctx: &Ctx, input: NetworkIn) -> Result<NetworkOut> {
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "name", &input.name, NAME_MAX).unwrap_or_default();
    let cidr = cidr(&mut wrong, &input.cidr);
    vlan(&mut wrong, input.vlan);
    let gateway = gateway(&mut wrong, input.gateway, cidr);
    let notes = input::notes(&mut wrong, input.notes.as_deref().unwrap_or_default());
    wrong.into_result()?;
    let cidr = cidr.ok_or(Error::NotFound)?;
    ctx.write(Permission::InventoryWrite, Action::NetworkCreated, async |tx| {
        let row =
            network::Model { notes, vlan: input.vlan, ..new_row(ctx, name, cidr, gateway, Source::Manual) };
        insert(tx, row.clone()).await?;
        tx.about("network", row.id);
        tx.detail(json!({ "name": row.name, "cidr": row.cidr, "vlan": row.vlan }));
        told(ctx, tx.conn(), row).await
    })
    .await
}

pub async fn update(
    ctx: &Ctx,
    id: NetworkId,
    patch: NetworkPatch,
    version: Option<i64>,
) -> Result<NetworkOut> {
    ctx.write(Permission::InventoryWrite, Action::NetworkUpdated, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        let old = parse(&row)?;
        let mut wrong = Violations::new();
        let name = patch.name.and_then(|n| input::line(&mut wrong, "name", &n, NAME_MAX));
        let moved = patch.cidr.and_then(|c| cidr(&mut wrong, &c));
        let new_vlan = patch.vlan.change();
        vlan(&mut wrong, new_vlan.flatten());
        let cidr = moved.unwrap_or(old);
        let gateway = match patch.gateway.change() {
            Some(given) => gateway(&mut wrong, given, Some(cidr)),
            // A gateway outside of the new range would be left behind.
            None => gateway(&mut wrong, row.gateway.clone(), Some(cidr)),
        };
        let notes = patch.notes.map(|n| input::notes(&mut wrong, &n));
        wrong.into_result()?;
        let before = json!({ "name": row.name, "cidr": row.cidr, "vlan": row.vlan, "gateway": row.gateway });
        let next = row.version + 1;
        let mut change: network::ActiveModel = row.into();
        if let Some(name) = name {
            change.name = Set(name);
        }
        change.cidr = Set(cidr.to_string());
        change.cidr_key = Set(network_key(cidr));
        change.gateway = Set(gateway);
        if let Some(vlan) = new_vlan {
            change.vlan = Set(vlan);
        }
        if let Some(notes) = notes {
            change.notes = Set(notes);
        }
        change.version = Set(next);
        change.updated_at = Set(ctx.now());
        let row = change.update(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        if cidr != old {
            settle(tx, old).await?;
            settle(tx, cidr).await?;
        }
        tx.about("network", row.id);
        tx.detail(json!({ "from": before, "to": { "name": row.name, "cidr": row.cidr, "vlan": row.vlan, "gateway": row.gateway } }));
        tx.emit(Event::NetworkChanged { id });
        told(ctx, tx.conn(), row).await
    })
    .await
}

/// Removes the network; its addresses stay, in the next wider one.
pub async fn delete(ctx: &Ctx, id: NetworkId, version: Option<i64>) -> Result<()> {
    ctx.write(Permission::InventoryWrite, Action::NetworkDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        let range = parse(&row)?;
        tx.about("network", row.id);
        tx.detail(json!({ "name": row.name, "cidr": row.cidr }));
        tx.emit(Event::NetworkRemoved { id });
        row.delete(tx.conn()).await.map_err(db)?;
        settle(tx, range).await
    })
    .await
}

const TAKEN: (&str, &str) =
    ("cidr", "Another network already has this range and VLAN. Change the range or the VLAN.");

pub(crate) fn new_row(
    ctx: &Ctx,
    name: String,
    cidr: IpNet,
    gateway: Option<String>,
    source: Source,
) -> network::Model {
    let now = ctx.now();
    network::Model {
        id: ctx.new_id(),
        name,
        cidr: cidr.to_string(),
        cidr_key: network_key(cidr),
        vlan: None,
        gateway,
        notes: String::new(),
        source: source.as_str().to_owned(),
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// Whether an address is in it.
pub(crate) async fn is_used(conn: &impl ConnectionTrait, id: Uuid) -> Result<bool> {
    let inside = address::Entity::find().filter(address::Column::NetworkId.eq(id));
    Ok(inside.one(conn).await.map_err(db)?.is_some())
}

/// Adds a network and gives it the addresses that lie in it.
pub(crate) async fn insert(tx: &mut WriteTx, row: network::Model) -> Result<()> {
    let (id, range) = (row.id, parse(&row)?);
    network::Entity::insert(active(row)).exec(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
    tx.emit(Event::NetworkChanged { id: id.into() });
    settle(tx, range).await
}

/// The narrowest network that contains `ip`.
pub(crate) async fn containing(conn: &impl ConnectionTrait, ip: IpAddr) -> Result<Option<network::Model>> {
    // Networks sort by their first address: what contains `ip` begins at or before it, and the last
    // match is the narrowest.
    let rows = network::Entity::find()
        .filter(network::Column::CidrKey.lte(format!("{}/999", crate::order::ip_key(ip))))
        .order_by_desc(network::Column::CidrKey)
        // Of two VLANs with the same range always the same one.
        .order_by_asc(network::Column::Id)
        .all(conn)
        .await
        .map_err(db)?;
    Ok(rows.into_iter().find(|row| parse(row).is_ok_and(|n| n.contains(&ip))))
}

/// Gives every address in `range` its narrowest network anew.
async fn settle(tx: &mut WriteTx, range_: IpNet) -> Result<()> {
    let (first, last) = range(range_);
    let inside = Condition::all()
        .add(address::Column::IpKey.gte(first.clone()))
        .add(address::Column::IpKey.lte(last.clone()));
    address::Entity::update_many()
        .col_expr(address::Column::NetworkId, Expr::value(None::<Uuid>))
        .filter(inside)
        .exec(tx.conn())
        .await
        .map_err(db)?;
    let mut touching: Vec<(IpNet, Uuid)> = network::Entity::find()
        .all(tx.conn())
        .await
        .map_err(db)?
        .iter()
        .filter_map(|row| Some((parse(row).ok()?, row.id)))
        .filter(|(n, _)| n.contains(&range_) || range_.contains(n))
        .collect();
    // The widest first, so that the narrowest has the last word, and of two equal ones the same as in `containing`.
    touching.sort_by_key(|(n, id)| (n.prefix_len(), Reverse(*id)));
    for (net, id) in touching {
        let (low, high) = range(net);
        address::Entity::update_many()
            .col_expr(address::Column::NetworkId, Expr::value(id))
            .filter(address::Column::IpKey.gte(Ord::max(low, first.clone())))
            .filter(address::Column::IpKey.lte(Ord::min(high, last.clone())))
            .exec(tx.conn())
            .await
            .map_err(db)?;
    }
    tx.emit(Event::TopologyChanged);
    Ok(())
}

pub(crate) fn parse(row: &network::Model) -> Result<IpNet> {
    row.cidr.parse().map_err(|_| Error::Internal(format!("the database holds the network {:?}", row.cidr)))
}

fn cidr(wrong: &mut Violations, text: &str) -> Option<IpNet> {
    input::cidr(text).map_err(|reason| wrong.add("cidr", reason)).ok()
}

/// IEEE 802.1Q: 0 and 4095 are reserved.
pub(crate) const VLAN_MOST: i32 = 4094;

fn vlan(wrong: &mut Violations, vlan: Option<i32>) {
    wrong.require(vlan.is_none_or(|v| (1..=VLAN_MOST).contains(&v)), "vlan", "Use a number from 1 to 4094.");
}

fn gateway(wrong: &mut Violations, text: Option<String>, cidr: Option<IpNet>) -> Option<String> {
    let text = text.filter(|t| !t.trim().is_empty())?;
    match text.trim().parse::<IpAddr>() {
        Ok(ip) if cidr.is_none_or(|c| c.contains(&ip)) => return Some(ip.to_string()),
        Ok(_) => wrong.add("gateway", "Enter an address in this network."),
        Err(_) => wrong.add("gateway", "Enter an IP address such as 192.168.1.1."),
    }
    None
}

async fn find(conn: &impl ConnectionTrait, id: NetworkId) -> Result<network::Model> {
    network::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

async fn told(ctx: &Ctx, conn: &impl ConnectionTrait, row: network::Model) -> Result<NetworkOut> {
    outs(ctx, conn, vec![row]).await?.pop().ok_or(Error::NotFound)
}

async fn outs(ctx: &Ctx, conn: &impl ConnectionTrait, rows: Vec<network::Model>) -> Result<Vec<NetworkOut>> {
    let with_scans = ctx.authorize(Permission::DiscoveryRead).is_ok();
    let facts = facts::of(conn, &rows, with_scans).await?;
    rows.into_iter().zip(facts).map(|(row, facts)| out(row, facts)).collect()
}

fn out(row: network::Model, facts: Facts) -> Result<NetworkOut> {
    Ok(NetworkOut {
        source: word(Source::parse(&row.source), &row.source)?,
        id: row.id.into(),
        name: row.name,
        cidr: row.cidr,
        vlan: row.vlan,
        gateway: row.gateway,
        notes: row.notes,
        address_count: facts.address_count,
        usable: facts.usable,
        free: facts.free,
        next_free: facts.next_free,
        conflicts: facts.conflicts,
        gateway_asset: facts.gateway_asset,
        last_scan: facts.last_scan,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
