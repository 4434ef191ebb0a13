//! What is done to many findings at once: those with the given ids, or all that fit a filter. Findings are taken [`PAGE`] at a time,
//! each page in one transaction with one entry in the audit log; all pages of a call share one id, by which [`super::undo`] takes
//! them back.

use std::collections::BTreeSet;

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::{AssetId, FindingId, ReviewId, TagId};
use cb_core::inventory::{AssetKind, FindingKind, FindingState};
use cb_core::{Error, Event, Patch, Permission, Result};
use cb_store::entities::{finding, tag};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use cb_store::{WriteTx, db};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::accept::{Typed, take_in};
use super::changed;
use super::search::{FindingFilter, narrowed};
use super::undo::Step;
use crate::assets::{TAGS_MOST, tag_set};
use crate::ctx::Ctx;
use crate::input::{self, SHORT_MAX};
use crate::record::waiting;

/// Findings in one call.
pub(crate) const MOST: usize = 10_000;
/// Findings in one transaction.
pub(super) const PAGE: usize = 500;

/// The findings: either `ids` or `filter`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingsIn {
    /// 1 to 10,000. A finding whose state does not allow the change is skipped, and the answer gives the reason.
    #[serde(default)]
    pub ids: Option<Vec<FindingId>>,
    /// All findings that match and whose state allows the change.
    #[serde(default)]
    pub filter: Option<FindingFilter>,
    /// With `filter`: the number of matches that the caller saw. If the number is different now, nothing is changed.
    #[serde(default)]
    pub count: Option<u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingsProposeIn {
    /// The findings.
    pub findings: FindingsIn,
    /// The kind of the proposed assets.
    #[serde(default)]
    pub kind: Option<AssetKind>,
    /// Their role; null for none. If no kind is given, a known role also sets its usual kind.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub role: Patch<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FindingsTagIn {
    /// The findings.
    pub findings: FindingsIn,
    /// IDs of tags that their assets get when the findings are accepted. Existing tags stay.
    pub tags: Vec<TagId>,
}

#[derive(Debug, Default, Serialize, ToSchema)]
pub struct FindingsDone {
    /// How many findings were changed.
    pub count: u64,
    /// The findings that were not changed, with the reasons.
    pub skipped: Vec<Skipped>,
    /// The ID with which the change can be undone; null if nothing was changed.
    #[schema(required)]
    pub review_id: Option<ReviewId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Skipped {
    pub id: FindingId,
    pub reason: String,
}

impl FindingsDone {
    pub(super) fn add(&mut self, more: Self) {
        self.count += more.count;
        self.skipped.extend(more.skipped);
    }
}

/// Takes them into the inventory.
pub async fn accept_many(ctx: &Ctx, input: FindingsIn) -> Result<FindingsDone> {
    ctx.authorize(Permission::InventoryWrite)?;
    review(ctx, input, "", &Change::Accept).await
}

/// Sets them aside; later scans do not bring them back.
pub async fn ignore_many(ctx: &Ctx, input: FindingsIn) -> Result<FindingsDone> {
    review(ctx, input, "", &Change::Ignore).await
}

/// Brings ignored ones back.
pub async fn reopen_many(ctx: &Ctx, input: FindingsIn) -> Result<FindingsDone> {
    review(ctx, input, "", &Change::Reopen).await
}

/// Says what the assets to be are.
pub async fn propose_many(ctx: &Ctx, input: FindingsProposeIn) -> Result<FindingsDone> {
    let mut wrong = Violations::new();
    let role = input::line_patch(&mut wrong, "role", input.role, SHORT_MAX);
    wrong.require(input.kind.is_some() || role.is_some(), "kind", "Choose a kind or a role.");
    wrong.into_result()?;
    let implied = role.as_ref().and_then(|role| role.as_deref()).and_then(cb_collect::kind_of);
    let change = Change::Propose { kind: input.kind.or(implied), role };
    review(ctx, input.findings, "findings.", &change).await
}

/// Gives tags to the assets to be.
pub async fn tag_many(ctx: &Ctx, input: FindingsTagIn) -> Result<FindingsDone> {
    let mut wrong = Violations::new();
    wrong.require(!input.tags.is_empty(), "tags", &format!("Choose 1 to {TAGS_MOST} tags."));
    let tags = tag_set(&mut wrong, Some(input.tags)).unwrap_or_default();
    wrong.into_result()?;
    review(ctx, input.findings, "findings.", &Change::Tag(tags)).await
}

#[expect(clippy::option_option, reason = "the outer says whether it changes, the inner what to")]
enum Change {
    Accept,
    Ignore,
    Reopen,
    Propose { kind: Option<AssetKind>, role: Option<Option<String>> },
    Tag(BTreeSet<Uuid>),
}

impl Change {
    fn action(&self) -> Action {
        match self {
            Self::Accept => Action::FindingsAccepted,
            Self::Ignore => Action::FindingsIgnored,
            Self::Reopen => Action::FindingsReopened,
            Self::Propose { .. } => Action::FindingsProposed,
            Self::Tag(_) => Action::FindingsTagged,
        }
    }

