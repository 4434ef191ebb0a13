//! `/hooks`: where other systems tell us something, and what they have told.

use std::time::Duration;

use axum::extract::{Request, State};
use cb_app::notify::hooks::{self, HookEventOut, HookIn, HookOut, HookPatch};
use cb_app::notify::receive::{self as taking, Carried, NotTaken, Shown, Taken};
use cb_app::{App, Page};
use cb_core::ids::HookId;
use http::{HeaderMap, Method, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};

use super::ListQuery;
use crate::auth::{Reader, Writer, meta};
use crate::extract::{Id, IfMatch, Json, Query, Versioned, is_json, too_slow, unreadable};
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

/// Adds a hook. The answer shows its secret once.
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

/// Renames a hook, or turns it off or on.
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

/// Deletes a hook with the log of its messages.
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

/// Creates a new secret, which the answer shows once. The previous secret is accepted for another day.
#[utoipa::path(post, path = "/hooks/{id}/secret", operation_id = "post_hooks_id_secret", tag = "notifications",
    params(("id" = HookId, Path)), responses((status = 200, body = HookOut)))]
pub(crate) async fn rotate(Writer(ctx): Writer, Id(id): Id<HookId>) -> Result<Versioned<HookOut>, Problem> {
    let out = hooks::rotate_secret(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// The newest 1,000 messages that the hook accepted, newest first.
#[utoipa::path(get, path = "/hooks/{id}/events", operation_id = "get_hooks_id_events", tag = "notifications",
    params(("id" = HookId, Path), ListQuery), responses((status = 200, body = Page<HookEventOut>)))]
pub(crate) async fn events(
    Reader(ctx): Reader,
    Id(id): Id<HookId>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<HookEventOut>>, Problem> {
    Ok(axum::Json(hooks::events(&ctx, id, &query.list()).await?))
}

/// Receives a message from another system, as JSON in the format of the hook. The message proves where it comes from with a
/// signature of Standard Webhooks (`webhook-id`, `webhook-timestamp`, `webhook-signature`) or, in the formats of systems that
/// cannot sign, with `Authorization: Bearer`. 401 if there is no proof or no such hook; 409 if the message was sent before;
/// at most 60 messages a minute. A signed message can have up to 1 MiB, a message with a token up to 8 MiB. If a message with
/// a token is larger, the server reports only that it arrived.
#[utoipa::path(post, path = "/hooks/{id}", operation_id = "post_hooks_id", tag = "notifications",
    params(("id" = HookId, Path)), request_body(content = serde_json::Value, description = "In the format of the sender"),
    responses((status = 200, body = Taken)))]
pub(crate) async fn receive(
    State(app): State<App>,
    Id(id): Id<HookId>,
    request: Request,
) -> Result<axum::Json<Taken>, Problem> {
    let (parts, body) = request.into_parts();
    let headers = &parts.headers;
    let shown = Shown {
        id: only(headers, "webhook-id"),
        timestamp: only(headers, "webhook-timestamp"),
        signature: only(headers, "webhook-signature"),
        authorization: only(headers, header::AUTHORIZATION.as_str()),
    };
    let meta = meta(&parts)?;
    let pending = taking::open(&app, meta.ip, id, shown).await?;
    let body = read(body, pending.most(), headers).await?;
    let carried = body.as_deref().map_or(Carried::TooLarge, Carried::Whole);
    let taken = pending.take(&app, meta, shown, carried, is_json(headers)).await;
    Ok(axum::Json(taken.map_err(not_taken)?))
}

/// Whether a request is a message for a hook, whose size is judged when it is known who sends it.
pub(crate) fn is_message(method: &Method, path: &str) -> bool {
    let id = path.strip_prefix("/api/v1/hooks/");
    method == Method::POST && id.is_some_and(|id| !id.is_empty() && !id.contains('/'))
}

/// A message of some MiB comes from another building sometimes.
const BODY_TIME: Duration = Duration::from_secs(30);

/// None: it has more than `most` bytes.
async fn read(body: axum::body::Body, most: usize, headers: &HeaderMap) -> Result<Option<Vec<u8>>, Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > most) {
        return Ok(None);
    }
    let read = tokio::time::timeout(BODY_TIME, Limited::new(body, most).collect()).await;
    match read.map_err(|_| too_slow(BODY_TIME))? {
        Ok(whole) => Ok(Some(whole.to_bytes().into())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Ok(None),
        Err(_) => Err(unreadable()),
    }
}

fn not_taken(why: NotTaken) -> Problem {
    match why {
        NotTaken::Error(error) => error.into(),
        NotTaken::NotJson(change) => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "not_json",
            format!("A message must be sent as JSON (Content-Type: application/json); {change}"),
        ),
        NotTaken::TooLarge(most) => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("A signed message can have at most {} MiB.", most >> 20),
        ),
    }
}

/// A header field; nothing, when there are several of the name: one of them is somebody else's.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> &'a [u8] {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(one), None) => one.as_bytes(),
        _ => &[],
    }
}
