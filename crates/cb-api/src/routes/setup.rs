//! `/setup`: the first administrator.

use axum::extract::State;
use axum::response::Response;
use cb_app::App;
use cb_app::auth::SessionOut;
use cb_app::setup::{self, SetupIn, SetupState};
use http::StatusCode;
use http::request::Parts;

use super::session::signed_in;
use crate::auth::meta;
use crate::extract::Json;
use crate::problem::Problem;

/// Whether setup still has to be completed.
#[utoipa::path(get, path = "/setup", operation_id = "get_setup", tag = "setup", responses((status = 200, body = SetupState)))]
pub(crate) async fn get(State(app): State<App>) -> Result<axum::Json<SetupState>, Problem> {
    Ok(axum::Json(setup::state(&app).await?))
}

/// Creates the administrator. Requires the setup code.
#[utoipa::path(post, path = "/setup", operation_id = "post_setup", tag = "setup", request_body = SetupIn,
    responses((status = 201, body = SessionOut)))]
pub(crate) async fn post(
    State(app): State<App>,
    parts: Parts,
    Json(input): Json<SetupIn>,
) -> Result<Response, Problem> {
    let opened = setup::complete(&app, meta(&parts)?, input).await?;
    signed_in(StatusCode::CREATED, opened)
}
