//! `/findings`: what scans propose, for review.

use cb_app::Page;
use cb_app::findings::{
    self, AcceptIn, Accepted, FindingFilter, FindingGroup, FindingOut, FindingsDone, FindingsIn,
    FindingsProposeIn, FindingsTagIn, UndoIn,
};
use cb_core::ids::{FindingId, ScanId};
use cb_core::inventory::{AssetKind, FindingGrouping, FindingKind, FindingState};

use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::IntoParams;

use super::list_query;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, Json, Query};
use crate::problem::Problem;

list_query!(FindingQuery {
    state: FindingState,
    /// Findings from this scan.
    scan_id: ScanId,
    /// Whether a new asset or a change is proposed.
    change: FindingKind,
    /// The kind of the proposed asset.
    kind: AssetKind,
    /// A role: `access_point`, `access-point` and `Access point` are the same.
    #[param(max_length = 100)]
    role: String,
    /// A part of the vendor's name.
    #[param(max_length = 100)]
    vendor: String,
    /// Findings whose asset gets this tag: its name or ID.
    #[param(max_length = 100)]
    tag: String,
    /// Findings whose first address is in this network: its ID, CIDR or name.
    #[param(max_length = 100)]
    network: String,
    /// Findings with this open port, 1 to 65535.
    #[param(minimum = 1, maximum = 65535)]
    #[serde(default, deserialize_with = "super::parameters::port")]
    port: u32,
    /// Last seen at this time or later.
    #[serde(default, deserialize_with = "super::parameters::time")]
    seen_after: DateTime<Utc>,
    /// Last seen before this time.
    #[serde(default, deserialize_with = "super::parameters::time")]
    seen_before: DateTime<Utc>,
    /// How findings are grouped for `group`.
    group_by: FindingGrouping,
    /// Findings of one group: its `key`, as `/findings/groups` returns it.
    #[param(max_length = 100)]
    group: String,
});

/// A page of findings.
#[utoipa::path(get, path = "/findings", operation_id = "get_findings", tag = "discovery", params(FindingQuery),
    responses((status = 200, body = Page<FindingOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<FindingQuery>,
) -> Result<axum::Json<Page<FindingOut>>, Problem> {
    let list = query.list();
    let filter = FindingFilter {
        state: query.state,
        // The list has the words.
        q: None,
        scan: query.scan_id,
        change: query.change,
        kind: query.kind,
        role: query.role,
        vendor: query.vendor,
        network: query.network,
        tag: query.tag,
        port: query.port,
        seen_after: query.seen_after,
        seen_before: query.seen_before,
        group_by: query.group_by,
        group: query.group,
    };
    Ok(axum::Json(findings::list(&ctx, &list, &filter).await?))
}

/// One finding with its evidence.
#[utoipa::path(get, path = "/findings/{id}", operation_id = "get_findings_id", tag = "discovery", params(("id" = FindingId, Path)),
    responses((status = 200, body = FindingOut)))]
pub(crate) async fn get(
    Reader(ctx): Reader,
    Id(id): Id<FindingId>,
) -> Result<axum::Json<FindingOut>, Problem> {
    Ok(axum::Json(findings::get(&ctx, id).await?))
}

/// Accepts a finding into the inventory.
#[utoipa::path(post, path = "/findings/{id}/accept", operation_id = "post_findings_id_accept", tag = "discovery",
    params(("id" = FindingId, Path)), request_body = AcceptIn, responses((status = 200, body = Accepted)))]
pub(crate) async fn accept(
    Writer(ctx): Writer,
    Id(id): Id<FindingId>,
    Json(input): Json<AcceptIn>,
) -> Result<axum::Json<Accepted>, Problem> {
    Ok(axum::Json(findings::accept(&ctx, id, input).await?))
}

/// What the groups are made of.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct GroupsQuery {
    by: FindingGrouping,
    /// Words to search for.
    #[param(max_length = 200)]
    q: Option<String>,
    state: Option<FindingState>,
    /// Findings from this scan.
    scan_id: Option<ScanId>,
    /// Whether a new asset or a change is proposed.
    change: Option<FindingKind>,
    /// The kind of the proposed asset.
    kind: Option<AssetKind>,
    /// A role: `access_point`, `access-point` and `Access point` are the same.
    #[param(max_length = 100)]
    role: Option<String>,
    /// A part of the vendor's name.
    #[param(max_length = 100)]
    vendor: Option<String>,
    /// Findings whose asset gets this tag: its name or ID.
    #[param(max_length = 100)]
    tag: Option<String>,
    /// Findings whose first address is in this network: its ID, CIDR or name.
    #[param(max_length = 100)]
    network: Option<String>,
    /// Findings with this open port, 1 to 65535.
    #[param(minimum = 1, maximum = 65535)]
    #[serde(default, deserialize_with = "super::parameters::port")]
    port: Option<u32>,
    /// Last seen at this time or later.
    #[serde(default, deserialize_with = "super::parameters::time")]
    seen_after: Option<DateTime<Utc>>,
    /// Last seen before this time.
    #[serde(default, deserialize_with = "super::parameters::time")]
    seen_before: Option<DateTime<Utc>>,
}

