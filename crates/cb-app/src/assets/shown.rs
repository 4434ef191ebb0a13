//! Assets as the API shows them.

use std::collections::HashMap;

use cb_core::inventory::{AssetKind, AssetStatus, Source};
use cb_core::{Error, Result};
use cb_store::entities::{address, asset, asset_tag, tag};
use cb_store::sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Order, Query, UnionType};
use cb_store::sea_orm::{self, ConnectionTrait, FromQueryResult};
use cb_store::{among, db};
use uuid::Uuid;

use super::{AssetOut, TagRef, typed_fields, word};

pub(super) async fn out(conn: &impl ConnectionTrait, row: asset::Model) -> Result<AssetOut> {
    outs(conn, vec![row]).await?.pop().ok_or(Error::NotFound)
}

/// Rows with their tags and addresses: one query for any number of rows.
pub(super) async fn outs(conn: &impl ConnectionTrait, rows: Vec<asset::Model>) -> Result<Vec<AssetOut>> {
    let ids: Vec<Uuid> = rows.iter().map(|r| r.id).collect();
    let mut tags: HashMap<Uuid, Vec<TagRef>> = HashMap::new();
    let mut addresses: HashMap<Uuid, Vec<String>> = HashMap::new();
    if !ids.is_empty() {
        for part in parts(conn, ids).await? {
            match (part.tag, part.color) {
                (Some(id), Some(color)) => {
                    let tag = TagRef { id: id.into(), name: part.text, color };
                    tags.entry(part.asset_id).or_default().push(tag);
                }
                _ => addresses.entry(part.asset_id).or_default().push(part.text),
            }
        }
    }
    let with = |row: asset::Model| {
        let (tags, addresses) = (tags.remove(&row.id), addresses.remove(&row.id));
        shown(row, tags.unwrap_or_default(), addresses.unwrap_or_default())
    };
    rows.into_iter().map(with).collect()
}

pub(super) fn shown(row: asset::Model, tags: Vec<TagRef>, addresses: Vec<String>) -> Result<AssetOut> {
    Ok(AssetOut {
        typed_fields: fields_of_a_person(&row)?,
        tags,
        addresses,
        kind: word(AssetKind::parse(&row.kind), &row.kind)?,
        status: status(row.status())?,
        status_set: row.status_set.as_deref().map(status).transpose()?,
        status_seen: status(&row.status_seen)?,
        status_since: row.status_since,
        source: word(Source::parse(&row.source), &row.source)?,
        id: row.id.into(),
        name: row.name,
        role: row.role,
        vendor: row.vendor,
        model: row.model,
        os: row.os,
        notes: row.notes,
        first_seen_at: row.first_seen_at,
        last_seen_at: row.last_seen_at,
        created_at: row.created_at,
        updated_at: row.updated_at,
        version: row.version,
    })
}

/// A tag or an address of an asset; the address has neither id nor colour here.
#[derive(FromQueryResult)]
struct Part {
    asset_id: Uuid,
    tag: Option<Uuid>,
    text: String,
    color: Option<String>,
}

/// The tags of `assets` by name and their addresses in order. One union: going to the database costs more than what
/// it does there.
async fn parts(conn: &impl ConnectionTrait, assets: Vec<Uuid>) -> Result<Vec<Part>> {
    use {address::Column as A, asset_tag::Column as W, tag::Column as T};
    let [text, place] = ["text", "place"].map(Alias::new);
    let addresses = Query::select()
        .column(A::AssetId)
        .expr_as(Expr::null(), "tag")
        .expr_as(Expr::col(A::Ip), text.clone())
        .expr_as(Expr::null(), "color")
        .expr_as(Expr::col(A::IpKey), place.clone())
        .from(address::Entity)
        .and_where(among(conn, A::AssetId, assets.clone()))
        .take();
    let both = Query::select()
        .column((asset_tag::Entity, W::AssetId))
        .expr_as(Expr::col((tag::Entity, T::Id)), "tag")
        .expr_as(Expr::col((tag::Entity, T::Name)), text)
        .expr_as(Expr::col((tag::Entity, T::Color)), "color")
        .expr_as(Expr::col((tag::Entity, T::NameKey)), place.clone())
        .from(asset_tag::Entity)
        .inner_join(tag::Entity, Expr::col((tag::Entity, T::Id)).equals((asset_tag::Entity, W::TagId)))
        .and_where(among(conn, W::AssetId, assets))
        .union(UnionType::All, addresses)
        .order_by(place, Order::Asc)
        .take();
    Part::find_by_statement(conn.get_database_backend().build(&both)).all(conn).await.map_err(db)
}

/// The fields that a person has typed, as the API lists them. The status has a column of its own.
fn fields_of_a_person(row: &asset::Model) -> Result<Vec<String>> {
    let mut typed = typed_fields(row)?;
    typed.remove("status");
    typed.extend(row.status_set.as_ref().map(|_| "status".to_owned()));
    Ok(typed.into_iter().collect())
}

fn status(text: &str) -> Result<AssetStatus> {
    word(AssetStatus::parse(text), text)
}
