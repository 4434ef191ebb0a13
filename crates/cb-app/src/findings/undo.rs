//! Taking back the last step of review of one finding or many. The step is kept with each finding under one id. A finding that was
//! reviewed again since carries another id, and stays as it is. So does one whose asset was changed since, and the answer says so.

use std::collections::BTreeSet;

use cb_core::audit::Action;
use cb_core::clock::Time;
use cb_core::ids::{ReviewId, TagId};
use cb_core::inventory::{AssetKind, FindingState, LinkEvidence, Source};
use cb_core::{Error, Event, Permission, Result};
use cb_store::entities::{address, asset, asset_tag, finding, interface, link, network, service};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::sea_query::{Expr, ExprTrait as _};
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, ModelTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use cb_store::{WriteTx, db};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::review::{FindingsDone, MOST, PAGE, Skipped, named};
use crate::ctx::Ctx;
use crate::notify::news;
use crate::proposal::Proposal;
use crate::record::waiting;
use crate::{assets, networks};

/// What takes a step back.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    Accepted(Made),
    /// Another state, which it had before, with when and by whom.
    Left {
        state: FindingState,
        at: Option<Time>,
        by: Option<String>,
    },
    /// Another kind and role.
    Proposed {
        kind: AssetKind,
        role: Option<String>,
        typed: Vec<String>,
    },
    /// Tags that it did not have.
    Tagged {
        tags: Vec<TagId>,
    },
}

/// What an acceptance has made.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Made {
    /// The version of the asset, if it is new.
    pub asset: Option<i64>,
    pub interfaces: Vec<Uuid>,
    pub addresses: Vec<Uuid>,
    pub services: Vec<Uuid>,
    pub links: Vec<Uuid>,
    pub networks: Vec<Uuid>,
    /// Networks whose gateway it is.
    pub gateways: Vec<Uuid>,
    /// Tags that a known asset did not have.
    pub tags: Vec<Uuid>,
}

impl Step {
    /// From the state that the finding has now.
    pub fn left(row: &finding::Model) -> Self {
        let state = FindingState::parse(&row.state).unwrap_or(FindingState::Open);
        Self::Left { state, at: row.resolved_at, by: row.resolved_by.clone() }
    }

