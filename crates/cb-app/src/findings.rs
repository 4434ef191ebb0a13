//! Review: a person accepts a finding into the inventory, ignores it, or takes that back.

mod accept;
mod review;
mod search;
mod undo;

use std::collections::BTreeSet;

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::{AssetId, FindingId, ReviewId, ScanId};
use cb_core::inventory::{AssetKind, FindingKind, FindingState};
use cb_core::{Error, Event, Patch, Permission, Result};
use cb_store::db;
use cb_store::entities::finding;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QueryOrder as _,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::assets::word;
use crate::ctx::Ctx;
use crate::input::{self, NAME_MAX, SHORT_MAX};
use crate::page::{self, List, Page};
use crate::proposal::{Evidence, Proposal};
use accept::{Typed, take_in};
pub(crate) use review::MOST as REVIEW_MOST;
pub use review::{
    FindingsDone, FindingsIn, FindingsProposeIn, FindingsTagIn, Skipped, accept_many, ignore_many,
    propose_many, reopen_many, tag_many,
};
pub use search::{FindingFilter, FindingGroup, groups};
use undo::Step;
pub use undo::{UndoIn, undo};

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Finding)]
pub struct FindingOut {
    pub id: FindingId,
    #[schema(required)]
    pub scan_id: Option<ScanId>,
    pub kind: FindingKind,
    pub state: FindingState,
    pub title: String,
    /// For a change: the asset. For an accepted finding: the asset that it became.
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
    /// The last step of its review, for `/findings/undo`; null if that step cannot be undone.
    #[schema(required)]
    pub review_id: Option<ReviewId>,
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
    /// Instead of the proposed role; null for no role.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub role: Patch<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    pub finding: FindingOut,
    pub asset_id: AssetId,
}

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

/// Those of `ids` that are there.
pub(crate) async fn of(ctx: &Ctx, ids: &BTreeSet<FindingId>) -> Result<Vec<FindingOut>> {
    let conn = ctx.read(Permission::DiscoveryRead)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = finding::Entity::find().filter(finding::Column::Id.is_in(ids.iter().map(|id| id.0)));
    let rows = rows.order_by_asc(finding::Column::Id).all(conn).await.map_err(db)?;
    rows.into_iter().map(FindingOut::try_from).collect()
}

/// A new asset is made, or a known one gets what it lacked.
pub async fn accept(ctx: &Ctx, id: FindingId, input: AcceptIn) -> Result<Accepted> {
    let mut wrong = Violations::new();
    let name = input.name.and_then(|n| input::line(&mut wrong, "name", &n, NAME_MAX));
    let role = input::line_patch(&mut wrong, "role", input.role, SHORT_MAX);
    wrong.into_result()?;
    let implied = role.as_ref().and_then(|role| role.as_deref()).and_then(cb_collect::kind_of);
    let typed = Typed { name, kind: input.kind.or(implied), role };
    ctx.authorize(Permission::InventoryWrite)?;
    ctx.write(Permission::DiscoveryWrite, Action::FindingAccepted, async |tx| {
        let row = find(tx.conn(), id).await?;
        let (row, asset) = take_in(ctx, tx, row, typed, ctx.new_id()).await?;
        tx.about("finding", row.id);
        tx.detail(json!({ "title": row.title, "kind": row.kind, "asset_id": asset }));
        Ok(Accepted { finding: row.try_into()?, asset_id: asset.into() })
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
            return Err(Error::Conflict(format!("This finding is {}, not {}.", row.state, from.as_str())));
        }
        tx.about("finding", row.id);
        tx.detail(json!({ "title": row.title }));
        tx.emit(Event::FindingChanged { id });
        let step = Step::left(&row);
        let mut change = changed(ctx, row, to);
        step.keep(&mut change, ctx.new_id());
        change.update(tx.conn()).await.map_err(db)?.try_into()
    })
    .await
}

/// The row in another state.
fn changed(ctx: &Ctx, row: finding::Model, state: FindingState) -> finding::ActiveModel {
    let over = state != FindingState::Open;
    let version = row.version + 1;
    let mut change: finding::ActiveModel = row.into();
    change.state = Set(state.as_str().to_owned());
    change.resolved_at = Set(over.then(|| ctx.now()));
    change.resolved_by = Set(over.then(|| ctx.principal().name()));
    change.version = Set(version);
    change
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
            review_id: row.review_id.map(Into::into),
            version: row.version,
        })
    }
}
