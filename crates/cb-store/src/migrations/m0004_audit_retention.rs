//! How long the audit log is kept, and the anchor behind which it begins. Also what `INSERT OR REPLACE` went around: SQLite
//! removes the row that is in the way without asking the triggers on deletion.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{big_integer, integer, integer_null};

use super::build::{Build, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0004_audit_retention"
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
        let mut days = integer_null(DAYS);
        days.check(Expr::cust("audit_retention_days BETWEEN 30 AND 3650"));
        manager.alter_table(Table::alter().table("settings").add_column(days).to_owned()).await?;
        manager
            .create_table(
                table("audit_anchor")
                    .col(integer("id").primary_key().check(Expr::col("id").eq(1)))
                    .col(big_integer("seq"))
                    .col(build.text("hash"))
                    .col(build.text("at"))
                    .col(build.text("key_id"))
                    .col(build.text("signature"))
                    .to_owned(),
            )
            .await?;
        for sql in if build.postgres { POSTGRES_GUARDS } else { SQLITE_GUARDS } {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for sql in if Build::on(manager).postgres { POSTGRES_DROPS } else { SQLITE_DROPS } {
            manager.get_connection().execute_unprepared(sql).await?;
        }
        manager.drop_table(Table::drop().table("audit_anchor").to_owned()).await?;
        manager.alter_table(Table::alter().table("settings").drop_column(DAYS).to_owned()).await
    }
}

const DAYS: &str = "audit_retention_days";

/// What no statement may do, whoever sends it. An entry goes only when the anchor stands on it or behind it; the anchor
/// stands on an entry that was there, and never on one of the newest thousand.
const SQLITE_GUARDS: &[&str] = &[
    "DROP TRIGGER audit_log_no_delete",
    "CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log WHEN NOT EXISTS (SELECT 1 FROM audit_anchor WHERE OLD.seq <= seq) BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER audit_log_in_order BEFORE INSERT ON audit_log WHEN NEW.seq <= (SELECT MAX(seq) FROM audit_log) BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER audit_head_once BEFORE INSERT ON audit_head WHEN EXISTS (SELECT 1 FROM audit_head) BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    // Silent, for a checkpoint that is there already is no mistake.
    "CREATE TRIGGER audit_checkpoints_once BEFORE INSERT ON audit_checkpoints WHEN EXISTS (SELECT 1 FROM audit_checkpoints WHERE seq = NEW.seq) BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER settings_once BEFORE INSERT ON settings WHEN EXISTS (SELECT 1 FROM settings) BEGIN SELECT RAISE(ABORT, 'setup cannot be undone'); END",
    "CREATE TRIGGER audit_anchor_once BEFORE INSERT ON audit_anchor WHEN EXISTS (SELECT 1 FROM audit_anchor) BEGIN SELECT RAISE(ABORT, 'the anchor moves forward only'); END",
    "CREATE TRIGGER audit_anchor_forward BEFORE UPDATE ON audit_anchor WHEN NEW.seq <= OLD.seq BEGIN SELECT RAISE(ABORT, 'the anchor moves forward only'); END",
    "CREATE TRIGGER audit_anchor_first BEFORE INSERT ON audit_anchor WHEN NOT EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq AND hash = NEW.hash) OR NEW.seq > (SELECT seq FROM audit_head) - 1000 BEGIN SELECT RAISE(ABORT, 'the anchor stands on an old entry'); END",
    "CREATE TRIGGER audit_anchor_next BEFORE UPDATE ON audit_anchor WHEN NOT EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq AND hash = NEW.hash) OR NEW.seq > (SELECT seq FROM audit_head) - 1000 BEGIN SELECT RAISE(ABORT, 'the anchor stands on an old entry'); END",
    "CREATE TRIGGER audit_anchor_no_delete BEFORE DELETE ON audit_anchor BEGIN SELECT RAISE(ABORT, 'the anchor moves forward only'); END",
];

const SQLITE_DROPS: &[&str] = &[
    "DROP TRIGGER settings_once",
    "DROP TRIGGER audit_checkpoints_once",
    "DROP TRIGGER audit_head_once",
    "DROP TRIGGER audit_log_in_order",
    "DROP TRIGGER audit_log_no_delete",
    "CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
];

const POSTGRES_GUARDS: &[&str] = &[
    "DROP TRIGGER audit_log_no_change ON audit_log",
    "CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()",
    "CREATE FUNCTION audit_log_keeps_its_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'DELETE' THEN
            IF EXISTS (SELECT 1 FROM audit_anchor WHERE OLD.seq <= seq) THEN RETURN OLD; END IF;
        ELSIF NOT EXISTS (SELECT 1 FROM audit_log WHERE seq >= NEW.seq) THEN RETURN NEW; END IF;
        RAISE EXCEPTION 'the audit log is append-only'; END $$",
    "CREATE TRIGGER audit_log_in_order BEFORE INSERT OR DELETE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_keeps_its_order()",
    "CREATE FUNCTION audit_anchor_moves_forward() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP IN ('DELETE', 'TRUNCATE') THEN RAISE EXCEPTION 'the anchor moves forward only'; END IF;
        IF TG_OP = 'UPDATE' AND NEW.seq <= OLD.seq THEN RAISE EXCEPTION 'the anchor moves forward only'; END IF;
        IF NEW.seq > (SELECT seq FROM audit_head) - 1000
            OR NOT EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq AND hash = NEW.hash)
        THEN RAISE EXCEPTION 'the anchor stands on an old entry'; END IF;
        RETURN NEW; END $$",
    "CREATE TRIGGER audit_anchor_forward BEFORE INSERT OR UPDATE OR DELETE ON audit_anchor FOR EACH ROW EXECUTE FUNCTION audit_anchor_moves_forward()",
    "CREATE TRIGGER audit_anchor_no_truncate BEFORE TRUNCATE ON audit_anchor FOR EACH STATEMENT EXECUTE FUNCTION audit_anchor_moves_forward()",
];

const POSTGRES_DROPS: &[&str] = &[
    "DROP TRIGGER audit_anchor_no_truncate ON audit_anchor",
    "DROP TRIGGER audit_anchor_forward ON audit_anchor",
    "DROP FUNCTION audit_anchor_moves_forward()",
    "DROP TRIGGER audit_log_in_order ON audit_log",
    "DROP FUNCTION audit_log_keeps_its_order()",
    "DROP TRIGGER audit_log_no_change ON audit_log",
    "CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()",
];
