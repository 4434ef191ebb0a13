//! `/openapi.json`: this API, described.

use axum::Json;

use crate::auth::Reader;

/// This document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "get_openapi", tag = "server", responses((status = 200, body = Object)))]
pub(crate) async fn get(_: Reader) -> Json<utoipa::openapi::OpenApi> {
    Json(super::document())
}
