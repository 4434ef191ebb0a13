//! The instance's settings. `auth_enabled` is shown and cannot be set: it says that setup is complete.

use cb_core::error::Violations;
use cb_core::{Error, Permission, Result};
use cb_store::db;
use cb_store::entities::setting;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{ActiveModelTrait as _, EntityTrait as _};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::ctx::Ctx;
use crate::input;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settings)]
pub struct SettingsOut {
    pub instance_name: String,
    pub auth_enabled: bool,
    pub version: i64,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsPatch {
    #[schema(example = "Attic lab")]
    pub instance_name: String,
}

impl From<setting::Model> for SettingsOut {
    fn from(row: setting::Model) -> Self {
        Self { instance_name: row.instance_name, auth_enabled: row.auth_enabled, version: row.version }
    }
}

pub async fn get(ctx: &Ctx) -> Result<SettingsOut> {
    let conn = ctx.read(Permission::SettingsRead)?;
    let row = setting::Entity::find_by_id(1).one(conn).await.map_err(db)?;
    Ok(row.ok_or(Error::NotFound)?.into())
}

pub async fn update(ctx: &Ctx, patch: SettingsPatch, version: Option<i64>) -> Result<SettingsOut> {
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "instance_name", &patch.instance_name, 64);
    wrong.into_result()?;
    let name = name.ok_or(Error::NotFound)?;
    ctx.write(Permission::SettingsWrite, "settings_updated", async |tx| {
        let row = setting::Entity::find_by_id(1).one(tx.conn()).await.map_err(db)?.ok_or(Error::NotFound)?;
        input::expect_version(row.version, version)?;
        tx.detail(json!({ "instance_name": { "from": row.instance_name, "to": name } }));
        let next = row.version + 1;
        let mut change: setting::ActiveModel = row.into();
        change.instance_name = Set(name);
        change.version = Set(next);
        change.updated_at = Set(ctx.now());
        Ok(change.update(tx.conn()).await.map_err(db)?.into())
    })
    .await
}
