//! Addresses that more than one asset has. Link-local ones are none: each link has its own.

use std::net::IpAddr;

use cb_core::Result;
use cb_core::ids::{AssetId, NetworkId};
use cb_core::inventory::AssetKind;
use cb_store::db;
use cb_store::entities::{address, asset};
use cb_store::sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Order, Query, SelectStatement};
use cb_store::sea_orm::{self, ConnectionTrait, FromQueryResult};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::assets::word;

/// Addresses that one answer names.
const ADDRESSES_MOST: u64 = 100;
/// Assets that one answer names.
const ASSETS_MOST: u64 = 500;

/// An asset with its name and its appearance.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AssetRef {
    pub id: AssetId,
    pub name: String,
    pub kind: AssetKind,
    #[schema(required)]
    pub role: Option<String>,
}

/// An address that several assets have.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AddressConflict)]
pub struct Conflict {
    pub ip: String,
    pub assets: Vec<AssetRef>,
}

/// An address and an asset that has it.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Holder {
    pub ip: String,
    id: Uuid,
    name: String,
    kind: String,
    role: Option<String>,
}

impl TryFrom<Holder> for AssetRef {
    type Error = cb_core::Error;

    fn try_from(row: Holder) -> Result<Self> {
        Ok(Self {
            kind: word(AssetKind::parse(&row.kind), &row.kind)?,
            id: row.id.into(),
            name: row.name,
            role: row.role,
        })
    }
}

/// Addresses with the assets that have them, in order; `narrow` says which addresses.
pub(crate) fn holders(narrow: impl FnOnce(&mut SelectStatement)) -> SelectStatement {
    use {address::Column as A, asset::Column as W};
    let mut select = Query::select();
    select
        .column((address::Entity, A::Ip))
        .columns([W::Id, W::Name, W::Kind, W::Role].map(|column| (asset::Entity, column)))
        .from(address::Entity)
        .inner_join(asset::Entity, Expr::col((asset::Entity, W::Id)).equals((address::Entity, A::AssetId)))
        .order_by((address::Entity, A::IpKey), Order::Asc)
        .order_by((asset::Entity, W::NameKey), Order::Asc)
        .order_by((asset::Entity, W::Id), Order::Asc)
        .limit(ASSETS_MOST);
    narrow(&mut select);
    select
}

pub(crate) async fn read(conn: &impl ConnectionTrait, select: &SelectStatement) -> Result<Vec<Holder>> {
    Holder::find_by_statement(conn.get_database_backend().build(select)).all(conn).await.map_err(db)
}

/// The first addresses of a network that several assets have, with those assets.
pub(crate) async fn in_network(conn: &impl ConnectionTrait, id: NetworkId) -> Result<Vec<Conflict>> {
    use address::Column as A;
    let several = Query::select()
        .column(A::IpKey)
        .from(address::Entity)
        .and_where(Expr::col(A::NetworkId).eq(id.0))
        .group_by_col(A::IpKey)
        .and_having(Expr::col(A::Id).count().gt(1))
        .order_by(A::IpKey, Order::Asc)
        .limit(ADDRESSES_MOST)
        .take();
    let rows = read(
        conn,
        &holders(|select| {
            select
                .and_where(Expr::col((address::Entity, A::NetworkId)).eq(id.0))
                .and_where(Expr::col((address::Entity, A::IpKey)).in_subquery(several));
        }),
    )
    .await?;
    grouped(rows)
}

/// The addresses of an asset that others have too, with those others.
pub(crate) async fn of_asset(conn: &impl ConnectionTrait, id: AssetId) -> Result<Vec<Conflict>> {
    use address::Column as A;
    let mine = Alias::new("mine");
    let own = Query::select()
        .column((mine.clone(), A::Ip))
        .from_as(address::Entity, mine.clone())
        .and_where(Expr::col((mine, A::AssetId)).eq(id.0))
        .take();
    let rows = read(
        conn,
        &holders(|select| {
            select
                .and_where(Expr::col((address::Entity, A::Ip)).in_subquery(own))
                .and_where(Expr::col((address::Entity, A::AssetId)).ne(id.0));
        }),
    )
    .await?;
    grouped(rows)
}

fn grouped(rows: Vec<Holder>) -> Result<Vec<Conflict>> {
    let mut out: Vec<Conflict> = Vec::new();
    for row in rows.into_iter().filter(|row| !is_link_local(&row.ip)) {
        let ip = row.ip.clone();
        let asset = row.try_into()?;
        match out.last_mut() {
            Some(last) if last.ip == ip => last.assets.push(asset),
            _ => out.push(Conflict { ip, assets: vec![asset] }),
        }
    }
    Ok(out)
}

fn is_link_local(ip: &str) -> bool {
    match ip.parse() {
        Ok(IpAddr::V4(v4)) => v4.is_link_local(),
        Ok(IpAddr::V6(v6)) => v6.is_unicast_link_local(),
        Err(_) => false,
    }
}
