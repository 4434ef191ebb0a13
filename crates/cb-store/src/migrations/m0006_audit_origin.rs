//! The audit log says where a request came from and what its client called itself.

use sea_orm_migration::prelude::*;

use super::build::Build;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0006_audit_origin"
    }
}

const COLUMNS: [&str; 2] = ["address", "agent"];

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let build = Build::on(manager);
        // One column at a time: SQLite knows no more.
        for name in COLUMNS {
            let column = build.text_null(name);
            manager.alter_table(Table::alter().table("audit_log").add_column(column).to_owned()).await?;
        }
        Ok(())
    }

    // The chain covers them: entries that have one no longer verify without.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in COLUMNS {
            manager.alter_table(Table::alter().table("audit_log").drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}
