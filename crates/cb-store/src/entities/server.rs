//! `servers`: who works on this database now. A row whose `seen_at` is old belongs to a server that was killed.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "servers")]
pub struct Model {
    /// Of the data folder: the same after a restart.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// Of the process.
    pub run: String,
    pub role: String,
    /// Of the program.
    pub version: String,
    /// The newest migration that the program knows.
    pub schema: String,
    /// What its machine is called.
    pub host: String,
    pub started_at: DateTimeUtc,
    /// By the database's clock on PostgreSQL.
    pub seen_at: DateTimeUtc,
    /// The memory that it uses, when it was seen.
    pub memory_bytes: Option<i64>,
    /// Of a worker: where its network is. None for the main site.
    pub site: Option<String>,
    /// Of a worker: what it sees of its network, when it was seen.
    pub sight: Option<Json>,
    /// What it tells the others of itself, when it was seen. A server of a version before leaves what an earlier run has told.
    pub told: Option<Json>,
    /// When another process with this ID last met this row.
    pub twin_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
