//! Jobs of any kind: priority, a time before which none begins, and a fencing token. A job that is done goes away, and its scan stays.
//!
//! A server of the version before may run beside this one. It reads and writes the same rows, so the columns and words of the first
//! schema stay: `queued` waits, `failed` is a dead letter, and `done` is only ever written by that version.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, json, pk_uuid, timestamp_with_time_zone, timestamp_with_time_zone_null, uuid,
};

use super::build::{Build, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0020_jobs"
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
        let db = manager.get_connection();
        // With defaults: the version before names none of them.
        for column in [
            ColumnDef::new("priority").integer().not_null().default(0).to_owned(),
            ColumnDef::new("not_before")
                .timestamp_with_time_zone()
                .not_null()
                .default("1970-01-01T00:00:00+00:00")
                .to_owned(),
            ColumnDef::new("fence").big_integer().not_null().default(0).to_owned(),
        ] {
            manager.alter_table(Table::alter().table("jobs").add_column(column).to_owned()).await?;
        }
        db.execute_unprepared("DROP INDEX jobs_claim").await?;
        for sql in INDEXES {
            db.execute_unprepared(sql).await?;
        }
        if build.postgres {
            for sql in POSTGRES {
                db.execute_unprepared(sql).await?;
            }
            return Ok(());
        }
        // SQLite cannot drop a reference. Its DROP TABLE removes the rows first, and the findings would forget their scan.
        for sql in BEFORE {
            db.execute_unprepared(sql).await?;
        }
        manager.create_table(build.scans()).await?;
        for sql in AFTER {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }

    // The reference from scans to jobs is not put back: jobs that are done have gone.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for sql in [
            "DROP INDEX jobs_waiting",
            "DROP INDEX jobs_oldest",
            "DROP INDEX jobs_due",
            "DROP INDEX jobs_running",
            "DROP INDEX jobs_dead",
            "CREATE INDEX jobs_claim ON jobs (state, created_at)",
        ] {
            db.execute_unprepared(sql).await?;
        }
        for column in ["priority", "not_before", "fence"] {
            manager.alter_table(Table::alter().table("jobs").drop_column(column).to_owned()).await?;
        }
        Ok(())
    }
}

const INDEXES: &[&str] = &[
    // The orders in which jobs are claimed. The time at the end spares a look at the row of each that may not begin yet.
    "CREATE INDEX jobs_waiting ON jobs (kind, priority DESC, id, not_before) WHERE state = 'queued'",
    "CREATE INDEX jobs_oldest ON jobs (kind, id, not_before) WHERE state = 'queued'",
    // The next that may begin.
    "CREATE INDEX jobs_due ON jobs (kind, not_before) WHERE state = 'queued'",
    // Without the lease: a renewal then changes no index.
    "CREATE INDEX jobs_running ON jobs (kind) WHERE state = 'running'",
    "CREATE INDEX jobs_dead ON jobs (finished_at, id) WHERE state = 'failed'",
];

const POSTGRES: &[&str] = &[
    // Not there after a step back, which does not put it back.
    "ALTER TABLE scans DROP CONSTRAINT IF EXISTS scans_job_id_fkey",
    // Each job leaves two dead rows. They are cleaned away by their number, not by their share of a table that is nearly empty. Room in
    // each page lets a renewal stay there.
    "ALTER TABLE jobs SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, \
     autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 5000, autovacuum_vacuum_cost_delay = 0)",
];

const BEFORE: &[&str] = &[
    "CREATE TABLE scans_found AS SELECT id, scan_id FROM findings WHERE scan_id IS NOT NULL",
    "CREATE TABLE scans_before AS SELECT * FROM scans",
    "DROP TABLE scans",
];

const AFTER: &[&str] = &[
    "INSERT INTO scans SELECT id, job_id, targets, probes, status, phase, addresses_total, addresses_done, hosts_found, findings_new, \
     assets_seen, limitations, error, requested_by, cancel_requested, created_at, started_at, finished_at FROM scans_before",
    "CREATE INDEX scans_job ON scans (job_id)",
    "CREATE INDEX scans_order ON scans (created_at, id)",
    "UPDATE findings SET scan_id = (SELECT f.scan_id FROM scans_found f WHERE f.id = findings.id) \
     WHERE id IN (SELECT id FROM scans_found)",
    "DROP TABLE scans_before",
    "DROP TABLE scans_found",
];

impl Build {
    /// As in the first schema, but for the reference to a job, which ends before its scan does.
    fn scans(&self) -> TableCreateStatement {
        table("scans")
            .col(pk_uuid("id"))
            .col(uuid("job_id"))
            .col(json("targets"))
            .col(json("probes"))
            .col(self.text("status"))
            .col(self.text_null("phase"))
            .col(big_integer("addresses_total"))
            .col(big_integer("addresses_done"))
            .col(big_integer("hosts_found"))
            .col(big_integer("findings_new"))
            .col(big_integer("assets_seen"))
            .col(json("limitations"))
            .col(self.text_null("error"))
            .col(self.text("requested_by"))
            .col(boolean("cancel_requested"))
            .col(timestamp_with_time_zone("created_at"))
            .col(timestamp_with_time_zone_null("started_at"))
            .col(timestamp_with_time_zone_null("finished_at"))
            .to_owned()
    }
}
