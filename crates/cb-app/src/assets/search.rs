//! How assets are found: what a list is narrowed to, and the words that are looked for.

use cb_store::entities::{address, asset, asset_tag, interface, tag};
use cb_store::sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};
use cb_store::sea_orm::{Condition, QueryFilter as _, Select};
use uuid::Uuid;

use crate::order::name_key;
use crate::page::contains;

/// `SELECT <asset column> FROM <table>`, for an `IN`.
pub(super) fn assets_of<E: cb_store::sea_orm::EntityTrait>(table: E, column: E::Column) -> SelectStatement {
    Query::select().column(column).from(table).take()
}

pub(super) fn tagged(tag: &str) -> SelectStatement {
    let which = match Uuid::parse_str(tag) {
        Ok(id) => Expr::col(tag::Column::Id).eq(id),
        Err(_) => Expr::col(tag::Column::NameKey).eq(name_key(tag)),
    };
    let tags = Query::select().column(tag::Column::Id).from(tag::Entity).and_where(which).take();
    assets_of(asset_tag::Entity, asset_tag::Column::AssetId)
        .and_where(Expr::col(asset_tag::Column::TagId).in_subquery(tags))
        .take()
}

/// Rows that have `word` in a text of theirs, in an address, a host name, a MAC or a tag.
pub(super) fn search(select: Select<asset::Entity>, word: &str) -> Select<asset::Entity> {
    use asset::Column as C;
    let col = |column: C| Expr::col((asset::Entity, column));
    let mut any = Condition::any();
    for column in [C::Name, C::Vendor, C::Model, C::Role, C::Os, C::Notes] {
        any = any.add(contains(col(column), word));
    }
    let by_address = assets_of(address::Entity, address::Column::AssetId)
        .cond_where(
            Condition::any()
                .add(contains(Expr::col(address::Column::Ip), word))
                .add(contains(Expr::col(address::Column::Hostname), word)),
        )
        .take();
    let by_mac = assets_of(interface::Entity, interface::Column::AssetId)
        .and_where(contains(Expr::col(interface::Column::Mac), word))
        .take();
    let tags = Query::select()
        .column(tag::Column::Id)
        .from(tag::Entity)
        .and_where(contains(Expr::col(tag::Column::Name), word))
        .take();
    let by_tag = assets_of(asset_tag::Entity, asset_tag::Column::AssetId)
        .and_where(Expr::col(asset_tag::Column::TagId).in_subquery(tags))
        .take();
    for subquery in [by_address, by_mac, by_tag] {
        any = any.add(col(C::Id).in_subquery(subquery));
    }
    select.filter(any)
}
