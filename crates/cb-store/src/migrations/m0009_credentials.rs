//! Credentials, what uses them, and the log of their uses.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean_null, integer_null, json, pk_uuid, timestamp_with_time_zone,
    timestamp_with_time_zone_null, uuid, uuid_null,
};

use super::build::{Build, Columns as _, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0009_credentials"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let build = Build::on(manager);
        for table in build.credentials() {
            manager.create_table(table).await?;
        }
        let sql = manager.get_connection();
        // A use's id is of its time; so this finds the newest of one credential, and the ones to forget.
        sql.execute_unprepared("CREATE INDEX credential_uses_of ON credential_uses (credential_id, id)")
            .await?;
        // Written out: SQLite takes a reference with a new column only in the column's own words.
        let uuid = if build.postgres { "uuid" } else { "uuid_text" };
        sql.execute_unprepared(&format!(
            "ALTER TABLE oidc_providers ADD COLUMN credential_id {uuid} NULL REFERENCES credentials (id) ON DELETE RESTRICT"
        ))
        .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let column = Table::alter().table("oidc_providers").drop_column("credential_id").to_owned();
        manager.alter_table(column).await?;
        for table in ["credential_uses", "credentials"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

impl Build {
    fn credentials(&self) -> Vec<TableCreateStatement> {
        vec![
            table("credentials")
                .col(pk_uuid("id"))
                .col(self.text("name"))
                .col(self.text("name_key").unique_key())
                .col(self.text("kind"))
                .col(json("public"))
                // Sealed.
                .col(self.text("secret"))
                .col(json("hosts"))
                .col(self.text_null("certificate_sha256"))
                .col(self.text_null("host_key_sha256"))
                .col(timestamp_with_time_zone("secret_changed_at"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .col(big_integer("version"))
                .stamps(),
            table("credential_uses")
                .col(pk_uuid("id"))
                .col(uuid("credential_id"))
                .col(timestamp_with_time_zone("at"))
                .col(self.text("user_kind"))
                .col(uuid_null("user_id"))
                .col(self.text("user_name"))
                .col(self.text("host"))
                .col(integer_null("port"))
                .col(self.text("purpose"))
                // Null until it is known.
                .col(boolean_null("ok"))
                .belongs("credential_id", "credentials", ForeignKeyAction::Cascade),
        ]
    }
}
