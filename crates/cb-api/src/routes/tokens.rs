//! `/tokens`: the own API tokens.

use cb_app::tokens::{self, NewToken, TokenIn, TokenOut};
use cb_core::ids::TokenId;
use http::StatusCode;

use crate::auth::{SessionReader, SessionWriter, Writer};
use crate::extract::{Id, Json};
use crate::problem::Problem;

/// The caller's API tokens, newest first.
#[utoipa::path(get, path = "/tokens", operation_id = "get_tokens", tag = "administration",
    responses((status = 200, body = Vec<TokenOut>)))]
pub(crate) async fn list(SessionReader(ctx, _): SessionReader) -> Result<axum::Json<Vec<TokenOut>>, Problem> {
    Ok(axum::Json(tokens::list(&ctx).await?))
}

/// Creates an API token. Its secret is shown only once.
#[utoipa::path(post, path = "/tokens", operation_id = "post_tokens", tag = "administration", request_body = TokenIn,
    responses((status = 201, body = NewToken)))]
pub(crate) async fn create(
    SessionWriter(ctx): SessionWriter,
    Json(input): Json<TokenIn>,
) -> Result<(StatusCode, axum::Json<NewToken>), Problem> {
    Ok((StatusCode::CREATED, axum::Json(tokens::create(&ctx, input).await?)))
}

/// Deletes one of the caller's API tokens. An administrator can delete any token.
#[utoipa::path(delete, path = "/tokens/{id}", operation_id = "delete_tokens_id", tag = "administration",
    params(("id" = TokenId, Path)), responses((status = 204)))]
pub(crate) async fn delete(Writer(ctx): Writer, Id(id): Id<TokenId>) -> Result<StatusCode, Problem> {
    tokens::delete(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
