//! `/map`: nodes, links, groups, and the places that people chose.

use cb_app::map::{self, MapOut, PositionsIn};
use cb_core::ids::AssetId;
use http::StatusCode;

use crate::auth::{Reader, Writer};
use crate::extract::{Id, Json};
use crate::problem::Problem;

/// The whole map.
#[utoipa::path(get, path = "/map", operation_id = "get_map", tag = "map", responses((status = 200, body = MapOut)))]
pub(crate) async fn get(Reader(ctx): Reader) -> Result<axum::Json<MapOut>, Problem> {
    Ok(axum::Json(map::get(&ctx).await?))
}

/// Saves the positions of assets.
#[utoipa::path(put, path = "/map/positions", operation_id = "put_map_positions", tag = "map", request_body = PositionsIn,
    responses((status = 204)))]
pub(crate) async fn place(
    Writer(ctx): Writer,
    Json(input): Json<PositionsIn>,
) -> Result<StatusCode, Problem> {
    map::place(&ctx, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns an asset to the automatic layout.
#[utoipa::path(delete, path = "/map/positions/{asset_id}", operation_id = "delete_map_positions_asset_id", tag = "map",
    params(("asset_id" = AssetId, Path)), responses((status = 204)))]
pub(crate) async fn release(Writer(ctx): Writer, Id(id): Id<AssetId>) -> Result<StatusCode, Problem> {
    map::release(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
