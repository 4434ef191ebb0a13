//! `hooks`: where other systems tell us something.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "hooks")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    pub name_key: String,
    pub format: String,
    pub secret: Option<String>,
    pub previous_secret: Option<String>,
    pub token_hash: Option<String>,
    pub previous_token_hash: Option<String>,
    pub previous_until: Option<DateTimeUtc>,
    pub secret_changed_at: DateTimeUtc,
    pub enabled: bool,
    pub received: i64,
    pub last_received_at: Option<DateTimeUtc>,
    pub refused: i64,
    pub last_refused_at: Option<DateTimeUtc>,
    pub last_refused_reason: Option<String>,
    pub version: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
