//! `/ready`: says whether requests should be sent to this server, and nothing more. A server that only lives answers `/health`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use cb_app::App;
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::problem::Answered;

#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    ready: bool,
}

/// Whether the server can do its work: its database answers, saves what it is given, and the server is not stopping.
#[utoipa::path(get, path = "/ready", operation_id = "get_ready", tag = "server", responses(
    (status = 200, description = "Send requests here (`true`)", body = Ready),
    (status = 503, description = "Send requests to another server (`false`)", body = Ready)))]
pub(crate) async fn get(State(app): State<App>) -> Response {
    let ready = app.is_ready();
    let body = Json(Ready { ready });
    if ready {
        return body.into_response();
    }
    let mut response = (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], body).into_response();
    response.extensions_mut().insert(Answered);
    response
}
