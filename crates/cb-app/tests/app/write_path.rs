//! The audit entry that no write can do without, and what the database refuses whoever asks.

use std::time::{Duration, Instant};

use cb_app::tags::{self, TagIn};
use cb_app::{List, audit};
use cb_store::Store;
use cb_store::entities::{audit_entry, tag};
use cb_store::sea_orm::{
    self, ColumnTrait as _, ConnectionTrait as _, DbBackend, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, Statement, TransactionTrait as _,
};
use cb_testkit::Database::{self, Postgres, Sqlite};
use cb_testkit::TestApp;
use rstest::rstest;
use serde_json::{Value, json};

pub fn named(name: &str) -> TagIn {
    TagIn { name: name.to_owned(), color: "#d97706".to_owned() }
}

/// A connection as an intruder, or a careless person with the database's password, would have it.
pub async fn raw(test: &TestApp) -> sea_orm::DatabaseConnection {
    let url = match &test.config().db_url {
        Some(url) => url.expose().to_owned(),
        None => format!("sqlite://{}", test.data_dir().join("circuit-breaker.db").display()),
    };
    sea_orm::Database::connect(url).await.expect("connects")
}

pub async fn reading(test: &TestApp) -> Store {
    match &test.config().db_url {
        Some(url) => Store::read_postgres(url).await.expect("opens"),
        None => Store::read_sqlite(test.data_dir()).await.expect("opens"),
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn every_write_is_in_the_log_in_order_under_load(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::closed(database).await;
    let writes = (0..40).map(|i| {
        let ctx = ctx.clone();
        tokio::spawn(async move {
            // So many at once may find the database busy; then it says so, and has written nothing.
            while let Err(error) = tags::create(&ctx, named(&format!("tag {i}"))).await {
                assert!(matches!(error, cb_core::Error::Unavailable(_)), "{error}");
            }
        })
    });
    for one in writes.collect::<Vec<_>>() {
        one.await.expect("created");
    }
    let verdict = audit::verify(&ctx).await.expect("verifies");
    assert!(verdict.ok, "{verdict:?}");
    assert_eq!(verdict.entries, 43, "the first start, setup, its user and forty tags");
    let page =
        audit::list(&ctx, &List { limit: Some(500), ..List::default() }, &audit::EntryFilter::default())
            .await
            .expect("lists");
    assert!(page.items.iter().rev().map(|e| e.seq).eq(1..=43));
    drop(test);
}

/// A write costs the same however long the log is.
#[tokio::test(flavor = "multi_thread")]
async fn no_write_reads_the_log() {
    const WRITES: i64 = 200;
    let (test, ctx) = TestApp::closed(Postgres).await;
    for i in 0..WRITES {
        tags::create(&ctx, named(&format!("tag {i}"))).await.expect("created");
    }
    let base = raw(&test).await;
    // PostgreSQL counts a second later; what a session did last, ten seconds later.
    for _ in 0..300 {
        let sql = "SELECT n_tup_ins, seq_tup_read FROM pg_stat_user_tables WHERE relname = 'audit_log'";
        let row = base.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
        let row = row.expect("asked").expect("a row");
        let (written, read): (i64, i64) =
            (row.try_get_by_index(0).expect("a number"), row.try_get_by_index(1).expect("a number"));
        if written > WRITES {
            assert!(read < 10 * WRITES, "{read} entries were read for {written} writes");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("PostgreSQL does not count");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_write_leaves_nothing(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::closed(database).await;
    tags::create(&ctx, named("prod")).await.expect("created");
    let entries = audit::verify(&ctx).await.expect("verifies").entries;
    // Case-folded, so this is the same name.
    assert!(matches!(tags::create(&ctx, named("PROD")).await, Err(cb_core::Error::Taken(_))));
    let after = audit::verify(&ctx).await.expect("verifies");
    assert!(after.ok && after.entries == entries, "{after:?}");
    drop(test);
}

/// The second waits for the first at the unique index, and then, like the first, for the head of the log. Each wait is bounded, and so
/// is their sum: without that the second is answered after nearly four seconds. On a machine that stalls, at least once in five times.
#[tokio::test(flavor = "multi_thread")]
async fn all_locks_of_a_write_together_are_waited_for_no_longer_than_a_connection() {
    let (test, ctx) = TestApp::closed(Postgres).await;
    let db = raw(&test).await;
    #[expect(clippy::disallowed_methods, reason = "another program that holds a lock")]
    let holder = db.begin().await.expect("begins");
    holder.execute_unprepared("SELECT seq FROM audit_head FOR UPDATE").await.expect("locks");
    let create = |name: String, after: Duration| {
        let ctx = ctx.clone();
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let began = Instant::now();
            let done = tags::create(&ctx, named(&name)).await;
            assert!(matches!(done, Err(cb_core::Error::Unavailable(_))), "{done:?}");
            began.elapsed()
        })
    };
    let in_time = async |begin: &dyn Fn() -> Vec<tokio::task::JoinHandle<Duration>>| {
        let mut worst = Vec::new();
        for _ in 0..5 {
            let mut most = Duration::ZERO;
            for one in begin() {
                most = most.max(one.await.expect("refused"));
            }
            if most < Duration::from_millis(3_500) {
                return;
            }
            worst.push(most);
        }
        panic!("answered after {worst:?}");
    };
    // So that the first gives up, and lets the second go on, shortly before the second gives up too.
    in_time(&|| [0, 200].map(|ms| create("prod".to_owned(), Duration::from_millis(ms))).into()).await;
    // Many wait for the head itself. PostgreSQL lets one of them wait for the row, and the others wait until that one has given up.
    in_time(&|| (0..6).map(|n| create(format!("tag {n}"), Duration::from_millis(50 * n))).collect()).await;
    drop(holder);
    tags::create(&ctx, named("prod")).await.expect("created");
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_database_itself_refuses_to_forget(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::closed(database).await;
    let db = raw(&test).await;
    tags::create(&ctx, named("prod")).await.expect("created");
    for refused in [
        "UPDATE audit_log SET actor_name = 'eve'",
        "DELETE FROM audit_log",
        "DELETE FROM audit_head",
        "UPDATE settings SET auth_enabled = FALSE",
        "DELETE FROM settings",
    ] {
        assert!(db.execute_unprepared(refused).await.is_err(), "{refused}");
    }
    db.close().await.expect("closes");
    assert!(audit::verify(&ctx).await.expect("verifies").ok);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_reader_cannot_write(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::closed(database).await;
    let tag = tags::create(&ctx, named("prod")).await.expect("created");
    let store = reading(&test).await;
    let refused = tag::Entity::delete_by_id(tag.id.0).exec(store.reader()).await;
    assert!(refused.is_err(), "the reading pool is read-only by the database's own rule");
    assert_eq!(tag::Entity::find().all(store.reader()).await.expect("reads").len(), 1);
}

/// That setup is complete cannot be taken back, in whatever words it is asked.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn authentication_once_on_stays_on(#[values(Sqlite, Postgres)] database: Database) {
    let (test, ctx) = TestApp::closed(database).await;
    let db = raw(&test).await;
    let row = "(id, auth_enabled, instance_name, version, created_at, updated_at) VALUES (1, FALSE, 'x', 1, '2026-01-01T00:00:00+00:00', '2026-01-01T00:00:00+00:00')";
    let second = row.replace("(1, FALSE", "(2, FALSE");
    let mut refused = vec![
        "UPDATE settings SET auth_enabled = FALSE".to_owned(),
        "UPDATE settings SET auth_enabled = FALSE WHERE id = 1".to_owned(),
        "UPDATE settings SET auth_enabled = NOT auth_enabled, version = version + 1".to_owned(),
        "UPDATE settings SET auth_enabled = NULL".to_owned(),
        "UPDATE settings SET id = 2".to_owned(),
        "DELETE FROM settings".to_owned(),
        "DELETE FROM settings WHERE id = 1".to_owned(),
        format!("INSERT INTO settings {row}"),
        format!("INSERT INTO settings {second}"),
        format!(
            "INSERT INTO settings {row} ON CONFLICT (id) DO UPDATE SET auth_enabled = excluded.auth_enabled"
        ),
        format!("DELETE FROM settings; INSERT INTO settings {row}"),
        format!("BEGIN; DELETE FROM settings; INSERT INTO settings {row}; COMMIT"),
    ];
    if database == Sqlite {
        refused.extend([
            format!("INSERT OR REPLACE INTO settings {row}"),
            format!("REPLACE INTO settings {row}"),
            format!("INSERT INTO settings {row} ON CONFLICT DO UPDATE SET auth_enabled = 0"),
            "UPDATE OR REPLACE settings SET auth_enabled = 0".to_owned(),
            "UPDATE settings SET auth_enabled = 0.0".to_owned(),
            "UPDATE settings SET auth_enabled = 'no'".to_owned(),
        ]);
    } else {
        refused.extend([
            "TRUNCATE settings".to_owned(),
            "TRUNCATE settings CASCADE".to_owned(),
            "MERGE INTO settings USING (SELECT 1 AS one) s ON id = s.one WHEN MATCHED THEN UPDATE SET auth_enabled = FALSE".to_owned(),
            "MERGE INTO settings USING (SELECT 1 AS one) s ON id = s.one WHEN MATCHED THEN DELETE".to_owned(),
            format!("WITH gone AS (DELETE FROM settings RETURNING 1) INSERT INTO settings {row}"),
        ]);
    }
    for sql in refused {
        assert!(db.execute_unprepared(&sql).await.is_err(), "{sql}");
        // What a failed transaction left open.
        let _ = db.execute_unprepared("ROLLBACK").await;
        let settings = cb_app::settings::get(&ctx).await.expect("the row is there");
        assert!(settings.auth_enabled && settings.instance_name == "Circuit Breaker", "{sql}: {settings:?}");
    }
    for body in [
        json!({ "auth_enabled": false }),
        json!({ "auth_enabled": true }),
        json!({ "instance_name": "x", "auth_enabled": null }),
    ] {
        let patch = serde_json::from_value::<cb_app::settings::SettingsPatch>(body.clone());
        assert!(patch.is_err_and(|e| e.to_string().contains("unknown field `auth_enabled`")), "{body}");
    }
    // And so it is at the next start.
    db.close().await.expect("closes");
    drop(ctx);
    let test = test.restart().await;
    assert!(!test.app.setup_required().await.expect("readable") && test.app.setup_code().is_none());
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_lets_out_is_in_the_log_each_time_it_changes(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let test = TestApp::new(database).await;
    let told = async |test: &TestApp| {
        let db = raw(test).await;
        let entries = audit_entry::Entity::find()
            .filter(audit_entry::Column::Action.eq("outbound_exceptions_set"))
            .order_by_asc(audit_entry::Column::Seq)
            .all(&db)
            .await
            .expect("reads");
        assert!(entries.iter().all(|e| e.actor_name == "server"), "nobody else sets it");
        entries.into_iter().map(|e| serde_json::from_str(&e.detail).expect("JSON")).collect::<Vec<Value>>()
    };
    let tests = json!({ "outbound_allow": ["127.0.0.1"], "scan_allow": [] });
    assert_eq!(told(&test).await.as_slice(), std::slice::from_ref(&tests));
    let test = test.restart().await;
    assert_eq!(told(&test).await.len(), 1, "nothing new");
    let test = test
        .restart_with(|config| {
            config.outbound_allow =
                vec!["[fd00::/8]:443".parse().expect("an entry"), "nas.lan".parse().expect("one")];
            config.scan_allow = vec!["203.0.113.0/24".parse().expect("a network")];
        })
        .await;
    let wider = json!({ "outbound_allow": ["[fd00::/8]:443", "nas.lan"], "scan_allow": ["203.0.113.0/24"] });
    assert_eq!(told(&test).await, [tests.clone(), wider.clone()]);
    let test = test
        .restart_with(|config| {
            config.outbound_allow.clear();
            config.scan_allow.clear();
        })
        .await;
    assert_eq!(told(&test).await, [tests, wider, json!({ "outbound_allow": [], "scan_allow": [] })]);
}
