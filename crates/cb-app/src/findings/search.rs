//! How findings are found: what a list is narrowed to, and what it can be sorted by. What a scan proposes is one JSON
//! text; `->` and `->>` read it alike on both databases.

use cb_core::error::Violations;
use cb_core::ids::ScanId;
use cb_core::inventory::{AssetKind, FindingGrouping, FindingKind, FindingState};
use cb_core::{Error, Permission, Result};
use cb_store::db;
use cb_store::entities::{finding, network, tag};
use cb_store::sea_orm::sea_query::{BinOper, Expr, ExprTrait as _, Func, SimpleExpr};
use cb_store::sea_orm::{
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, IntoSimpleExpr as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::assets::{named_tag, plain_role, role_word};
use crate::ctx::Ctx;
use crate::input::{NO_PORT, SHORT_MAX};
use crate::order::range;
use crate::page::{Sort, anywhere, contains, patterns};

/// A filter for findings. Every field that is present must match.
#[derive(Debug, Default, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingFilter {
    /// Of findings that are changed, the change knows which state they must have.
    #[serde(skip)]
    pub state: Option<FindingState>,
    /// Words to search for; all must be found.
    #[schema(max_length = 200)]
    pub q: Option<String>,
    /// Findings from this scan.
    #[serde(rename = "scan_id")]
    pub scan: Option<ScanId>,
    /// Whether a new asset or a change is proposed.
    pub change: Option<FindingKind>,
    /// The kind of the proposed asset.
    pub kind: Option<AssetKind>,
    /// `access_point`, `access-point` and `Access point` are the same role.
    #[schema(max_length = 100)]
    pub role: Option<String>,
    /// A part of the vendor's name.
    #[schema(max_length = 100)]
    pub vendor: Option<String>,
    /// The name or the ID of a tag that the asset gets.
    #[schema(max_length = 100)]
    pub tag: Option<String>,
    /// The ID, the CIDR or the name of the network that contains the first address.
    #[schema(max_length = 100)]
    pub network: Option<String>,
    /// A port that was found open, 1 to 65535.
    #[schema(minimum = 1, maximum = 65535)]
    pub port: Option<u32>,
    /// Last seen at this time or later.
    pub seen_after: Option<DateTime<Utc>>,
    /// Last seen before this time.
    pub seen_before: Option<DateTime<Utc>>,
    /// How findings are grouped for `group`.
    pub group_by: Option<FindingGrouping>,
    /// The findings of one group: its `key`.
    #[schema(max_length = 100)]
    pub group: Option<String>,
}

/// Findings that have something in common.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FindingGroup {
    /// A CIDR, a kind, a role, `new_asset` or `change`; empty for findings where it is unknown.
    pub key: String,
    /// The number of findings in the group.
    pub count: i64,
}

/// Groups in one answer.
const GROUPS_MOST: u64 = 500;

/// The groups of the findings that fit, in the order of their keys; at most 500.
pub async fn groups(
    ctx: &Ctx,
    filter: &FindingFilter,
    by: FindingGrouping,
    q: Option<&str>,
) -> Result<Vec<FindingGroup>> {
    let conn = ctx.read(Permission::DiscoveryRead)?;
    let rows: Vec<(String, i64)> = narrowed(conn, filter, q)
        .await?
        .select_only()
        .expr_as(group_key(by), "key")
        .column_as(finding::Column::Id.count(), "count")
        .group_by(group_key(by))
        .order_by_asc(group_key(by))
        .limit(GROUPS_MOST)
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)?;
    Ok(rows.into_iter().map(|(key, count)| FindingGroup { key, count }).collect())
}

/// What findings of one group have in common; without parameters, so that a database sees it to be the same wherever it stands.
fn group_key(by: FindingGrouping) -> SimpleExpr {
    let key = match by {
        FindingGrouping::Kind => proposed("kind"),
        FindingGrouping::Role => proposed("role"),
        FindingGrouping::Change => finding::Column::Kind.into_simple_expr(),
        FindingGrouping::Network => {
            let step = |from: SimpleExpr, with: &'static str, to: &'static str| {
                from.binary(BinOper::Custom(with), Expr::cust(to))
            };
            let proposal = finding::Column::Proposal.into_simple_expr();
            let first = step(step(proposal, "->", "'addresses'"), "->", "0");
            step(first, "->>", "'network'")
        }
    };
    Func::coalesce([key, Expr::cust("''")]).into()
}

/// By group, and within it by address.
fn grouped(by: FindingGrouping) -> Sort<finding::Entity> {
    let address = Func::coalesce([finding::Column::AddressKey.into_simple_expr(), Expr::cust("''")]);
    let both = group_key(by)
        .binary(BinOper::Custom("||"), Expr::cust("' '"))
        .binary(BinOper::Custom("||"), SimpleExpr::from(address));
    Sort::derived(both)
}

