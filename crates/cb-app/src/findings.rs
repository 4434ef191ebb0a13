//! Review: a person accepts a finding into the inventory, ignores it, or takes that back.

mod search;

use cb_core::audit::Action;
use std::collections::HashMap;
use std::net::IpAddr;

use cb_collect::report::Identity;
use cb_core::error::Violations;
use cb_core::ids::{AssetId, FindingId, ScanId};
use cb_core::inventory::{AssetKind, FindingKind, FindingState, LinkEvidence, LinkKind, Source};
use cb_core::{Error, Event, Permission, Result};
use cb_store::bookkeeping::UP;
use cb_store::entities::{address, asset, finding, interface, link, network, service};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QuerySelect as _,
};
use cb_store::{WriteTx, db};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::assets::{self, word};
use crate::auth::active;
use crate::ctx::Ctx;
use crate::input::{self, NAME_MAX};
use crate::notify::news;
use crate::order::name_key;
use crate::page::{self, List, Page};
use crate::proposal::{Evidence, Proposal, ProposedAddress, ProposedService};
use crate::record::{add_identities, waiting};
use crate::{addresses, interfaces, links, networks};
pub use search::FindingFilter;

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingOut {
    pub id: FindingId,
    #[schema(required)]
    pub scan_id: Option<ScanId>,
    pub kind: FindingKind,
    pub state: FindingState,
    pub title: String,
    /// For a change: the asset. For an accepted one: what it became.
    #[schema(required)]
    pub asset_id: Option<AssetId>,
    pub proposal: Proposal,
    pub evidence: Vec<Evidence>,
    /// 0 to 100.
    pub confidence: i32,
    pub created_at: DateTime<Utc>,
    pub last_seen_at: DateTime<Utc>,
    #[schema(required)]
    pub resolved_at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub resolved_by: Option<String>,
    pub version: i64,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptIn {
    /// Instead of the proposed name.
    #[serde(default)]
    pub name: Option<String>,
    /// Instead of the proposed kind.
    #[serde(default)]
    pub kind: Option<AssetKind>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    pub finding: FindingOut,
    pub asset_id: AssetId,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcceptManyIn {
    /// At most 1,000.
    pub ids: Vec<FindingId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AcceptedMany {
    pub accepted: Vec<FindingId>,
    pub skipped: Vec<Skipped>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Skipped {
    pub id: FindingId,
    pub reason: String,
}

pub(crate) const ACCEPT_MOST: usize = 1000;

pub async fn list(ctx: &Ctx, list: &List, filter: &FindingFilter) -> Result<Page<FindingOut>> {
    let conn = ctx.read(Permission::DiscoveryRead)?;
    let select = search::narrowed(conn, filter, list.q.as_deref()).await?;
    let page = page::page(conn, select, list, finding::Column::Id, &search::sorts(), "created_at").await?;
    let items = page.items.into_iter().map(FindingOut::try_from).collect::<Result<_>>()?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

pub async fn get(ctx: &Ctx, id: FindingId) -> Result<FindingOut> {
    find(ctx.read(Permission::DiscoveryRead)?, id).await?.try_into()
}

/// A new asset is made, or a known one gets what it lacked.
pub async fn accept(ctx: &Ctx, id: FindingId, input: AcceptIn) -> Result<Accepted> {
    let mut wrong = Violations::new();
    let name = input.name.and_then(|n| input::line(&mut wrong, "name", &n, NAME_MAX));
    wrong.into_result()?;
    ctx.authorize(Permission::InventoryWrite)?;
    ctx.write(Permission::DiscoveryWrite, Action::FindingAccepted, async |tx| {
        let row = find(tx.conn(), id).await?;
        let (row, asset) = take_in(ctx, tx, row, name, input.kind).await?;
        tx.about("finding", row.id);
        tx.detail(json!({ "title": row.title, "kind": row.kind, "asset_id": asset }));
        Ok(Accepted { finding: row.try_into()?, asset_id: asset.into() })
    })
    .await
}

/// All or nothing for each of them; what cannot be accepted is named with its reason.
pub async fn accept_many(ctx: &Ctx, input: AcceptManyIn) -> Result<AcceptedMany> {
    if input.ids.is_empty() || input.ids.len() > ACCEPT_MOST {
        return Err(Error::invalid("ids", format!("must name 1 to {ACCEPT_MOST} findings")));
    }
    ctx.authorize(Permission::InventoryWrite)?;
    ctx.write(Permission::DiscoveryWrite, Action::FindingsAccepted, async |tx| {
        let mut out = AcceptedMany { accepted: Vec::new(), skipped: Vec::new() };
        let mut made = Vec::new();
        let mut skip =
            |id: FindingId, reason: &str| out.skipped.push(Skipped { id, reason: reason.to_owned() });
        for id in input.ids {
            let Some(row) = finding::Entity::find_by_id(id.0).one(tx.conn()).await.map_err(db)? else {
                skip(id, "not found");
                continue;
            };
            if row.state != FindingState::Open.as_str() {
                skip(id, "it does not wait for review any more");
                continue;
            }
            let (row, asset) = take_in(ctx, tx, row, None, None).await?;
            made.push(json!({ "finding_id": row.id, "asset_id": asset, "title": row.title }));
            out.accepted.push(id);
        }
        tx.detail(json!({ "accepted": made, "skipped": out.skipped.len() }));
        Ok(out)
    })
    .await
}

pub async fn ignore(ctx: &Ctx, id: FindingId) -> Result<FindingOut> {
    settle(ctx, id, Action::FindingIgnored, FindingState::Open, FindingState::Ignored).await
}

pub async fn reopen(ctx: &Ctx, id: FindingId) -> Result<FindingOut> {
    settle(ctx, id, Action::FindingReopened, FindingState::Ignored, FindingState::Open).await
}

async fn settle(
    ctx: &Ctx,
    id: FindingId,
    action: Action,
    from: FindingState,
    to: FindingState,
) -> Result<FindingOut> {
    ctx.write(Permission::DiscoveryWrite, action, async |tx| {
        let row = find(tx.conn(), id).await?;
        if row.state != from.as_str() {
            return Err(Error::Conflict(format!("this finding is {}, not {}", row.state, from.as_str())));
        }
        tx.about("finding", row.id);
        tx.detail(json!({ "title": row.title }));
        tx.emit(Event::FindingChanged { id });
        let over = to != FindingState::Open;
        resolved(ctx, tx, row, to, over).await?.try_into()
    })
    .await
}

async fn resolved(
    ctx: &Ctx,
    tx: &WriteTx,
    row: finding::Model,
    state: FindingState,
    over: bool,
) -> Result<finding::Model> {
    let version = row.version + 1;
    let mut change: finding::ActiveModel = row.into();
    change.state = Set(state.as_str().to_owned());
    change.resolved_at = Set(over.then(|| ctx.now()));
    change.resolved_by = Set(over.then(|| ctx.principal().name()));
    change.version = Set(version);
    change.update(tx.conn()).await.map_err(db)
}

/// Accepts one open finding; gives it back with the asset's id.
async fn take_in(
    ctx: &Ctx,
    tx: &mut WriteTx,
    row: finding::Model,
    name: Option<String>,
    kind: Option<AssetKind>,
) -> Result<(finding::Model, Uuid)> {
    if row.state != FindingState::Open.as_str() {
        return Err(Error::Conflict(format!("this finding is {} already", row.state)));
    }
    let (proposal, identities) = waiting(&row)?;
    let asset = if let Some(id) = row.asset_id {
        assets::find(tx.conn(), id.into()).await?
    } else {
        let made = new_asset(ctx, &row, &proposal, name, kind);
        asset::Entity::insert(active(made.clone())).exec_without_returning(tx.conn()).await.map_err(db)?;
        news::asset_created(ctx, tx, &made).await?;
        made
    };
    let seen = row.last_seen_at;
    add_parts(ctx, tx, &asset, proposal, &identities, seen).await?;
    tx.emit(Event::AssetChanged { id: asset.id.into() });
    tx.emit(Event::FindingChanged { id: row.id.into() });
    let mut row = resolved(ctx, tx, row, FindingState::Accepted, true).await?;
    if row.asset_id.is_none() {
        let mut change: finding::ActiveModel = row.into();
        change.asset_id = Set(Some(asset.id));
        row = change.update(tx.conn()).await.map_err(db)?;
    }
    Ok((row, asset.id))
}

fn new_asset(
    ctx: &Ctx,
    row: &finding::Model,
    proposal: &Proposal,
    name: Option<String>,
    kind: Option<AssetKind>,
) -> asset::Model {
    let now = ctx.now();
    let typed: Vec<&str> =
        [name.as_ref().map(|_| "name"), kind.map(|_| "kind")].into_iter().flatten().collect();
    let name = name.unwrap_or_else(|| proposal.name.clone());
    asset::Model {
        id: ctx.new_id(),
        name_key: name_key(&name),
        name,
        kind: kind.unwrap_or(proposal.kind).as_str().to_owned(),
        role: proposal.role.clone(),
        vendor: proposal.vendor.clone(),
        model: proposal.model.clone(),
        os: proposal.os.clone(),
        notes: String::new(),
        status_set: None,
        status_seen: UP.to_owned(),
        source: Source::Discovered.as_str().to_owned(),
        typed_fields: json!(typed),
        first_seen_at: Some(row.created_at),
        last_seen_at: Some(row.last_seen_at),
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

/// Adds the interfaces, networks, addresses, services and links that the asset does not have yet.
async fn add_parts(
    ctx: &Ctx,
    tx: &mut WriteTx,
    asset: &asset::Model,
    proposal: Proposal,
    identities: &[Identity],
    seen: DateTime<Utc>,
) -> Result<()> {
    let mut nics: HashMap<String, Uuid> = HashMap::new();
    let mut count = 0;
    let known =
        interface::Entity::find().filter(interface::Column::AssetId.eq(asset.id)).all(tx.conn()).await;
    for nic in known.map_err(db)? {
        count += 1;
        if let Some(mac) = nic.mac {
            nics.insert(mac, nic.id);
        }
    }
    for nic in proposal.interfaces {
        let Some(mac) = nic.mac.filter(|m| !nics.contains_key(m)) else { continue };
        // What the device calls it, no scan from outside can see.
        let row = interfaces::new_row(ctx, asset.id, format!("nic{count}"), Some(mac.clone()));
        count += 1;
        nics.insert(mac, row.id);
        interface::Entity::insert(active(row)).exec_without_returning(tx.conn()).await.map_err(db)?;
    }
    let mut at: HashMap<String, Uuid> = HashMap::new();
    let known = address::Entity::find().filter(address::Column::AssetId.eq(asset.id)).all(tx.conn()).await;
    at.extend(known.map_err(db)?.into_iter().map(|a| (a.ip, a.id)));
    for one in proposal.addresses {
        if at.contains_key(&one.ip) {
            continue;
        }
        let ip: IpAddr = one.ip.parse().map_err(Error::internal)?;
        let network = network_for(ctx, tx, ip, &one).await?;
        let nic = one.mac.as_ref().and_then(|m| nics.get(m).copied());
        let row = address::Model {
            last_seen_at: Some(seen),
            ..addresses::new_row(
                ctx,
                asset.id,
                nic,
                network.as_ref().map(|n| n.id),
                ip,
                one.hostname,
                Source::Discovered,
            )
        };
        at.insert(one.ip, row.id);
        address::Entity::insert(active(row)).exec_without_returning(tx.conn()).await.map_err(db)?;
        if let Some(network) = network {
            link_to_gateway(ctx, tx, asset.id, ip, &network).await?;
        }
    }
    for one in proposal.services {
        if let Some(address) = at.get(&one.ip) {
            add_service(ctx, tx, asset.id, *address, one, seen).await?;
        }
    }
    add_identities(tx, asset.id, &identities.iter().collect::<Vec<_>>(), ctx.now()).await
}

async fn add_service(
    ctx: &Ctx,
    tx: &WriteTx,
    asset: Uuid,
    address: Uuid,
    one: ProposedService,
    seen: DateTime<Utc>,
) -> Result<()> {
    use cb_store::sea_orm::sea_query::OnConflict;
    let row = service::Model {
        id: ctx.new_id(),
        asset_id: asset,
        address_id: address,
        protocol: one.protocol.as_str().to_owned(),
        port: i32::from(one.port),
        name: one.name,
        product: one.product,
        version_text: one.version,
        scheme: one.scheme.map(|scheme| scheme.as_str().to_owned()),
        confidence: i32::from(one.confidence),
        last_seen_at: Some(seen),
    };
    let known =
        OnConflict::columns([service::Column::AddressId, service::Column::Protocol, service::Column::Port])
            .do_nothing()
            .to_owned();
    service::Entity::insert(active(row))
        .on_conflict(known)
        .exec_without_returning(tx.conn())
        .await
        .map_err(db)?;
    Ok(())
}

/// The network of a proposed address: the narrowest known one, else the one it was seen in, made now.
async fn network_for(
    ctx: &Ctx,
    tx: &mut WriteTx,
    ip: IpAddr,
    one: &ProposedAddress,
) -> Result<Option<network::Model>> {
    let seen_in = one.network.as_deref().and_then(|n| n.parse::<IpNet>().ok()).filter(|n| n.contains(&ip));
    let known = networks::containing(tx.conn(), ip).await?;
    let gateway = one.gateway.then(|| one.ip.clone());
    let wider = |row: &network::Model| {
        seen_in.is_some_and(|s| networks::parse(row).is_ok_and(|n| n.prefix_len() < s.prefix_len()))
    };
    match (known, seen_in) {
        (Some(row), _) if !wider(&row) => {
            if row.gateway.is_none() && gateway.is_some() {
                let (id, version) = (row.id, row.version + 1);
                let mut change: network::ActiveModel = row.into();
                change.gateway = Set(gateway);
                change.version = Set(version);
                change.updated_at = Set(ctx.now());
                tx.emit(Event::NetworkChanged { id: id.into() });
                return Ok(Some(change.update(tx.conn()).await.map_err(db)?));
            }
            Ok(Some(row))
        }
        (_, Some(cidr)) => {
            let row = networks::new_row(ctx, cidr.to_string(), cidr, gateway, Source::Discovered);
            networks::insert(tx, row.clone()).await?;
            Ok(Some(row))
        }
        (known, None) => Ok(known),
    }
}

/// Assets that one gateway is linked to when it is accepted after them.
const STAR_MOST: u64 = 4096;

/// How a host reaches other networks is assumed from the gateway, until something measures it.
async fn link_to_gateway(
    ctx: &Ctx,
    tx: &mut WriteTx,
    asset: Uuid,
    ip: IpAddr,
    network: &network::Model,
) -> Result<()> {
    let Some(gateway) = &network.gateway else { return Ok(()) };
    let is_gateway = *gateway == ip.to_string();
    let peers = address::Entity::find()
        .select_only()
        .column(address::Column::AssetId)
        .distinct()
        .filter(address::Column::NetworkId.eq(network.id))
        .filter(address::Column::AssetId.ne(asset));
    let peers = if is_gateway { peers } else { peers.filter(address::Column::Ip.eq(gateway.as_str())) };
    let peers: Vec<Uuid> = peers.limit(STAR_MOST).into_tuple().all(tx.conn()).await.map_err(db)?;
    for peer in peers {
        let (a, b) = (Ord::min(asset, peer), Ord::max(asset, peer));
        let pair = Condition::all().add(link::Column::AAssetId.eq(a)).add(link::Column::BAssetId.eq(b));
        let linked = link::Entity::find().filter(pair).one(tx.conn()).await.map_err(db)?;
        if linked.is_some() {
            continue;
        }
        let row = links::new_row(ctx, a, b, LinkKind::Ethernet, LinkEvidence::Assumed, None);
        tx.emit(Event::LinkChanged { id: row.id.into() });
        link::Entity::insert(active(row)).exec_without_returning(tx.conn()).await.map_err(db)?;
    }
    Ok(())
}

async fn find(conn: &impl ConnectionTrait, id: FindingId) -> Result<finding::Model> {
    finding::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

impl TryFrom<finding::Model> for FindingOut {
    type Error = Error;

    fn try_from(row: finding::Model) -> Result<Self> {
        let damaged = |e: serde_json::Error| Error::Internal(format!("finding {}: {e}", row.id));
        Ok(Self {
            kind: word(FindingKind::parse(&row.kind), &row.kind)?,
            state: word(FindingState::parse(&row.state), &row.state)?,
            proposal: serde_json::from_value(row.proposal).map_err(damaged)?,
            evidence: serde_json::from_value(row.evidence).map_err(damaged)?,
            id: row.id.into(),
            scan_id: row.scan_id.map(Into::into),
            title: row.title,
            asset_id: row.asset_id.map(Into::into),
            confidence: row.confidence,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
            resolved_at: row.resolved_at,
            resolved_by: row.resolved_by,
            version: row.version,
        })
    }
}
