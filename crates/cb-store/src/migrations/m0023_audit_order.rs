//! The guard of the audit log's order looks at the newest entry. Asked whether any entry is as new, PostgreSQL read them all, with every
//! write: it counts on finding one soon, and there never is one. SQLite's guard asks for the newest already.

use sea_orm_migration::prelude::*;

use super::build::Build;

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0023_audit_order"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, "(SELECT max(seq) FROM audit_log) >= NEW.seq").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, "EXISTS (SELECT 1 FROM audit_log WHERE seq >= NEW.seq)").await
    }
}

/// In an empty log nothing is newer.
async fn replace(manager: &SchemaManager<'_>, is_late: &str) -> Result<(), DbErr> {
    if !Build::on(manager).postgres {
        return Ok(());
    }
    let sql = format!(
        "CREATE OR REPLACE FUNCTION audit_log_keeps_its_order() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF TG_OP = 'DELETE' THEN
            IF EXISTS (SELECT 1 FROM audit_anchor WHERE OLD.seq <= seq) THEN RETURN OLD; END IF;
        ELSIF NOT coalesce({is_late}, false) THEN RETURN NEW; END IF;
        RAISE EXCEPTION 'the audit log is append-only'; END $$"
    );
    manager.get_connection().execute_unprepared(&sql).await.map(drop)
}
