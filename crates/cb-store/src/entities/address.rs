//! `addresses`: An IP address of an asset. `ip_key` sorts as the address does.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "addresses")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub asset_id: Uuid,
    pub interface_id: Option<Uuid>,
    pub network_id: Option<Uuid>,
    pub ip: String,
    pub ip_key: String,
    pub hostname: Option<String>,
    pub source: String,
    pub last_seen_at: Option<DateTimeUtc>,
    /// What answered when it was seen last: the words of `cb_collect::signs`, with spaces between.
    pub seen_by: Option<String>,
    /// A scan that would have seen it had no answer. Nothing, once it is seen again.
    pub missed_at: Option<DateTimeUtc>,
    pub version: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(belongs_to = "super::asset::Entity", from = "Column::AssetId", to = "super::asset::Column::Id")]
    Asset,
}

impl Related<super::asset::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Asset.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
