//! `/assets`: anything the user has.

use cb_app::Page;
use cb_app::assets::{self, AssetDetail, AssetFilter, AssetIn, AssetOut, AssetPatch};
use cb_core::ids::AssetId;
use cb_core::inventory::{AssetKind, AssetStatus};
use chrono::{DateTime, Utc};
use http::StatusCode;

use super::list_query;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

list_query!(AssetQuery {
    kind: AssetKind,
    /// A role: `access_point`, `access-point` and `Access point` are the same.
    role: String,
    status: AssetStatus,
    /// A tag's name or id.
    tag: String,
    /// A part of the vendor's name.
    vendor: String,
    /// Assets with an address in this network: its id, CIDR or name.
    network: String,
    /// Assets with this open port, 1 to 65535.
    port: u32,
    /// Seen at this time or later.
    seen_after: DateTime<Utc>,
    /// Seen last before this time.
    seen_before: DateTime<Utc>,
});

/// A page of assets.
#[utoipa::path(get, path = "/assets", operation_id = "get_assets", tag = "inventory", params(AssetQuery), responses((status = 200, body = Page<AssetOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<AssetQuery>,
) -> Result<axum::Json<Page<AssetOut>>, Problem> {
    let list = query.list();
    let filter = AssetFilter {
        // The list has the words.
        q: None,
        kind: query.kind,
        role: query.role,
        status: query.status,
        tag: query.tag,
        vendor: query.vendor,
        network: query.network,
        port: query.port,
        seen_after: query.seen_after,
        seen_before: query.seen_before,
    };
    Ok(axum::Json(assets::list(&ctx, &list, &filter).await?))
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
