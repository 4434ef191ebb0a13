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
    /// Other addresses that have sent `X-Forwarded-For`, `Forwarded` or `X-Real-IP` since the server started: the last 8.
    unknown: Vec<UnknownProxy>,
    /// Trusted proxies that sent an entry in `X-Forwarded-For` that is not an IP address: the last 8.
    unreadable: Vec<UnreadableProxy>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnknownProxy {
    #[schema(example = "10.0.0.5")]
    address: String,
    first_seen: DateTime<Utc>,
    /// The setting that makes it a trusted proxy.
    #[schema(example = "CB_TRUSTED_PROXIES=10.0.0.2,10.0.0.5")]
    setting: String,
    /// The header that it sent. The server reads only `X-Forwarded-For`.
    #[schema(example = "X-Forwarded-For")]
    sends: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnreadableProxy {
    #[schema(example = "10.0.0.2")]
    address: String,
    first_seen: DateTime<Utc>,
    /// The beginning of the entry.
    #[schema(example = "unknown")]
    entry: String,
}

/// The trusted proxies, and the unknown ones that the server has noticed.
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
        sends: stranger.said,
    });
    let unreadable = place.strangers.list_unreadable().into_iter().map(|stranger| UnreadableProxy {
        address: stranger.address.to_string(),
        first_seen: stranger.first_seen,
        entry: stranger.said,
    });
    Ok(Json(Proxies {
        trusted: trusted.iter().map(ToString::to_string).collect(),
        unknown: unknown.collect(),
        unreadable: unreadable.collect(),
    }))
}
