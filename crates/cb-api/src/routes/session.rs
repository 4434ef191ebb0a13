//! `/auth`: signing in and out, who one is, and the account's own sessions, password and second factor.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use cb_app::App;
use cb_app::auth::factors::{self, RecoveryCodes, Totp, TotpConfirm, TotpEnabled, TotpEnrolment};
use cb_app::auth::forgot::{self, ForgotIn};
use cb_app::auth::link::{self, CheckLinkIn};
use cb_app::auth::login::{self, LoginIn, MfaIn, ProofIn};
use cb_app::auth::password::{self, PasswordIn, ResetIn};
use cb_app::auth::sessions::{self, OpenSession};
use cb_app::auth::{Admission, Me, Opened, SecondFactorRequired, SessionOut};
use cb_core::Error;
use cb_core::ids::SessionId;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::{COOKIE, SessionReader, SessionWriter, meta, site};
use crate::extract::{Id, Json};
use crate::problem::Problem;

/// A session, or the second factor that is still required.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the document: the handler answers with one of the two")]
pub(crate) enum LoginOut {
    Session(SessionOut),
    SecondFactor(SecondFactorRequired),
}

/// Signs in. A wrong password and an unknown user get the same answer. A second factor may still be required.
#[utoipa::path(post, path = "/auth/login", operation_id = "post_auth_login", tag = "session", request_body = LoginIn,
    responses((status = 200, body = LoginOut)))]
pub(crate) async fn login(
    State(app): State<App>,
    parts: Parts,
    Json(input): Json<LoginIn>,
) -> Result<Response, Problem> {
    app.after_setup().await?;
    match login::login(&app, meta(&parts)?, input).await? {
        Admission::Session(opened) => signed_in(StatusCode::OK, opened),
        Admission::SecondFactor(asked) => Ok(axum::Json(asked).into_response()),
    }
}

/// The second factor, after a password.
#[utoipa::path(post, path = "/auth/mfa", operation_id = "post_auth_mfa", tag = "session", request_body = MfaIn,
    responses((status = 200, body = SessionOut)))]
pub(crate) async fn mfa(
    State(app): State<App>,
    parts: Parts,
    Json(input): Json<MfaIn>,
) -> Result<Response, Problem> {
    app.after_setup().await?;
    signed_in(StatusCode::OK, login::second_factor(&app, meta(&parts)?, &site(&parts)?, input).await?)
}

/// Ends this session.
#[utoipa::path(post, path = "/auth/logout", operation_id = "post_auth_logout", tag = "session", responses((status = 204)))]
pub(crate) async fn logout(SessionWriter(ctx): SessionWriter) -> Result<Response, Problem> {
    sessions::logout(&ctx).await?;
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie("", 0)?);
    Ok(response)
}

/// Who is signed in, and what they are allowed to do.
#[utoipa::path(get, path = "/auth/me", operation_id = "get_auth_me", tag = "session", responses((status = 200, body = Me)))]
pub(crate) async fn me(SessionReader(ctx, who): SessionReader) -> Result<axum::Json<Me>, Problem> {
    Ok(axum::Json(sessions::me(&ctx, &who).await?))
}

/// Confirms the caller's identity. Requests that change permissions require a confirmation within the last ten minutes. The
/// session continues with a new ID.
#[utoipa::path(post, path = "/auth/proof", operation_id = "post_auth_proof", tag = "session", request_body = ProofIn,
    responses((status = 200, body = SessionOut)))]
pub(crate) async fn prove(
    SessionWriter(ctx): SessionWriter,
    parts: Parts,
    Json(input): Json<ProofIn>,
) -> Result<Response, Problem> {
    signed_in(StatusCode::OK, login::prove(&ctx, &site(&parts)?, input).await?)
}

/// Changes the caller's password. Every other session ends; this one continues with a new ID.
#[utoipa::path(post, path = "/auth/password", operation_id = "post_auth_password", tag = "session", request_body = PasswordIn,
    responses((status = 200, body = SessionOut)))]
pub(crate) async fn change_password(
    SessionWriter(ctx): SessionWriter,
    Json(input): Json<PasswordIn>,
) -> Result<Response, Problem> {
    signed_in(StatusCode::OK, password::change(&ctx, input).await?)
}

/// Requests a reset link by email. The answer does not depend on whether the username exists, because the server does the
/// work after it answers.
#[utoipa::path(post, path = "/auth/forgot", operation_id = "post_auth_forgot", tag = "session", request_body = ForgotIn,
    responses((status = 202, description = "If the user exists and has an email address, and the server can send email, a link is on its way")))]
pub(crate) async fn forgot(
    State(app): State<App>,
    parts: Parts,
    Json(input): Json<ForgotIn>,
) -> Result<StatusCode, Problem> {
    app.after_setup().await?;
    forgot::ask(&app, meta(&parts)?, &input).await?;
    Ok(StatusCode::ACCEPTED)
}

/// Says whether an invite or a reset link can still be used. The link is not used up.
#[utoipa::path(post, path = "/auth/link", operation_id = "post_auth_link", tag = "session", request_body = CheckLinkIn,
    responses((status = 204, description = "The link can be used")))]
pub(crate) async fn check_link(
    State(app): State<App>,
    parts: Parts,
    Json(input): Json<CheckLinkIn>,
) -> Result<StatusCode, Problem> {
    app.after_setup().await?;
    link::check(&app, &meta(&parts)?, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sets a new password with a reset link.
#[utoipa::path(post, path = "/auth/reset", operation_id = "post_auth_reset", tag = "session", request_body = ResetIn,
    responses((status = 204)))]
