//! `jobs`: work that outlives a request, claimed by lease.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "jobs")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub kind: String,
    /// At most one job that waits or runs has it.
    pub dedup_key: Option<String>,
    pub payload: Json,
    pub state: String,
    /// Counted when it is claimed.
    pub attempts: i32,
    pub lease_owner: Option<String>,
    pub lease_until: Option<DateTimeUtc>,
    pub last_error: Option<String>,
    pub created_at: DateTimeUtc,
    /// When it became a dead letter.
    pub finished_at: Option<DateTimeUtc>,
    /// The higher, the sooner.
    pub priority: i32,
    pub not_before: DateTimeUtc,
    /// Grows with each claim.
    pub fence: i64,
    /// Whose workers do it. Empty: those of the main site. None: any worker.
    pub place: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
