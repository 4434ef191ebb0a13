//! The last step of review of each finding, so that it can be taken back; and of each address how it was seen, and when a scan last
//! had no answer from it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{json_null, timestamp_with_time_zone_null, uuid_null};

use super::build::Build;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0017_review_and_sight"
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
        for (table, column) in [
            ("findings", uuid_null("review_id")),
            ("findings", json_null("review")),
            ("findings", timestamp_with_time_zone_null("missed_at")),
            ("addresses", build.text_null("seen_by")),
            ("addresses", timestamp_with_time_zone_null("missed_at")),
            ("assets", timestamp_with_time_zone_null("status_since")),
        ] {
            manager.alter_table(Table::alter().table(table).add_column(column).to_owned()).await?;
        }
        for sql in UP {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for sql in DOWN {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }
}

const UP: &[&str] = &[
    "CREATE INDEX findings_review ON findings (review_id)",
    "CREATE INDEX addresses_key ON addresses (ip_key)",
];

const DOWN: &[&str] = &[
    "DROP INDEX addresses_key",
    "DROP INDEX findings_review",
    "UPDATE assets SET status = 'unknown' WHERE status = 'not_seen'",
    "UPDATE assets SET status_set = 'unknown' WHERE status_set = 'not_seen'",
    "ALTER TABLE assets DROP COLUMN status_since",
    "ALTER TABLE addresses DROP COLUMN missed_at",
    "ALTER TABLE addresses DROP COLUMN seen_by",
    "ALTER TABLE findings DROP COLUMN missed_at",
    "ALTER TABLE findings DROP COLUMN review",
    "ALTER TABLE findings DROP COLUMN review_id",
];
