//! `/storage`: whether what is done here is kept.

use axum::Json;
use cb_app::storage::{self, StorageOut};

use crate::auth::Reader;

/// Whether the database can save changes. The streams report when this changes: `{"type":"storage","data":{…}}`.
#[utoipa::path(get, path = "/storage", operation_id = "get_storage", tag = "server", responses((status = 200, body = StorageOut)))]
pub(crate) async fn get(Reader(ctx): Reader) -> Json<StorageOut> {
    Json(storage::state(&ctx))
}
