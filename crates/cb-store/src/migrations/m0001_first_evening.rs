//! The first schema: accounts, the audit log, the inventory, discovery, the map's places.

use sea_orm::DbBackend;
use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::{
    big_integer, boolean, double, integer, integer_null, json, pk_uuid, timestamp_with_time_zone,
    timestamp_with_time_zone_null, uuid, uuid_null,
};

use super::build::{Build, Columns as _, table};

pub struct Migration;

impl MigrationName for Migration {
    // Spelled out: a file that is moved must not become a new migration.
    fn name(&self) -> &'static str {
        "m0001_first_evening"
    }
}

/// In the order in which they can be created; dropped in reverse.
pub(super) const TABLES: &[&str] = &[
    "settings",
    "users",
    "sessions",
    "audit_head",
    "audit_log",
    "networks",
    "assets",
    "interfaces",
    "addresses",
    "services",
    "identities",
    "links",
    "tags",
    "asset_tags",
    "positions",
    "jobs",
    "scans",
    "findings",
    "finding_keys",
];

#[expect(
    elided_lifetimes_in_paths,
    reason = "async_trait counts the written lifetimes, and the trait has none"
)]
#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let build = Build::on(manager);
        for table in build.tables() {
            manager.create_table(table).await?;
        }
        let db = manager.get_connection();
        for sql in INDEXES.iter().chain(SEEDS) {
            db.execute_unprepared(sql).await?;
        }
        for sql in if build.postgres { POSTGRES_GUARDS } else { SQLITE_GUARDS } {
            db.execute_unprepared(sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES.iter().rev() {
            manager.drop_table(Table::drop().table(*table).to_owned()).await?;
        }
        if manager.get_database_backend() == DbBackend::Postgres {
            for function in ["audit_log_is_append_only", "setup_is_one_way"] {
                manager.get_connection().execute_unprepared(&format!("DROP FUNCTION {function}()")).await?;
            }
        }
        Ok(())
    }
}

impl Build {
    fn tables(&self) -> Vec<TableCreateStatement> {
        [self.accounts(), self.audit(), self.inventory(), self.labels(), self.discovery()].concat()
    }

