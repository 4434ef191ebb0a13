//! `/credentials`: what devices and services ask for. Secrets go in and never out.

use cb_app::Page;
use cb_app::credentials::{
    self, CredentialIn, CredentialOut, CredentialPatch, Kind, KindOut, UseOut,
    test::{self as trial, TestIn, TestOut},
    uses as log,
};
use cb_core::ids::CredentialId;
use http::StatusCode;

use super::{ListQuery, list_query};
use crate::auth::{Reader, Writer};
use crate::extract::{Id, IfMatch, Json, Query, Versioned};
use crate::problem::Problem;

list_query!(CredentialsQuery { kind: Kind });

/// Every kind of credential with its fields.
#[utoipa::path(get, path = "/credential-kinds", operation_id = "get_credential_kinds", tag = "credentials",
    responses((status = 200, body = Vec<KindOut>)))]
pub(crate) async fn kinds(Reader(ctx): Reader) -> Result<axum::Json<Vec<KindOut>>, Problem> {
    Ok(axum::Json(credentials::kinds(&ctx)?))
}

/// A page of credentials.
#[utoipa::path(get, path = "/credentials", operation_id = "get_credentials", tag = "credentials",
    params(CredentialsQuery), responses((status = 200, body = Page<CredentialOut>)))]
pub(crate) async fn list(
    Reader(ctx): Reader,
    Query(query): Query<CredentialsQuery>,
) -> Result<axum::Json<Page<CredentialOut>>, Problem> {
    Ok(axum::Json(credentials::list(&ctx, &query.list(), query.kind).await?))
}

/// Adds a credential.
#[utoipa::path(post, path = "/credentials", operation_id = "post_credentials", tag = "credentials",
    request_body = CredentialIn, responses((status = 201, body = CredentialOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    Json(input): Json<CredentialIn>,
) -> Result<(StatusCode, Versioned<CredentialOut>), Problem> {
    let out = credentials::create(&ctx, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One credential and what uses it.
#[utoipa::path(get, path = "/credentials/{id}", operation_id = "get_credentials_id", tag = "credentials",
    params(("id" = CredentialId, Path)), responses((status = 200, body = CredentialOut)))]
pub(crate) async fn get(
    Reader(ctx): Reader,
    Id(id): Id<CredentialId>,
) -> Result<Versioned<CredentialOut>, Problem> {
    let out = credentials::get(&ctx, id).await?;
    Ok(Versioned(out.version, out))
}

/// Changes a credential: absent fields keep their value, null clears a field. A change that would send the secret to another
/// place must include the secret again.
#[utoipa::path(patch, path = "/credentials/{id}", operation_id = "patch_credentials_id", tag = "credentials",
    params(("id" = CredentialId, Path)), request_body = CredentialPatch, responses((status = 200, body = CredentialOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    Id(id): Id<CredentialId>,
    IfMatch(version): IfMatch,
    Json(input): Json<CredentialPatch>,
) -> Result<Versioned<CredentialOut>, Problem> {
    let out = credentials::update(&ctx, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Deletes a credential with the log of its uses; 409 while something uses it.
#[utoipa::path(delete, path = "/credentials/{id}", operation_id = "delete_credentials_id", tag = "credentials",
    params(("id" = CredentialId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<CredentialId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    credentials::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Tests a credential with a device. Without `credentials:write`, the answer says only whether it works.
#[utoipa::path(post, path = "/credentials/{id}/test", operation_id = "post_credentials_id_test", tag = "credentials",
    params(("id" = CredentialId, Path)), request_body = TestIn, responses((status = 200, body = TestOut)))]
pub(crate) async fn test(
    Writer(ctx): Writer,
    Id(id): Id<CredentialId>,
    Json(input): Json<TestIn>,
) -> Result<axum::Json<TestOut>, Problem> {
    Ok(axum::Json(trial::run(&ctx, id, input).await?))
}

/// When a credential was used, by whom or what, and where; the newest 1,000 uses, newest first.
#[utoipa::path(get, path = "/credentials/{id}/uses", operation_id = "get_credentials_id_uses", tag = "credentials",
    params(("id" = CredentialId, Path), ListQuery), responses((status = 200, body = Page<UseOut>)))]
pub(crate) async fn uses(
    Reader(ctx): Reader,
    Id(id): Id<CredentialId>,
    Query(query): Query<ListQuery>,
) -> Result<axum::Json<Page<UseOut>>, Problem> {
    Ok(axum::Json(log::list(&ctx, id, &query.list()).await?))
}
