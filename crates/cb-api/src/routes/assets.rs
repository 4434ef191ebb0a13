//! `/assets`: anything the user has.

use cb_app::Page;
use cb_app::assets::{self, AssetDetail, AssetFilter, AssetIn, AssetOut, AssetPatch};
use cb_core::ids::{AssetId, NetworkId};
use cb_core::inventory::{AssetKind, AssetStatus};
use http::StatusCode;

use super::list_query;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

list_query!(AssetQuery {
    kind: AssetKind,
    status: AssetStatus,
    /// A tag's name or id.
    tag: String,
    /// Assets with an address in this network.
    network: NetworkId,
});

/// A page of assets.
#[utoipa::path(get, path = "/assets", operation_id = "get_assets", tag = "inventory", params(AssetQuery), responses((status = 200, body = Page<AssetOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<AssetQuery>,
) -> Result<axum::Json<Page<AssetOut>>, Problem> {
    let filter = AssetFilter {
        kind: query.kind,
        status: query.status,
        tag: query.tag.clone(),
        network: query.network,
    };
    Ok(axum::Json(assets::list(&ctx, &query.list(), &filter).await?))
}

/// Adds an asset.
#[utoipa::path(post, path = "/assets", operation_id = "post_assets", tag = "inventory", request_body = AssetIn,
    responses((status = 201, body = AssetOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<AssetIn>,
) -> Result<(StatusCode, Versioned<AssetOut>), Problem> {
    let out = assets::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One asset with all that belongs to it.
#[utoipa::path(get, path = "/assets/{id}", operation_id = "get_assets_id", tag = "inventory", params(("id" = AssetId, Path)),
    responses((status = 200, body = AssetDetail)))]
pub(crate) async fn get(Reader(ctx): Reader, Id(id): Id<AssetId>) -> Result<Versioned<AssetDetail>, Problem> {
    let out = assets::get(&ctx, id).await?;
    Ok(Versioned(out.asset.version, out))
}

/// Changes an asset: what is absent stays, null is cleared.
#[utoipa::path(patch, path = "/assets/{id}", operation_id = "patch_assets_id", tag = "inventory", params(("id" = AssetId, Path)),
    request_body = AssetPatch, responses((status = 200, body = AssetOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<AssetId>,
    IfMatch(version): IfMatch,
    Json(input): Json<AssetPatch>,
) -> Result<Versioned<AssetOut>, Problem> {
    let out = assets::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Removes an asset.
#[utoipa::path(delete, path = "/assets/{id}", operation_id = "delete_assets_id", tag = "inventory", params(("id" = AssetId, Path)),
    responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<AssetId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    assets::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}