pub(crate) async fn reset(
    State(app): State<App>,
    parts: Parts,
    Json(input): Json<ResetIn>,
) -> Result<StatusCode, Problem> {
    app.after_setup().await?;
    password::reset(&app, meta(&parts)?, input).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The caller's sessions, newest first.
#[utoipa::path(get, path = "/auth/sessions", operation_id = "get_auth_sessions", tag = "session",
    responses((status = 200, body = Vec<OpenSession>)))]
pub(crate) async fn list(
    SessionReader(ctx, _): SessionReader,
) -> Result<axum::Json<Vec<OpenSession>>, Problem> {
    Ok(axum::Json(sessions::list(&ctx).await?))
}

/// Ends all sessions of the caller except this one.
#[utoipa::path(delete, path = "/auth/sessions", operation_id = "delete_auth_sessions", tag = "session",
    responses((status = 204)))]
pub(crate) async fn end_others(SessionWriter(ctx): SessionWriter) -> Result<StatusCode, Problem> {
    sessions::end_others(&ctx).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends one of the caller's sessions.
#[utoipa::path(delete, path = "/auth/sessions/{id}", operation_id = "delete_auth_sessions_id", tag = "session",
    params(("id" = SessionId, Path)), responses((status = 204)))]
pub(crate) async fn end(
    SessionWriter(ctx): SessionWriter,
    Id(id): Id<SessionId>,
) -> Result<StatusCode, Problem> {
    sessions::end(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether an authenticator app is set up.
#[utoipa::path(get, path = "/auth/totp", operation_id = "get_auth_totp", tag = "session", responses((status = 200, body = Totp)))]
pub(crate) async fn totp(SessionReader(ctx, _): SessionReader) -> Result<axum::Json<Totp>, Problem> {
    Ok(axum::Json(factors::state(&ctx).await?))
}

/// Creates a new secret for an authenticator app. It takes effect when a code confirms it.
#[utoipa::path(post, path = "/auth/totp", operation_id = "post_auth_totp", tag = "session",
    responses((status = 200, body = TotpEnrolment)))]
pub(crate) async fn begin_totp(
    SessionWriter(ctx): SessionWriter,
) -> Result<axum::Json<TotpEnrolment>, Problem> {
    Ok(axum::Json(factors::begin(&ctx).await?))
}

/// Turns on the authenticator app. Every other session ends; this one continues with a new ID.
#[utoipa::path(post, path = "/auth/totp/confirm", operation_id = "post_auth_totp_confirm", tag = "session",
    request_body = TotpConfirm, responses((status = 200, body = TotpEnabled)))]
pub(crate) async fn confirm_totp(
    SessionWriter(ctx): SessionWriter,
    Json(input): Json<TotpConfirm>,
) -> Result<Response, Problem> {
    let (recovery_codes, opened) = factors::confirm(&ctx, input).await?;
    let (session, cookies) = apart(opened)?;
    Ok(with_cookies(StatusCode::OK, TotpEnabled { recovery_codes, session }, cookies))
}

/// Turns off the authenticator app. Every other session ends; this one continues with a new ID.
#[utoipa::path(delete, path = "/auth/totp", operation_id = "delete_auth_totp", tag = "session",
    responses((status = 200, body = SessionOut)))]
pub(crate) async fn end_totp(SessionWriter(ctx): SessionWriter) -> Result<Response, Problem> {
    signed_in(StatusCode::OK, factors::turn_off(&ctx).await?)
}

/// Creates new recovery codes; the old ones stop working.
#[utoipa::path(post, path = "/auth/recovery-codes", operation_id = "post_auth_recovery_codes", tag = "session",
    responses((status = 200, body = RecoveryCodes)))]
pub(crate) async fn recovery_codes(
    SessionWriter(ctx): SessionWriter,
) -> Result<axum::Json<RecoveryCodes>, Problem> {
    Ok(axum::Json(factors::new_recovery_codes(&ctx).await?))
}

/// The answer of login and setup, with its cookies.
pub(super) fn signed_in(status: StatusCode, opened: Opened) -> Result<Response, Problem> {
    let (session, cookies) = apart(opened)?;
    Ok(with_cookies(status, session, cookies))
}

/// What a session says to its holder, and the cookies that it sets.
pub(super) fn apart(opened: Opened) -> Result<(SessionOut, Vec<HeaderValue>), Problem> {
    let mut cookies = vec![cookie(opened.cookie.expose(), opened.max_age.as_secs())?];
    if let Some(device) = opened.device {
        cookies.push(named_cookie(&device.name, device.value.expose(), device.max_age.as_secs())?);
    }
    Ok((opened.out, cookies))
}

pub(super) fn with_cookies(status: StatusCode, body: impl Serialize, cookies: Vec<HeaderValue>) -> Response {
    let mut response = (status, axum::Json(body)).into_response();
    for cookie in cookies {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}

pub(super) fn cookie(value: &str, max_age: u64) -> Result<HeaderValue, Problem> {
    named_cookie(COOKIE, value, max_age)
}

pub(super) fn named_cookie(name: &str, value: &str, max_age: u64) -> Result<HeaderValue, Problem> {
    let text = format!("{name}={value}; Max-Age={max_age}; Path=/; Secure; HttpOnly; SameSite=Lax");
    let mut value = HeaderValue::try_from(text).map_err(Error::internal)?;
    value.set_sensitive(true);
    Ok(value)
}
