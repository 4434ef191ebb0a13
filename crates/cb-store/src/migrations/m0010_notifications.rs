//! Who is told what happens, what there is to tell, and what became of it.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, integer, json, pk_uuid, timestamp_with_time_zone, timestamp_with_time_zone_null,
    uuid, uuid_null,
};

use super::build::{Build, Columns as _, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0010_notifications"
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
        for table in build.notifications() {
            manager.create_table(table).await?;
        }
        for sql in INDEXES {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["deliveries", "notices", "channels", "webhooks"] {
            manager.drop_table(Table::drop().table(table).to_owned()).await?;
        }
        Ok(())
    }
}

const INDEXES: &[&str] = &[
    // What is forgotten, by its age.
    "CREATE INDEX notices_at ON notices (at)",
    // A notice goes to a subscriber once. Not partial: a notice that is removed finds its deliveries by it.
    "CREATE UNIQUE INDEX deliveries_to_webhook ON deliveries (notice_id, webhook_id)",
    "CREATE UNIQUE INDEX deliveries_to_channel ON deliveries (notice_id, channel_id)",
    // What one subscriber waits for, in the order in which it is due.
    "CREATE INDEX deliveries_due_webhook ON deliveries (webhook_id, next_at) WHERE state = 'waiting' AND webhook_id IS NOT NULL",
    "CREATE INDEX deliveries_due_channel ON deliveries (channel_id, next_at) WHERE state = 'waiting' AND channel_id IS NOT NULL",
    // The log of one subscriber; a delivery's id is of its time.
    "CREATE INDEX deliveries_of_webhook ON deliveries (webhook_id, id) WHERE webhook_id IS NOT NULL",
    "CREATE INDEX deliveries_of_channel ON deliveries (channel_id, id) WHERE channel_id IS NOT NULL",
];

/// What a subscriber has in common with every other.
trait Subscriber {
    fn subscriber(&mut self, build: &Build) -> TableCreateStatement;
}

impl Subscriber for TableCreateStatement {
    fn subscriber(&mut self, build: &Build) -> TableCreateStatement {
        self.col(build.text_null("certificate_sha256"))
            // Kinds of notices; empty: all.
            .col(json("events"))
            .col(boolean("enabled"))
            // Of the tries since the last that succeeded: when the first failed, and how many did.
            .col(timestamp_with_time_zone_null("failing_since"))
            .col(integer("failures").default(0))
            .col(timestamp_with_time_zone_null("disabled_at"))
            .col(build.text_null("disabled_reason"))
            .col(timestamp_with_time_zone_null("last_delivered_at"))
            .col(big_integer("version"))
            .check(Expr::cust("NOT enabled OR disabled_at IS NULL"))
            .check(Expr::cust("(disabled_at IS NULL) = (disabled_reason IS NULL)"))
            .stamps()
    }
}

impl Build {
    fn notifications(&self) -> Vec<TableCreateStatement> {
        vec![
            table("webhooks")
                .col(pk_uuid("id"))
                .col(self.text("name"))
                .col(self.text("name_key").unique_key())
                .col(self.text("url"))
                // Both sealed. The previous one signs along until it is over.
                .col(self.text("secret"))
                .col(self.text_null("previous_secret"))
                .col(timestamp_with_time_zone_null("previous_secret_until"))
                .col(timestamp_with_time_zone("secret_changed_at"))
                .check(Expr::cust("(previous_secret IS NULL) = (previous_secret_until IS NULL)"))
                .subscriber(self),
            table("channels")
                .col(pk_uuid("id"))
                .col(self.text("name"))
                .col(self.text("name_key").unique_key())
                .col(self.text("kind"))
                .col(json("public"))
                // Sealed.
                .col(self.text_null("secret"))
                .col(self.text("min_severity"))
                .subscriber(self),
            table("notices")
                .col(pk_uuid("id"))
                .col(self.text("kind"))
                .col(timestamp_with_time_zone("at"))
                .col(self.text("severity"))
                .col(self.text("title"))
                .col(self.text("text"))
                .col(self.text_null("path"))
                // JSON, and sent as it stands here.
                .col(self.text("data"))
                .take(),
            table("deliveries")
                .col(pk_uuid("id"))
                .col(uuid("notice_id"))
                .col(uuid_null("webhook_id"))
                .col(uuid_null("channel_id"))
                .col(self.text("state"))
                .col(integer("tries"))
                .col(timestamp_with_time_zone_null("next_at"))
                .col(self.text_null("lease_owner"))
                .col(timestamp_with_time_zone_null("lease_until"))
                // JSON: the newest tries.
                .col(self.text("attempts"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("finished_at"))
                .check(Expr::cust("(webhook_id IS NULL) <> (channel_id IS NULL)"))
                .check(Expr::cust("state IN ('waiting', 'delivered', 'dead', 'dropped')"))
                .check(Expr::cust("(state = 'waiting') = (next_at IS NOT NULL)"))
                .check(Expr::cust("(state = 'waiting') = (finished_at IS NULL)"))
                .check(Expr::cust("(lease_owner IS NULL) = (lease_until IS NULL)"))
                .belongs("notice_id", "notices", ForeignKeyAction::Cascade)
                .belongs("webhook_id", "webhooks", ForeignKeyAction::Cascade)
                .belongs("channel_id", "channels", ForeignKeyAction::Cascade),
        ]
    }
}
