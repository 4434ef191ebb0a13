//! `/assets`: anything the user has.

use axum::response::Response;
use cb_app::Page;
use cb_app::assets::{
    self, AssetDetail, AssetFilter, AssetIn, AssetOut, AssetPatch, AssetsDone, AssetsIn, AssetsTagIn,
};
use cb_core::ids::AssetId;
use cb_core::inventory::{AssetKind, AssetStatus};
use chrono::{DateTime, Utc};
use http::StatusCode;

use super::csv::csv;
use super::list_query;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

list_query!(AssetQuery {
    kind: AssetKind,
    /// A role: `access_point`, `access-point` and `Access point` are the same.
    #[param(max_length = 100)]
    role: String,
    status: AssetStatus,
    /// The name or the ID of a tag.
    #[param(max_length = 100)]
    tag: String,
    /// A part of the vendor's name.
    #[param(max_length = 100)]
    vendor: String,
    /// Assets with an address in this network: its ID, CIDR or name.
    #[param(max_length = 100)]
    network: String,
    /// Assets with this open port, 1 to 65535.
    #[param(minimum = 1, maximum = 65535)]
    #[serde(default, deserialize_with = "super::parameters::port")]
    port: u32,
    /// Last seen at this time or later.
    #[serde(default, deserialize_with = "super::parameters::time")]
    seen_after: DateTime<Utc>,
    /// Last seen before this time.
    #[serde(default, deserialize_with = "super::parameters::time")]
    seen_before: DateTime<Utc>,
});

/// A page of assets. With words in `q` and without `sort`, the best matches come first (`sort=match`).
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

/// What an export can be narrowed to, as the list; it has no pages.
#[derive(Debug, serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    /// The columns in their order, separated by commas: `name`, `status`, `address`, `role`, `vendor` (with the
    /// model), `os`, `tags`, `last_seen_at`, `notes`; all if absent.
    #[param(
        pattern = "^((name|status|address|role|vendor|os|tags|last_seen_at|notes)(,(name|status|address|role|vendor|os|tags|last_seen_at|notes))*)?$"
    )]
    columns: Option<String>,
    /// The field to sort by; a leading `-` sorts in descending order.
    sort: Option<String>,
    /// Words to search for.
    #[param(max_length = 200)]
    q: Option<String>,
    kind: Option<AssetKind>,
    /// A role: `access_point`, `access-point` and `Access point` are the same.
    #[param(max_length = 100)]
    role: Option<String>,
    status: Option<AssetStatus>,
    /// The name or the ID of a tag.
    #[param(max_length = 100)]
    tag: Option<String>,
    /// A part of the vendor's name.
    #[param(max_length = 100)]
    vendor: Option<String>,
    /// Assets with an address in this network: its ID, CIDR or name.
    #[param(max_length = 100)]
    network: Option<String>,
    /// Assets with this open port, 1 to 65535.
    #[param(minimum = 1, maximum = 65535)]
    #[serde(default, deserialize_with = "super::parameters::port")]
    port: Option<u32>,
    /// Last seen at this time or later.
    #[serde(default, deserialize_with = "super::parameters::time")]
    seen_after: Option<DateTime<Utc>>,
    /// Last seen before this time.
    #[serde(default, deserialize_with = "super::parameters::time")]
    seen_before: Option<DateTime<Utc>>,
}

/// The assets as CSV (RFC 4180), with the names that the pages show. An apostrophe precedes each text that a spreadsheet
/// would run as a formula. If the transfer breaks off, the file is incomplete, because the session ended or the server
/// failed.
#[utoipa::path(get, path = "/assets/export", operation_id = "get_assets_export", tag = "inventory", params(ExportQuery),
    responses((status = 200, body = String, content_type = "text/csv; charset=utf-8")))]
pub(crate) async fn export(
    Reader(ctx): Reader,
    Query(query): Query<ExportQuery>,
) -> Result<Response, Problem> {
    let filter = AssetFilter {
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
    let export = assets::export(&ctx, query.q, query.sort, query.columns.as_deref(), filter)?;
    csv(ctx.app().now().format("inventory-%Y%m%dT%H%M%SZ.csv"), export).await
}

/// Deletes many assets: those with the given IDs, or all that match a filter.
#[utoipa::path(post, path = "/assets/delete", operation_id = "post_assets_delete", tag = "inventory", request_body = AssetsIn,
    responses((status = 200, body = AssetsDone)))]
pub(crate) async fn delete_many(
    Writer(ctx): Writer,
    Json(input): Json<AssetsIn>,
) -> Result<axum::Json<AssetsDone>, Problem> {
    Ok(axum::Json(assets::delete_many(&ctx, input).await?))
}

/// Adds tags to many assets: those with the given IDs, or all that match a filter.
#[utoipa::path(post, path = "/assets/tag", operation_id = "post_assets_tag", tag = "inventory", request_body = AssetsTagIn,
    responses((status = 200, body = AssetsDone)))]
pub(crate) async fn tag_many(
    Writer(ctx): Writer,
    Json(input): Json<AssetsTagIn>,
) -> Result<axum::Json<AssetsDone>, Problem> {
    Ok(axum::Json(assets::tag_many(&ctx, input).await?))
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

/// One asset with everything that belongs to it.
#[utoipa::path(get, path = "/assets/{id}", operation_id = "get_assets_id", tag = "inventory", params(("id" = AssetId, Path)),
    responses((status = 200, body = AssetDetail)))]
pub(crate) async fn get(Reader(ctx): Reader, Id(id): Id<AssetId>) -> Result<Versioned<AssetDetail>, Problem> {
    let out = assets::get(&ctx, id).await?;
    Ok(Versioned(out.asset.version, out))
}

/// Changes an asset: absent fields keep their value, null clears a field.
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

/// Deletes an asset.
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
