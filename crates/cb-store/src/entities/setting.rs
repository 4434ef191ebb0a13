//! `settings`: the one row of settings.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "settings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i32,
    pub auth_enabled: bool,
    pub instance_name: String,
    /// None: for ever.
    pub audit_retention_days: Option<i32>,
    /// None: never.
    pub vault_key_rotation_days: Option<i32>,
    pub vault_key_rotated_at: Option<DateTimeUtc>,
    /// When the schedule was looked at last; what came of it: `rotated`, `not_due` or `failed`; and why.
    pub vault_looked_at: Option<DateTimeUtc>,
    pub vault_look_result: Option<String>,
    pub vault_look_error: Option<String>,
    /// Since when the last rotation is known to lie in the future, as after a clock that was set back.
    pub vault_future_since: Option<DateTimeUtc>,
    pub version: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
