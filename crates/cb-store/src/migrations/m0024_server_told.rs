//! What a server tells the others of itself with its sign of life. A worker opens no port, so the servers that answer requests show its
//! figures.

use sea_orm_migration::prelude::*;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0024_server_told"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut told = ColumnDef::new("told");
        told.json();
        manager.alter_table(Table::alter().table("servers").add_column(told).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.alter_table(Table::alter().table("servers").drop_column("told").to_owned()).await
    }
}
