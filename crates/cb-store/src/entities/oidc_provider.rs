//! `oidc_providers`: where users may also sign in (OpenID Connect).

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "oidc_providers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub slug: String,
    pub name: String,
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<String>,
    /// Instead of a secret of its own.
    pub credential_id: Option<Uuid>,
    pub scopes: Json,
    pub groups_claim: String,
    pub role_groups: Json,
    pub default_role: Option<String>,
    pub create_users: bool,
    pub enabled: bool,
    pub certificate_sha256: Option<String>,
    pub version: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
