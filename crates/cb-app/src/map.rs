//! The map: assets as nodes, links, networks as groups, and the places that people chose.

use cb_core::audit::Action;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use cb_core::ids::{AssetId, LinkId, NetworkId};
use cb_core::inventory::{AssetKind, AssetStatus, LinkEvidence, LinkKind};
use cb_core::{Error, Event, Permission, Result};
use cb_store::entities::{address, asset, asset_tag, link, network, position, service, tag};
use cb_store::sea_orm::sea_query::OnConflict;
use cb_store::sea_orm::{
    ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use cb_store::{Row, among, db};
use chrono::{DateTime, SubsecRound as _, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::assets::word;
use crate::auth::active;
use crate::ctx::Ctx;

/// Nodes, and ten times as many links, that one map shows.
const NODES_MOST: u64 = 20_000;
/// Ports that a node names: the filter of the map finds a node by each of them.
const PORTS_MOST: usize = 100;
pub(crate) const POSITIONS_MOST: usize = 5000;
/// How far from the middle something can be placed; keeps floating point exact enough.
pub(crate) const FAR: i32 = 1_000_000;
/// Ids in one statement.
const CHUNK: usize = 500;

#[derive(Debug, Serialize, ToSchema)]
pub struct MapOut {
    pub nodes: Vec<MapNode>,
    pub links: Vec<MapLink>,
    pub groups: Vec<MapGroup>,
    /// There is more than the map can show.
    pub truncated: bool,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MapNode {
    pub id: AssetId,
    pub name: String,
    pub kind: AssetKind,
    #[schema(required)]
    pub role: Option<String>,
    pub status: AssetStatus,
    /// The network of its first address.
    #[schema(required)]
    pub network_id: Option<NetworkId>,
    pub addresses: Vec<String>,
    pub ports: Vec<i32>,
    /// True for the machine on which this server runs, which has one of the addresses of the server.
    pub server: bool,
    /// The names of its tags, in order. Left out if it has none, like the two fields below.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// When a scan last saw it, to the second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen_at: Option<DateTime<Utc>>,
    /// Where a person placed it; null if the layout places it.
    #[schema(required)]
    pub x: Option<f64>,
    #[schema(required)]
    pub y: Option<f64>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MapLink {
    pub id: LinkId,
    pub a: AssetId,
    pub b: AssetId,
    pub kind: LinkKind,
    pub evidence: LinkEvidence,
    #[schema(required)]
    pub label: Option<String>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MapGroup {
    pub id: NetworkId,
    pub name: String,
    pub cidr: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PositionsIn {
    /// At most 5,000.
    pub positions: Vec<PositionIn>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PositionIn {
    pub asset_id: AssetId,
    pub x: f64,
    pub y: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Place {
    pub asset_id: AssetId,
    pub x: f64,
    pub y: f64,
}

/// Everything, from one moment.
pub async fn get(ctx: &Ctx) -> Result<MapOut> {
    ctx.authorize(Permission::InventoryRead)?;
    let conn = &ctx.store().snapshot().await?;
    let mut rows = asset::Entity::find()
        .order_by_asc(asset::Column::Id)
        .limit(NODES_MOST + 1)
        .all(conn)
        .await
        .map_err(db)?;
    let truncated = rows.len() > usize::try_from(NODES_MOST).unwrap_or(usize::MAX);
    if truncated {
        rows.pop();
    }
    let nodes = nodes(conn, rows, None).await?;
    let links = link::Entity::find().limit(NODES_MOST * 10).all(conn).await.map_err(db)?;
    let groups =
        network::Entity::find().order_by_asc(network::Column::CidrKey).limit(NODES_MOST).all(conn).await;
    Ok(MapOut {
        nodes,
        links: links.into_iter().map(MapLink::try_from).collect::<Result<_>>()?,
        groups: groups.map_err(db)?.into_iter().map(Into::into).collect(),
        truncated,
    })
}

/// Keeps places. All of them, or none when one asset is not there.
pub async fn place(ctx: &Ctx, input: PositionsIn) -> Result<()> {
    if input.positions.is_empty() || input.positions.len() > POSITIONS_MOST {
        return Err(Error::invalid("positions", format!("Send 1 to {POSITIONS_MOST} positions.")));
    }
    for (i, p) in input.positions.iter().enumerate() {
        let far = f64::from(FAR);
        if !(p.x.is_finite() && p.y.is_finite() && p.x.abs() <= far && p.y.abs() <= far) {
            return Err(Error::invalid(
                format!("positions[{i}]"),
                "Use numbers from -1,000,000 to 1,000,000 for x and y.",
            ));
        }
    }
    // The last place of an asset that is named twice counts. In one order, so that two who place the same assets wait in a row.
    let places: BTreeMap<Uuid, (f64, f64)> =
        input.positions.iter().map(|p| (p.asset_id.0, (p.x, p.y))).collect();
    let rows: Vec<Row> = places.keys().copied().map(Row::AssetStays).collect();
    ctx.write_rows(Permission::InventoryWrite, Action::MapPlaced, &rows, async |tx| {
        let ids: Vec<Uuid> = places.keys().copied().collect();
        let mut names = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            let there: Vec<(Uuid, String)> = asset::Entity::find()
                .select_only()
                .column(asset::Column::Id)
                .column(asset::Column::Name)
                .filter(among(tx.conn(), asset::Column::Id, chunk.to_vec()))
                .into_tuple()
                .all(tx.conn())
                .await
                .map_err(db)?;
            if there.len() != chunk.len() {
                return Err(Error::invalid("positions", "One of these assets does not exist."));
            }
            names.extend(there.into_iter().map(|(_, name)| name));
        }
        let now = ctx.now();
        let rows: Vec<position::ActiveModel> = places
            .into_iter()
            .map(|(asset_id, (x, y))| active(position::Model { asset_id, x, y, updated_at: now }))
            .collect();
        let moved = OnConflict::column(position::Column::AssetId)
            .update_columns([position::Column::X, position::Column::Y, position::Column::UpdatedAt])
            .to_owned();
        for chunk in rows.chunks(CHUNK) {
            position::Entity::insert_many(chunk.to_vec())
                .on_conflict(moved.clone())
                .exec_without_returning(tx.conn())
                .await
                .map_err(db)?;
        }
        names.truncate(20);
        tx.detail(json!({ "placed": ids.len(), "names": names }));
        tx.emit(Event::PositionsChanged { ids: ids.into_iter().map(Into::into).collect() });
        Ok(())
    })
    .await
}

/// Lets the layout have the asset again.
pub async fn release(ctx: &Ctx, id: AssetId) -> Result<()> {
    ctx.write_rows(Permission::InventoryWrite, Action::MapReleased, &[Row::Asset(id.0)], async |tx| {
        let gone = position::Entity::delete_by_id(id.0).exec(tx.conn()).await.map_err(db)?;
        if gone.rows_affected == 0 {
            return Err(Error::NotFound);
        }
        tx.about("asset", id);
        tx.emit(Event::AssetChanged { id });
        Ok(())
    })
    .await
}

/// The nodes of `ids` that are there.
pub(crate) async fn nodes_of(conn: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<MapNode>> {
    let mut out = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let rows = asset::Entity::find()
            .filter(among(conn, asset::Column::Id, chunk.to_vec()))
            .all(conn)
            .await
            .map_err(db)?;
        out.extend(nodes(conn, rows, Some(chunk)).await?);
    }
    Ok(out)
}

pub(crate) async fn links_of(conn: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<MapLink>> {
    let mut out = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let rows = link::Entity::find()
            .filter(among(conn, link::Column::Id, chunk.to_vec()))
            .all(conn)
            .await
            .map_err(db)?;
        for row in rows {
            out.push(row.try_into()?);
        }
    }
    Ok(out)
}

pub(crate) async fn groups_of(conn: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<MapGroup>> {
    let mut out = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let rows =
            network::Entity::find().filter(among(conn, network::Column::Id, chunk.to_vec())).all(conn).await;
        out.extend(rows.map_err(db)?.into_iter().map(MapGroup::from));
    }
    Ok(out)
}

pub(crate) async fn places_of(conn: &impl ConnectionTrait, ids: &[Uuid]) -> Result<Vec<Place>> {
    let mut out = Vec::new();
    for chunk in ids.chunks(CHUNK) {
        let rows = position::Entity::find()
            .filter(among(conn, position::Column::AssetId, chunk.to_vec()))
            .all(conn)
            .await;
        out.extend(rows.map_err(db)?.into_iter().map(|p| Place {
            asset_id: p.asset_id.into(),
            x: p.x,
            y: p.y,
        }));
    }
    Ok(out)
}

/// Rows as nodes. `only` narrows the reads to those ids; without, the rows are the whole inventory.
async fn nodes(
    conn: &impl ConnectionTrait,
    rows: Vec<asset::Model>,
    only: Option<&[Uuid]>,
) -> Result<Vec<MapNode>> {
    let mut addresses: HashMap<Uuid, (Option<Uuid>, Vec<String>)> = HashMap::new();
    let mut find = address::Entity::find()
        .select_only()
        .columns([address::Column::AssetId, address::Column::NetworkId, address::Column::Ip])
        .order_by_asc(address::Column::IpKey);
    if let Some(ids) = only {
        find = find.filter(among(conn, address::Column::AssetId, ids.to_vec()));
    }
    let found: Vec<(Uuid, Option<Uuid>, String)> = find.into_tuple().all(conn).await.map_err(db)?;
    for (asset, network, ip) in found {
        let entry = addresses.entry(asset).or_default();
        entry.0 = entry.0.or(network);
        entry.1.push(ip);
    }
    let mut ports: HashMap<Uuid, BTreeSet<i32>> = HashMap::new();
    let mut find =
        service::Entity::find().select_only().columns([service::Column::AssetId, service::Column::Port]);
    if let Some(ids) = only {
        find = find.filter(among(conn, service::Column::AssetId, ids.to_vec()));
    }
    let found: Vec<(Uuid, i32)> = find.into_tuple().all(conn).await.map_err(db)?;
    for (asset, port) in found {
        ports.entry(asset).or_default().insert(port);
    }
    let mut find = position::Entity::find();
    if let Some(ids) = only {
        find = find.filter(among(conn, position::Column::AssetId, ids.to_vec()));
    }
    let found = find.all(conn).await.map_err(db)?;
    let places: HashMap<Uuid, (f64, f64)> = found.into_iter().map(|p| (p.asset_id, (p.x, p.y))).collect();
    let mut tags = tag_names(conn, only).await?;
    let own: Vec<String> = cb_collect::own_addresses().iter().map(ToString::to_string).collect();
    rows.into_iter()
        .map(|row| {
            let (network, addresses) = addresses.remove(&row.id).unwrap_or_default();
            let place = places.get(&row.id);
            Ok(MapNode {
                kind: word(AssetKind::parse(&row.kind), &row.kind)?,
                status: word(AssetStatus::parse(row.status()), row.status())?,
                network_id: network.map(Into::into),
                server: addresses.iter().any(|address| own.contains(address)),
                addresses,
                ports: ports.remove(&row.id).unwrap_or_default().into_iter().take(PORTS_MOST).collect(),
                tags: tags.remove(&row.id).unwrap_or_default(),
                vendor: row.vendor,
                last_seen_at: row.last_seen_at.map(|at| at.trunc_subsecs(0)),
                x: place.map(|p| p.0),
                y: place.map(|p| p.1),
                id: row.id.into(),
                name: row.name,
                role: row.role,
            })
        })
        .collect()
}

/// The names of the tags of each asset, sorted as people expect.
async fn tag_names(conn: &impl ConnectionTrait, only: Option<&[Uuid]>) -> Result<HashMap<Uuid, Vec<String>>> {
    let mut find = asset_tag::Entity::find()
        .inner_join(tag::Entity)
        .select_only()
        .column(asset_tag::Column::AssetId)
        .column(tag::Column::Name)
        .order_by_asc(tag::Column::NameKey);
    if let Some(ids) = only {
        find = find.filter(among(conn, asset_tag::Column::AssetId, ids.to_vec()));
    }
    let found: Vec<(Uuid, String)> = find.into_tuple().all(conn).await.map_err(db)?;
    let mut tags: HashMap<Uuid, Vec<String>> = HashMap::new();
    for (asset, name) in found {
        tags.entry(asset).or_default().push(name);
    }
    Ok(tags)
}

impl TryFrom<link::Model> for MapLink {
    type Error = Error;

    fn try_from(row: link::Model) -> Result<Self> {
        Ok(Self {
            kind: word(LinkKind::parse(&row.kind), &row.kind)?,
            evidence: word(LinkEvidence::parse(&row.evidence), &row.evidence)?,
            id: row.id.into(),
            a: row.a_asset_id.into(),
            b: row.b_asset_id.into(),
            label: row.label,
        })
    }
}

impl From<network::Model> for MapGroup {
    fn from(row: network::Model) -> Self {
        Self { id: row.id.into(), name: row.name, cidr: row.cidr }
    }
}
