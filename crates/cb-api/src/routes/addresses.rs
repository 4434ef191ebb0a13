//! `/addresses`: IP addresses of assets.

use cb_app::Page;
use cb_app::addresses::{self, AddressFilter, AddressIn, AddressOut, AddressPatch};
use cb_core::ids::{AddressId, AssetId, NetworkId};
use http::StatusCode;

use super::list_query;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

list_query!(AddressQuery {
    /// Addresses of this asset.
    asset_id: AssetId,
    /// Addresses in this network.
    network_id: NetworkId,
});

/// A page of addresses.
#[utoipa::path(get, path = "/addresses", operation_id = "get_addresses", tag = "inventory", params(AddressQuery), responses((status = 200, body = Page<AddressOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<AddressQuery>,
) -> Result<axum::Json<Page<AddressOut>>, Problem> {
    let filter = AddressFilter { asset: query.asset_id, network: query.network_id };
    Ok(axum::Json(addresses::list(&ctx, &query.list(), &filter).await?))
}

/// Adds an address.
#[utoipa::path(post, path = "/addresses", operation_id = "post_addresses", tag = "inventory", request_body = AddressIn,
    responses((status = 201, body = AddressOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<AddressIn>,
) -> Result<(StatusCode, Versioned<AddressOut>), Problem> {
    let out = addresses::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One address.
#[utoipa::path(get, path = "/addresses/{id}", operation_id = "get_addresses_id", tag = "inventory", params(("id" = AddressId, Path)),
    responses((status = 200, body = AddressOut)))]
pub(crate) async fn get(
    Reader(ctx): Reader,
    Id(id): Id<AddressId>,
) -> Result<Versioned<AddressOut>, Problem> {
    let out = addresses::get(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// Changes an address: absent fields keep their value, null clears a field.
#[utoipa::path(patch, path = "/addresses/{id}", operation_id = "patch_addresses_id", tag = "inventory", params(("id" = AddressId, Path)),
    request_body = AddressPatch, responses((status = 200, body = AddressOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<AddressId>,
    IfMatch(version): IfMatch,
    Json(input): Json<AddressPatch>,
) -> Result<Versioned<AddressOut>, Problem> {
    let out = addresses::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Deletes an address.
#[utoipa::path(delete, path = "/addresses/{id}", operation_id = "delete_addresses_id", tag = "inventory", params(("id" = AddressId, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<AddressId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    addresses::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
