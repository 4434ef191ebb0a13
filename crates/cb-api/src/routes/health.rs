//! `/health`: says that the server is alive, and nothing more; details need a session.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    status: &'static str,
}

/// Whether the server is running.
#[utoipa::path(get, path = "/health", operation_id = "get_health", tag = "server", responses((status = 200, body = Health)))]
pub(crate) async fn get() -> Json<Health> {
    Json(Health { status: "ok" })
}
