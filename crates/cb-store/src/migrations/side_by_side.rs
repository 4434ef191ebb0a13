//! Servers of the version before work on the newest schema while they are upgraded. So what is newer than [`WORKS_FROM`] only adds:
//! every table and column of that schema is there as it was, and nothing that is new stands in the way of what the old program writes.

use std::collections::{BTreeMap, BTreeSet};

use cb_core::Secret;
use cb_testkit::Database::{self, Postgres, Sqlite};
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, DatabaseConnection, DbBackend, Statement};
use sea_orm_migration::MigratorTrait as _;

use super::{Migrator, WORKS_FROM};
use crate::Store;

/// What a database says of its tables.
#[derive(Debug, Default, Clone)]
struct Catalog {
    /// By table and name: the type, whether null is refused, and whether there is a default.
    columns: BTreeMap<(String, String), (String, bool, bool)>,
    /// What else may refuse a write, by table: unique indexes, triggers, references and other conditions.
    guards: BTreeMap<(String, String), String>,
    /// What is unique, by table: the columns of each key, whatever its name. `ON CONFLICT (name)` needs the one on `name`.
    keys: BTreeSet<(String, String)>,
}

impl Catalog {
    async fn of(db: &DatabaseConnection) -> Self {
        let mut catalog = Self::default();
        let ask = async |sql: &str| {
            let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await;
            rows.unwrap_or_else(|e| panic!("{sql}: {e}"))
        };
        let (columns, guards, keys) = match db.get_database_backend() {
            DbBackend::Postgres => (
                "SELECT table_name::text, column_name::text, data_type::text, (is_nullable = 'NO')::int, (column_default IS NOT NULL)::int
                 FROM information_schema.columns WHERE table_schema = 'public'",
                "SELECT tablename::text, indexname::text, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE 'CREATE UNIQUE%'
                 UNION ALL SELECT tgrelid::regclass::text, tgname::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
                 UNION ALL SELECT conrelid::regclass::text, conname::text, pg_get_constraintdef(oid) FROM pg_constraint
                     WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f')",
                "SELECT tablename::text, substring(indexdef FROM position('(' IN indexdef))
                 FROM pg_indexes WHERE schemaname = 'public' AND indexdef LIKE 'CREATE UNIQUE%'",
            ),
            _ => (
                "SELECT t.name, c.name, c.type, c.\"notnull\", (c.dflt_value IS NOT NULL) FROM sqlite_schema t JOIN pragma_table_info(t.name) c
                 WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'",
                "SELECT tbl_name, name, sql FROM sqlite_schema
                     WHERE sql IS NOT NULL AND (type = 'trigger' OR (type = 'index' AND sql LIKE 'CREATE UNIQUE%'))
                 UNION ALL SELECT t.name, 'reference of ' || f.\"from\", f.\"table\" FROM sqlite_schema t JOIN pragma_foreign_key_list(t.name) f
                     WHERE t.type = 'table'",
                // Those of an index that was made as one, of a condition of the table, and of its primary key.
                "SELECT tbl_name, substr(sql, instr(sql, '(')) FROM sqlite_schema WHERE type = 'index' AND sql LIKE 'CREATE UNIQUE%'
                 UNION ALL SELECT t.name, (SELECT '(' || group_concat(c.name) || ')' FROM pragma_index_info(i.name) c)
                     FROM sqlite_schema t JOIN pragma_index_list(t.name) i WHERE t.type = 'table' AND i.\"unique\" AND i.origin <> 'c'
                 UNION ALL SELECT t.name, '(' || c.name || ')' FROM sqlite_schema t JOIN pragma_table_info(t.name) c
                     WHERE t.type = 'table' AND c.pk = 1 AND NOT EXISTS (SELECT 1 FROM pragma_table_info(t.name) WHERE pk = 2)",
            ),
        };
        for row in ask(columns).await {
            let text = |n| row.try_get_by_index::<String>(n).expect("text");
            let flag = |n| row.try_get_by_index::<i32>(n).expect("a number") != 0;
            catalog.columns.insert((text(0), text(1)), (text(2), flag(3), flag(4)));
        }
        for row in ask(guards).await {
            let text = |n| row.try_get_by_index::<String>(n).expect("text");
            catalog.guards.insert((text(0), text(1)), text(2));
        }
        for row in ask(keys).await {
            let text = |n| row.try_get_by_index::<String>(n).expect("text");
            catalog.keys.insert((text(0), text(1)));
        }
        catalog
    }

    fn has(&self, table: &str) -> bool {
        self.columns.keys().any(|(of, _)| of == table)
    }

