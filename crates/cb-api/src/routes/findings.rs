//! `/findings`: what scans propose, for review.

use cb_app::Page;
use cb_app::findings::{self, AcceptIn, AcceptManyIn, Accepted, AcceptedMany, FindingFilter, FindingOut};
use cb_core::ids::{FindingId, ScanId};
use cb_core::inventory::{AssetKind, FindingKind, FindingState};

use super::list_query;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, Json, Query};
use crate::problem::Problem;

list_query!(FindingQuery {
    state: FindingState,
    /// Findings of this scan.
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
    /// Findings whose first address is in this network: its id, CIDR or name.
    #[param(max_length = 100)]
    network: String,
    /// Findings with this open port, 1 to 65535.
    #[param(minimum = 1, maximum = 65535)]
    port: u32,
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
        scan: query.scan_id,
        change: query.change,
        kind: query.kind,
        role: query.role,
        vendor: query.vendor,
        network: query.network,
        port: query.port,
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

/// Takes a finding into the inventory.
#[utoipa::path(post, path = "/findings/{id}/accept", operation_id = "post_findings_id_accept", tag = "discovery",
    params(("id" = FindingId, Path)), request_body = AcceptIn, responses((status = 200, body = Accepted)))]
pub(crate) async fn accept(
    Writer(ctx): Writer,
    Id(id): Id<FindingId>,
    Json(input): Json<AcceptIn>,
) -> Result<axum::Json<Accepted>, Problem> {
    Ok(axum::Json(findings::accept(&ctx, id, input).await?))
}

/// Takes many findings into the inventory at once.
#[utoipa::path(post, path = "/findings/accept", operation_id = "post_findings_accept", tag = "discovery", request_body = AcceptManyIn,
    responses((status = 200, body = AcceptedMany)))]
pub(crate) async fn accept_many(
    Writer(ctx): Writer,
    Json(input): Json<AcceptManyIn>,
) -> Result<axum::Json<AcceptedMany>, Problem> {
    Ok(axum::Json(findings::accept_many(&ctx, input).await?))
}

/// Sets a finding aside; later scans do not bring it back.
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
