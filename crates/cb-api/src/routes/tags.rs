//! `/tags`: words on assets.

use cb_app::Page;
use cb_app::tags::{self, TagIn, TagOut, TagPatch};
use cb_core::ids::TagId;
use http::StatusCode;

use super::ListQuery;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

/// A page of tags.
#[utoipa::path(get, path = "/tags", operation_id = "get_tags", tag = "inventory", params(ListQuery), responses((status = 200, body = Page<TagOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<TagOut>>, Problem> {
    Ok(axum::Json(tags::list(&ctx, &query.list()).await?))
}

/// Adds a tag.
#[utoipa::path(post, path = "/tags", operation_id = "post_tags", tag = "inventory", request_body = TagIn,
    responses((status = 201, body = TagOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<TagIn>,
) -> Result<(StatusCode, Versioned<TagOut>), Problem> {
    let out = tags::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One tag.
#[utoipa::path(get, path = "/tags/{id}", operation_id = "get_tags_id", tag = "inventory", params(("id" = TagId, Path)),
    responses((status = 200, body = TagOut)))]
pub(crate) async fn get(Reader(ctx): Reader, Id(id): Id<TagId>) -> Result<Versioned<TagOut>, Problem> {
    let out = tags::get(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// Changes a tag: absent fields keep their value, null clears a field.
#[utoipa::path(patch, path = "/tags/{id}", operation_id = "patch_tags_id", tag = "inventory", params(("id" = TagId, Path)),
    request_body = TagPatch, responses((status = 200, body = TagOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<TagId>,
    IfMatch(version): IfMatch,
    Json(input): Json<TagPatch>,
) -> Result<Versioned<TagOut>, Problem> {
    let out = tags::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Deletes a tag.
#[utoipa::path(delete, path = "/tags/{id}", operation_id = "delete_tags_id", tag = "inventory", params(("id" = TagId, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<TagId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    tags::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
