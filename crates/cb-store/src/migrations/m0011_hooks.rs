//! What other systems tell us: hooks, and the newest messages of each.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, pk_uuid, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
};

use super::build::{Build, Columns as _, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0011_hooks"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in Build::on(manager).hooks() {
            manager.create_table(table).await?;
        }
        manager.get_connection().execute_unprepared(ONCE).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["hook_events", "hooks"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

/// A message is taken once, whoever sends it again.
const ONCE: &str = "CREATE UNIQUE INDEX hook_events_once ON hook_events (hook_id, message_id)";

impl Build {
    fn hooks(&self) -> Vec<TableCreateStatement> {
        vec![
            table("hooks")
                .col(pk_uuid("id"))
                .col(self.text("name"))
                .col(self.text("name_key").unique_key())
                .col(self.text("format"))
                // Sealed, of those whose messages are signed. The previous one is taken until it is over.
                .col(self.text_null("secret"))
                .col(self.text_null("previous_secret"))
                // SHA-256, of those that show a token.
                .col(self.text_null("token_hash"))
                .col(self.text_null("previous_token_hash"))
                .col(timestamp_with_time_zone_null("previous_until"))
                .col(timestamp_with_time_zone("secret_changed_at"))
                .col(boolean("enabled"))
                .col(big_integer("received").default(0))
                .col(timestamp_with_time_zone_null("last_received_at"))
                .col(big_integer("refused").default(0))
                .col(timestamp_with_time_zone_null("last_refused_at"))
                .col(self.text_null("last_refused_reason"))
                .col(big_integer("version"))
                .check(Expr::cust("(secret IS NULL) <> (token_hash IS NULL)"))
                .check(Expr::cust("previous_secret IS NULL OR secret IS NOT NULL"))
                .check(Expr::cust("previous_token_hash IS NULL OR token_hash IS NOT NULL"))
                .check(Expr::cust(
                    "(previous_until IS NULL) = (previous_secret IS NULL AND previous_token_hash IS NULL)",
                ))
                .stamps(),
            table("hook_events")
                .col(pk_uuid("id"))
                .col(uuid("hook_id"))
                // The sender's id of it, or a hash of what was said where it gives none.
                .col(self.text("message_id"))
                // When the sender has sent it last, by its own clock.
                .col(timestamp_with_time_zone("sent_at"))
                .col(timestamp_with_time_zone("at"))
                .col(self.text("address"))
                .col(self.text("severity"))
                .col(boolean("resolved"))
                .col(self.text("title"))
                .col(self.text("text"))
                .col(self.text_null("link"))
                .belongs("hook_id", "hooks", ForeignKeyAction::Cascade),
        ]
    }
}
