//! Passkeys, and what a browser brings back once.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    integer, json, pk_uuid, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
};

use super::build::{Build, Columns as _, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0003_passkeys"
    }
}

/// In the order in which they can be created; dropped in reverse.
const TABLES: &[&str] = &["passkeys", "spent_tickets"];

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let build = Build::on(manager);
        // How many a user has, beside what else tells which second factors are asked for.
        let count = integer("passkeys").default(0).to_owned();
        manager.alter_table(Table::alter().table("users").add_column(count).to_owned()).await?;
        for table in build.passkeys() {
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
        manager.alter_table(Table::alter().table("users").drop_column("passkeys").to_owned()).await
    }
}

impl Build {
    fn passkeys(&self) -> Vec<TableCreateStatement> {
        vec![
            table("passkeys")
                .col(pk_uuid("id"))
                .col(uuid("user_id"))
                .col(self.text("name"))
                // Each is bound to the name under which it was made (WebAuthn Level 3, 4: RP ID).
                .col(self.text("rp_id"))
                .col(self.text("credential_id").unique_key())
                .col(json("credential"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .belongs("user_id", "users", ForeignKeyAction::Cascade),
            table("spent_tickets")
                .col(self.text("hash").primary_key())
                .col(timestamp_with_time_zone("expires_at"))
                .to_owned(),
        ]
    }
}

const INDEXES: &[&str] = &[
    "CREATE INDEX passkeys_user ON passkeys (user_id)",
    "CREATE INDEX spent_tickets_expiry ON spent_tickets (expires_at)",
];
