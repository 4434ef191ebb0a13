//! `/interfaces`: where assets meet networks.

use cb_app::Page;
use cb_app::interfaces::{self, InterfaceIn, InterfaceOut, InterfacePatch};
use cb_core::ids::{AssetId, InterfaceId};
use http::StatusCode;

use super::list_query;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

list_query!(InterfaceQuery {
    /// Interfaces of this asset.
    asset_id: AssetId,
});

/// A page of interfaces.
#[utoipa::path(get, path = "/interfaces", operation_id = "get_interfaces", tag = "inventory", params(InterfaceQuery), responses((status = 200, body = Page<InterfaceOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<InterfaceQuery>,
) -> Result<axum::Json<Page<InterfaceOut>>, Problem> {
    Ok(axum::Json(interfaces::list(&ctx, &query.list(), query.asset_id).await?))
}

/// Adds an interface.
#[utoipa::path(post, path = "/interfaces", operation_id = "post_interfaces", tag = "inventory", request_body = InterfaceIn,
    responses((status = 201, body = InterfaceOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<InterfaceIn>,
) -> Result<(StatusCode, Versioned<InterfaceOut>), Problem> {
    let out = interfaces::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One interface.
#[utoipa::path(get, path = "/interfaces/{id}", operation_id = "get_interfaces_id", tag = "inventory", params(("id" = InterfaceId, Path)),
    responses((status = 200, body = InterfaceOut)))]
pub(crate) async fn get(
    Reader(ctx): Reader,
    Id(id): Id<InterfaceId>,
) -> Result<Versioned<InterfaceOut>, Problem> {
    let out = interfaces::get(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// Changes an interface: absent fields keep their value, null clears a field.
#[utoipa::path(patch, path = "/interfaces/{id}", operation_id = "patch_interfaces_id", tag = "inventory", params(("id" = InterfaceId, Path)),
    request_body = InterfacePatch, responses((status = 200, body = InterfaceOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<InterfaceId>,
    IfMatch(version): IfMatch,
    Json(input): Json<InterfacePatch>,
) -> Result<Versioned<InterfaceOut>, Problem> {
    let out = interfaces::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Deletes an interface.
#[utoipa::path(delete, path = "/interfaces/{id}", operation_id = "delete_interfaces_id", tag = "inventory", params(("id" = InterfaceId, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<InterfaceId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    interfaces::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
