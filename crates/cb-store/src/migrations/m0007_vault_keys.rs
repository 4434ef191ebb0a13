//! The data keys of the vault, wrapped by the root key, and how often they change.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    integer_null, pk_uuid, timestamp_with_time_zone, timestamp_with_time_zone_null,
};

use super::build::{Build, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0007_vault_keys"
    }
}

const DAYS: &str = "vault_key_rotation_days";
const ROTATED: &str = "vault_key_rotated_at";

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let build = Build::on(manager);
        let mut days = integer_null(DAYS);
        days.default(90).check(Expr::cust("vault_key_rotation_days BETWEEN 1 AND 3650"));
        // One column at a time: SQLite knows no more.
        for column in [days, timestamp_with_time_zone_null(ROTATED)] {
            manager.alter_table(Table::alter().table("settings").add_column(column).to_owned()).await?;
        }
        manager
            .create_table(
                table("vault_keys")
                    .col(pk_uuid("id"))
                    .col(build.text("wrapped"))
                    .col(build.text("root_fingerprint"))
                    .col(timestamp_with_time_zone("created_at"))
                    .col(timestamp_with_time_zone_null("retired_at"))
                    .to_owned(),
            )
            .await?;
        // One key seals; the others only open. Both databases compare an expression's value.
        let one = "CREATE UNIQUE INDEX vault_keys_current ON vault_keys ((retired_at IS NULL)) WHERE retired_at IS NULL";
        manager.get_connection().execute_unprepared(one).await?;
        Ok(())
    }

    // What the data keys have sealed cannot be opened without them: only an empty vault goes back.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table("vault_keys").to_owned()).await?;
        for name in [ROTATED, DAYS] {
            manager.alter_table(Table::alter().table("settings").drop_column(name).to_owned()).await?;
        }
        Ok(())
    }
}
