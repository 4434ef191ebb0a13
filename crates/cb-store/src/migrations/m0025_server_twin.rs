//! When another process with the same ID last met this row. The process that has the row cannot know of it.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0025_server_twin"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut met = ColumnDef::new("twin_at");
        met.timestamp_with_time_zone();
        manager.alter_table(Table::alter().table("servers").add_column(met).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("servers").drop_column("twin_at").to_owned()).await
    }
}
