//! `users`: a person who may sign in.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub username: String,
    /// Case-folded; what makes a name unique.
    pub username_key: String,
    pub email: Option<String>,
    pub password_hash: String,
    pub role: String,
    pub auth_epoch: i64,
    pub disabled_at: Option<DateTimeUtc>,
    pub last_login_at: Option<DateTimeUtc>,
    pub password_changed_at: Option<DateTimeUtc>,
    /// Sealed; set as soon as enrolment begins, in force from `totp_enabled_at` on.
    pub totp_secret: Option<String>,
    /// The time step of the last code that was taken.
    pub totp_step: Option<i64>,
    pub totp_enabled_at: Option<DateTimeUtc>,
    /// How many passkeys there are; whoever adds or removes one counts.
    pub passkeys: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