    /// The state of findings that can be changed so.
    fn state(&self) -> FindingState {
        if matches!(self, Self::Reopen) { FindingState::Ignored } else { FindingState::Open }
    }

    /// The changed finding; why it cannot be changed; or nothing, where it is so already.
    async fn make(
        &self,
        ctx: &Ctx,
        tx: &mut WriteTx,
        row: finding::Model,
        id: Uuid,
    ) -> Result<std::result::Result<Option<finding::Model>, &'static str>> {
        let step = Step::left(&row);
        let (version, (mut proposal, _)) = (row.version + 1, waiting(&row)?);
        let (mut change, step): (finding::ActiveModel, Step) = match self {
            Self::Accept => return Ok(Ok(Some(take_in(ctx, tx, row, Typed::default(), id).await?.0))),
            Self::Ignore => (changed(ctx, row, FindingState::Ignored), step),
            Self::Reopen => (changed(ctx, row, FindingState::Open), step),
            Self::Propose { kind, role } => {
                if row.kind == FindingKind::Change.as_str() {
                    return Ok(Err(
                        "it proposes a change to a known asset; change the kind of that asset instead",
                    ));
                }
                let before = (proposal.kind, proposal.role.clone(), proposal.typed.clone());
                let mut typed: BTreeSet<String> = proposal.typed.iter().cloned().collect();
                if let Some(kind) = kind {
                    typed.insert("kind".to_owned());
                    proposal.kind = *kind;
                }
                if let Some(role) = role {
                    typed.insert("role".to_owned());
                    proposal.role.clone_from(role);
                }
                proposal.typed = typed.into_iter().collect();
                if before == (proposal.kind, proposal.role.clone(), proposal.typed.clone()) {
                    return Ok(Ok(None));
                }
                let (kind, role, typed) = before;
                (row.into(), Step::Proposed { kind, role, typed })
            }
            Self::Tag(tags) => {
                let lacking = tags.iter().map(|id| TagId(*id)).filter(|id| !proposal.tags.contains(id));
                let lacking: Vec<TagId> = lacking.collect();
                if lacking.is_empty() {
                    return Ok(Ok(None));
                }
                if proposal.tags.len() + lacking.len() > TAGS_MOST {
                    return Ok(Err("it would have more than 50 tags"));
                }
                proposal.tags.extend(lacking.iter().copied());
                (row.into(), Step::Tagged { tags: lacking })
            }
        };
        if !matches!(step, Step::Left { .. }) {
            change.proposal = Set(json!(proposal));
            change.version = Set(version);
        }
        step.keep(&mut change, id);
        Ok(Ok(Some(change.update(tx.conn()).await.map_err(db)?)))
    }
}

/// `at` is the path of `input` in the body, for errors.
async fn review(ctx: &Ctx, input: FindingsIn, at: &str, change: &Change) -> Result<FindingsDone> {
    ctx.authorize(Permission::DiscoveryWrite)?;
    let ids = ids_of(ctx, input, at, change.state()).await?;
    let id = ctx.new_id();
    let mut done = FindingsDone::default();
    for part in ids.chunks(PAGE) {
        let page = ctx
            .write(Permission::DiscoveryWrite, change.action(), async |tx| {
                page(ctx, tx, change, part, id).await
            })
            .await;
        match page {
            Ok(page) => done.add(page),
            // What is done is done, and can be taken back by its id.
            Err(error) if done.count > 0 => {
                let reason = error.to_string();
                let left = ids.iter().skip(usize::try_from(done.count).unwrap_or(MOST) + done.skipped.len());
                let left: Vec<Skipped> =
                    left.map(|id| Skipped { id: (*id).into(), reason: reason.clone() }).collect();
                done.skipped.extend(left);
                break;
            }
            Err(error) => return Err(error),
        }
    }
    done.review_id = (done.count > 0).then_some(ReviewId(id));
    Ok(done)
}

