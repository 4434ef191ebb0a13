//! `/proxies`: what stands in front of the server.

use std::sync::Arc;

use axum::{Extension, Json};
use cb_core::Permission;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::Reader;
use crate::place::Place;
use crate::problem::Problem;
use crate::strangers::setting;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Proxies {
    /// `CB_TRUSTED_PROXIES`: addresses and ranges.
    #[schema(example = json!(["10.0.0.2/32"]))]
    trusted: Vec<String>,
    /// Addresses outside of it that have sent `X-Forwarded-For` since the server started, at most 8.
    unknown: Vec<UnknownProxy>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnknownProxy {
    #[schema(example = "10.0.0.5")]
    address: String,
    first_seen: DateTime<Utc>,
    /// The setting that makes it a trusted proxy.
    #[schema(example = "CB_TRUSTED_PROXIES=10.0.0.2,10.0.0.5")]
    setting: String,
}

/// The proxies that are trusted, and those that nobody has told the server about.
#[utoipa::path(get, path = "/proxies", operation_id = "get_proxies", tag = "server", responses((status = 200, body = Proxies)))]
pub(crate) async fn get(
    Reader(ctx): Reader,
    Extension(place): Extension<Arc<Place>>,
) -> Result<Json<Proxies>, Problem> {
    ctx.authorize(Permission::SettingsRead)?;
    let trusted = &place.trusted_proxies;
    let unknown = place.strangers.list().into_iter().map(|stranger| UnknownProxy {
        address: stranger.address.to_string(),
        first_seen: stranger.first_seen,
        setting: setting(trusted, stranger.address),
    });
    Ok(Json(Proxies {
        trusted: trusted.iter().map(ToString::to_string).collect(),
        unknown: unknown.collect(),
    }))
}
