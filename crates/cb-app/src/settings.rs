//! The instance's settings. `auth_enabled` is shown and cannot be set: it says that setup is complete.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::{Error, Patch, Permission, Result};
use cb_store::db;
use cb_store::entities::setting;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{ActiveModelTrait as _, EntityTrait as _};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::ctx::Ctx;
use crate::input;

/// Days after which the vault's key can be rotated.
const ROTATION: std::ops::RangeInclusive<i32> = 1..=3650;

/// Days that the audit log can be kept.
const RETENTION: std::ops::RangeInclusive<i32> = 30..=3650;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Settings)]
pub struct SettingsOut {
    pub instance_name: String,
    /// How many days the server keeps an entry of the audit log; null for no limit.
    #[schema(required)]
    pub audit_retention_days: Option<i32>,
    /// The age in days at which the server rotates the vault key; null if rotation is not scheduled.
    #[schema(required)]
    pub vault_key_rotation_days: Option<i32>,
    /// When the vault key was last rotated; null if never.
    #[schema(required)]
    pub vault_key_rotated_at: Option<DateTime<Utc>>,
    pub auth_enabled: bool,
    pub version: i64,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SettingsPatch {
    #[schema(example = "Attic lab")]
    pub instance_name: Option<String>,
    /// 30 to 3650, or null for no limit. Requires a recent confirmation of the caller's identity, because it deletes
    /// entries. The server always keeps the newest 1,000 entries.
    #[serde(default)]
    #[schema(value_type = Option<i32>, minimum = 30, maximum = 3650)]
    pub audit_retention_days: Patch<i32>,
    /// 1 to 3650, or null to turn the schedule off. Requires a recent confirmation of the caller's identity.
    #[serde(default)]
    #[schema(value_type = Option<i32>, minimum = 1, maximum = 3650)]
    pub vault_key_rotation_days: Patch<i32>,
}

impl From<setting::Model> for SettingsOut {
    fn from(row: setting::Model) -> Self {
        Self {
            instance_name: row.instance_name,
            audit_retention_days: row.audit_retention_days,
            vault_key_rotation_days: row.vault_key_rotation_days,
            vault_key_rotated_at: row.vault_key_rotated_at,
            auth_enabled: row.auth_enabled,
            version: row.version,
        }
    }
}

pub async fn get(ctx: &Ctx) -> Result<SettingsOut> {
    let conn = ctx.read(Permission::SettingsRead)?;
    let row = setting::Entity::find_by_id(1).one(conn).await.map_err(db)?;
    Ok(row.ok_or(Error::NotFound)?.into())
}

pub async fn update(ctx: &Ctx, patch: SettingsPatch, version: Option<i64>) -> Result<SettingsOut> {
    let mut wrong = Violations::new();
    let nothing = patch.instance_name.is_none()
        && patch.audit_retention_days.is_keep()
        && patch.vault_key_rotation_days.is_keep();
    wrong.require(
        !nothing,
        "body",
        "Send at least one of instance_name, audit_retention_days, vault_key_rotation_days.",
    );
    let name =
        patch.instance_name.and_then(|name| input::line(&mut wrong, "instance_name", &name, input::TAG_MAX));
    let days = patch.audit_retention_days.change();
    wrong.require(
        days.flatten().is_none_or(|days| RETENTION.contains(&days)),
        "audit_retention_days",
        "Use a number from 30 to 3650, or null to keep everything.",
    );
    let rotation = patch.vault_key_rotation_days.change();
    wrong.require(
        rotation.flatten().is_none_or(|days| ROTATION.contains(&days)),
        "vault_key_rotation_days",
        "Use a number from 1 to 3650, or null to turn automatic rotation off.",
    );
    wrong.into_result()?;
    if days.is_some() || rotation.is_some() {
        ctx.require_proof()?;
    }
    ctx.write(Permission::SettingsWrite, Action::SettingsUpdated, async |tx| {
        let row = setting::Entity::find_by_id(1).one(tx.conn()).await.map_err(db)?.ok_or(Error::NotFound)?;
        input::expect_version(row.version, version)?;
        let mut changes = serde_json::Map::new();
        let next = row.version + 1;
        let mut change: setting::ActiveModel = row.clone().into();
        if let Some(name) = name {
            changes.insert("instance_name".to_owned(), json!({ "from": row.instance_name, "to": name }));
            change.instance_name = Set(name);
        }
        if let Some(days) = days {
            let told = json!({ "from": row.audit_retention_days, "to": days });
            changes.insert("audit_retention_days".to_owned(), told);
            change.audit_retention_days = Set(days);
        }
        if let Some(days) = rotation {
            let told = json!({ "from": row.vault_key_rotation_days, "to": days });
            changes.insert("vault_key_rotation_days".to_owned(), told);
            change.vault_key_rotation_days = Set(days);
        }
        tx.detail(changes.into());
        change.version = Set(next);
        change.updated_at = Set(ctx.now());
        Ok(change.update(tx.conn()).await.map_err(db)?.into())
    })
    .await
}
