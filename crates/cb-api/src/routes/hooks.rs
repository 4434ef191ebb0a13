//! `/hooks`: where other systems tell us something, and what they have told.

use axum::extract::State;
use cb_app::notify::hooks::{self, HookEventOut, HookIn, HookOut, HookPatch};
use cb_app::notify::receive::{self as taking, Shown, Taken};
use cb_app::{App, Page};
use cb_core::ids::HookId;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};

use super::ListQuery;
use crate::auth::{Reader, Writer, meta};
use crate::extract::{Body, Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

/// A page of hooks.
#[utoipa::path(get, path = "/hooks", operation_id = "get_hooks", tag = "notifications",
    params(ListQuery), responses((status = 200, body = Page<HookOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<HookOut>>, Problem> {
    Ok(axum::Json(hooks::list(&ctx, &query.list()).await?))
}

/// Adds a hook. The answer shows its secret, once.
#[utoipa::path(post, path = "/hooks", operation_id = "post_hooks", tag = "notifications",
    request_body = HookIn, responses((status = 201, body = HookOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<HookIn>,
) -> Result<(StatusCode, Versioned<HookOut>), Problem> {
    let out = hooks::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One hook.
#[utoipa::path(get, path = "/hooks/{id}", operation_id = "get_hooks_id", tag = "notifications",
    params(("id" = HookId, Path)), responses((status = 200, body = HookOut)))]
pub(crate) async fn get(Reader(ctx): Reader, Id(id): Id<HookId>) -> Result<Versioned<HookOut>, Problem> {
    let out = hooks::get(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// Renames it, or switches it off or on.
#[utoipa::path(patch, path = "/hooks/{id}", operation_id = "patch_hooks_id", tag = "notifications",
    params(("id" = HookId, Path)), request_body = HookPatch, responses((status = 200, body = HookOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<HookId>,
    IfMatch(version): IfMatch,
    Json(input): Json<HookPatch>,
) -> Result<Versioned<HookOut>, Problem> {
    let out = hooks::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Removes it, with the log of its messages.
#[utoipa::path(delete, path = "/hooks/{id}", operation_id = "delete_hooks_id", tag = "notifications",
    params(("id" = HookId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<HookId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    hooks::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a new secret, which the answer shows, once. The one before it is taken for another day.
#[utoipa::path(post, path = "/hooks/{id}/secret", operation_id = "post_hooks_id_secret", tag = "notifications",
    params(("id" = HookId, Path)), responses((status = 200, body = HookOut)))]
pub(crate) async fn rotate(Writer(ctx): Writer, Id(id): Id<HookId>) -> Result<Versioned<HookOut>, Problem> {
    let out = hooks::rotate_secret(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// What it has taken; the newest first, and the newest thousand.
#[utoipa::path(get, path = "/hooks/{id}/events", operation_id = "get_hooks_id_events", tag = "notifications",
    params(("id" = HookId, Path), ListQuery), responses((status = 200, body = Page<HookEventOut>)))]
pub(crate) async fn events(
    Reader(ctx): Reader,
    Id(id): Id<HookId>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<HookEventOut>>, Problem> {
    Ok(axum::Json(hooks::events(&ctx, id, &query.list()).await?))
}

/// Tells something from outside, as JSON in the format of the hook. It proves where it comes from by a signature of Standard
/// Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`), or, in the formats of those that cannot sign, by
/// `Authorization: Bearer`. 401 when it does not, or there is no such hook; 409 when it was sent before; at most 60 a minute.
#[utoipa::path(post, path = "/hooks/{id}", operation_id = "post_hooks_id", tag = "notifications",
    params(("id" = HookId, Path)), request_body(content = serde_json::Value, description = "In the words of whoever sends it"),
    responses((status = 200, body = Taken)))]
pub(crate) async fn receive(
    State(app): State<App>,
    Id(id): Id<HookId>,
    parts: Parts,
    Body(body): Body,
) -> Result<axum::Json<Taken>, Problem> {
    let headers = &parts.headers;
    let shown = Shown {
        id: only(headers, "webhook-id"),
        timestamp: only(headers, "webhook-timestamp"),
        signature: only(headers, "webhook-signature"),
        authorization: only(headers, header::AUTHORIZATION.as_str()),
    };
    Ok(axum::Json(taking::receive(&app, meta(&parts)?, id, shown, &body).await?))
}

/// A header field; nothing, when there are several of the name: one of them is somebody else's.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> &'a [u8] {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(one), None) => one.as_bytes(),
        _ => &[],
    }
}
