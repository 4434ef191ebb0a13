//! `/audit-log`: who did what, and whether the log is whole.

use cb_app::Page;
use cb_app::audit::{self, Checkpoints, EntryFilter, EntryOut, Verification};
use uuid::Uuid;

use super::list_query;
use crate::auth::Reader;
use crate::extract::Query;
use crate::problem::Problem;

list_query!(AuditQuery {
    action: String,
    /// Entries about this thing.
    entity_id: Uuid,
});

/// A page of the audit log, the newest first.
#[utoipa::path(get, path = "/audit-log", operation_id = "get_audit_log", tag = "audit", params(AuditQuery),
    responses((status = 200, body = Page<EntryOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<AuditQuery>,
) -> Result<axum::Json<Page<EntryOut>>, Problem> {
    let filter = EntryFilter { action: query.action.clone(), entity_id: query.entity_id };
    Ok(axum::Json(audit::list(&ctx, &query.list(), &filter).await?))
}

/// Signed statements of the log's head, one of this moment among them: kept elsewhere, they tell a log that was rewritten.
#[utoipa::path(get, path = "/audit-log/checkpoints", operation_id = "get_audit_log_checkpoints", tag = "audit",
    responses((status = 200, body = Checkpoints)))]
pub(crate) async fn checkpoints(Reader(ctx): Reader) -> Result<axum::Json<Checkpoints>, Problem> {
    Ok(axum::Json(audit::checkpoints(&ctx).await?))
}

/// Recomputes the chain from the first entry to the last.
#[utoipa::path(get, path = "/audit-log/verify", operation_id = "get_audit_log_verify", tag = "audit",
    responses((status = 200, body = Verification)))]
pub(crate) async fn verify(Reader(ctx): Reader) -> Result<axum::Json<Verification>, Problem> {
    Ok(axum::Json(audit::verify(&ctx).await?))
}
