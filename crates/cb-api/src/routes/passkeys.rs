//! `/auth/passkeys`: the own passkeys, and signing in with one; and what else one can sign in with.

use axum::extract::State;
use axum::response::Response;
use cb_app::App;
use cb_app::auth::SessionOut;
use cb_app::auth::passkeys::{
    self, MfaPasskeyIn, PasskeyAdded, PasskeyChallenge, PasskeyIn, PasskeyLoginIn, PasskeyOut, PasskeyPatch,
    PasskeyRegistrationOut,
};
use cb_app::oidc::providers::{self, ProviderName};
use cb_core::ids::PasskeyId;
use http::StatusCode;
use http::request::Parts;
use serde::Serialize;
use utoipa::ToSchema;

use super::session::{apart, signed_in, with_cookies};
use crate::auth::{SessionReader, SessionWriter, meta, site};
use crate::extract::{Id, Json};
use crate::problem::Problem;

/// What the sign-in page can offer besides username and password.
#[derive(Serialize, ToSchema)]
pub(crate) struct Methods {
    /// False if the page was opened with an IP address or with an origin that is not configured, because passkeys need a
    /// name of the server.
    passkeys: bool,
    /// The sign-in providers that people can use.
    providers: Vec<ProviderName>,
    /// Whether a reset link can be sent by email.
    reset_by_mail: bool,
}

/// The ways to sign in here.
#[utoipa::path(get, path = "/auth/methods", operation_id = "get_auth_methods", tag = "session",
    responses((status = 200, body = Methods)))]
pub(crate) async fn methods(State(app): State<App>, parts: Parts) -> Result<axum::Json<Methods>, Problem> {
    app.after_setup().await?;
    let providers = providers::offered(&app).await?;
    let reset_by_mail = cb_app::notify::mail::is_possible(&app).await?;
    Ok(axum::Json(Methods { passkeys: site(&parts)?.has_passkeys(), providers, reset_by_mail }))
}

/// Starts a sign-in with a passkey and without a password.
#[utoipa::path(post, path = "/auth/passkeys/challenge", operation_id = "post_auth_passkeys_challenge", tag = "session",
    responses((status = 200, body = PasskeyChallenge)))]
pub(crate) async fn challenge(
    State(app): State<App>,
    parts: Parts,
) -> Result<axum::Json<PasskeyChallenge>, Problem> {
    app.after_setup().await?;
    Ok(axum::Json(passkeys::challenge(&app, &site(&parts)?)?))
}

/// Signs in with only a passkey.
#[utoipa::path(post, path = "/auth/passkeys/login", operation_id = "post_auth_passkeys_login", tag = "session",
    request_body = PasskeyLoginIn, responses((status = 200, body = SessionOut)))]
pub(crate) async fn login(
    State(app): State<App>,
    parts: Parts,
    Json(input): Json<PasskeyLoginIn>,
) -> Result<Response, Problem> {
    app.after_setup().await?;
    signed_in(StatusCode::OK, passkeys::login(&app, meta(&parts)?, &site(&parts)?, input).await?)
}

/// Starts the check of a passkey as the second factor, after a password.
#[utoipa::path(post, path = "/auth/mfa/passkey", operation_id = "post_auth_mfa_passkey", tag = "session",
    request_body = MfaPasskeyIn, responses((status = 200, body = PasskeyChallenge)))]
pub(crate) async fn mfa(
    State(app): State<App>,
    parts: Parts,
    Json(input): Json<MfaPasskeyIn>,
) -> Result<axum::Json<PasskeyChallenge>, Problem> {
    app.after_setup().await?;
    Ok(axum::Json(passkeys::mfa_challenge(&app, &site(&parts)?, input).await?))
}

/// Starts the check of a passkey for `POST /auth/proof`.
#[utoipa::path(post, path = "/auth/proof/passkey", operation_id = "post_auth_proof_passkey", tag = "session",
    responses((status = 200, body = PasskeyChallenge)))]
pub(crate) async fn proof(
    SessionWriter(ctx): SessionWriter,
    parts: Parts,
) -> Result<axum::Json<PasskeyChallenge>, Problem> {
    Ok(axum::Json(passkeys::proof_challenge(&ctx, &site(&parts)?).await?))
}

/// The caller's passkeys, oldest first.
#[utoipa::path(get, path = "/auth/passkeys", operation_id = "get_auth_passkeys", tag = "session",
    responses((status = 200, body = Vec<PasskeyOut>)))]
pub(crate) async fn list(
    SessionReader(ctx, _): SessionReader,
) -> Result<axum::Json<Vec<PasskeyOut>>, Problem> {
    Ok(axum::Json(passkeys::list(&ctx).await?))
}

/// The options with which the browser creates a new passkey.
#[utoipa::path(post, path = "/auth/passkeys/registration", operation_id = "post_auth_passkeys_registration", tag = "session",
    responses((status = 200, body = PasskeyRegistrationOut)))]
pub(crate) async fn begin(
    SessionWriter(ctx): SessionWriter,
    parts: Parts,
) -> Result<axum::Json<PasskeyRegistrationOut>, Problem> {
    Ok(axum::Json(passkeys::begin(&ctx, &site(&parts)?).await?))
}

/// Registers a new passkey. Every other session ends; this one continues with a new ID.
#[utoipa::path(post, path = "/auth/passkeys", operation_id = "post_auth_passkeys", tag = "session", request_body = PasskeyIn,
    responses((status = 201, body = PasskeyAdded)))]
pub(crate) async fn register(
    SessionWriter(ctx): SessionWriter,
    parts: Parts,
    Json(input): Json<PasskeyIn>,
) -> Result<Response, Problem> {
    let (passkey, recovery_codes, opened) = passkeys::register(&ctx, &site(&parts)?, input).await?;
    let (session, cookies) = apart(opened)?;
    Ok(with_cookies(StatusCode::CREATED, PasskeyAdded { passkey, recovery_codes, session }, cookies))
}

/// Renames one of the caller's passkeys.
#[utoipa::path(patch, path = "/auth/passkeys/{id}", operation_id = "patch_auth_passkeys_id", tag = "session",
    params(("id" = PasskeyId, Path)), request_body = PasskeyPatch, responses((status = 200, body = PasskeyOut)))]
pub(crate) async fn rename(
    SessionWriter(ctx): SessionWriter,
    Id(id): Id<PasskeyId>,
    Json(input): Json<PasskeyPatch>,
) -> Result<axum::Json<PasskeyOut>, Problem> {
    Ok(axum::Json(passkeys::rename(&ctx, id, input).await?))
}

/// Deletes one of the caller's passkeys. Every other session ends; this one continues with a new ID.
#[utoipa::path(delete, path = "/auth/passkeys/{id}", operation_id = "delete_auth_passkeys_id", tag = "session",
    params(("id" = PasskeyId, Path)), responses((status = 200, body = SessionOut)))]
pub(crate) async fn remove(
    SessionWriter(ctx): SessionWriter,
    Id(id): Id<PasskeyId>,
) -> Result<Response, Problem> {
    signed_in(StatusCode::OK, passkeys::remove(&ctx, id).await?)
}