/// The number of matching findings for each network, kind, role or type of change; at most 500 groups.
#[utoipa::path(get, path = "/findings/groups", operation_id = "get_findings_groups", tag = "discovery", params(GroupsQuery),
    responses((status = 200, body = Vec<FindingGroup>)))]
pub(crate) async fn groups(
    Reader(ctx): Reader,
    Query(query): Query<GroupsQuery>,
) -> Result<axum::Json<Vec<FindingGroup>>, Problem> {
    let filter = FindingFilter {
        state: query.state,
        q: None,
        scan: query.scan_id,
        change: query.change,
        kind: query.kind,
        role: query.role,
        vendor: query.vendor,
        network: query.network,
        tag: query.tag,
        port: query.port,
        seen_after: query.seen_after,
        seen_before: query.seen_before,
        group_by: None,
        group: None,
    };
    Ok(axum::Json(findings::groups(&ctx, &filter, query.by, query.q.as_deref()).await?))
}

/// Accepts many findings into the inventory at once: those with the given IDs, or all that match a filter.
#[utoipa::path(post, path = "/findings/accept", operation_id = "post_findings_accept", tag = "discovery", request_body = FindingsIn,
    responses((status = 200, body = FindingsDone)))]
pub(crate) async fn accept_many(
    Writer(ctx): Writer,
    Json(input): Json<FindingsIn>,
) -> Result<axum::Json<FindingsDone>, Problem> {
    Ok(axum::Json(findings::accept_many(&ctx, input).await?))
}

/// Ignores many findings at once; later scans do not bring them back.
#[utoipa::path(post, path = "/findings/ignore", operation_id = "post_findings_ignore", tag = "discovery", request_body = FindingsIn,
    responses((status = 200, body = FindingsDone)))]
pub(crate) async fn ignore_many(
    Writer(ctx): Writer,
    Json(input): Json<FindingsIn>,
) -> Result<axum::Json<FindingsDone>, Problem> {
    Ok(axum::Json(findings::ignore_many(&ctx, input).await?))
}

/// Brings many ignored findings back at once.
#[utoipa::path(post, path = "/findings/reopen", operation_id = "post_findings_reopen", tag = "discovery", request_body = FindingsIn,
    responses((status = 200, body = FindingsDone)))]
pub(crate) async fn reopen_many(
    Writer(ctx): Writer,
    Json(input): Json<FindingsIn>,
) -> Result<axum::Json<FindingsDone>, Problem> {
    Ok(axum::Json(findings::reopen_many(&ctx, input).await?))
}

/// Sets the kind or the role that open findings propose.
#[utoipa::path(post, path = "/findings/propose", operation_id = "post_findings_propose", tag = "discovery",
    request_body = FindingsProposeIn, responses((status = 200, body = FindingsDone)))]
pub(crate) async fn propose_many(
    Writer(ctx): Writer,
    Json(input): Json<FindingsProposeIn>,
) -> Result<axum::Json<FindingsDone>, Problem> {
    Ok(axum::Json(findings::propose_many(&ctx, input).await?))
}

/// Adds tags that the assets of open findings get when they are accepted.
#[utoipa::path(post, path = "/findings/tag", operation_id = "post_findings_tag", tag = "discovery", request_body = FindingsTagIn,
    responses((status = 200, body = FindingsDone)))]
pub(crate) async fn tag_many(
    Writer(ctx): Writer,
    Json(input): Json<FindingsTagIn>,
) -> Result<axum::Json<FindingsDone>, Problem> {
    Ok(axum::Json(findings::tag_many(&ctx, input).await?))
}

/// Undoes the last step of a review for every finding that it changed and that has not been changed since. An asset that was
/// created by accepting a finding is deleted unless it was changed.
#[utoipa::path(post, path = "/findings/undo", operation_id = "post_findings_undo", tag = "discovery", request_body = UndoIn,
    responses((status = 200, body = FindingsDone)))]
pub(crate) async fn undo(
    Writer(ctx): Writer,
    Json(input): Json<UndoIn>,
) -> Result<axum::Json<FindingsDone>, Problem> {
    Ok(axum::Json(findings::undo(&ctx, input).await?))
}

/// Ignores a finding; later scans do not bring it back.
#[utoipa::path(post, path = "/findings/{id}/ignore", operation_id = "post_findings_id_ignore", tag = "discovery",
    params(("id" = FindingId, Path)), responses((status = 200, body = FindingOut)))]
pub(crate) async fn ignore(
    Writer(ctx): Writer,
    Id(id): Id<FindingId>,
) -> Result<axum::Json<FindingOut>, Problem> {
    Ok(axum::Json(findings::ignore(&ctx, id).await?))
}

/// Brings an ignored finding back.
#[utoipa::path(post, path = "/findings/{id}/reopen", operation_id = "post_findings_id_reopen", tag = "discovery",
    params(("id" = FindingId, Path)), responses((status = 200, body = FindingOut)))]
pub(crate) async fn reopen(
    Writer(ctx): Writer,
    Id(id): Id<FindingId>,
) -> Result<axum::Json<FindingOut>, Problem> {
    Ok(axum::Json(findings::reopen(&ctx, id).await?))
}
