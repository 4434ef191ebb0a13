//! What a page says of its networks beside what a person typed: how full they are, the next free address, conflicts, whose the
//! gateway is, the last scan. The number of queries does not grow with the number of addresses, and no asset's addresses are all read.

use std::collections::HashMap;
use std::net::IpAddr;

use cb_core::ids::ScanId;
use cb_core::inventory::{FindingState, ScanStatus};
use cb_core::{Error, Result};
use cb_store::entities::{address, finding, network, scan};
use cb_store::sea_orm::sea_query::{
    Alias, CaseStatement, Condition, Expr, ExprTrait as _, Func, Order, Query, SelectStatement, UnionType,
};
use cb_store::sea_orm::{
    self, ColumnTrait as _, ConnectionTrait, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use cb_store::{among, db};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::parse;
use super::space::{Search, Space, keyed, number};
use crate::assets::word;
use crate::conflicts::{self, AssetRef};
use crate::order::range;

/// Networks that are looked at for those inside of others.
const NETWORKS_MOST: u64 = 20_000;
/// Scans, from the newest, among which the last one of a network is looked for.
const SCANS_MOST: u64 = 1_000;
/// Addresses in use that each look for a free one reads of a network. Only one that is full so far is looked at again.
const LOOKS: [u16; 4] = [32, 512, 8_192, 60_000];
/// Addresses of findings that are read of all networks together, to count those that are not free.
const FOUND_MOST: u64 = 60_000;
/// Networks in one statement: `SQLite` takes 500 parts, and each network has three.
const TOGETHER: usize = 100;

/// The last scan of a network and its result.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NetworkScan {
    pub id: ScanId,
    pub status: ScanStatus,
    /// When it ended, or when it was requested if it has not ended.
    pub at: DateTime<Utc>,
    /// Whether it looked at all addresses of the network.
    pub whole: bool,
    /// The number of targets of the scan. The result covers all of them.
    pub targets: usize,
    pub hosts_found: i64,
    pub findings_new: i64,
}

#[derive(Debug, Default)]
pub(super) struct Facts {
    pub address_count: u64,
    pub usable: Option<u64>,
    pub free: Option<u64>,
    pub next_free: Option<String>,
    pub conflicts: u64,
    pub gateway_asset: Option<AssetRef>,
    pub last_scan: Option<NetworkScan>,
}

/// The facts of each of `rows`, in their order.
pub(super) async fn of(
    conn: &impl ConnectionTrait,
    rows: &[network::Model],
    with_scans: bool,
) -> Result<Vec<Facts>> {
    let nets = rows.iter().map(parse).collect::<Result<Vec<IpNet>>>()?;
    let all = around(conn, &nets).await?;
    let spaces: Vec<Space> = nets.iter().map(|net| Space::of(*net, &all)).collect();
    let mut used = used(conn, rows.iter().map(|row| row.id).collect()).await?;
    let gateways = gateways(conn, rows).await?;
    let next = next_free(conn, rows, &spaces).await?;
    let found = found_only(conn, &nets).await?;
    let scans = if with_scans { last_scans(conn, &nets).await? } else { vec![None; rows.len()] };
    let facts = rows.iter().zip(spaces).zip(next.into_iter().zip(scans)).map(
        |((row, space), (next_free, last_scan))| {
            let held = used.remove(&row.id).unwrap_or_default();
            let gateway_asset = row.gateway.as_ref().and_then(|ip| gateways.get(ip)).cloned();
            let gateway = gateway_of(row).filter(|ip| space.has(*ip) && gateway_asset.is_none());
            let usable = space.size();
            let found = usable.map_or(0, |_| found.iter().filter(|ip| space.has_key(ip, gateway)).count());
            let taken = held.within(&space) + u64::from(gateway.is_some()) + found as u64;
            Facts {
                address_count: held.addresses,
                usable,
                free: usable.map(|all| all.saturating_sub(taken)),
                next_free,
                conflicts: held.conflicts,
                gateway_asset,
                last_scan,
            }
        },
    );
    Ok(facts.collect())
}

fn gateway_of(row: &network::Model) -> Option<u128> {
    row.gateway.as_deref()?.parse().ok().map(number)
}

/// The known networks that may lie in one of `nets`, by first address.
async fn around(conn: &impl ConnectionTrait, nets: &[IpNet]) -> Result<Vec<IpNet>> {
    let ends = nets.iter().map(|net| range(*net));
    let Some((low, high)) = ends.reduce(|a, b| (Ord::min(a.0, b.0), Ord::max(a.1, b.1))) else {
        return Ok(Vec::new());
    };
    let known: Vec<String> = network::Entity::find()
        .select_only()
        .column(network::Column::Cidr)
        .filter(network::Column::CidrKey.between(low, format!("{high}/999")))
        .order_by_asc(network::Column::CidrKey)
        .limit(NETWORKS_MOST)
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)?;
    Ok(known.iter().filter_map(|cidr| cidr.parse().ok()).collect())
}

