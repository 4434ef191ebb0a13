//! `assets`: anything the user has.

use sea_orm::IntoSimpleExpr as _;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{Func, SimpleExpr};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "assets")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub name: String,
    /// Sorts and is searched as people expect: case-folded, numbers by value.
    pub name_key: String,
    pub kind: String,
    pub role: Option<String>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub os: Option<String>,
    pub notes: String,
    /// What a person says that its status is. No scan changes it.
    pub status_set: Option<String>,
    /// What was seen last; no person changes it.
    #[sea_orm(column_name = "status")]
    pub status_seen: String,
    /// Since when `status_seen` is so.
    pub status_since: Option<DateTimeUtc>,
    pub source: String,
    pub typed_fields: Json,
    pub first_seen_at: Option<DateTimeUtc>,
    pub last_seen_at: Option<DateTimeUtc>,
    pub version: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

impl Model {
    /// The status that is shown: a person knows better than a scan.
    pub fn status(&self) -> &str {
        self.status_set.as_deref().unwrap_or(&self.status_seen)
    }
}

impl Column {
    /// The same as [`Model::status`], for a query.
    pub fn shown_status() -> SimpleExpr {
        Func::coalesce([Column::StatusSet.into_simple_expr(), Column::StatusSeen.into_simple_expr()]).into()
    }

    /// The word that a list shows for what an asset is: its role, or its kind while it has none.
    pub fn shown_role() -> SimpleExpr {
        Func::coalesce([Column::Role.into_simple_expr(), Column::Kind.into_simple_expr()]).into()
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    #[sea_orm(has_many = "super::interface::Entity")]
    Interface,
    #[sea_orm(has_many = "super::address::Entity")]
    Address,
    #[sea_orm(has_many = "super::service::Entity")]
    Service,
}

impl Related<super::interface::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Interface.def()
    }
}

impl Related<super::address::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Address.def()
    }
}

impl Related<super::service::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Service.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
