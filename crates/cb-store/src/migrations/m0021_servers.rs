//! Who works on this database; the secrets that all of them must share; and how far back a version still fits the schema.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer_null, integer, timestamp_with_time_zone, uuid};

use super::build::{Build, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0021_servers"
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
        let servers = table("servers")
            .col(build.text("id").primary_key())
            .col(build.text("run"))
            .col(build.text("role"))
            .col(build.text("version"))
            .col(build.text("schema"))
            .col(build.text("host"))
            .col(timestamp_with_time_zone("started_at"))
            .col(timestamp_with_time_zone("seen_at"))
            .col(big_integer_null("memory_bytes"))
            .to_owned();
        manager.create_table(servers).await?;
        let shared = table("shared_secrets")
            .col(uuid("id").primary_key())
            .col(build.text("name").unique_key())
            .col(build.text("fingerprint"))
            .col(build.text_null("sealed"))
            .col(timestamp_with_time_zone("since"))
            .to_owned();
        manager.create_table(shared).await?;
        let reach = table("schema_reach")
            .col(integer("id").primary_key())
            .col(build.text("newest"))
            .col(build.text("works_from"))
            .to_owned();
        manager.create_table(reach).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for name in ["schema_reach", "shared_secrets", "servers"] {
            manager.drop_table(Table::drop().table(name).to_owned()).await?;
        }
        Ok(())
    }
}