/// What assets have of one network.
#[derive(Debug, Default)]
struct Held {
    addresses: u64,
    conflicts: u64,
    lowest: String,
    highest: String,
}

impl Held {
    /// How many of them machines can have: somebody may have typed the broadcast address.
    fn within(&self, space: &Space) -> u64 {
        let ends = [&self.lowest, &self.highest];
        let outside = ends.iter().filter(|key| keyed(key).is_some_and(|ip| !space.has(ip))).count();
        self.addresses.saturating_sub(outside as u64)
    }
}

#[derive(FromQueryResult)]
struct HeldRow {
    network_id: Uuid,
    addresses: i64,
    conflicts: i64,
    lowest: String,
    highest: String,
}

async fn used(conn: &impl ConnectionTrait, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Held>> {
    use address::Column as A;
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let [holders, each] = ["holders", "each_address"].map(Alias::new);
    // An asset has an address once, so that each row is another asset.
    let addresses = Query::select()
        .columns([A::NetworkId, A::IpKey])
        .expr_as(Expr::col(A::Id).count(), holders.clone())
        .from(address::Entity)
        .and_where(among(conn, A::NetworkId, ids))
        .group_by_columns([A::NetworkId, A::IpKey])
        .take();
    let several = CaseStatement::new().case(Expr::col(holders).gt(1), 1);
    let select = Query::select()
        .column(A::NetworkId)
        .expr_as(Expr::col(A::IpKey).count(), "addresses")
        .expr_as(Func::count(several), "conflicts")
        .expr_as(Expr::col(A::IpKey).min(), "lowest")
        .expr_as(Expr::col(A::IpKey).max(), "highest")
        .from_subquery(addresses, each)
        .group_by_col(A::NetworkId)
        .take();
    let rows = HeldRow::find_by_statement(conn.get_database_backend().build(&select)).all(conn).await;
    let count = |n: i64| u64::try_from(n).unwrap_or(0);
    Ok(rows
        .map_err(db)?
        .into_iter()
        .map(|row| {
            let held = Held {
                addresses: count(row.addresses),
                conflicts: count(row.conflicts),
                lowest: row.lowest,
                highest: row.highest,
            };
            (row.network_id, held)
        })
        .collect())
}

/// The keys of the addresses in `nets` that findings have and no asset has. Those that are waiting or ignored were seen in use.
async fn found_only(conn: &impl ConnectionTrait, nets: &[IpNet]) -> Result<Vec<String>> {
    use finding::Column as F;
    let mut inside = Condition::any();
    for (low, high) in nets.iter().map(|net| range(*net)) {
        inside = inside.add(F::AddressKey.between(low, high));
    }
    if nets.is_empty() {
        return Ok(Vec::new());
    }
    let kept = Query::select()
        .expr(Expr::val(1))
        .from(address::Entity)
        .and_where(
            Expr::col((address::Entity, address::Column::IpKey)).equals((finding::Entity, F::AddressKey)),
        )
        .take();
    finding::Entity::find()
        .select_only()
        .column(F::AddressKey)
        .distinct()
        .filter(F::State.is_in([FindingState::Open.as_str(), FindingState::Ignored.as_str()]))
        .filter(inside)
        .filter(Expr::exists(kept).not())
        .limit(FOUND_MOST)
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)
}

/// By address: the asset that has it, the first by name where there are several.
async fn gateways(conn: &impl ConnectionTrait, rows: &[network::Model]) -> Result<HashMap<String, AssetRef>> {
    let ips: Vec<String> = rows.iter().filter_map(|row| row.gateway.clone()).collect();
    if ips.is_empty() {
        return Ok(HashMap::new());
    }
    let select = conflicts::holders(|select| {
        select.and_where(Expr::col((address::Entity, address::Column::Ip)).is_in(ips));
    });
    let mut out = HashMap::new();
    for row in conflicts::read(conn, &select).await? {
        if !out.contains_key(&row.ip) {
            out.insert(row.ip.clone(), row.try_into()?);
        }
    }
    Ok(out)
}

/// The lowest free address of each. What a scan has found and nobody has reviewed yet is in use too.
async fn next_free(
    conn: &impl ConnectionTrait,
    rows: &[network::Model],
    spaces: &[Space],
) -> Result<Vec<Option<String>>> {
    let mut searches: Vec<Search<'_>> =
        rows.iter().zip(spaces).map(|(row, space)| Search::new(space, gateway_of(row))).collect();
    for most in LOOKS {
        let open: Vec<(usize, (String, String))> =
            searches.iter().enumerate().filter_map(|(at, search)| Some((at, search.wants()?))).collect();
        for some in open.chunks(TOGETHER) {
            let mut lists: HashMap<usize, Vec<Vec<u128>>> = HashMap::new();
            for (at, _) in some {
                lists.insert(*at, vec![Vec::new(); SOURCES.len()]);
            }
            for row in in_use(conn, some, most).await? {
                let place = usize::try_from(row.place).map_err(Error::internal)?;
                let (at, source) = (place / SOURCES.len(), place % SOURCES.len());
                let list = lists.get_mut(&at).and_then(|lists| lists.get_mut(source));
                if let (Some(list), Some(ip)) = (list, keyed(&row.ip_key)) {
                    list.push(ip);
                }
            }
            for (at, mut lists) in lists {
                for list in &mut lists {
                    list.sort_unstable();
                }
                if let Some(search) = searches.get_mut(at) {
                    search.learn(&lists, most.into());
                }
            }
        }
    }
    Ok(searches.iter().map(|search| search.found().map(|ip| ip.to_string())).collect())
}

