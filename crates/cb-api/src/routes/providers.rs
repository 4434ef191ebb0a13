//! `/oidc-providers`: where users may sign in too.

use cb_app::oidc::providers::{self, ProviderIn, ProviderOut, ProviderPatch, ProviderTest};
use cb_core::ids::ProviderId;
use http::StatusCode;
use http::request::Parts;

use crate::auth::{Reader, Writer, site};
use crate::extract::{Id, IfMatch, Json, Versioned};
use crate::problem::Problem;

/// Every provider; there are at most 20.
#[utoipa::path(get, path = "/oidc-providers", operation_id = "get_oidc_providers", tag = "administration",
    responses((status = 200, body = Vec<ProviderOut>)))]
pub(crate) async fn list(Reader(ctx): Reader, parts: Parts) -> Result<axum::Json<Vec<ProviderOut>>, Problem> {
    Ok(axum::Json(providers::list(&ctx, &site(&parts)?).await?))
}

/// Adds a provider.
#[utoipa::path(post, path = "/oidc-providers", operation_id = "post_oidc_providers", tag = "administration",
    request_body = ProviderIn, responses((status = 201, body = ProviderOut)))]
pub(crate) async fn create(
    Writer(ctx): Writer,
    parts: Parts,
    Json(input): Json<ProviderIn>,
) -> Result<(StatusCode, Versioned<ProviderOut>), Problem> {
    let out = providers::create(&ctx, &site(&parts)?, input).await?;
    Ok((StatusCode::CREATED, Versioned(out.version, out)))
}

/// One provider.
#[utoipa::path(get, path = "/oidc-providers/{id}", operation_id = "get_oidc_providers_id", tag = "administration",
    params(("id" = ProviderId, Path)), responses((status = 200, body = ProviderOut)))]
pub(crate) async fn get(
    Reader(ctx): Reader,
    parts: Parts,
    Id(id): Id<ProviderId>,
) -> Result<Versioned<ProviderOut>, Problem> {
    let out = providers::get(&ctx, &site(&parts)?, id).await?;
    Ok(Versioned(out.version, out))
}

/// Changes a provider: absent fields keep their value, null clears a field.
#[utoipa::path(patch, path = "/oidc-providers/{id}", operation_id = "patch_oidc_providers_id", tag = "administration",
    params(("id" = ProviderId, Path)), request_body = ProviderPatch, responses((status = 200, body = ProviderOut)))]
pub(crate) async fn update(
    Writer(ctx): Writer,
    parts: Parts,
    Id(id): Id<ProviderId>,
    IfMatch(version): IfMatch,
    Json(input): Json<ProviderPatch>,
) -> Result<Versioned<ProviderOut>, Problem> {
    let out = providers::update(&ctx, &site(&parts)?, id, input, version).await?;
    Ok(Versioned(out.version, out))
}

/// Deletes a provider and disconnects all accounts of it. The sessions of their users end.
#[utoipa::path(delete, path = "/oidc-providers/{id}", operation_id = "delete_oidc_providers_id", tag = "administration",
    params(("id" = ProviderId, Path)), responses((status = 204)))]
pub(crate) async fn delete(
    Writer(ctx): Writer,
    Id(id): Id<ProviderId>,
    IfMatch(version): IfMatch,
) -> Result<StatusCode, Problem> {
    providers::delete(&ctx, id, version).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Fetches the description that the provider publishes about itself.
#[utoipa::path(post, path = "/oidc-providers/{id}/test", operation_id = "post_oidc_providers_id_test", tag = "administration",
    params(("id" = ProviderId, Path)), responses((status = 200, body = ProviderTest)))]
pub(crate) async fn test(
    Writer(ctx): Writer,
    Id(id): Id<ProviderId>,
) -> Result<axum::Json<ProviderTest>, Problem> {
    Ok(axum::Json(providers::test(&ctx, id).await?))
}
