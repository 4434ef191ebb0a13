//! `/discovery` and `/scans`: what can be scanned, and the scans.

use axum::response::{IntoResponse as _, Response};
use cb_app::Page;
use cb_app::scans::{self, PlanOut, ScanIn, ScanOut, Started};
use cb_app::sites::{self, Discovery};
use cb_core::ids::ScanId;
use http::StatusCode;

use super::ListQuery;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, Json, Query};
use crate::problem::Problem;

/// This machine's networks, and what the scanner can do there.
#[utoipa::path(get, path = "/discovery", operation_id = "get_discovery", tag = "discovery", responses((status = 200, body = Discovery)))]
pub(crate) async fn discovery(Reader(ctx): Reader) -> Result<axum::Json<Discovery>, Problem> {
    Ok(axum::Json(sites::discovery(&ctx).await?))
}

/// A page of scans, the newest first.
#[utoipa::path(get, path = "/scans", operation_id = "get_scans", tag = "discovery", params(ListQuery),
    responses((status = 200, body = Page<ScanOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<ScanOut>>, Problem> {
    Ok(axum::Json(scans::list(&ctx, &query.list()).await?))
}

/// Queues a scan. With `dry_run`, the answer only describes exactly what would be sent.
#[utoipa::path(post, path = "/scans", operation_id = "post_scans", tag = "discovery", request_body = ScanIn,
    responses((status = 200, description = "The plan of a dry run", body = PlanOut), (status = 202, body = ScanOut)))]
pub(crate) async fn start(Writer(ctx): Writer, Json(input): Json<ScanIn>) -> Result<Response, Problem> {
    Ok(match scans::start(&ctx, input).await? {
        Started::Plan(plan) => axum::Json(plan).into_response(),
        Started::Scan(scan) => (StatusCode::ACCEPTED, axum::Json(scan)).into_response(),
    })
}

/// One scan.
#[utoipa::path(get, path = "/scans/{id}", operation_id = "get_scans_id", tag = "discovery", params(("id" = ScanId, Path)),
    responses((status = 200, body = ScanOut)))]
pub(crate) async fn get(Reader(ctx): Reader, Id(id): Id<ScanId>) -> Result<axum::Json<ScanOut>, Problem> {
    Ok(axum::Json(scans::get(&ctx, id).await?))
}

/// Stops a scan within a second.
#[utoipa::path(post, path = "/scans/{id}/cancel", operation_id = "post_scans_id_cancel", tag = "discovery", params(("id" = ScanId, Path)),
    responses((status = 202, body = ScanOut)))]
pub(crate) async fn cancel(
    Writer(ctx): Writer,
    Id(id): Id<ScanId>,
) -> Result<(StatusCode, axum::Json<ScanOut>), Problem> {
    Ok((StatusCode::ACCEPTED, axum::Json(scans::cancel(&ctx, id).await?)))
}
