//! The status that a person has set for an asset is kept apart from the one that was seen.

use sea_orm_migration::prelude::*;

use super::build::Build;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0014_asset_status"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut set = Build::on(manager).text_null("status_set");
        manager.alter_table(Table::alter().table("assets").add_column(&mut set).to_owned()).await?;
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
    // A scan has only ever written `up`. It also wrote it over an `up` or a `down` that a person had set, so an `up` is a person's only
    // where nothing has been seen.
    r#"UPDATE assets SET status_set = status WHERE status IN ('degraded', 'down', 'maintenance')
        OR (status = 'up' AND last_seen_at IS NULL AND CAST(typed_fields AS text) LIKE '%"status"%')"#,
    "UPDATE assets SET status = CASE WHEN last_seen_at IS NULL THEN 'unknown' ELSE 'up' END WHERE status_set IS NOT NULL",
    "DROP INDEX assets_status",
    // Lists filter and sort by the status that is shown (`entities::asset`).
    "CREATE INDEX assets_shown_status ON assets (COALESCE(status_set, status), id)",
];

const DOWN: &[&str] = &[
    "UPDATE assets SET status = status_set WHERE status_set IS NOT NULL",
    "DROP INDEX assets_shown_status",
    "CREATE INDEX assets_status ON assets (status, id)",
    "ALTER TABLE assets DROP COLUMN status_set",
];
