//! `/vault`: the keys that seal stored secrets, and their rotation; never a key itself.

use axum::Json;
use cb_app::vault::{self, VaultOut};

use crate::auth::{Reader, Writer};
use crate::problem::Problem;

/// Which key seals, since when, and when the next one does.
#[utoipa::path(get, path = "/vault", operation_id = "get_vault", tag = "vault", responses((status = 200, body = VaultOut)))]
pub(crate) async fn get(Reader(ctx): Reader) -> Result<Json<VaultOut>, Problem> {
    Ok(Json(vault::status(&ctx).await?))
}

/// Seals every stored secret with a new key, all of them or none. Asks for a fresh proof of identity. One that does not open
/// stops it and is named.
#[utoipa::path(post, path = "/vault/rotate", operation_id = "rotate_vault", tag = "vault", responses((status = 200, body = VaultOut)))]
pub(crate) async fn rotate(Writer(ctx): Writer) -> Result<Json<VaultOut>, Problem> {
    Ok(Json(vault::rotate(&ctx).await?))
}