pub(super) fn sorts() -> [(&'static str, Sort<finding::Entity>); 12] {
    [
        ("title", Sort::text(finding::Column::TitleKey)),
        ("address", Sort::text(finding::Column::AddressKey)),
        ("kind", Sort::derived(proposed("kind"))),
        ("role", Sort::derived(Func::coalesce([proposed("role"), proposed("kind")]).into())),
        ("vendor", Sort::derived(proposed("vendor"))),
        ("confidence", Sort::number(finding::Column::Confidence)),
        ("created_at", Sort::time(finding::Column::CreatedAt)),
        ("last_seen_at", Sort::time(finding::Column::LastSeenAt)),
        ("group_network", grouped(FindingGrouping::Network)),
        ("group_kind", grouped(FindingGrouping::Kind)),
        ("group_role", grouped(FindingGrouping::Role)),
        ("group_change", grouped(FindingGrouping::Change)),
    ]
}

/// A field of the proposal, as text.
fn proposed(field: &'static str) -> SimpleExpr {
    Expr::expr(finding::Column::Proposal.into_simple_expr())
        .binary(BinOper::Custom("->>"), Expr::cust(format!("'{field}'")))
}

fn without_spaces(text: SimpleExpr) -> SimpleExpr {
    Func::cust("replace").args([text, " ".into(), "".into()]).into()
}

pub(super) async fn narrowed(
    conn: &impl ConnectionTrait,
    filter: &FindingFilter,
    q: Option<&str>,
) -> Result<Select<finding::Entity>> {
    use finding::Column as C;
    checked(filter)?;
    let mut select = finding::Entity::find();
    if let Some(state) = filter.state {
        select = select.filter(C::State.eq(state.as_str()));
    }
    if let Some(scan) = filter.scan {
        select = select.filter(C::ScanId.eq(scan.0));
    }
    if let Some(change) = filter.change {
        select = select.filter(C::Kind.eq(change.as_str()));
    }
    if let Some(kind) = filter.kind {
        select = select.filter(proposed("kind").eq(kind.as_str()));
    }
    if let Some(role) = filter.role.as_deref() {
        select = select.filter(plain_role(proposed("role")).eq(role_word(role)));
    }
    if let Some(vendor) = filter.vendor.as_deref() {
        select = select.filter(contains(proposed("vendor"), &anywhere(&vendor.to_lowercase())));
    }
    if let Some(port) = filter.port {
        // What follows the number is a comma or the end of the object, whatever the order of the keys.
        // PostgreSQL writes a space behind a colon.
        let services = without_spaces(proposed("services"));
        let one = |end: &str| services.clone().like(format!("%\"port\":{port}{end}%"));
        select = select.filter(Condition::any().add(one(",")).add(one("}")));
    }
    if let Some(network) = filter.network.as_deref() {
        let mut any = Condition::any().add(C::Id.is_null());
        for (first, last) in ranges(conn, network).await? {
            any = any.add(C::AddressKey.between(first, last));
        }
        select = select.filter(any);
    }
    if let Some(tag) = filter.tag.as_deref() {
        let mut any = Condition::any().add(C::Id.is_null());
        for id in tags(conn, tag).await? {
            any = any.add(proposed("tags").like(format!("%\"{id}\"%")));
        }
        select = select.filter(any);
    }
    if let Some(at) = filter.seen_after {
        select = select.filter(C::LastSeenAt.gte(at));
    }
    if let Some(at) = filter.seen_before {
        select = select.filter(C::LastSeenAt.lt(at));
    }
    if let (Some(by), Some(group)) = (filter.group_by, filter.group.as_deref()) {
        select = select.filter(group_key(by).eq(group));
    }
    for word in patterns(q)?.into_iter().chain(patterns(filter.q.as_deref())?) {
        let texts = [
            C::Title.into_simple_expr(),
            proposed("vendor"),
            proposed("role"),
            proposed("os"),
            proposed("addresses"),
        ];
        let any = texts.into_iter().fold(Condition::any(), |any, text| any.add(contains(text, &word)));
        select = select.filter(any);
    }
    Ok(select)
}

fn checked(filter: &FindingFilter) -> Result<()> {
    let mut wrong = Violations::new();
    let texts = [
        ("role", &filter.role),
        ("vendor", &filter.vendor),
        ("tag", &filter.tag),
        ("network", &filter.network),
        ("group", &filter.group),
    ];
    for (field, text) in texts {
        let short = text.as_ref().is_none_or(|text| text.chars().count() <= SHORT_MAX);
        wrong.require(short, field, &format!("Use at most {SHORT_MAX} characters."));
    }
    let port = filter.port.is_none_or(|port| (1..=65_535).contains(&port));
    wrong.require(port, "port", NO_PORT);
    let named = filter.group.is_none() || filter.group_by.is_some();
    wrong.require(named, "group", "Send `group_by` too, which says how findings are grouped.");
    wrong.into_result()
}

/// The tags with this id or name.
async fn tags(conn: &impl ConnectionTrait, text: &str) -> Result<Vec<Uuid>> {
    tag::Entity::find()
        .select_only()
        .column(tag::Column::Id)
        .filter(named_tag(text))
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)
}

/// The keys of the first and the last address of what `text` names: a CIDR, or a known network by its id or its name.
async fn ranges(conn: &impl ConnectionTrait, text: &str) -> Result<Vec<(String, String)>> {
    if let Ok(cidr) = text.parse::<IpNet>() {
        return Ok(vec![range(cidr)]);
    }
    let which = match Uuid::parse_str(text) {
        Ok(id) => network::Column::Id.eq(id),
        Err(_) => Expr::expr(Func::lower(network::Column::Name.into_simple_expr())).eq(text.to_lowercase()),
    };
    let rows = network::Entity::find().filter(which).all(conn).await.map_err(db)?;
    rows.iter().map(|row| row.cidr.parse().map(range).map_err(Error::internal)).collect()
}
