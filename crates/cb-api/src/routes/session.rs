//! `/auth`: signing in and out, and who one is.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use cb_app::App;
use cb_app::auth::{self, LoginIn, Me, Opened, SessionOut};
use cb_core::Error;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};

use crate::auth::{COOKIE, SessionReader, Writer, meta};
use crate::extract::Json;
use crate::problem::Problem;

/// Signs in. A wrong password and an unknown user have the same answer.
#[utoipa::path(post, path = "/auth/login", operation_id = "post_auth_login", tag = "session", request_body = LoginIn,
    responses((status = 200, body = SessionOut)))]
pub(crate) async fn login(
    State(app): State<App>,
    parts: Parts,
    Json(input): Json<LoginIn>,
) -> Result<Response, Problem> {
    if app.setup_required() {
        return Err(Error::SetupRequired.into());
    }
    let opened = auth::login(&app, meta(&parts)?, input).await?;
    signed_in(StatusCode::OK, opened)
}

/// Ends this session.
#[utoipa::path(post, path = "/auth/logout", operation_id = "post_auth_logout", tag = "session", responses((status = 204)))]
pub(crate) async fn logout(Writer(ctx): Writer) -> Result<Response, Problem> {
    auth::logout(&ctx).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie("", 0)?);
    Ok(response)
}

/// Who is signed in, and what they may do.
#[utoipa::path(get, path = "/auth/me", operation_id = "get_auth_me", tag = "session", responses((status = 200, body = Me)))]
pub(crate) async fn me(SessionReader(ctx, who): SessionReader) -> Result<axum::Json<Me>, Problem> {
    Ok(axum::Json(auth::me(&ctx, &who).await?))
}

/// The answer of login and setup, with the session's cookie.
pub(super) fn signed_in(status: StatusCode, opened: Opened) -> Result<Response, Problem> {
    let mut response = (status, axum::Json(opened.out)).into_response();
    let value = cookie(opened.cookie.expose(), opened.max_age.as_secs())?;
    response.headers_mut().insert(header::SET_COOKIE, value);
    Ok(response)
}

fn cookie(value: &str, max_age: u64) -> Result<HeaderValue, Problem> {
    let text = format!("{COOKIE}={value}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite=Lax");
    let mut value = HeaderValue::try_from(text).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}
