//! `Idempotency-Key`: a `POST` that is sent again, because its answer was lost, is not carried out again. The guard hands over whoever
//! has proved who they are; public routes do not look at the header.

use axum::body::{Body as Stream, Bytes, to_bytes};
use axum::extract::{FromRequest as _, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use cb_app::replay::{Answer, Asker, Turn};
use cb_app::{App, replay};
use cb_core::Error;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use tokio::sync::oneshot;
use tracing::Instrument as _;

use crate::extract::Body;
use crate::problem::Problem;

pub const HEADER: HeaderName = HeaderName::from_static("idempotency-key");
/// On an answer that is given again.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest answer that is looked at; [`replay`] keeps shorter ones.
const ANSWER_MOST: usize = 16 * 1024 * 1024;

/// Routes under `/api/v1` whose answers show a secret once. The rest of their kind, signing in and what belongs to it, is recognized by its
/// path. A test looks into every answer of the description for one that is missing.
pub const ONCE: &[&str] = &[
    "/hooks",
    "/hooks/{id}/secret",
    "/invites",
    "/tokens",
    "/users/{id}/reset-link",
    "/webhooks",
    "/webhooks/{id}/secret",
];

/// Whether the answer of a route may not be kept.
pub fn shows_secrets(route: &str) -> bool {
    let route = route.strip_prefix("/api/v1").unwrap_or(route);
    route.starts_with("/auth/") || ONCE.contains(&route)
}

/// Whether the request asks for it.
pub fn wanted(request: &Request) -> bool {
    request.method() == Method::POST && request.headers().contains_key(HEADER)
}

/// Carries the request out, or answers as before.
pub async fn around(app: &App, asker: Asker, route: String, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = match Body::from_request(Request::from_parts(parts.clone(), body), &()).await {
        Ok(Body(bytes)) => bytes,
        Err(problem) => return problem.into_response(),
    };
    // In a task of its own, so that it goes on when the client hangs up. The client asks again, and is told how it ended.
    let (tell, told) = oneshot::channel();
    let task = app.clone();
    let work = async move {
        // An error says that the client has gone. The answer is kept all the same.
        let _ = tell.send(attempt(&task, &asker, &route, parts, bytes, next).await);
    };
    app.spawn(work.in_current_span());
    match told.await {
        Ok(Ok(response)) => response,
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => {
            let why = "The server stopped or failed during this request. The change may or may not have been made; check before you use a new key";
            Problem::from(Error::OutcomeUnknown(why.to_owned())).into_response()
        }
    }
}

async fn attempt(
    app: &App,
    asker: &Asker,
    route: &str,
    parts: Parts,
    bytes: Bytes,
    next: Next,
) -> Result<Response, Problem> {
    let path = parts.uri.path_and_query().map_or("", |p| p.as_str());
    let sent = [path.as_bytes(), b"\n", &bytes].concat();
    let key = parts.headers.get(HEADER).map_or(&b""[..], HeaderValue::as_bytes);
    let id = match replay::begin(app, asker, key, &sent).await? {
        Turn::First(id) => id,
        Turn::Again(answer) => return Ok(again(answer)),
    };
    let response = next.run(Request::from_parts(parts, Stream::from(bytes))).await;
    let status = response.status();
    if !status.is_success() {
        // Any other 5xx may have been carried out: a commit without an answer is one.
        if !status.is_server_error() || response.extensions().get().is_some_and(Problem::says_not_done) {
            replay::refused(app, id).await;
        }
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, ANSWER_MOST).await.map_err(|error| {
        Problem::from(Error::OutcomeUnknown(format!(
            "The change was made, but its answer could not be saved: {error}"
        )))
    })?;
    let etag = parts.headers.get(header::ETAG).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let kept = (!shows_secrets(route)).then(|| String::from_utf8(bytes.to_vec()).ok()).flatten();
    let answer = Answer { status: status.as_u16(), body: kept, etag };
    if let Err(error) = replay::done(app, id, answer).await {
        // It was done. Sent again it is answered 409, and not done twice.
        tracing::warn!(%error, "an answer for repeated requests could not be saved");
    }
    Ok(Response::from_parts(parts, Stream::from(bytes)))
}

fn again(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body.unwrap_or_default()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(etag) = answer.etag.and_then(|etag| HeaderValue::try_from(etag).ok()) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
