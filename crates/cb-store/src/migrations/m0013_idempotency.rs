//! What was answered to a `POST` that may be sent again (`Idempotency-Key`).

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{integer_null, pk_uuid, timestamp_with_time_zone, uuid};

use super::build::{Build, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0013_idempotency"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(Build::on(manager).kept_answers()).await?;
        for index in INDEXES {
            manager.get_connection().execute_unprepared(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("kept_answers").to_owned()).await
    }
}

/// Of simultaneous requests with one key, one is carried out; and the oldest are found.
const INDEXES: [&str; 2] = [
    "CREATE UNIQUE INDEX kept_answers_once ON kept_answers (principal_id, key_hash)",
    "CREATE INDEX kept_answers_at ON kept_answers (created_at)",
];

impl Build {
    fn kept_answers(&self) -> TableCreateStatement {
        table("kept_answers")
            .col(pk_uuid("id"))
            // No reference: the operator is no row.
            .col(uuid("principal_id"))
            // SHA-256 of the key; what tells the request from others, by a key of the server's.
            .col(self.text("key_hash"))
            .col(self.text("fingerprint"))
            // None while the request is carried out, and for ever when nobody knows how that ended.
            .col(integer_null("status"))
            // None when it holds what is shown once only, or is too long.
            .col(self.text_null("body"))
            .col(self.text_null("etag"))
            .col(timestamp_with_time_zone("created_at"))
            .to_owned()
    }
}
