//! `/webhooks` and `/notice-kinds`: who is told by a signed request, and what there is to hear of.

use cb_app::Page;
use cb_app::notify::deliveries::{DeliveryOut, DeliveryState};
use cb_app::notify::kinds::{self as notices, NoticeKindOut};
use cb_app::notify::trial::TestOut;
use cb_app::notify::webhooks::{self, WebhookIn, WebhookOut, WebhookPatch};
use cb_core::ids::{DeliveryId, WebhookId};
use http::StatusCode;

use super::{ListQuery, list_query};
use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Part, Query, Versioned};
use crate::problem::Problem;

list_query!(DeliveriesQuery { state: DeliveryState });

/// Every kind of notice to which a webhook or a channel can subscribe.
#[utoipa::path(get, path = "/notice-kinds", operation_id = "get_notice_kinds", tag = "notifications",
    responses((status = 200, body = Vec<NoticeKindOut>)))]
pub(crate) async fn kinds(Reader(ctx): Reader) -> Result<axum::Json<Vec<NoticeKindOut>>, Problem> {
    Ok(axum::Json(notices::list(&ctx)?))
}

/// A page of webhooks.
#[utoipa::path(get, path = "/webhooks", operation_id = "get_webhooks", tag = "notifications",
    params(ListQuery), responses((status = 200, body = Page<WebhookOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<WebhookOut>>, Problem> {
    Ok(axum::Json(webhooks::list(&ctx, &query.list()).await?))
}

/// Adds a webhook. The answer shows its secret once.
#[utoipa::path(post, path = "/webhooks", operation_id = "post_webhooks", tag = "notifications",
    request_body = WebhookIn, responses((status = 201, body = WebhookOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<WebhookIn>,
) -> Result<(StatusCode, Versioned<WebhookOut>), Problem> {
    let out = webhooks::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One webhook and its recent result.
#[utoipa::path(get, path = "/webhooks/{id}", operation_id = "get_webhooks_id", tag = "notifications",
    params(("id" = WebhookId, Path)), responses((status = 200, body = WebhookOut)))]
pub(crate) async fn get(
    Reader(ctx): Reader,
    Id(id): Id<WebhookId>,
) -> Result<Versioned<WebhookOut>, Problem> {
    let out = webhooks::get(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// Changes a webhook: absent fields keep their value. If the origin of the URL changes, the server creates a new secret,
/// which the answer shows.
#[utoipa::path(patch, path = "/webhooks/{id}", operation_id = "patch_webhooks_id", tag = "notifications",
    params(("id" = WebhookId, Path)), request_body = WebhookPatch, responses((status = 200, body = WebhookOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<WebhookId>,
    IfMatch(version): IfMatch,
    Json(input): Json<WebhookPatch>,
) -> Result<Versioned<WebhookOut>, Problem> {
    let out = webhooks::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Deletes a webhook with its log. Waiting messages are never sent.
#[utoipa::path(delete, path = "/webhooks/{id}", operation_id = "delete_webhooks_id", tag = "notifications",
    params(("id" = WebhookId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<WebhookId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    webhooks::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Creates a new secret, which the answer shows. For a day, messages also carry a signature with the old secret.
#[utoipa::path(post, path = "/webhooks/{id}/secret", operation_id = "post_webhooks_id_secret", tag = "notifications",
    params(("id" = WebhookId, Path)), responses((status = 200, body = WebhookOut)))]
pub(crate) async fn rotate(
    Writer(ctx): Writer,
    Id(id): Id<WebhookId>,
) -> Result<Versioned<WebhookOut>, Problem> {
    let out = webhooks::rotate_secret(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// Sends a notice of the kind `test` now and returns the result.
#[utoipa::path(post, path = "/webhooks/{id}/test", operation_id = "post_webhooks_id_test", tag = "notifications",
    params(("id" = WebhookId, Path)), responses((status = 200, body = TestOut)))]
pub(crate) async fn test(Writer(ctx): Writer, Id(id): Id<WebhookId>) -> Result<axum::Json<TestOut>, Problem> {
    Ok(axum::Json(webhooks::test(&ctx, id).await?))
}

/// The messages that were sent and the answers to them, newest first.
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", operation_id = "get_webhooks_id_deliveries", tag = "notifications",
    params(("id" = WebhookId, Path), DeliveriesQuery), responses((status = 200, body = Page<DeliveryOut>)))]
pub(crate) async fn deliveries(
    Reader(ctx): Reader,
    Id(id): Id<WebhookId>,
    Query(query): Query<DeliveriesQuery>,
) -> Result<axum::Json<Page<DeliveryOut>>, Problem> {
    Ok(axum::Json(webhooks::deliveries(&ctx, id, &query.list(), query.state).await?))
}

/// Sends a delivery again with the same ID.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/{delivery}/redeliver",
    operation_id = "post_webhooks_id_deliveries_delivery_redeliver", tag = "notifications",
    params(("id" = WebhookId, Path), ("delivery" = DeliveryId, Path)), responses((status = 202, body = DeliveryOut)))]
pub(crate) async fn redeliver(
    Writer(ctx): Writer,
    Part(id, delivery): Part<WebhookId, DeliveryId>,
) -> Result<(StatusCode, axum::Json<DeliveryOut>), Problem> {
    let out = webhooks::redeliver(&ctx, id, delivery).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(out)))
}
