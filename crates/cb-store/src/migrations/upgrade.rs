//! A database of an older version is brought to the newest, and nothing of it is lost.

use cb_core::audit::Action;
use std::collections::BTreeMap;

use cb_core::audit::{Entry, GENESIS};
use cb_core::clock::Time;
use cb_core::{Principal, Secret};
use cb_testkit::Database::{self, Postgres, Sqlite};
use chrono::{TimeZone as _, Utc};
use rstest::rstest;
use sea_orm::{
    ConnectionTrait as _, DatabaseConnection, DbBackend, EntityTrait as _, QueryOrder as _, Statement,
};
use sea_orm_migration::MigratorTrait as _;
use tempfile::TempDir;

use super::{Migrator, m0001_first_evening};
use crate::entities::{asset, credential, session, setting, user};
use crate::{Audit, Store};

/// A row of every table of the first schema. `u(1)` stands for an id, in each database's own form.
const ROWS: &[&str] = &[
    "UPDATE settings SET auth_enabled = TRUE, instance_name = 'Attic lab', version = 3",
    "INSERT INTO users (id, username, username_key, email, password_hash, role, auth_epoch, disabled_at, last_login_at, created_at, updated_at) VALUES
        (u(1), 'Maria', 'maria', 'maria@example.org', '$argon2id$one', 'admin', 4, NULL, '2026-01-02T08:00:00+00:00', '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00'),
        (u(2), 'grace', 'grace', NULL, '$argon2id$two', 'viewer', 0, '2026-01-03T08:00:00+00:00', NULL, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')",
    "INSERT INTO sessions (id, user_id, token_hash, auth_epoch, ip, user_agent, created_at, last_seen_at, expires_at) VALUES
        (u(3), u(1), 'ab12', 4, '192.0.2.1', 'a browser', '2026-01-02T08:00:00+00:00', '2026-01-02T08:00:00+00:00', '2026-02-01T08:00:00+00:00')",
    "INSERT INTO networks (id, name, cidr, cidr_key, vlan, gateway, notes, source, version, created_at, updated_at) VALUES
        (u(4), 'home', '192.0.2.0/24', 'k', 7, '192.0.2.1', 'ä', 'typed', 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')",
    "INSERT INTO assets (id, name, name_key, kind, role, vendor, model, os, notes, status, source, typed_fields, first_seen_at, last_seen_at, version, created_at, updated_at) VALUES
        (u(5), 'Küche', 'küche', 'device', NULL, 'Acme', NULL, NULL, 'two' || 'lines', 'up', 'scan', '[\"name\"]', '2026-01-01T12:00:00+00:00', NULL, 2, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00'),
        (u(6), 'nas', 'nas', 'storage', 'server', NULL, NULL, 'Linux', '', 'unknown', 'typed', '[]', NULL, NULL, 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')",
    "INSERT INTO interfaces (id, asset_id, name, mac, vendor, version, created_at, updated_at) VALUES
        (u(7), u(5), 'eth0', '00:11:32:aa:bb:cc', NULL, 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')",
    "INSERT INTO addresses (id, asset_id, interface_id, network_id, ip, ip_key, hostname, source, last_seen_at, version, created_at, updated_at) VALUES
        (u(8), u(5), u(7), u(4), '192.0.2.9', 'k', NULL, 'scan', NULL, 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')",
    "INSERT INTO services (id, asset_id, address_id, protocol, port, name, product, version_text, confidence, last_seen_at) VALUES
        (u(9), u(5), u(8), 'tcp', 22, 'ssh', NULL, NULL, 90, NULL)",
    "INSERT INTO identities (asset_id, kind, value, last_seen_at) VALUES (u(5), 'mac', '00:11:32:aa:bb:cc', '2026-01-01T12:00:00+00:00')",
    "INSERT INTO links (id, a_asset_id, b_asset_id, kind, evidence, label, version, created_at, updated_at) VALUES
        (u(10), u(5), u(6), 'ethernet', 'typed', NULL, 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')",
    "INSERT INTO tags (id, name, name_key, color, version, created_at, updated_at) VALUES
        (u(11), 'prod', 'prod', '#112233', 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')",
    "INSERT INTO asset_tags (asset_id, tag_id) VALUES (u(5), u(11))",
    "INSERT INTO positions (asset_id, x, y, updated_at) VALUES (u(5), 1.5, -2.25, '2026-01-01T12:00:00+00:00')",
    "INSERT INTO jobs (id, kind, dedup_key, payload, state, attempts, lease_owner, lease_until, last_error, created_at, finished_at) VALUES
        (u(12), 'scan', NULL, '{}', 'done', 1, NULL, NULL, NULL, '2026-01-01T12:00:00+00:00', NULL)",
    "INSERT INTO scans (id, job_id, targets, probes, status, phase, addresses_total, addresses_done, hosts_found, findings_new, assets_seen, limitations, error, requested_by, cancel_requested, created_at, started_at, finished_at) VALUES
        (u(13), u(12), '[\"192.0.2.0/24\"]', '[]', 'completed', NULL, 254, 254, 3, 1, 2, '[]', NULL, 'maria', FALSE, '2026-01-01T12:00:00+00:00', NULL, NULL)",
    "INSERT INTO findings (id, scan_id, kind, state, title, asset_id, proposal, evidence, identities, confidence, created_at, last_seen_at, resolved_at, resolved_by, version) VALUES
        (u(14), u(13), 'new_asset', 'open', 'a host', NULL, '{}', '[]', '[]', 60, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00', NULL, NULL, 1)",
    "INSERT INTO finding_keys (finding_id, kind, value) VALUES (u(14), 'mac', '00:11:32:aa:bb:cd')",
];

const ENTRIES: i64 = 5;

struct Old {
    db: DatabaseConnection,
    dir: TempDir,
    postgres: Option<cb_testkit::Postgres>,
}

impl Old {
    /// A database as the migrations up to the `schema`-th have left it, filled.
    async fn at(schema: u32, database: Database) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let postgres = (database == Postgres).then(cb_testkit::Postgres::start);
        let url = match &postgres {
            Some(postgres) => postgres.url().to_owned(),
            None => format!("sqlite://{}?mode=rwc", dir.path().join("circuit-breaker.db").display()),
        };
        let db = sea_orm::Database::connect(url).await.expect("connects");
        Migrator::up(&db, Some(schema)).await.expect("migrated");
        let old = Self { db, dir, postgres };
        for sql in ROWS {
            old.run(&old.with_ids(sql)).await;
        }
        old.write_entries().await;
        old
    }

    async fn run(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }

    fn with_ids(&self, sql: &str) -> String {
        (1..=14).rev().fold(sql.to_owned(), |sql, n| {
            let id = uuid::Uuid::from_u128(n);
            let literal =
                if self.postgres.is_some() { format!("'{id}'") } else { format!("X'{}'", id.simple()) };
            sql.replace(&format!("u({n})"), &literal)
        })
    }

    /// A chain of entries, as that version wrote them.
    async fn write_entries(&self) {
        let mut previous = GENESIS.to_owned();
        for seq in 1..=ENTRIES {
            let entry = Entry {
                action: "asset_created",
                actor_id: Some("00000000-0000-0000-0000-000000000001"),
                actor_kind: "user",
                actor_name: "Maria",
                address: None,
                agent: None,
                at: "2026-01-01T12:00:00.000000Z",
                detail: r#"{"name":"Küche"}"#,
                entity_id: None,
                entity_kind: Some("asset"),
                request_id: None,
                seq,
            };
            let hash = entry.hash(&previous);
            self.run(&format!(
                "INSERT INTO audit_log (seq, at, actor_kind, actor_id, actor_name, action, entity_kind, entity_id, detail, request_id, prev_hash, hash)
                 VALUES ({seq}, '{}', 'user', '{}', 'Maria', 'asset_created', 'asset', NULL, '{}', NULL, '{previous}', '{hash}')",
                entry.at,
                entry.actor_id.unwrap_or_default(),
                entry.detail,
            ))
            .await;
            previous = hash;
        }
        self.run(&format!("UPDATE audit_head SET seq = {ENTRIES}, hash = '{previous}'")).await;
    }

    async fn texts(&self, sql: &str) -> Vec<String> {
        let backend = if self.postgres.is_some() { DbBackend::Postgres } else { DbBackend::Sqlite };
        let rows = self.db.query_all_raw(Statement::from_string(backend, sql)).await;
        let rows = rows.unwrap_or_else(|e| panic!("{sql}: {e}"));
        rows.iter().map(|row| row.try_get_by_index(0).expect("a text")).collect()
    }

    /// The columns that each table of the first schema has now.
    async fn columns(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut all = BTreeMap::new();
        for table in m0001_first_evening::TABLES {
            let sql = if self.postgres.is_some() {
                format!(
                    "SELECT column_name::text FROM information_schema.columns WHERE table_name = '{table}' ORDER BY 1"
                )
            } else {
                format!("SELECT name FROM pragma_table_info('{table}') ORDER BY 1")
            };
            all.insert(*table, self.texts(&sql).await);
        }
        all
    }

    /// What stands in those columns, as literals.
    async fn contents(
        &self,
        columns: &BTreeMap<&'static str, Vec<String>>,
    ) -> BTreeMap<&'static str, Vec<String>> {
        let mut all = BTreeMap::new();
        for (table, columns) in columns {
            let literals: Vec<String> = columns
                .iter()
                .map(|c| {
                    if self.postgres.is_some() {
                        format!("quote_nullable({c}::text)")
                    } else {
                        format!("quote({c})")
                    }
                })
                .collect();
            let sql = format!("SELECT {} FROM {table} ORDER BY 1", literals.join(" || ',' || "));
            all.insert(*table, self.texts(&sql).await);
        }
        all
    }

    async fn open(&self) -> Store {
        match &self.postgres {
            Some(postgres) => Store::open_postgres(&Secret::new(postgres.url().to_owned())).await,
            None => Store::open_sqlite(self.dir.path()).await,
        }
        .expect("opens")
    }
}

fn now() -> Time {
    Utc.with_ymd_and_hms(2026, 6, 1, 0, 0, 0).single().expect("a date")
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn everything_is_still_there_and_the_chain_verifies(
    #[values(Sqlite, Postgres)] database: Database,
    #[values(1, 2)] schema: u32,
) {
    let old = Old::at(schema, database).await;
    let columns = old.columns().await;
    let before = old.contents(&columns).await;
    for (table, rows) in &before {
        assert!(!rows.is_empty(), "nothing in {table}: a row of it belongs into ROWS");
    }

    let store = old.open().await;
    assert_eq!(old.contents(&columns).await, before);
    assert!(Migrator::get_pending_migrations(&old.db).await.expect("known").is_empty());

    // As this version reads it.
    let users = user::Entity::find().order_by_asc(user::Column::Username).all(store.reader()).await;
    let users = users.expect("reads");
    let names: Vec<_> = users.iter().map(|u| (u.username.as_str(), u.role.as_str(), u.auth_epoch)).collect();
    assert_eq!(names, [("Maria", "admin", 4), ("grace", "viewer", 0)]);
    assert!(users.iter().all(|u| u.totp_enabled_at.is_none()) && users[1].disabled_at.is_some());
    let sessions = session::Entity::find().all(store.reader()).await.expect("reads");
    assert_eq!((sessions.len(), sessions[0].user_id), (1, users[0].id));
    let assets = asset::Entity::find().order_by_asc(asset::Column::NameKey).all(store.reader()).await;
    let assets: Vec<String> = assets.expect("reads").into_iter().map(|a| a.name).collect();
    assert_eq!(assets, ["Küche", "nas"]);
    let settings = setting::Entity::find_by_id(1).one(store.reader()).await.expect("reads").expect("a row");
    assert!(settings.auth_enabled && settings.audit_retention_days.is_none());
    assert_eq!(settings.instance_name, "Attic lab");

    let verify = async || store.verify_audit(None, &BTreeMap::new()).await.expect("verifies");
    let verdict = verify().await;
    assert_eq!((verdict.entries, verdict.broken, verdict.pruned_through), (ENTRIES, None, None));
    // The chain goes on behind what was there, and the guards stand.
    let audit = Audit { action: Action::SettingsUpdated, actor: &Principal::Cli, at: now(), origin: None };
    store.write(audit, async |_| Ok(())).await.expect("written");
    let verdict = verify().await;
    assert_eq!((verdict.entries, verdict.broken), (ENTRIES + 1, None));
    for refused in [
        "DELETE FROM audit_log",
        "UPDATE audit_log SET actor_name = 'eve'",
        "UPDATE settings SET auth_enabled = FALSE",
        "DELETE FROM settings",
    ] {
        assert!(old.db.execute_unprepared(refused).await.is_err(), "{refused}");
    }

    // Back by one and forth again loses nothing either.
    let before = old.contents(&columns).await;
    Migrator::down(&old.db, Some(1)).await.expect("back");
    assert!(old.db.execute_unprepared("DELETE FROM audit_log").await.is_err(), "guarded as it was");
    Migrator::up(&old.db, None).await.expect("forth");
    assert_eq!(old.contents(&columns).await, before);
    assert_eq!(verify().await.broken, None);
}

/// The secret of a provider's client may have gone to another port than the usual one.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_providers_client_keeps_the_port_of_its_issuer(#[values(Sqlite, Postgres)] database: Database) {
    let old = Old::at(11, database).await;
    for sql in [
        "INSERT INTO credentials (id, name, name_key, kind, public, secret, hosts, secret_changed_at, version, created_at, updated_at) VALUES
            (u(1), 'one', 'one', 'oidc_client', '{}', 'sealed', '[\"id.lan\"]', '2026-01-01T12:00:00+00:00', 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00'),
            (u(2), 'two', 'two', 'oidc_client', '{}', 'sealed', '[\"sso.lan\",\"10.0.0.0/8\"]', '2026-01-01T12:00:00+00:00', 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00'),
            (u(3), 'other', 'other', 'basic', '{}', 'sealed', '[\"nas.lan\"]', '2026-01-01T12:00:00+00:00', 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')",
        "INSERT INTO oidc_providers (id, slug, name, issuer, client_id, scopes, groups_claim, role_groups, create_users, enabled, credential_id, version, created_at, updated_at) VALUES
            (u(4), 'a', 'a', 'https://ID.lan:9443/realms/x', 'cb', '[]', 'groups', '[]', FALSE, TRUE, u(1), 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00'),
            (u(5), 'b', 'b', 'https://id.lan:9444', 'cb', '[]', 'groups', '[]', FALSE, TRUE, u(1), 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00'),
            (u(6), 'c', 'c', 'https://sso.lan/', 'cb', '[]', 'groups', '[]', FALSE, TRUE, u(2), 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')",
    ] {
        old.run(&old.with_ids(sql)).await;
    }
    let store = old.open().await;
    let rows = credential::Entity::find().order_by_asc(credential::Column::Id).all(store.reader()).await;
    let hosts: Vec<_> = rows.expect("reads").into_iter().map(|row| row.hosts.to_string()).collect();
    assert_eq!(
        hosts,
        [r#"["id.lan","id.lan:9443","id.lan:9444"]"#, r#"["sso.lan","10.0.0.0/8"]"#, r#"["nas.lan"]"#]
    );
}

/// Only a scan wrote `up` over what was there, and it wrote nothing else.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_a_person_has_set_is_still_shown(#[values(Sqlite, Postgres)] database: Database) {
    let old = Old::at(13, database).await;
    let rows = [
        ("1 maintenance", "maintenance", "[\"name\",\"status\"]", true),
        ("2 down", "down", "[\"status\"]", false),
        ("3 up by hand", "up", "[\"status\"]", false),
        ("4 up by a scan", "up", "[\"status\"]", true),
        ("5 never seen", "unknown", "[]", false),
    ];
    for (n, (name, status, typed, seen)) in (1..).zip(rows) {
        let seen = if seen { "'2026-01-01T12:00:00+00:00'" } else { "NULL" };
        let sql = format!(
            "INSERT INTO assets (id, name, name_key, kind, notes, status, source, typed_fields, last_seen_at, version, created_at, updated_at) VALUES
            (u({n}), '{name}', '{name}', 'device', '', '{status}', 'manual', '{typed}', {seen}, 1, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00')"
        );
        old.run("DELETE FROM assets WHERE name IN ('Küche', 'nas')").await;
        old.run(&old.with_ids(&sql)).await;
    }
    let said = async || {
        let store = old.open().await;
        let all = asset::Entity::find().order_by_asc(asset::Column::Name).all(store.reader()).await;
        let all: Vec<_> = all
            .expect("reads")
            .into_iter()
            .map(|row| (row.status().to_owned(), row.status_set.is_some(), row.status_seen))
            .collect();
        all
    };
    let expected = [
        ("maintenance", true, "up"),
        ("down", true, "unknown"),
        ("up", true, "unknown"),
        ("up", false, "up"),
        ("unknown", false, "unknown"),
    ];
    let expected = expected.map(|(shown, set, seen)| (shown.to_owned(), set, seen.to_owned()));
    assert_eq!(said().await, expected);
    let newer = u32::try_from(Migrator::migrations().len()).expect("a few") - 13;
    Migrator::down(&old.db, Some(newer)).await.expect("back");
    let before: Vec<_> = rows.iter().map(|(_, status, ..)| (*status).to_owned()).collect();
    assert_eq!(
        old.texts("SELECT status FROM assets ORDER BY name").await,
        before,
        "as that version shows it"
    );
    assert_eq!(said().await, expected, "and forth");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn findings_get_the_keys_that_they_are_sorted_by(#[values(Sqlite, Postgres)] database: Database) {
    let old = Old::at(14, database).await;
    for (n, title, ip) in [(1, "Host-10", "10.0.0.10"), (2, "host-9", "10.0.0.9"), (3, "nowhere", "")] {
        let addresses = if ip.is_empty() { String::new() } else { format!(r#"{{"ip":"{ip}"}}"#) };
        let sql = format!(
            "INSERT INTO findings (id, kind, state, title, proposal, evidence, identities, confidence, created_at, last_seen_at, version) VALUES
            (u({n}), 'new_asset', 'open', '{title}', '{{\"addresses\":[{addresses}]}}', '[]', '[]', 60, '2026-01-01T12:00:00+00:00', '2026-01-01T12:00:00+00:00', 1)"
        );
        old.run("DELETE FROM findings WHERE title = 'a host'").await;
        old.run(&old.with_ids(&sql)).await;
    }
    drop(old.open().await);
    let keys = "SELECT title || ' ' || title_key || ' ' || COALESCE(address_key, '-') FROM findings ORDER BY title_key";
    assert_eq!(
        old.texts(keys).await,
        ["host-9 host-0019 40a000009", "Host-10 host-00210 40a00000a", "nowhere nowhere -"]
    );
    drop(old);
}
