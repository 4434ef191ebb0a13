//! Whether a service sent a page, and within TLS or not: the client links to it. The services that are there learn it from the next
//! scan, because their names do not say it.

use sea_orm_migration::prelude::*;

use super::build::Build;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0016_service_scheme"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut scheme = Build::on(manager).text_null("scheme");
        manager.alter_table(Table::alter().table("services").add_column(&mut scheme).to_owned()).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared("ALTER TABLE services DROP COLUMN scheme").await?;
        Ok(())
    }
}