    /// What of `newer` a program of this schema would fail on.
    fn broken_by(&self, newer: &Self) -> Vec<String> {
        let mut wrong = Vec::new();
        for ((table, column), (kind, required, _)) in &self.columns {
            match newer.columns.get(&(table.clone(), column.clone())) {
                None => wrong.push(format!("{table}.{column} is gone")),
                Some((now, _, _)) if now != kind => {
                    wrong.push(format!("{table}.{column} was {kind} and is {now}"));
                }
                Some((_, now, _)) if now != required => {
                    wrong.push(format!("{table}.{column} takes or refuses null, and did not"));
                }
                Some(_) => {}
            }
        }
        for ((table, column), (_, required, default)) in &newer.columns {
            let new = !self.columns.contains_key(&(table.clone(), column.clone()));
            if new && self.has(table) && *required && !default {
                wrong.push(format!("{table}.{column} is new and must be given"));
            }
        }
        for ((table, name), text) in &newer.guards {
            if self.has(table) && self.guards.get(&(table.clone(), name.clone())) != Some(text) {
                wrong.push(format!("{table} has a new condition, {name}"));
            }
        }
        for (table, key) in self.keys.difference(&newer.keys) {
            if newer.has(table) {
                wrong.push(format!("{table} is no longer unique by {key}"));
            }
        }
        wrong
    }

    /// What the program of this schema says to each table, with every column that it knows.
    fn statements(&self) -> Vec<String> {
        let mut columns: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (table, column) in self.columns.keys().filter(|(table, _)| table != "seaql_migrations") {
            columns.entry(table).or_default().push(format!("\"{column}\""));
        }
        let say = |(table, columns): (&str, Vec<String>)| {
            let all = columns.join(", ");
            [
                format!("INSERT INTO \"{table}\" ({all}) SELECT {all} FROM \"{table}\" WHERE 1 = 0"),
                format!("SELECT {all} FROM \"{table}\" LIMIT 1"),
            ]
        };
        columns.into_iter().flat_map(say).collect()
    }
}

struct Base {
    db: DatabaseConnection,
    url: Secret,
    dir: tempfile::TempDir,
    postgres: Option<cb_testkit::Postgres>,
}

