//! `/audit-log`: who did what, and whether the log is whole.

use axum::response::Response;
use cb_app::Page;
use cb_app::audit::{self, Action, Checkpoints, EntryFilter, EntryOut, StandingOut, Verification};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::csv::csv;
use super::list_query;
use crate::auth::Reader;
use crate::extract::Query;
use crate::problem::Problem;

list_query!(AuditQuery {
    /// Entries with this action.
    action: Action,
    /// Entries about this thing.
    entity_id: Uuid,
});

/// A page of the audit log, sorted by `-seq` (newest first) or `seq` (oldest first).
#[utoipa::path(get, path = "/audit-log", operation_id = "get_audit_log", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Page<EntryOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<Page<EntryOut>>, Problem> {
    let filter = EntryFilter { action: query.action, entity_id: query.entity_id };
    Ok(axum::Json(audit::list(&ctx, &query.list(), &filter).await?))
}

/// What an export can be narrowed to; it has no pages.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    /// Words to search for.
    q: Option<String>,
    action: Option<Action>,
    /// Entries about this thing.
    entity_id: Option<Uuid>,
}

/// The audit log as CSV (RFC 4180), oldest entry first. An apostrophe precedes each text that a spreadsheet would run as a
/// formula. If the transfer breaks off, the file is incomplete, because the session ended or the server failed.
#[utoipa::path(get, path = "/audit-log/export", operation_id = "get_audit_log_export", tag = "audit", params(ExportQuery),
    responses((status = 200, body = String, content_type = "text/csv; charset=utf-8",
        description = "Columns: seq, at, actor_kind, actor_id, actor_name, action, entity_kind, entity_id, detail, request_id, address, agent, prev_hash, hash")))]
pub(crate) async fn export(
    Reader(ctx): Reader,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let filter = EntryFilter { action: query.action, entity_id: query.entity_id };
    let export = audit::export(&ctx, query.q.as_deref(), &filter).await?;
    csv(ctx.app().now().format("audit-log-%Y%m%dT%H%M%SZ.csv"), export).await
}

/// Signed statements about the last entry of the log at different times, including now. If you keep them elsewhere, they
/// reveal whether the log was rewritten.
#[utoipa::path(get, path = "/audit-log/checkpoints", operation_id = "get_audit_log_checkpoints", tag = "audit",
    responses((status = 200, body = Checkpoints)))]
pub(crate) async fn checkpoints(Reader(ctx): Reader) -> Result<axum::Json<Checkpoints>, Problem> {
    Ok(axum::Json(audit::checkpoints(&ctx).await?))
}

/// Whether the database contains the log that this server has signed. This does not recompute the chain.
#[utoipa::path(get, path = "/audit-log/standing", operation_id = "get_audit_log_standing", tag = "audit",
    responses((status = 200, body = StandingOut)))]
pub(crate) async fn standing(Reader(ctx): Reader) -> Result<axum::Json<StandingOut>, Problem> {
    Ok(axum::Json(audit::standing(&ctx).await?))
}

/// Recomputes the chain from the first entry to the last.
#[utoipa::path(get, path = "/audit-log/verify", operation_id = "get_audit_log_verify", tag = "audit",
    responses((status = 200, body = Verification)))]
pub(crate) async fn verify(Reader(ctx): Reader) -> Result<axum::Json<Verification>, Problem> {
    Ok(axum::Json(audit::verify(&ctx).await?))
}
