//! `/channels`: who is told through a service that people read. Secrets go in and never out.

use cb_app::Page;
use cb_app::notify::channels::{self, ChannelIn, ChannelKindOut, ChannelOut, ChannelPatch, Kind};
use cb_app::notify::deliveries::{DeliveryOut, DeliveryState};
use cb_app::notify::trial::TestOut;
use cb_core::ids::{ChannelId, DeliveryId};
use http::StatusCode;

use super::list_query;

use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Part, Query, Versioned};
use crate::problem::Problem;

list_query!(ChannelsQuery { kind: Kind });
list_query!(DeliveriesQuery { state: DeliveryState });

/// Every kind of channel with its fields.
#[utoipa::path(get, path = "/channel-kinds", operation_id = "get_channel_kinds", tag = "notifications",
    responses((status = 200, body = Vec<ChannelKindOut>)))]
pub(crate) async fn kinds(Reader(ctx): Reader) -> Result<axum::Json<Vec<ChannelKindOut>>, Problem> {
    Ok(axum::Json(channels::kinds(&ctx)?))
}

/// A page of channels.
#[utoipa::path(get, path = "/channels", operation_id = "get_channels", tag = "notifications",
    params(ChannelsQuery), responses((status = 200, body = Page<ChannelOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<ChannelsQuery>,
) -> Result<axum::Json<Page<ChannelOut>>, Problem> {
    Ok(axum::Json(channels::list(&ctx, &query.list(), query.kind).await?))
}

/// Adds a channel.
#[utoipa::path(post, path = "/channels", operation_id = "post_channels", tag = "notifications",
    request_body = ChannelIn, responses((status = 201, body = ChannelOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<ChannelIn>,
) -> Result<(StatusCode, Versioned<ChannelOut>), Problem> {
    let out = channels::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One channel and its recent result.
#[utoipa::path(get, path = "/channels/{id}", operation_id = "get_channels_id", tag = "notifications",
    params(("id" = ChannelId, Path)), responses((status = 200, body = ChannelOut)))]
pub(crate) async fn get(
    Reader(ctx): Reader,
    Id(id): Id<ChannelId>,
) -> Result<Versioned<ChannelOut>, Problem> {
    let out = channels::get(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// Changes a channel: absent fields keep their value. A change that would send its secret to another place must include the
/// secret again.
#[utoipa::path(patch, path = "/channels/{id}", operation_id = "patch_channels_id", tag = "notifications",
    params(("id" = ChannelId, Path)), request_body = ChannelPatch, responses((status = 200, body = ChannelOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<ChannelId>,
    IfMatch(version): IfMatch,
    Json(input): Json<ChannelPatch>,
) -> Result<Versioned<ChannelOut>, Problem> {
    let out = channels::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Deletes a channel with its log. Waiting messages are never sent.
#[utoipa::path(delete, path = "/channels/{id}", operation_id = "delete_channels_id", tag = "notifications",
    params(("id" = ChannelId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<ChannelId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    channels::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a notice of the kind `test` now and returns the result.
#[utoipa::path(post, path = "/channels/{id}/test", operation_id = "post_channels_id_test", tag = "notifications",
    params(("id" = ChannelId, Path)), responses((status = 200, body = TestOut)))]
pub(crate) async fn test(Writer(ctx): Writer, Id(id): Id<ChannelId>) -> Result<axum::Json<TestOut>, Problem> {
    Ok(axum::Json(channels::test(&ctx, id).await?))
}

/// The messages that were sent and the answers to them, newest first.
#[utoipa::path(get, path = "/channels/{id}/deliveries", operation_id = "get_channels_id_deliveries", tag = "notifications",
    params(("id" = ChannelId, Path), DeliveriesQuery), responses((status = 200, body = Page<DeliveryOut>)))]
pub(crate) async fn deliveries(
    Reader(ctx): Reader,
    Id(id): Id<ChannelId>,
    Query(query): Query<DeliveriesQuery>,
) -> Result<axum::Json<Page<DeliveryOut>>, Problem> {
    Ok(axum::Json(channels::deliveries(&ctx, id, &query.list(), query.state).await?))
}

/// Sends a delivery again with the same ID.
#[utoipa::path(post, path = "/channels/{id}/deliveries/{delivery}/redeliver",
    operation_id = "post_channels_id_deliveries_delivery_redeliver", tag = "notifications",
    params(("id" = ChannelId, Path), ("delivery" = DeliveryId, Path)), responses((status = 202, body = DeliveryOut)))]
pub(crate) async fn redeliver(
    Writer(ctx): Writer,
    Part(id, delivery): Part<ChannelId, DeliveryId>,
) -> Result<(StatusCode, axum::Json<DeliveryOut>), Problem> {
    let out = channels::redeliver(&ctx, id, delivery).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(out)))
}