/// A database with the schema that the newest one must fit.
async fn base(database: Database) -> Base {
    let dir = tempfile::tempdir().expect("a folder");
    let postgres = (database == Postgres).then(cb_testkit::Postgres::start);
    let url = match &postgres {
        Some(postgres) => postgres.url().to_owned(),
        None => format!("sqlite://{}?mode=rwc", dir.path().join("circuit-breaker.db").display()),
    };
    let db = sea_orm::Database::connect(&url).await.expect("connects");
    let known = Migrator::migrations().iter().position(|m| m.name() == WORKS_FROM).expect("a migration");
    Migrator::up(&db, Some(u32::try_from(known + 1).expect("few"))).await.expect("migrated");
    Base { db, url: Secret::new(url), dir, postgres }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_newest_schema_only_adds_to_the_one_before(#[values(Sqlite, Postgres)] database: Database) {
    let base = base(database).await;
    let before = Catalog::of(&base.db).await;
    assert!(before.has("servers") && before.guards.len() > 20, "{} conditions", before.guards.len());
    Migrator::up(&base.db, None).await.expect("migrated");
    let after = Catalog::of(&base.db).await;
    assert_eq!(before.broken_by(&after), Vec::<String>::new());
    for statement in before.statements() {
        base.db.execute_unprepared(&statement).await.unwrap_or_else(|e| panic!("{statement}: {e}"));
    }
}

#[rstest]
#[case("ALTER TABLE tags DROP COLUMN color", "tags.color is gone")]
#[case("ALTER TABLE tags RENAME COLUMN color TO colour", "tags.color is gone")]
#[case("ALTER TABLE jobs RENAME TO work", "jobs.id is gone")]
#[case("ALTER TABLE tags ADD COLUMN shape TEXT NOT NULL DEFAULT 'x'", "")]
#[case("ALTER TABLE tags ADD COLUMN shape TEXT", "")]
#[case("CREATE TABLE new (id INTEGER NOT NULL)", "")]
#[case("CREATE UNIQUE INDEX one_color ON tags (color)", "new condition, one_color")]
#[case("CREATE INDEX colors ON tags (color)", "")]
#[case("DROP INDEX links_once", "links is no longer unique by (a_asset_id, b_asset_id, kind)")]
#[case(
    "DROP INDEX links_once; CREATE UNIQUE INDEX links_once ON links (a_asset_id, b_asset_id, kind) WHERE kind = 'cable'",
    "links is no longer unique by (a_asset_id, b_asset_id, kind)"
)]
#[case(
    "ALTER TABLE tags RENAME TO old; CREATE TABLE tags AS SELECT * FROM old",
    "tags is no longer unique by (id); tags is no longer unique by (name_key)"
)]
#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_an_old_program_would_fail_on_is_found(
    #[values(Sqlite, Postgres)] database: Database,
    #[case] change: &str,
    #[case] found: &str,
) {
    let base = base(database).await;
    let before = Catalog::of(&base.db).await;
    base.db.execute_unprepared(change).await.expect(change);
    let wrong = before.broken_by(&Catalog::of(&base.db).await);
    assert_eq!(wrong.is_empty(), found.is_empty(), "{change}: {wrong:?}");
    assert!(wrong.join("; ").contains(found), "{change}: {wrong:?}");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_program_starts_on_a_newer_schema_only_where_that_says_so(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let base = base(database).await;
    let open = async || match &base.postgres {
        Some(_) => Store::open_postgres(&base.url).await,
        None => Store::open_sqlite(base.dir.path()).await,
    };
    let migrate = async || match &base.postgres {
        Some(_) => Store::migrate_postgres(&base.url).await,
        None => Store::migrate_sqlite(base.dir.path()).await,
    };
    open().await.expect("opens").close().await.expect("closes");
    let newest = crate::backup::newest_schema();
    let again = migrate().await.expect("nothing to do");
    assert_eq!(
        (again.from.as_deref(), again.to.as_str(), again.steps),
        (Some(newest.as_str()), newest.as_str(), 0)
    );
    // A newer program was here, and has said nothing.
    let run = async |sql: &str| base.db.execute_unprepared(sql).await.expect("done");
    run("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 1)").await;
    let why = open().await.err().expect("refused").to_string();
    assert!(why.contains("m9999_later") && why.contains("newer version"), "{why}");
    for (newest, works_from, opens) in [
        ("m9999_later", "m9999_later", false),
        ("m9998_other", WORKS_FROM, false),
        ("m9999_later", WORKS_FROM, true),
    ] {
        run(&format!("UPDATE schema_reach SET newest = '{newest}', works_from = '{works_from}'")).await;
        let opened = open().await;
        assert_eq!(opened.is_ok(), opens, "{newest} {works_from}");
        if let Ok(store) = opened {
            store.close().await.expect("closes");
        }
        // It changes nothing, and it never goes back.
        let why = migrate().await.expect_err("refused").to_string();
        assert!(why.contains("m9999_later"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_stays_while_servers_work_that_would_fail_on_the_next() {
    let postgres = cb_testkit::Postgres::start();
    let (url, db) =
        (Secret::new(postgres.url().to_owned()), sea_orm::Database::connect(postgres.url()).await);
    let db = db.expect("connects");
    let known = Migrator::migrations().iter().position(|m| m.name() == WORKS_FROM).expect("a migration");
    Migrator::up(&db, Some(u32::try_from(known).expect("few"))).await.expect("migrated");
    let server = async |id: &str, schema: &str, seconds: u32| {
        let row = format!(
            "INSERT INTO servers (id, run, role, version, schema, host, started_at, seen_at)
             VALUES ('{id}', '{id}/1', 'all', '0', '{schema}', 'host-{id}', now(), now() - interval '{seconds} seconds')"
        );
        db.execute_unprepared(&row).await.expect("written");
    };
    server("old", "m0021_servers", 1).await;
    server("new", WORKS_FROM, 1).await;
    server("cut-off", "m0021_servers", 3_600).await;
    let why = Store::migrate_postgres(&url).await.expect_err("refused").to_string();
    assert!(why.contains("(they run on host-old)") && !why.contains('\n'), "{why}");
    assert!(Store::open_postgres(&url).await.is_err(), "a server does not either");
    db.execute_unprepared("DELETE FROM servers WHERE id = 'old'").await.expect("stopped");
    // It could not reach the database for an hour, and does again.
    let back = async {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        db.execute_unprepared("UPDATE servers SET seen_at = now() WHERE id = 'cut-off'")
            .await
            .expect("written");
    };
    let (refused, ()) = tokio::join!(Store::migrate_postgres(&url), back);
    let why = refused.expect_err("refused").to_string();
    assert!(why.contains("(they run on host-cut-off)"), "{why}");
    db.execute_unprepared("DELETE FROM servers WHERE id = 'cut-off'").await.expect("stopped");
    let done = Store::migrate_postgres(&url).await.expect("migrated");
    assert!(done.steps >= 1);
}

/// Two programs start at once: the older one has looked before it waits for the lock.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_that_was_made_while_a_program_waited_is_seen() {
    let postgres = cb_testkit::Postgres::start();
    let url = Secret::new(postgres.url().to_owned());
    Store::open_postgres(&url).await.expect("opens").close().await.expect("closes");
    let mut options = sea_orm::ConnectOptions::new(postgres.url());
    options.max_connections(1);
    let first = sea_orm::Database::connect(options).await.expect("connects");
    first
        .execute_unprepared("BEGIN; SELECT pg_advisory_xact_lock(7161406656947052916)")
        .await
        .expect("locked");
    let waits = tokio::spawn(async move { Store::migrate_postgres(&url).await });
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    first
        .execute_unprepared(
            "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 1); COMMIT",
        )
        .await
        .expect("done");
    let why = waits.await.expect("ends").expect_err("refused").to_string();
    assert!(why.contains("m9999_later") && why.contains("newer version"), "{why}");
}
