//! Providers of OpenID Connect, and the identities that users have there.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, json, pk_uuid, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
};

use super::build::{Build, Columns as _, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0005_providers"
    }
}

/// In the order in which they can be created; dropped in reverse.
const TABLES: &[&str] = &["oidc_providers", "user_identities"];

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let build = Build::on(manager);
        for table in build.providers() {
            manager.create_table(table).await?;
        }
        for sql in INDEXES {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES.iter().rev() {
            manager.drop_table(Table::drop().table(*table).to_owned()).await?;
        }
        Ok(())
    }
}

impl Build {
    fn providers(&self) -> Vec<TableCreateStatement> {
        vec![
            table("oidc_providers")
                .col(pk_uuid("id"))
                .col(self.text("slug").unique_key())
                .col(self.text("name"))
                .col(self.text("issuer"))
                .col(self.text("client_id"))
                // Sealed.
                .col(self.text_null("client_secret"))
                .col(json("scopes"))
                .col(self.text("groups_claim"))
                .col(json("role_groups"))
                .col(
                    self.text_null("default_role")
                        .check(Expr::cust("default_role IN ('viewer', 'editor', 'admin')")),
                )
                .col(boolean("create_users"))
                .col(boolean("enabled"))
                .col(self.text_null("certificate_sha256"))
                .col(big_integer("version"))
                .stamps(),
            table("user_identities")
                .col(pk_uuid("id"))
                .col(uuid("user_id"))
                .col(uuid("provider_id"))
                .col(self.text("subject"))
                .col(self.text_null("email"))
                // The user was made by this provider, whose groups say what role they have.
                .col(boolean("grants_role"))
                .col(timestamp_with_time_zone("linked_at"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .belongs("user_id", "users", ForeignKeyAction::Cascade)
                .belongs("provider_id", "oidc_providers", ForeignKeyAction::Cascade),
        ]
    }
}

const INDEXES: &[&str] = &[
    "CREATE UNIQUE INDEX user_identities_subject ON user_identities (provider_id, subject)",
    "CREATE UNIQUE INDEX user_identities_once ON user_identities (user_id, provider_id)",
];
