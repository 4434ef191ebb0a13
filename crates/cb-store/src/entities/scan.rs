//! `scans`: a discovery run.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "scans")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub job_id: Uuid,
    pub targets: Json,
    pub probes: Json,
    pub status: String,
    pub phase: Option<String>,
    pub addresses_total: i64,
    pub addresses_done: i64,
    pub hosts_found: i64,
    pub findings_new: i64,
    pub assets_seen: i64,
    pub limitations: Json,
    pub error: Option<String>,
    pub requested_by: String,
    pub cancel_requested: bool,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
    /// Whose workers do it. None for the main site.
    pub site: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
