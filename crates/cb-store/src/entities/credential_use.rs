//! `credential_uses`: the newest uses of each credential.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "credential_uses")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub credential_id: Uuid,
    pub at: DateTimeUtc,
    pub user_kind: String,
    pub user_id: Option<Uuid>,
    pub user_name: String,
    pub host: String,
    pub port: Option<i32>,
    pub purpose: String,
    pub ok: Option<bool>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
