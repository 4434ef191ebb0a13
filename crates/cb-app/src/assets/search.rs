//! How assets are found: what a list is narrowed to, and the words that are looked for.

use cb_core::Result;
use cb_core::error::Violations;
use cb_core::inventory::{AssetKind, AssetStatus};
use cb_store::entities::{address, asset, asset_tag, interface, network, service, tag};
use cb_store::sea_orm::sea_query::{
    Expr, ExprTrait as _, Func, Query, SelectStatement, SimpleExpr, SubQueryStatement,
};
use cb_store::sea_orm::{ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, Select};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::input::{self, SHORT_MAX};
use crate::order::{ip_key, name_key};
use crate::page::{Sort, anywhere, begins, contains, words};
use crate::rank::{Wanted, like};

/// A filter for assets. Every field that is present must match.
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetFilter {
    /// Words to search for; all must be found.
    #[schema(max_length = 200)]
    pub q: Option<String>,
    pub kind: Option<AssetKind>,
    /// `access_point`, `access-point` and `Access point` are the same role.
    #[schema(max_length = 100)]
    pub role: Option<String>,
    pub status: Option<AssetStatus>,
    /// The name or the ID of a tag.
    #[schema(max_length = 100)]
    pub tag: Option<String>,
    /// A part of the vendor's name.
    #[schema(max_length = 100)]
    pub vendor: Option<String>,
    /// The ID, the CIDR or the name of a network that contains an address of the asset.
    #[schema(max_length = 100)]
    pub network: Option<String>,
    /// An open port, 1 to 65535.
    #[schema(minimum = 1, maximum = 65535)]
    pub port: Option<u32>,
    /// Last seen at this time or later.
    pub seen_after: Option<DateTime<Utc>>,
    /// Last seen before this time.
    pub seen_before: Option<DateTime<Utc>>,
}

impl AssetFilter {
    fn checked(&self) -> Result<()> {
        let mut wrong = Violations::new();
        let texts =
            [("role", &self.role), ("tag", &self.tag), ("vendor", &self.vendor), ("network", &self.network)];
        for (field, text) in texts {
            let short = text.as_ref().is_none_or(|text| text.chars().count() <= SHORT_MAX);
            wrong.require(short, field, &format!("Use at most {SHORT_MAX} characters."));
        }
        let port = self.port.is_none_or(|port| (1..=65_535).contains(&port));
        wrong.require(port, "port", input::NO_PORT);
        wrong.into_result()
    }
}

/// The assets that fit `filter` and have every word of `q`.
pub(super) fn narrowed(filter: &AssetFilter, q: Option<&str>) -> Result<Select<asset::Entity>> {
    use asset::Column as C;
    filter.checked()?;
    let mut select = asset::Entity::find();
    if let Some(kind) = filter.kind {
        select = select.filter(C::Kind.eq(kind.as_str()));
    }
    if let Some(role) = filter.role.as_deref() {
        select = select.filter(plain_role(Expr::col((asset::Entity, C::Role))).eq(role_word(role)));
    }
    if let Some(status) = filter.status {
        select = select.filter(C::shown_status().eq(status.as_str()));
    }
    if let Some(tag) = filter.tag.as_deref() {
        select = select.filter(C::Id.in_subquery(tagged(tag)));
    }
    if let Some(vendor) = filter.vendor.as_deref() {
        select =
            select.filter(contains(Expr::col((asset::Entity, C::Vendor)), &anywhere(&vendor.to_lowercase())));
    }
    if let Some(network) = filter.network.as_deref() {
        let inside = assets_of(address::Entity, address::Column::AssetId)
            .and_where(Expr::col(address::Column::NetworkId).in_subquery(networks(network)))
            .take();
        select = select.filter(C::Id.in_subquery(inside));
    }
    if let Some(port) = filter.port {
        let open = assets_of(service::Entity, service::Column::AssetId)
            .and_where(Expr::col(service::Column::Port).eq(i32::try_from(port).unwrap_or(0)))
            .take();
        select = select.filter(C::Id.in_subquery(open));
    }
    if let Some(at) = filter.seen_after {
        select = select.filter(C::LastSeenAt.gte(at));
    }
    if let Some(at) = filter.seen_before {
        select = select.filter(C::LastSeenAt.lt(at));
    }
    for text in [q, filter.q.as_deref()] {
        for word in words(text)? {
            select = search(select, &word);
        }
    }
    Ok(select)
}

/// A role as it is compared: `Access point` and `access-point` are `access_point`.
pub(crate) fn role_word(role: &str) -> String {
    role.trim().to_lowercase().replace(['-', ' '], "_")
}

/// [`role_word`] of a column or an expression.
pub(crate) fn plain_role(role: SimpleExpr) -> SimpleExpr {
    let replaced = |text: SimpleExpr, what: &str| -> SimpleExpr {
        Func::cust("replace").args([text, what.into(), "_".into()]).into()
    };
    replaced(replaced(Func::lower(role).into(), "-"), " ")
}

