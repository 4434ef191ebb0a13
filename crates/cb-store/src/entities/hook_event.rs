//! `hook_events`: the newest messages of each hook.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "hook_events")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub hook_id: Uuid,
    pub message_id: String,
    pub sent_at: DateTimeUtc,
    pub at: DateTimeUtc,
    pub address: String,
    pub severity: String,
    pub resolved: bool,
    pub title: String,
    pub text: String,
    pub link: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
