//! `findings`: a proposal made from observations, for a person to review.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "findings")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub scan_id: Option<Uuid>,
    pub kind: String,
    pub state: String,
    pub title: String,
    /// Sorts as people expect, as an asset's `name_key` does.
    pub title_key: String,
    /// The key of the first proposed address, which sorts as the address does.
    pub address_key: Option<String>,
    pub asset_id: Option<Uuid>,
    pub proposal: Json,
    pub evidence: Json,
    pub identities: Json,
    pub confidence: i32,
    pub created_at: DateTimeUtc,
    pub last_seen_at: DateTimeUtc,
    pub resolved_at: Option<DateTimeUtc>,
    pub resolved_by: Option<String>,
    /// The last step of review, which many findings may share.
    pub review_id: Option<Uuid>,
    /// What takes that step back: what was there before, or what was made.
    pub review: Option<Json>,
    /// A scan that would have seen it had no answer. Nothing, once it is seen again.
    pub missed_at: Option<DateTimeUtc>,
    pub version: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