/// The key of an asset's first address, for a sort.
pub(super) fn first_address() -> SimpleExpr {
    let own =
        Expr::col((address::Entity, address::Column::AssetId)).equals((asset::Entity, asset::Column::Id));
    let first = Query::select()
        .expr(Func::min(Expr::col((address::Entity, address::Column::IpKey))))
        .from(address::Entity)
        .and_where(own)
        .take();
    SubQueryStatement::from(first).into()
}

/// The networks that have this id, CIDR or name.
fn networks(text: &str) -> SelectStatement {
    use network::Column as N;
    let which = match Uuid::parse_str(text) {
        Ok(id) => Condition::all().add(Expr::col(N::Id).eq(id)),
        Err(_) => Condition::any()
            .add(Expr::col(N::Cidr).eq(text))
            .add(Expr::expr(Func::lower(Expr::col(N::Name))).eq(text.to_lowercase())),
    };
    Query::select().column(N::Id).from(network::Entity).cond_where(which).take()
}

/// `SELECT <asset column> FROM <table>`, for an `IN`.
pub(super) fn assets_of<E: cb_store::sea_orm::EntityTrait>(table: E, column: E::Column) -> SelectStatement {
    Query::select().column(column).from(table).take()
}

/// The tags that have this id or name.
pub(crate) fn named_tag(text: &str) -> SimpleExpr {
    match Uuid::parse_str(text) {
        Ok(id) => Expr::col(tag::Column::Id).eq(id),
        Err(_) => Expr::col(tag::Column::NameKey).eq(name_key(text)),
    }
}

pub(super) fn tagged(tag: &str) -> SelectStatement {
    let tags = Query::select().column(tag::Column::Id).from(tag::Entity).and_where(named_tag(tag)).take();
    assets_of(asset_tag::Entity, asset_tag::Column::AssetId)
        .and_where(Expr::col(asset_tag::Column::TagId).in_subquery(tags))
        .take()
}

/// Rows that have `word` in a text of theirs, in an address, a host name, a MAC or a tag. An address is found however it
/// is written.
fn search(select: Select<asset::Entity>, word: &str) -> Select<asset::Entity> {
    use asset::Column as C;
    let col = |column: C| Expr::col((asset::Entity, column));
    let pattern = &anywhere(word);
    let mut any = Condition::any();
    for column in [C::Name, C::Vendor, C::Model, C::Role, C::Os, C::Notes] {
        any = any.add(contains(col(column), pattern));
    }
    let mut addresses = Condition::any()
        .add(contains(Expr::col(address::Column::Ip), pattern))
        .add(contains(Expr::col(address::Column::Hostname), pattern));
    if let Ok(ip) = word.parse() {
        addresses = addresses.add(Expr::col(address::Column::IpKey).eq(ip_key(ip)));
    }
    let mac = input::mac(word).map_or_else(|_| pattern.clone(), |mac| anywhere(&mac));
    let tags = Query::select()
        .column(tag::Column::Id)
        .from(tag::Entity)
        .and_where(contains(Expr::col(tag::Column::Name), pattern))
        .take();
    let by_tag = assets_of(asset_tag::Entity, asset_tag::Column::AssetId)
        .and_where(Expr::col(asset_tag::Column::TagId).in_subquery(tags))
        .take();
    for subquery in [with_address(addresses), with_mac(&mac), by_tag] {
        any = any.add(col(C::Id).in_subquery(subquery));
    }
    select.filter(any)
}

fn with_address(which: Condition) -> SelectStatement {
    assets_of(address::Entity, address::Column::AssetId).cond_where(which).take()
}

fn with_mac(pattern: &str) -> SelectStatement {
    assets_of(interface::Entity, interface::Column::AssetId)
        .and_where(contains(Expr::col(interface::Column::Mac), pattern))
        .take()
}

/// The order of what a search finds: by name and address, and then by name.
pub(super) fn by_match(wanted: &Wanted) -> Sort<asset::Entity> {
    use asset::Column as C;
    let col = |column: C| Expr::col((asset::Entity, column));
    let whole = wanted.whole();
    let mut addresses =
        Condition::any().add(Expr::expr(Func::lower(Expr::col(address::Column::Hostname))).eq(whole.clone()));
    if let Ok(ip) = whole.parse() {
        addresses = addresses.add(Expr::col(address::Column::IpKey).eq(ip_key(ip)));
    }
    let mut exact = Condition::any()
        .add(col(C::NameKey).eq(name_key(&whole)))
        .add(col(C::Id).in_subquery(with_address(addresses)));
    if let Ok(mac) = input::mac(&whole) {
        exact = exact.add(col(C::Id).in_subquery(with_mac(&mac)));
    }
    let near = Condition::any()
        .add(like(Expr::col(address::Column::Ip), &begins(&whole)))
        .add(contains(Expr::col(address::Column::Hostname), &begins(&whole)));
    let close = Condition::all().add(col(C::Id).in_subquery(with_address(near)));
    Sort::derived(wanted.place(col(C::Name), exact, close, col(C::NameKey)))
}