    pub fn keep(&self, change: &mut finding::ActiveModel, review: Uuid) {
        change.review_id = Set(Some(review));
        change.review = Set(Some(json!(self)));
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoIn {
    /// The `review_id` from the answer to that step.
    pub review_id: ReviewId,
}

/// Takes a step of review back, wherever nothing has changed since. Doing so again changes nothing.
pub async fn undo(ctx: &Ctx, input: UndoIn) -> Result<FindingsDone> {
    ctx.authorize(Permission::DiscoveryWrite)?;
    let ids: Vec<Uuid> = finding::Entity::find()
        .select_only()
        .column(finding::Column::Id)
        .filter(finding::Column::ReviewId.eq(input.review_id.0))
        .order_by_asc(finding::Column::Id)
        .limit(MOST as u64)
        .into_tuple()
        .all(ctx.store().reader())
        .await
        .map_err(db)?;
    let mut done = FindingsDone::default();
    let mut networks = BTreeSet::new();
    for part in ids.chunks(PAGE) {
        let some = ctx
            .write(Permission::DiscoveryWrite, Action::FindingsReviewUndone, async |tx| {
                page(ctx, tx, input.review_id.0, part, &mut networks).await
            })
            .await?;
        done.add(some);
    }
    Ok(done)
}

async fn page(
    ctx: &Ctx,
    tx: &mut WriteTx,
    review: Uuid,
    ids: &[Uuid],
    networks: &mut BTreeSet<Uuid>,
) -> Result<FindingsDone> {
    let rows = finding::Entity::find()
        .filter(finding::Column::Id.is_in(ids.iter().copied()))
        .filter(finding::Column::ReviewId.eq(review))
        .order_by_asc(finding::Column::TitleKey)
        .order_by_asc(finding::Column::Id)
        .all(tx.conn())
        .await
        .map_err(db)?;
    let mut done = FindingsDone::default();
    let mut back = Vec::new();
    for row in rows {
        let id = row.id.into();
        match one(ctx, tx, row, networks).await? {
            Ok(row) => {
                done.count += 1;
                tx.emit(Event::FindingChanged { id });
                back.push(row);
            }
            Err(reason) => done.skipped.push(Skipped { id, reason: reason.to_owned() }),
        }
    }
    remove_empty(tx, networks).await?;
    tx.detail(named(&back, done.skipped.len()));
    Ok(done)
}

/// The finding as it was before, or why it stays.
async fn one(
    ctx: &Ctx,
    tx: &mut WriteTx,
    row: finding::Model,
    networks: &mut BTreeSet<Uuid>,
) -> Result<std::result::Result<finding::Model, &'static str>> {
    let step =
        row.review.clone().ok_or_else(|| Error::Internal(format!("finding {} has no step", row.id)))?;
    let step = serde_json::from_value(step).map_err(Error::internal)?;
    let (version, (mut proposal, _)) = (row.version + 1, waiting(&row)?);
    let mut change: finding::ActiveModel = row.clone().into();
    change.version = Set(version);
    change.review_id = Set(None);
    change.review = Set(None);
    match step {
        Step::Accepted(made) => {
            ctx.authorize(Permission::InventoryWrite)?;
            let Some(owner) = row.asset_id else { return Ok(Err(CHANGED)) };
            let owner = assets::find(tx.conn(), owner.into()).await?;
            if !untouched(tx, &row, &owner, &made).await? {
                return Ok(Err(CHANGED));
            }
            change.state = Set(FindingState::Open.as_str().to_owned());
            change.resolved_at = Set(None);
            change.resolved_by = Set(None);
            if made.asset.is_some() {
                change.asset_id = Set(None);
            }
            // Before the asset goes: findings about it would go with it.
            let row = change.update(tx.conn()).await.map_err(db)?;
            networks.extend(made.networks.iter().copied());
            take_out(ctx, tx, owner, made, &proposal).await?;
            return Ok(Ok(row));
        }
        Step::Left { state, at, by } => {
            change.state = Set(state.as_str().to_owned());
            change.resolved_at = Set(at);
            change.resolved_by = Set(by);
        }
        Step::Proposed { kind, role, typed } => {
            (proposal.kind, proposal.role, proposal.typed) = (kind, role, typed);
            change.proposal = Set(json!(proposal));
        }
        Step::Tagged { tags } => {
            proposal.tags.retain(|tag| !tags.contains(tag));
            change.proposal = Set(json!(proposal));
        }
    }
    Ok(Ok(change.update(tx.conn()).await.map_err(db)?))
}

const CHANGED: &str = "its asset was changed since it was accepted";

/// Whether nobody has changed what the acceptance made. What scans note by themselves (that a part was seen again) does not count.
async fn untouched(tx: &WriteTx, row: &finding::Model, owner: &asset::Model, made: &Made) -> Result<bool> {
    let conn = tx.conn();
    let nics: Vec<(Uuid, i64)> = interface::Entity::find()
        .select_only()
        .columns([interface::Column::Id, interface::Column::Version])
        .filter(interface::Column::AssetId.eq(owner.id))
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)?;
    let addresses: Vec<(Uuid, i64)> = address::Entity::find()
        .select_only()
        .columns([address::Column::Id, address::Column::Version])
        .filter(address::Column::AssetId.eq(owner.id))
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)?;
    let new = |rows: &[(Uuid, i64)], made: &[Uuid]| {
        made.iter().all(|id| rows.iter().any(|(known, version)| known == id && *version == 1))
    };
    if !new(&nics, &made.interfaces) || !new(&addresses, &made.addresses) {
        return Ok(false);
    }
    let Some(version) = made.asset else { return Ok(true) };
    // A whole asset goes: so nothing may have been added to it either.
    let services: Vec<Uuid> = service::Entity::find()
        .select_only()
        .column(service::Column::Id)
        .filter(service::Column::AssetId.eq(owner.id))
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)?;
    let ends = link::Column::AAssetId.eq(owner.id).or(link::Column::BAssetId.eq(owner.id));
    let drawn = link::Entity::find()
        .filter(ends)
        .filter(link::Column::Evidence.ne(LinkEvidence::Assumed.as_str()).or(link::Column::Version.ne(1)));
    let drawn = drawn.one(conn).await.map_err(db)?;
    let later = finding::Entity::find()
        .filter(finding::Column::AssetId.eq(owner.id))
        .filter(finding::Column::State.eq(FindingState::Accepted.as_str()))
        .filter(finding::Column::Id.ne(row.id));
    let later = later.one(conn).await.map_err(db)?;
    Ok(owner.version == version
        && nics.len() == made.interfaces.len()
        && addresses.len() == made.addresses.len()
        && services.iter().all(|id| made.services.contains(id))
        && drawn.is_none()
        && later.is_none())
}

