//! `/views`: what a user wants tables to show. Each user has their own; API tokens have none.

use cb_app::views::{self, ViewIn, ViewOut, ViewPatch};
use cb_core::ids::ViewId;
use http::StatusCode;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::auth::{SessionReader, SessionWriter};
use crate::extract::{Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ViewsQuery {
    /// Views of this table.
    #[param(inline)]
    list: Option<views::List>,
}

/// The caller's views, sorted by name; at most 50.
#[utoipa::path(get, path = "/views", operation_id = "get_views", tag = "session", params(ViewsQuery),
    responses((status = 200, body = Vec<ViewOut>)))]
pub(crate) async fn list(
    SessionReader(ctx, _): SessionReader,
    Query(query): Query<ViewsQuery>,
) -> Result<axum::Json<Vec<ViewOut>>, Problem> {
    Ok(axum::Json(views::list(&ctx, query.list).await?))
}

/// Saves a view under a new name.
#[utoipa::path(post, path = "/views", operation_id = "post_views", tag = "session", request_body = ViewIn,
    responses((status = 201, body = ViewOut)))]
pub(crate) async fn create(
    SessionWriter(ctx): SessionWriter,
    Json(input): Json<ViewIn>,
) -> Result<(StatusCode, Versioned<ViewOut>), Problem> {
    let out = views::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One of the caller's views.
#[utoipa::path(get, path = "/views/{id}", operation_id = "get_views_id", tag = "session", params(("id" = ViewId, Path)),
    responses((status = 200, body = ViewOut)))]
pub(crate) async fn get(
    SessionReader(ctx, _): SessionReader,
    Id(id): Id<ViewId>,
) -> Result<Versioned<ViewOut>, Problem> {
    let out = views::get(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// Renames a view or replaces what it shows: absent fields keep their value.
#[utoipa::path(patch, path = "/views/{id}", operation_id = "patch_views_id", tag = "session", params(("id" = ViewId, Path)),
    request_body = ViewPatch, responses((status = 200, body = ViewOut)))]
pub(crate) async fn update(
    SessionWriter(ctx): SessionWriter,
    Id(id): Id<ViewId>,
    IfMatch(version): IfMatch,
    Json(input): Json<ViewPatch>,
) -> Result<Versioned<ViewOut>, Problem> {
    let out = views::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Deletes a view.
#[utoipa::path(delete, path = "/views/{id}", operation_id = "delete_views_id", tag = "session", params(("id" = ViewId, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(
    SessionWriter(ctx): SessionWriter,
    Id(id): Id<ViewId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    views::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
