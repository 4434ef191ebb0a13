//! When the vault's schedule was looked at last, and what came of it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::timestamp_with_time_zone_null;

use super::build::Build;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0008_vault_schedule"
    }
}

const LOOKED: &str = "vault_looked_at";
const RESULT: &str = "vault_look_result";
const ERROR: &str = "vault_look_error";
const FUTURE: &str = "vault_future_since";

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let build = Build::on(manager);
        let columns = [
            timestamp_with_time_zone_null(LOOKED),
            build.text_null(RESULT),
            build.text_null(ERROR),
            timestamp_with_time_zone_null(FUTURE),
        ];
        // One column at a time: SQLite knows no more.
        for column in columns {
            manager.alter_table(Table::alter().table("settings").add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in [FUTURE, ERROR, RESULT, LOOKED] {
            manager.alter_table(Table::alter().table("settings").drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}
