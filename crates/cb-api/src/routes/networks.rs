//! `/networks`: subnets and VLANs.

use cb_app::Page;
use cb_app::networks::{self, NetworkDetail, NetworkIn, NetworkOut, NetworkPatch};
use cb_core::ids::NetworkId;
use http::StatusCode;

use super::ListQuery;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

/// A page of networks. With words in `q` and without `sort`, the best matches come first (`sort=match`).
#[utoipa::path(get, path = "/networks", operation_id = "get_networks", tag = "inventory", params(ListQuery), responses((status = 200, body = Page<NetworkOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<NetworkOut>>, Problem> {
    Ok(axum::Json(networks::list(&ctx, &query.list()).await?))
}

/// Adds a network.
#[utoipa::path(post, path = "/networks", operation_id = "post_networks", tag = "inventory", request_body = NetworkIn,
    responses((status = 201, body = NetworkOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<NetworkIn>,
) -> Result<(StatusCode, Versioned<NetworkOut>), Problem> {
    let out = networks::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One network, with its conflicts.
#[utoipa::path(get, path = "/networks/{id}", operation_id = "get_networks_id", tag = "inventory", params(("id" = NetworkId, Path)),
    responses((status = 200, body = NetworkDetail)))]
pub(crate) async fn get(
    Reader(ctx): Reader,
    Id(id): Id<NetworkId>,
) -> Result<Versioned<NetworkDetail>, Problem> {
    let out = networks::get(&ctx, id).await?;
    Ok(Versioned(out.network.version, out))
}

/// Changes a network: absent fields keep their value, null clears a field.
#[utoipa::path(patch, path = "/networks/{id}", operation_id = "patch_networks_id", tag = "inventory", params(("id" = NetworkId, Path)),
    request_body = NetworkPatch, responses((status = 200, body = NetworkOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<NetworkId>,
    IfMatch(version): IfMatch,
    Json(input): Json<NetworkPatch>,
) -> Result<Versioned<NetworkOut>, Problem> {
    let out = networks::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Deletes a network.
#[utoipa::path(delete, path = "/networks/{id}", operation_id = "delete_networks_id", tag = "inventory", params(("id" = NetworkId, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<NetworkId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    networks::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
