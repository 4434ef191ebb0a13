//! Saved views: what a user wants a table to show, under a name.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, json, pk_uuid, uuid};

use super::build::{Build, Columns as _, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0018_views"
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
        let views = table("views")
            .col(pk_uuid("id"))
            .col(uuid("user_id"))
            .col(build.text("list"))
            .col(build.text("name"))
            .col(build.text("name_key"))
            .col(json("shows"))
            .col(big_integer("version"))
            .stamps()
            .belongs("user_id", "users", ForeignKeyAction::Cascade);
        manager.create_table(views).await?;
        manager
            .get_connection()
            .execute_unprepared("CREATE UNIQUE INDEX views_name ON views (user_id, list, name_key)")
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("views").to_owned()).await
    }
}
