//! `/settings`: this instance's settings.

use cb_app::settings::{self, SettingsOut, SettingsPatch};

use crate::auth::{Reader, Writer};
use crate::extract::{IfMatch, Json, Versioned};
use crate::problem::Problem;

/// The settings.
#[utoipa::path(get, path = "/settings", operation_id = "get_settings", tag = "settings", responses((status = 200, body = SettingsOut)))]
pub(crate) async fn get(Reader(ctx): Reader) -> Result<Versioned<SettingsOut>, Problem> {
    let out = settings::get(&ctx).await?;
    Ok(Versioned(out.version, out))
}

/// Changes settings.
#[utoipa::path(patch, path = "/settings", operation_id = "patch_settings", tag = "settings", request_body = SettingsPatch,
    responses((status = 200, body = SettingsOut)))]
pub(crate) async fn patch(
    Writer(ctx): Writer,
    IfMatch(version): IfMatch,
    Json(input): Json<SettingsPatch>,
) -> Result<Versioned<SettingsOut>, Problem> {
    let out = settings::update(&ctx, input, version).await?;
    Ok(Versioned(out.version, out))
}
