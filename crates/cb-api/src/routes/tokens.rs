//! `/tokens`: the own API tokens.

use cb_app::tokens::{self, NewToken, TokenIn, TokenOut};
use cb_core::ids::TokenId;
use http::StatusCode;

use crate::auth::{SessionReader, SessionWriter, Writer};
use crate::extract::{Id, Json};
use crate::problem::Problem;

/// The own API tokens, the newest first.
#[utoipa::path(get, path = "/tokens", operation_id = "get_tokens", tag = "administration",
    responses((status = 200, body = Vec<TokenOut>)))]
pub(crate) async fn list(SessionReader(ctx, _): SessionReader) -> Result<axum::Json<Vec<TokenOut>>, Problem> {
    Ok(axum::Json(tokens::list(&ctx).await?))
}

/// Makes an API token; its secret is shown this once.
#[utoipa::path(post, path = "/tokens", operation_id = "post_tokens", tag = "administration", request_body = TokenIn,
    responses((status = 201, body = NewToken)))]
pub(crate) async fn create(
    SessionWriter(ctx): SessionWriter,
    Json(input): Json<TokenIn>,
) -> Result<(StatusCode, axum::Json<NewToken>), Problem> {
    Ok((StatusCode::CREATED, axum::Json(tokens::create(&ctx, input).await?)))
}

/// Ends an own API token; an administrator ends anyone's.
#[utoipa::path(delete, path = "/tokens/{id}", operation_id = "delete_tokens_id", tag = "administration",
    params(("id" = TokenId, Path)), responses((status = 204)))]
pub(crate) async fn delete(Writer(ctx): Writer, Id(id): Id<TokenId>) -> Result<StatusCode, Problem> {
    tokens::delete(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
