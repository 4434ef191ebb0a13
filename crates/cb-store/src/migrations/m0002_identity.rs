//! Identity: API tokens, second factors, half-finished steps, and the audit log's signed checkpoints.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, big_integer_null, integer, json, pk_uuid, timestamp_with_time_zone,
    timestamp_with_time_zone_null, uuid, uuid_null,
};

use super::build::{Build, Columns as _, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0002_identity"
    }
}

/// In the order in which they can be created; dropped in reverse.
const TABLES: &[&str] = &["tokens", "auth_steps", "recovery_codes", "audit_checkpoints"];

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let build = Build::on(manager);
        // One column at a time: SQLite knows no more.
        for (name, column) in build.columns() {
            manager.alter_table(Table::alter().table(name).add_column(column).to_owned()).await?;
        }
        for table in build.identity() {
            manager.create_table(table).await?;
        }
        let db = manager.get_connection();
        for sql in INDEXES.iter().chain(if build.postgres { POSTGRES_GUARDS } else { SQLITE_GUARDS }) {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drops = if Build::on(manager).postgres { POSTGRES_DROPS } else { SQLITE_DROPS };
        for sql in drops {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        for table in TABLES.iter().rev() {
            manager.drop_table(Table::drop().table(*table).to_owned()).await?;
        }
        for (table, column) in Build::on(manager).columns() {
            let column = column.get_column_name();
            manager.alter_table(Table::alter().table(table).drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

impl Build {
    fn columns(&self) -> Vec<(&'static str, ColumnDef)> {
        vec![
            // Sealed; the step is that of the last code taken, for each code counts once (RFC 6238, 5.2).
            ("users", self.text_null("totp_secret")),
            ("users", big_integer_null("totp_step")),
            ("users", timestamp_with_time_zone_null("totp_enabled_at")),
            ("users", timestamp_with_time_zone_null("password_changed_at")),
            // When the session's holder last showed a password or a second factor.
            ("sessions", timestamp_with_time_zone_null("proved_at")),
        ]
    }

    fn identity(&self) -> Vec<TableCreateStatement> {
        vec![
            table("tokens")
                .col(pk_uuid("id"))
                .col(uuid("user_id"))
                .col(self.text("name"))
                .col(self.text("token_hash").unique_key())
                .col(self.text("hint"))
                .col(json("scopes"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("expires_at"))
                .col(timestamp_with_time_zone_null("last_used_at"))
                .col(self.text_null("last_used_ip"))
                .belongs("user_id", "users", ForeignKeyAction::Cascade),
            table("auth_steps")
                .col(pk_uuid("id"))
                .col(self.text("purpose").check(Expr::cust("purpose IN ('mfa', 'reset', 'invite')")))
                .col(self.text("token_hash").unique_key())
                .col(uuid_null("user_id"))
                .col(big_integer_null("auth_epoch"))
                .col(json("payload"))
                .col(integer("attempts"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .belongs("user_id", "users", ForeignKeyAction::Cascade),
            table("recovery_codes")
                .col(pk_uuid("id"))
                .col(uuid("user_id"))
                .col(self.text("code_hash"))
                .col(timestamp_with_time_zone_null("used_at"))
                .belongs("user_id", "users", ForeignKeyAction::Cascade),
            table("audit_checkpoints")
                .col(big_integer("seq").primary_key())
                .col(self.text("at"))
                .col(self.text("hash"))
                .col(self.text("key_id"))
                .col(self.text("signature"))
                .to_owned(),
        ]
    }
}

const INDEXES: &[&str] = &[
    "CREATE INDEX tokens_user ON tokens (user_id)",
    "CREATE INDEX auth_steps_user ON auth_steps (user_id)",
    "CREATE INDEX auth_steps_expiry ON auth_steps (expires_at)",
    "CREATE UNIQUE INDEX recovery_codes_once ON recovery_codes (user_id, code_hash)",
];

/// What no statement may do, whoever sends it.
const SQLITE_GUARDS: &[&str] = &[
    "CREATE TRIGGER audit_checkpoints_no_update BEFORE UPDATE ON audit_checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END",
    "CREATE TRIGGER audit_checkpoints_no_delete BEFORE DELETE ON audit_checkpoints BEGIN SELECT RAISE(ABORT, 'checkpoints are append-only'); END",
    "CREATE TRIGGER users_last_admin_update BEFORE UPDATE ON users WHEN OLD.role = 'admin' AND OLD.disabled_at IS NULL AND (NEW.role <> 'admin' OR NEW.disabled_at IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM users WHERE id <> OLD.id AND role = 'admin' AND disabled_at IS NULL) BEGIN SELECT RAISE(ABORT, 'the last administrator'); END",
    "CREATE TRIGGER users_last_admin_delete BEFORE DELETE ON users WHEN OLD.role = 'admin' AND OLD.disabled_at IS NULL AND NOT EXISTS (SELECT 1 FROM users WHERE id <> OLD.id AND role = 'admin' AND disabled_at IS NULL) BEGIN SELECT RAISE(ABORT, 'the last administrator'); END",
];

const POSTGRES_GUARDS: &[&str] = &[
    "CREATE TRIGGER audit_checkpoints_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_checkpoints FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()",
    "CREATE FUNCTION an_administrator_remains() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF OLD.role = 'admin' AND OLD.disabled_at IS NULL
            AND (TG_OP = 'DELETE' OR NEW.role <> 'admin' OR NEW.disabled_at IS NOT NULL)
            AND NOT EXISTS (SELECT 1 FROM users WHERE id <> OLD.id AND role = 'admin' AND disabled_at IS NULL)
        THEN RAISE EXCEPTION 'the last administrator'; END IF;
        IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
        RETURN NEW; END $$",
    "CREATE TRIGGER users_last_admin BEFORE UPDATE OR DELETE ON users FOR EACH ROW EXECUTE FUNCTION an_administrator_remains()",
];

const SQLITE_DROPS: &[&str] =
    &["DROP TRIGGER users_last_admin_update", "DROP TRIGGER users_last_admin_delete"];

const POSTGRES_DROPS: &[&str] =
    &["DROP TRIGGER users_last_admin ON users", "DROP FUNCTION an_administrator_remains()"];