    fn accounts(&self) -> Vec<TableCreateStatement> {
        vec![
            table("settings")
                .col(integer("id").primary_key().check(Expr::col("id").eq(1)))
                .col(boolean("auth_enabled"))
                .col(self.text("instance_name"))
                .col(big_integer("version"))
                .stamps(),
            table("users")
                .col(pk_uuid("id"))
                .col(self.text("username"))
                .col(self.text("username_key").unique_key())
                .col(self.text_null("email"))
                .col(self.text("password_hash"))
                .col(self.text("role").check(Expr::cust("role IN ('viewer', 'editor', 'admin')")))
                .col(big_integer("auth_epoch"))
                .col(timestamp_with_time_zone_null("disabled_at"))
                .col(timestamp_with_time_zone_null("last_login_at"))
                .stamps(),
            table("sessions")
                .col(pk_uuid("id"))
                .col(uuid("user_id"))
                .col(self.text("token_hash").unique_key())
                .col(big_integer("auth_epoch"))
                .col(self.text("ip"))
                .col(self.text("user_agent"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("last_seen_at"))
                .col(timestamp_with_time_zone("expires_at"))
                .belongs("user_id", "users", ForeignKeyAction::Cascade),
        ]
    }

    fn audit(&self) -> Vec<TableCreateStatement> {
        vec![
            table("audit_head")
                .col(integer("id").primary_key().check(Expr::col("id").eq(1)))
                .col(big_integer("seq"))
                .col(self.text("hash"))
                .to_owned(),
            table("audit_log")
                .col(big_integer("seq").primary_key())
                .col(self.text("at"))
                .col(self.text("actor_kind"))
                .col(self.text_null("actor_id"))
                .col(self.text("actor_name"))
                .col(self.text("action"))
                .col(self.text_null("entity_kind"))
                .col(self.text_null("entity_id"))
                .col(self.text("detail"))
                .col(self.text_null("request_id"))
                .col(self.text("prev_hash"))
                .col(self.text("hash"))
                .to_owned(),
        ]
    }

    fn inventory(&self) -> Vec<TableCreateStatement> {
        vec![
            table("networks")
                .col(pk_uuid("id"))
                .col(self.text("name"))
                .col(self.text("cidr"))
                .col(self.text("cidr_key"))
                .col(integer_null("vlan"))
                .col(self.text_null("gateway"))
                .col(self.text("notes"))
                .col(self.text("source"))
                .col(big_integer("version"))
                .stamps(),
            table("assets")
                .col(pk_uuid("id"))
                .col(self.text("name"))
                .col(self.text("name_key"))
                .col(self.text("kind"))
                .col(self.text_null("role"))
                .col(self.text_null("vendor"))
                .col(self.text_null("model"))
                .col(self.text_null("os"))
                .col(self.text("notes"))
                .col(self.text("status"))
                .col(self.text("source"))
                .col(json("typed_fields"))
                .col(timestamp_with_time_zone_null("first_seen_at"))
                .col(timestamp_with_time_zone_null("last_seen_at"))
                .col(big_integer("version"))
                .stamps(),
            table("interfaces")
                .col(pk_uuid("id"))
                .col(uuid("asset_id"))
                .col(self.text("name"))
                .col(self.text_null("mac"))
                .col(self.text_null("vendor"))
                .col(big_integer("version"))
                .stamps()
                .belongs("asset_id", "assets", ForeignKeyAction::Cascade),
            table("addresses")
                .col(pk_uuid("id"))
                .col(uuid("asset_id"))
                .col(uuid_null("interface_id"))
                .col(uuid_null("network_id"))
                .col(self.text("ip"))
                .col(self.text("ip_key"))
                .col(self.text_null("hostname"))
                .col(self.text("source"))
                .col(timestamp_with_time_zone_null("last_seen_at"))
                .col(big_integer("version"))
                .stamps()
                .belongs("asset_id", "assets", ForeignKeyAction::Cascade)
                .belongs("interface_id", "interfaces", ForeignKeyAction::SetNull)
                .belongs("network_id", "networks", ForeignKeyAction::SetNull),
            table("services")
                .col(pk_uuid("id"))
                .col(uuid("asset_id"))
                .col(uuid("address_id"))
                .col(self.text("protocol"))
                .col(integer("port").check(Expr::cust("port BETWEEN 0 AND 65535")))
                .col(self.text("name"))
                .col(self.text_null("product"))
                .col(self.text_null("version_text"))
                .col(integer("confidence"))
                .col(timestamp_with_time_zone_null("last_seen_at"))
                .belongs("asset_id", "assets", ForeignKeyAction::Cascade)
                .belongs("address_id", "addresses", ForeignKeyAction::Cascade),
            table("identities")
                .col(uuid("asset_id"))
                .col(self.text("kind"))
                .col(self.text("value"))
                .col(timestamp_with_time_zone("last_seen_at"))
                .primary_key(Index::create().col("asset_id").col("kind").col("value"))
                .belongs("asset_id", "assets", ForeignKeyAction::Cascade),
            table("links")
                .col(pk_uuid("id"))
                .col(uuid("a_asset_id"))
                .col(uuid("b_asset_id"))
                .col(self.text("kind"))
                .col(self.text("evidence"))
                .col(self.text_null("label"))
                .col(big_integer("version"))
                .stamps()
                .belongs("a_asset_id", "assets", ForeignKeyAction::Cascade)
                .belongs("b_asset_id", "assets", ForeignKeyAction::Cascade),
        ]
    }

    fn labels(&self) -> Vec<TableCreateStatement> {
        vec![
            table("tags")
                .col(pk_uuid("id"))
                .col(self.text("name"))
                .col(self.text("name_key").unique_key())
                .col(self.text("color"))
                .col(big_integer("version"))
                .stamps(),
            table("asset_tags")
                .col(uuid("asset_id"))
                .col(uuid("tag_id"))
                .primary_key(Index::create().col("asset_id").col("tag_id"))
                .belongs("asset_id", "assets", ForeignKeyAction::Cascade)
                .belongs("tag_id", "tags", ForeignKeyAction::Cascade),
            table("positions")
                .col(pk_uuid("asset_id"))
                .col(double("x"))
                .col(double("y"))
                .col(timestamp_with_time_zone("updated_at"))
                .belongs("asset_id", "assets", ForeignKeyAction::Cascade),
        ]
    }

    fn discovery(&self) -> Vec<TableCreateStatement> {
        vec![
            table("jobs")
                .col(pk_uuid("id"))
                .col(self.text("kind"))
                .col(self.text_null("dedup_key"))
                .col(json("payload"))
                .col(self.text("state").check(Expr::cust("state IN ('queued', 'running', 'done', 'failed')")))
                .col(integer("attempts"))
                .col(self.text_null("lease_owner"))
                .col(timestamp_with_time_zone_null("lease_until"))
                .col(self.text_null("last_error"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone_null("finished_at"))
                .to_owned(),
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
                .belongs("job_id", "jobs", ForeignKeyAction::Cascade),
            table("findings")
                .col(pk_uuid("id"))
                .col(uuid_null("scan_id"))
                .col(self.text("kind"))
                .col(self.text("state"))
                .col(self.text("title"))
                .col(uuid_null("asset_id"))
                .col(json("proposal"))
                .col(json("evidence"))
                .col(json("identities"))
                .col(integer("confidence"))
                .col(timestamp_with_time_zone("created_at"))
                .col(timestamp_with_time_zone("last_seen_at"))
                .col(timestamp_with_time_zone_null("resolved_at"))
                .col(self.text_null("resolved_by"))
                .col(big_integer("version"))
                .belongs("scan_id", "scans", ForeignKeyAction::SetNull)
                .belongs("asset_id", "assets", ForeignKeyAction::Cascade),
            table("finding_keys")
                .col(uuid("finding_id"))
                .col(self.text("kind"))
                .col(self.text("value"))
                .primary_key(Index::create().col("finding_id").col("kind").col("value"))
                .belongs("finding_id", "findings", ForeignKeyAction::Cascade),
        ]
    }
}

/// Every foreign key has its index; the rest serve the lists and the matching of observations.
const INDEXES: &[&str] = &[
    "CREATE INDEX sessions_user ON sessions (user_id)",
    "CREATE INDEX sessions_expiry ON sessions (expires_at)",
    "CREATE INDEX audit_log_action ON audit_log (action, seq)",
    "CREATE INDEX audit_log_entity ON audit_log (entity_id, seq)",
    "CREATE UNIQUE INDEX networks_cidr ON networks (cidr, COALESCE(vlan, 0))",
    "CREATE INDEX networks_order ON networks (cidr_key, id)",
    "CREATE INDEX assets_name ON assets (name_key, id)",
    "CREATE INDEX assets_kind ON assets (kind, id)",
    "CREATE INDEX assets_status ON assets (status, id)",
    "CREATE INDEX assets_seen ON assets (last_seen_at, id)",
    "CREATE INDEX assets_vendor ON assets (vendor, id)",
    "CREATE INDEX interfaces_asset ON interfaces (asset_id)",
    "CREATE INDEX interfaces_mac ON interfaces (mac)",
    "CREATE UNIQUE INDEX addresses_once ON addresses (asset_id, ip)",
    "CREATE INDEX addresses_ip ON addresses (ip)",
    "CREATE INDEX addresses_order ON addresses (ip_key, id)",
    "CREATE INDEX addresses_interface ON addresses (interface_id)",
    "CREATE INDEX addresses_network ON addresses (network_id)",
    "CREATE UNIQUE INDEX services_once ON services (address_id, protocol, port)",
    "CREATE INDEX services_asset ON services (asset_id)",
    "CREATE INDEX identities_value ON identities (kind, value)",
    "CREATE UNIQUE INDEX links_once ON links (a_asset_id, b_asset_id, kind)",
    "CREATE INDEX links_b ON links (b_asset_id)",
    "CREATE INDEX asset_tags_tag ON asset_tags (tag_id)",
    "CREATE UNIQUE INDEX jobs_once ON jobs (dedup_key) WHERE state IN ('queued', 'running')",
    "CREATE INDEX jobs_claim ON jobs (state, created_at)",
    "CREATE INDEX scans_job ON scans (job_id)",
    "CREATE INDEX scans_order ON scans (created_at, id)",
    "CREATE INDEX findings_state ON findings (state, created_at, id)",
    "CREATE INDEX findings_scan ON findings (scan_id)",
    "CREATE INDEX findings_asset ON findings (asset_id)",
    "CREATE INDEX finding_keys_value ON finding_keys (kind, value)",
];

const SEEDS: &[&str] = &[
    "INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '0000000000000000000000000000000000000000000000000000000000000000')",
    "INSERT INTO settings (id, auth_enabled, instance_name, version, created_at, updated_at) VALUES (1, FALSE, 'Circuit Breaker', 1, '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00')",
];

/// What no statement may do, whoever sends it.
const SQLITE_GUARDS: &[&str] = &[
    "CREATE TRIGGER audit_log_no_update BEFORE UPDATE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER audit_log_no_delete BEFORE DELETE ON audit_log BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER audit_head_no_delete BEFORE DELETE ON audit_head BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END",
    "CREATE TRIGGER settings_one_way BEFORE UPDATE ON settings WHEN OLD.auth_enabled AND NOT NEW.auth_enabled BEGIN SELECT RAISE(ABORT, 'setup cannot be undone'); END",
    "CREATE TRIGGER settings_no_delete BEFORE DELETE ON settings BEGIN SELECT RAISE(ABORT, 'setup cannot be undone'); END",
];

const POSTGRES_GUARDS: &[&str] = &[
    "CREATE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
    "CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()",
    "CREATE TRIGGER audit_head_no_delete BEFORE DELETE OR TRUNCATE ON audit_head FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()",
    "CREATE FUNCTION setup_is_one_way() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'setup cannot be undone'; END $$",
    "CREATE TRIGGER settings_one_way BEFORE UPDATE ON settings FOR EACH ROW WHEN (OLD.auth_enabled AND NOT NEW.auth_enabled) EXECUTE FUNCTION setup_is_one_way()",
    "CREATE TRIGGER settings_no_delete BEFORE DELETE OR TRUNCATE ON settings FOR EACH STATEMENT EXECUTE FUNCTION setup_is_one_way()",
];