async fn page(ctx: &Ctx, tx: &mut WriteTx, change: &Change, ids: &[Uuid], id: Uuid) -> Result<FindingsDone> {
    let mut tags = Vec::new();
    if let Change::Tag(wanted) = change {
        let known = tag::Entity::find().filter(tag::Column::Id.is_in(wanted.iter().copied()));
        tags = known.all(tx.conn()).await.map_err(db)?;
        if tags.len() != wanted.len() {
            return Err(Error::invalid("tags", "One of these tags does not exist."));
        }
    }
    let rows = finding::Entity::find()
        .filter(finding::Column::Id.is_in(ids.iter().copied()))
        .order_by_asc(finding::Column::TitleKey)
        .order_by_asc(finding::Column::Id)
        .all(tx.conn())
        .await
        .map_err(db)?;
    let mut done = FindingsDone::default();
    let mut skip =
        |id: Uuid, reason: &str| done.skipped.push(Skipped { id: id.into(), reason: reason.to_owned() });
    let found: BTreeSet<Uuid> = rows.iter().map(|row| row.id).collect();
    for id in ids.iter().filter(|id| !found.contains(id)) {
        skip(*id, "it does not exist");
    }
    let mut new = Vec::new();
    for row in rows {
        let finding = row.id;
        if row.state != change.state().as_str() {
            let other = matches!(change, Change::Reopen);
            skip(finding, if other { "it is not ignored" } else { "it is no longer waiting for review" });
            continue;
        }
        match change.make(ctx, tx, row, id).await? {
            Ok(Some(row)) => {
                tx.emit(Event::FindingChanged { id: finding.into() });
                new.push(row);
            }
            Ok(None) => {}
            Err(reason) => skip(finding, reason),
        }
    }
    done.count = new.len() as u64;
    let mut detail = named(&new, done.skipped.len());
    match change {
        Change::Propose { kind, role } => {
            detail["kind"] = json!(kind);
            detail["role"] = json!(role.as_ref().and_then(|role| role.as_deref()));
        }
        Change::Tag(_) => detail["tags"] = tags.iter().map(|tag| tag.name.as_str()).collect(),
        Change::Accept | Change::Ignore | Change::Reopen => {}
    }
    tx.detail(detail);
    Ok(done)
}

/// For the audit log: how many, and which.
pub(super) fn named(rows: &[finding::Model], skipped: usize) -> Value {
    let findings: Vec<Value> = rows
        .iter()
        .map(|row| json!({ "finding_id": row.id, "title": row.title, "asset_id": row.asset_id.map(AssetId) }))
        .collect();
    json!({ "count": rows.len(), "findings": findings, "skipped": skipped })
}

async fn ids_of(ctx: &Ctx, input: FindingsIn, at: &str, state: FindingState) -> Result<Vec<Uuid>> {
    let wrong = |field: &str, reason: &str| Err(Error::invalid(format!("{at}{field}"), reason));
    match (input.ids, input.filter, input.count) {
        (Some(ids), ..) if !(1..=MOST).contains(&ids.len()) => {
            wrong("ids", &format!("Choose 1 to {MOST} findings."))
        }
        (Some(ids), None, None) => {
            Ok(ids.into_iter().map(|id| id.0).collect::<BTreeSet<_>>().into_iter().collect())
        }
        (Some(_), Some(_), _) => wrong("filter", "Send either ids or a filter, but not both."),
        (_, None, Some(_)) => wrong("count", "Send a count only with a filter."),
        (None, Some(_), None) => {
            wrong("count", "Send the `total` of the list that you saw, because you send a filter.")
        }
        (None, None, None) => wrong("ids", "Send ids or a filter."),
        (None, Some(mut filter), Some(count)) => {
            filter.state = Some(state);
            let conn = ctx.store().reader();
            let ids: Vec<Uuid> = narrowed(conn, &filter, None)
                .await?
                .select_only()
                .column(finding::Column::Id)
                .order_by_asc(finding::Column::TitleKey)
                .order_by_asc(finding::Column::Id)
                .limit(MOST as u64 + 1)
                .into_tuple()
                .all(conn)
                .await
                .map_err(db)?;
            if ids.len() > MOST {
                return wrong("filter", &format!("The filter matches more than {MOST} findings. Narrow it."));
            }
            if ids.len() as u64 != count {
                return Err(Error::Conflict(format!(
                    "The filter now matches {} findings instead of {count}. Check the list again.",
                    ids.len()
                )));
            }
            Ok(ids)
        }
    }
}