/// Removes what the acceptance made.
async fn take_out(
    ctx: &Ctx,
    tx: &mut WriteTx,
    owner: asset::Model,
    made: Made,
    proposal: &Proposal,
) -> Result<()> {
    for id in &made.gateways {
        let own = proposal.addresses.iter().map(|a| a.ip.as_str());
        let changed = network::Entity::update_many()
            .col_expr(network::Column::Gateway, Expr::value(None::<String>))
            .col_expr(network::Column::Version, Expr::col(network::Column::Version).add(1))
            .col_expr(network::Column::UpdatedAt, Expr::value(ctx.now()))
            .filter(network::Column::Id.eq(*id))
            .filter(network::Column::Gateway.is_in(own))
            .exec(tx.conn())
            .await
            .map_err(db)?;
        if changed.rows_affected > 0 {
            tx.emit(Event::NetworkChanged { id: (*id).into() });
        }
    }
    if made.asset.is_some() {
        tx.emit(Event::AssetRemoved { id: owner.id.into() });
        news::asset_removed(ctx, tx, &owner).await?;
        owner.delete(tx.conn()).await.map_err(db)?;
        return Ok(());
    }
    let conn = tx.conn();
    service::Entity::delete_many()
        .filter(service::Column::Id.is_in(made.services))
        .exec(conn)
        .await
        .map_err(db)?;
    address::Entity::delete_many()
        .filter(address::Column::Id.is_in(made.addresses))
        .exec(conn)
        .await
        .map_err(db)?;
    interface::Entity::delete_many()
        .filter(interface::Column::Id.is_in(made.interfaces))
        .exec(conn)
        .await
        .map_err(db)?;
    let assumed = link::Column::Evidence.eq(LinkEvidence::Assumed.as_str()).and(link::Column::Version.eq(1));
    let links = link::Entity::find().filter(link::Column::Id.is_in(made.links)).filter(assumed);
    let links = links.all(conn).await.map_err(db)?;
    asset_tag::Entity::delete_many()
        .filter(asset_tag::Column::AssetId.eq(owner.id))
        .filter(asset_tag::Column::TagId.is_in(made.tags))
        .exec(conn)
        .await
        .map_err(db)?;
    for link in links {
        let id = link.id.into();
        link.delete(tx.conn()).await.map_err(db)?;
        tx.emit(Event::LinkRemoved { id });
    }
    tx.emit(Event::AssetChanged { id: owner.id.into() });
    Ok(())
}

/// Networks that the acceptance made, that nobody has given a word, and that nothing is in any more.
async fn remove_empty(tx: &mut WriteTx, made: &BTreeSet<Uuid>) -> Result<()> {
    for id in made {
        let Some(row) = network::Entity::find_by_id(*id).one(tx.conn()).await.map_err(db)? else { continue };
        let plain = row.source == Source::Discovered.as_str()
            && row.name == row.cidr
            && row.notes.is_empty()
            && row.vlan.is_none()
            && row.gateway.is_none();
        if !plain || networks::is_used(tx.conn(), row.id).await? {
            continue;
        }
        row.delete(tx.conn()).await.map_err(db)?;
        tx.emit(Event::NetworkRemoved { id: (*id).into() });
    }
    Ok(())
}