/// Where an address in use is known from.
enum UsedBy {
    Asset,
    Finding(FindingState),
}
const SOURCES: [UsedBy; 3] =
    [UsedBy::Asset, UsedBy::Finding(FindingState::Open), UsedBy::Finding(FindingState::Ignored)];

#[derive(FromQueryResult)]
struct InUse {
    /// Of the search and of the source: see [`place`].
    place: i64,
    ip_key: String,
}

fn place(search: usize, source: usize) -> Result<i64> {
    i64::try_from(search * SOURCES.len() + source).map_err(Error::internal)
}

/// The first `most` addresses in use of each source between the keys of each search, in one statement.
async fn in_use(
    conn: &impl ConnectionTrait,
    searches: &[(usize, (String, String))],
    most: u16,
) -> Result<Vec<InUse>> {
    let mut all: Option<SelectStatement> = None;
    for (at, ends) in searches {
        for (source, by) in SOURCES.iter().enumerate() {
            // A limit within a union needs a query of its own.
            let part = Query::select()
                .expr_as(Expr::val(place(*at, source)?), "place")
                .column("ip_key")
                .from_subquery(first_in_use(by, ends, most), Alias::new("part"))
                .take();
            match &mut all {
                Some(all) => {
                    all.union(UnionType::All, part);
                }
                None => all = Some(part),
            }
        }
    }
    let Some(all) = all else { return Ok(Vec::new()) };
    InUse::find_by_statement(conn.get_database_backend().build(&all)).all(conn).await.map_err(db)
}

fn first_in_use(by: &UsedBy, (low, high): &(String, String), most: u16) -> SelectStatement {
    let mut select = Query::select();
    let key = match by {
        UsedBy::Asset => {
            select.from(address::Entity);
            Expr::col(address::Column::IpKey)
        }
        UsedBy::Finding(state) => {
            select.from(finding::Entity).and_where(Expr::col(finding::Column::State).eq(state.as_str()));
            Expr::col(finding::Column::AddressKey)
        }
    };
    select
        .distinct()
        .expr_as(key.clone(), "ip_key")
        .and_where(key.clone().gte(low.as_str()))
        .and_where(key.clone().lte(high.as_str()))
        .order_by_expr(key, Order::Asc)
        .limit(most.into())
        .take()
}

/// What a scan has to say of a network.
type ScanRow = (Uuid, serde_json::Value, String, DateTime<Utc>, Option<DateTime<Utc>>, i64, i64);

/// The newest scan of the whole network, or, where there is none, of a part of it.
async fn last_scans(conn: &impl ConnectionTrait, nets: &[IpNet]) -> Result<Vec<Option<NetworkScan>>> {
    use scan::Column as S;
    let mut out: Vec<Option<NetworkScan>> = vec![None; nets.len()];
    let scans: Vec<ScanRow> = scan::Entity::find()
        .select_only()
        .columns([S::Id, S::Targets, S::Status, S::CreatedAt, S::FinishedAt, S::HostsFound, S::FindingsNew])
        .order_by_desc(S::CreatedAt)
        .order_by_desc(S::Id)
        .limit(SCANS_MOST)
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)?;
    for (id, targets, status, created_at, finished_at, hosts_found, findings_new) in scans {
        if out.iter().all(|known| known.as_ref().is_some_and(|scan| scan.whole)) {
            break;
        }
        let texts: Vec<String> = serde_json::from_value(targets).map_err(Error::internal)?;
        let targets: Vec<IpNet> = texts
            .iter()
            .filter_map(|text| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok())
            .collect();
        for (net, known) in nets.iter().zip(&mut out) {
            let whole = targets.iter().any(|target| target.contains(net));
            let touched = whole || (known.is_none() && targets.iter().any(|target| net.contains(target)));
            if !touched || known.as_ref().is_some_and(|scan| scan.whole) {
                continue;
            }
            *known = Some(NetworkScan {
                id: id.into(),
                status: word(ScanStatus::parse(&status), &status)?,
                at: finished_at.unwrap_or(created_at),
                whole,
                targets: texts.len(),
                hosts_found,
                findings_new,
            });
        }
    }
    Ok(out)
}
