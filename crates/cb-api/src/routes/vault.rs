//! `/vault`: the keys that seal stored secrets, and their rotation; never a key itself.

use axum::Json;
use cb_app::vault::{self, VaultOut};

use crate::auth::{Reader, Writer};
use crate::problem::Problem;

/// Show the current vault key, its age and the date of the next rotation.
#[utoipa::path(get, path = "/vault", operation_id = "get_vault", tag = "vault", responses((status = 200, body = VaultOut)))]
pub(crate) async fn get(Reader(ctx): Reader) -> Result<Json<VaultOut>, Problem> {
    Ok(Json(vault::status(&ctx).await?))
}

/// Encrypts every stored secret with a new vault key; either all change or none. Requires a recent confirmation of the
/// caller's identity. If a secret cannot be decrypted, nothing changes and the answer names that secret.
#[utoipa::path(post, path = "/vault/rotate", operation_id = "rotate_vault", tag = "vault", responses((status = 200, body = VaultOut)))]
pub(crate) async fn rotate(Writer(ctx): Writer) -> Result<Json<VaultOut>, Problem> {
    Ok(Json(vault::rotate(&ctx).await?))
}
