//! `periodic_work`: one row for each kind of work that one server does for all of them. Nobody has claimed a row without `holder`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "periodic_work")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub name: String,
    /// Nobody begins before.
    pub next_at: DateTimeUtc,
    /// The run of a server that does it now.
    pub holder: Option<String>,
    /// After this time another server may take it over.
    pub held_until: Option<DateTimeUtc>,
    /// The last time that somebody began, and ended.
    pub started_at: Option<DateTimeUtc>,
    pub ended_at: Option<DateTimeUtc>,
    /// Why the last run failed.
    pub error: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
