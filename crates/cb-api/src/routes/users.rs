//! `/users`, `/invites`, `/roles`: who may do what.

use axum::extract::State;
use axum::response::Response;
use cb_app::auth::forgot::{self, ResetMailOut};
use cb_app::auth::sessions::OpenSession;
use cb_app::auth::{SessionOut, UserOut};
use cb_app::users::{self, AcceptInviteIn, InviteIn, InviteOut, LinkOut, RoleOut, UserIn, UserPatch};
use cb_app::{App, Page};
use cb_core::ids::{InviteId, UserId};
use http::StatusCode;
use http::request::Parts;

use super::ListQuery;
use super::session::signed_in;
use crate::auth::{Reader, Writer, meta};
use crate::extract::{Id, Json, Query};
use crate::problem::Problem;

/// A page of users.
#[utoipa::path(get, path = "/users", operation_id = "get_users", tag = "administration", params(ListQuery),
    responses((status = 200, body = Page<UserOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<UserOut>>, Problem> {
    Ok(axum::Json(users::list(&ctx, &query.list()).await?))
}

/// Adds a user with a password.
#[utoipa::path(post, path = "/users", operation_id = "post_users", tag = "administration", request_body = UserIn,
    responses((status = 201, body = UserOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<UserIn>,
) -> Result<(StatusCode, axum::Json<UserOut>), Problem> {
    Ok((StatusCode::CREATED, axum::Json(users::create(&ctx, input).await?)))
}

/// One user.
#[utoipa::path(get, path = "/users/{id}", operation_id = "get_users_id", tag = "administration",
    params(("id" = UserId, Path)), responses((status = 200, body = UserOut)))]
pub(crate) async fn get(Reader(ctx): Reader, Id(id): Id<UserId>) -> Result<axum::Json<UserOut>, Problem> {
    Ok(axum::Json(users::get(&ctx, id).await?))
}

/// Changes a user: absent fields keep their value. A new role ends the user's sessions. Disabling the user also ends their
/// API tokens.
#[utoipa::path(patch, path = "/users/{id}", operation_id = "patch_users_id", tag = "administration",
    params(("id" = UserId, Path)), request_body = UserPatch, responses((status = 200, body = UserOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<UserId>,
    Json(input): Json<UserPatch>,
) -> Result<axum::Json<UserOut>, Problem> {
    Ok(axum::Json(users::update(&ctx, id, input).await?))
}

/// Deletes a user with everything that belongs to them.
#[utoipa::path(delete, path = "/users/{id}", operation_id = "delete_users_id", tag = "administration",
    params(("id" = UserId, Path)), responses((status = 204)))]
pub(crate) async fn delete(Writer(ctx): Writer, Id(id): Id<UserId>) -> Result<StatusCode, Problem> {
    users::delete(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A user's sessions, newest first.
#[utoipa::path(get, path = "/users/{id}/sessions", operation_id = "get_users_id_sessions", tag = "administration",
    params(("id" = UserId, Path)), responses((status = 200, body = Vec<OpenSession>)))]
pub(crate) async fn open_sessions(
    Reader(ctx): Reader,
    Id(id): Id<UserId>,
) -> Result<axum::Json<Vec<OpenSession>>, Problem> {
    Ok(axum::Json(users::open_sessions(&ctx, id).await?))
}

/// Ends every session of a user.
#[utoipa::path(delete, path = "/users/{id}/sessions", operation_id = "delete_users_id_sessions", tag = "administration",
    params(("id" = UserId, Path)), responses((status = 204)))]
pub(crate) async fn end_sessions(Writer(ctx): Writer, Id(id): Id<UserId>) -> Result<StatusCode, Problem> {
    users::end_sessions(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes the second factor of a user who has lost it.
#[utoipa::path(delete, path = "/users/{id}/second-factor", operation_id = "delete_users_id_second_factor",
    tag = "administration", params(("id" = UserId, Path)), responses((status = 200, body = UserOut)))]
pub(crate) async fn clear_second_factor(
    Writer(ctx): Writer,
    Id(id): Id<UserId>,
) -> Result<axum::Json<UserOut>, Problem> {
    Ok(axum::Json(users::clear_second_factor(&ctx, id).await?))
}

/// Creates a link with which the user sets a new password. The link is shown only once.
#[utoipa::path(post, path = "/users/{id}/reset-link", operation_id = "post_users_id_reset_link", tag = "administration",
    params(("id" = UserId, Path)), responses((status = 201, body = LinkOut)))]
pub(crate) async fn reset_link(
    Writer(ctx): Writer,
    Id(id): Id<UserId>,
) -> Result<(StatusCode, axum::Json<LinkOut>), Problem> {
    Ok((StatusCode::CREATED, axum::Json(users::reset_link(&ctx, id).await?)))
}

/// Emails the user a link with which they set a new password. No one else sees the link.
#[utoipa::path(post, path = "/users/{id}/reset-mail", operation_id = "post_users_id_reset_mail", tag = "administration",
    params(("id" = UserId, Path)), responses((status = 200, body = ResetMailOut)))]
pub(crate) async fn reset_mail(
    Writer(ctx): Writer,
    Id(id): Id<UserId>,
) -> Result<axum::Json<ResetMailOut>, Problem> {
    Ok(axum::Json(forgot::send(&ctx, id).await?))
}

/// What each role permits.
#[utoipa::path(get, path = "/roles", operation_id = "get_roles", tag = "administration",
    responses((status = 200, body = Vec<RoleOut>)))]
pub(crate) async fn roles(Reader(ctx): Reader) -> Result<axum::Json<Vec<RoleOut>>, Problem> {
    Ok(axum::Json(users::roles(&ctx)?))
}

/// Invites that are still open.
#[utoipa::path(get, path = "/invites", operation_id = "get_invites", tag = "administration",
    responses((status = 200, body = Vec<InviteOut>)))]
pub(crate) async fn invites(Reader(ctx): Reader) -> Result<axum::Json<Vec<InviteOut>>, Problem> {
    Ok(axum::Json(users::invites(&ctx).await?))
}

/// Creates a link with which one person creates an account. The link is shown only once.
#[utoipa::path(post, path = "/invites", operation_id = "post_invites", tag = "administration", request_body = InviteIn,
    responses((status = 201, body = LinkOut)))]
pub(crate) async fn invite(
    Writer(ctx): Writer,
    Json(input): Json<InviteIn>,
) -> Result<(StatusCode, axum::Json<LinkOut>), Problem> {
    Ok((StatusCode::CREATED, axum::Json(users::invite(&ctx, input).await?)))
}

/// Withdraws an invite.
#[utoipa::path(delete, path = "/invites/{id}", operation_id = "delete_invites_id", tag = "administration",
    params(("id" = InviteId, Path)), responses((status = 204)))]
pub(crate) async fn withdraw(Writer(ctx): Writer, Id(id): Id<InviteId>) -> Result<StatusCode, Problem> {
    users::withdraw_invite(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Creates the invited user and signs them in.
#[utoipa::path(post, path = "/auth/invite", operation_id = "post_auth_invite", tag = "session",
    request_body = AcceptInviteIn, responses((status = 201, body = SessionOut)))]
pub(crate) async fn accept(
    State(app): State<App>,
    parts: Parts,
    Json(input): Json<AcceptInviteIn>,
) -> Result<Response, Problem> {
    app.after_setup().await?;
    signed_in(StatusCode::CREATED, users::accept_invite(&app, meta(&parts)?, input).await?)
}
