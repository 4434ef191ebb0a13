//! `/links`: edges between assets.

use cb_app::Page;
use cb_app::links::{self, LinkIn, LinkOut, LinkPatch};
use cb_core::ids::{AssetId, LinkId};
use http::StatusCode;

use super::list_query;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

list_query!(LinkQuery {
    /// Links of this asset.
    asset_id: AssetId,
});

/// A page of links.
#[utoipa::path(get, path = "/links", operation_id = "get_links", tag = "inventory", params(LinkQuery), responses((status = 200, body = Page<LinkOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<LinkQuery>,
) -> Result<axum::Json<Page<LinkOut>>, Problem> {
    Ok(axum::Json(links::list(&ctx, &query.list(), query.asset_id).await?))
}

/// Adds a link.
#[utoipa::path(post, path = "/links", operation_id = "post_links", tag = "inventory", request_body = LinkIn,
    responses((status = 201, body = LinkOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<LinkIn>,
) -> Result<(StatusCode, Versioned<LinkOut>), Problem> {
    let out = links::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One link.
#[utoipa::path(get, path = "/links/{id}", operation_id = "get_links_id", tag = "inventory", params(("id" = LinkId, Path)),
    responses((status = 200, body = LinkOut)))]
pub(crate) async fn get(Reader(ctx): Reader, Id(id): Id<LinkId>) -> Result<Versioned<LinkOut>, Problem> {
    let out = links::get(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// Changes a link: absent fields keep their value, null clears a field.
#[utoipa::path(patch, path = "/links/{id}", operation_id = "patch_links_id", tag = "inventory", params(("id" = LinkId, Path)),
    request_body = LinkPatch, responses((status = 200, body = LinkOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<LinkId>,
    IfMatch(version): IfMatch,
    Json(input): Json<LinkPatch>,
) -> Result<Versioned<LinkOut>, Problem> {
    let out = links::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Deletes a link.
#[utoipa::path(delete, path = "/links/{id}", operation_id = "delete_links_id", tag = "inventory", params(("id" = LinkId, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<LinkId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    links::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
