//! Acknowledged means kept, whatever has gone wrong before.

mod beside;
mod lost;

use cb_core::audit::Action;
use cb_core::{Error, Principal, Result, Secret};
use cb_testkit::Database::{self, Postgres, Sqlite};
use chrono::Utc;
use futures_util::future::join_all;
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait as _, PaginatorTrait as _};
use tempfile::TempDir;

use crate::entities::{asset, audit_entry};
use crate::{Audit, Refuses, Storage, Store, WriteTx, db};

struct Bench {
    store: Store,
    dir: TempDir,
    postgres: Option<cb_testkit::Postgres>,
}

impl Bench {
    async fn open(database: Database) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let postgres = (database == Postgres).then(cb_testkit::Postgres::start);
        let store = match &postgres {
            Some(postgres) => Store::open_postgres(&Secret::new(postgres.url().to_owned())).await,
            None => Store::open_sqlite(dir.path()).await,
        };
        Self { store: store.expect("opens"), dir, postgres }
    }

    async fn write(&self, work: impl AsyncFnOnce(&mut WriteTx) -> Result<()>) -> Result<()> {
        #[expect(clippy::disallowed_methods, reason = "any time will do")]
        let at = Utc::now();
        let audit = Audit { action: Action::AssetCreated, actor: &Principal::Cli, at, origin: None };
        self.store.write(audit, work).await.map(|_| ())
    }

    /// A write that is answered for.
    async fn add(&self, n: u128) {
        self.write(async |tx| insert(tx, n).await).await.expect("acknowledged");
    }

    /// Another program, with one connection, which stays in the middle of what it is told.
    async fn other(&self) -> sea_orm::DatabaseConnection {
        let url = match &self.postgres {
            Some(postgres) => postgres.url().to_owned(),
            None => format!("sqlite://{}", self.dir.path().join("circuit-breaker.db").display()),
        };
        let mut one = sea_orm::ConnectOptions::new(url);
        one.max_connections(1);
        sea_orm::Database::connect(one).await.expect("connects")
    }

    /// As the next process sees it: assets and entries of the log.
    async fn kept(&self) -> (u64, u64) {
        let store = match &self.postgres {
            Some(postgres) => Store::read_postgres(&Secret::new(postgres.url().to_owned())).await,
            None => Store::read_sqlite(self.dir.path()).await,
        };
        let store = store.expect("opens");
        let assets = asset::Entity::find().count(store.reader()).await.expect("counted");
        (assets, audit_entry::Entity::find().count(store.reader()).await.expect("counted"))
    }
}

/// What no write can do without.
const LOCKS_HEAD: &str = "UPDATE audit_head SET seq = seq";

async fn lock(other: &sea_orm::DatabaseConnection) {
    for sql in ["BEGIN", LOCKS_HEAD] {
        other.execute_unprepared(sql).await.expect("locked");
    }
}

async fn insert(tx: &mut WriteTx, n: u128) -> Result<()> {
    let id = uuid::Uuid::from_u128(n);
    let literal = match tx.conn().get_database_backend() {
        DbBackend::Postgres => format!("'{id}'"),
        _ => format!("X'{}'", id.simple()),
    };
    let at = "2026-01-01T12:00:00+00:00";
    let sql = format!(
        "INSERT INTO assets (id, name, name_key, kind, notes, status, source, typed_fields, version, created_at, updated_at)
         VALUES ({literal}, 'a{n}', 'a{n}', 'device', '', 'unknown', 'typed', '[]', 1, '{at}', '{at}')"
    );
    tx.conn().execute_unprepared(&sql).await.map_err(db)?;
    Ok(())
}

/// What a full disk does: SQLite ends the transaction, and the driver does not hear of it.
#[tokio::test]
async fn a_transaction_that_the_database_has_ended_leaves_nothing_behind() {
    let bench = Bench::open(Sqlite).await;
    for round in 0..3 {
        let ended = bench
            .write(async |tx| {
                tx.conn().execute_unprepared("ROLLBACK").await.map_err(db)?;
                Err(Error::Conflict("full".to_owned()))
            })
            .await;
        assert!(matches!(ended, Err(Error::Conflict(_))), "{ended:?}");
        // One that is refused, as any may be, would leave the driver's savepoint open.
        let refused = bench.write(async |_| Err(Error::NotFound)).await;
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
        bench.add(round).await;
        let count = u64::try_from(round).expect("few") + 1;
        assert_eq!(bench.kept().await, (count, count), "another process sees what was answered for");
    }
}

/// Nothing else is asked while all is well: a connection that is given up, or a look for what was kept, costs more than the write.
#[rstest]
// The beginning, the asset, the head and the entry, the head again, and the end.
#[case(Sqlite, 6)]
// The beginning, the asset, the entry with the head, the end, and the flush.
#[case(Postgres, 5)]
#[tokio::test]
async fn a_write_asks_so_much_and_keeps_its_connection(#[case] database: Database, #[case] most: u64) {
    let bench = Bench::open(database).await;
    bench.add(1).await;
    let before = bench.store.statements();
    for n in 2..6 {
        bench.add(n).await;
    }
    assert_eq!(bench.store.statements() - before, 4 * most);
    if database == Sqlite {
        let made = "CREATE TEMP TABLE of_this_connection (one int)";
        bench.store.writer().execute_unprepared(made).await.expect("made");
        bench.add(6).await;
        let there = bench.store.writer().execute_unprepared("SELECT * FROM of_this_connection").await;
        assert!(there.is_ok(), "{there:?}");
    }
}

/// An error that somebody swallowed: PostgreSQL answers the COMMIT of such a transaction with ROLLBACK, and no error.
#[rstest]
#[tokio::test]
async fn a_write_with_a_swallowed_error_is_kept_whole_or_refused(
    #[values(Sqlite, Postgres)] database: Database,
) {
    let bench = Bench::open(database).await;
    let done = bench
        .write(async |tx| {
            insert(tx, 1).await?;
            assert!(tx.conn().execute_unprepared("SELECT * FROM nowhere").await.is_err());
            Ok(())
        })
        .await;
    let count = u64::from(done.is_ok());
    assert_eq!(bench.kept().await, (count, count));
    bench.add(2).await;
    assert_eq!(bench.kept().await, (count + 1, count + 1));
}

/// A disk that is full in the middle, in work that goes on all the same: SQLite would keep each further statement by itself.
#[tokio::test]
async fn after_a_full_disk_nothing_more_is_done_in_a_transaction() {
    let bench = Bench::open(Sqlite).await;
    bench.add(1).await;
    let refused = bench
        .write(async |tx| {
            insert(tx, 2).await?;
            let large = "PRAGMA max_page_count = 1; UPDATE assets SET notes = hex(randomblob(4000000))";
            assert!(matches!(
                tx.conn().execute_unprepared(large).await.map_err(db),
                Err(Error::StorageFull(_))
            ));
            assert!(insert(tx, 3).await.is_err(), "the transaction is over");
            Ok(())
        })
        .await;
    assert!(matches!(refused, Err(Error::StorageFull(_))), "{refused:?}");
    assert_eq!(*bench.store.storage().borrow(), Storage::Full);
    assert_eq!(bench.kept().await, (1, 1));
}

/// The states that are told while `hold` keeps every other write waiting, and after it.
async fn told_during(bench: &Bench, hold: impl Future<Output = ()>) -> Vec<Storage> {
    let mut storage = bench.store.storage();
    let mut told = vec![*storage.borrow()];
    let others = async {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        for n in 0..3 {
            let refused = bench.write(async |tx| insert(tx, n).await).await;
            assert!(matches!(refused, Err(Error::Unavailable(_)) | Ok(())), "{refused:?}");
        }
    };
    let tell = async {
        while storage.changed().await.is_ok() {
            told.push(*storage.borrow());
        }
    };
    tokio::select! {
        _ = async { tokio::join!(hold, others) } => {}
        () = bench.store.watch_over() => {}
        () = tell => {}
    }
    if storage.has_changed().is_ok_and(|changed| changed) {
        told.push(*storage.borrow());
    }
    told
}

/// Waits until this is told, twenty seconds at most.
async fn becomes(bench: &Bench, wanted: Storage) {
    let mut storage = bench.store.storage();
    let told = storage.wait_for(|state| *state == wanted);
    let told = tokio::time::timeout(std::time::Duration::from_secs(20), told).await;
    assert!(told.is_ok_and(|state| state.is_ok()), "it never was {wanted:?}");
}

/// Our own work keeps the others waiting: they are told to try again, and nobody is told that the database fails, unless it goes on for
/// long. A session of PostgreSQL may have stopped in the middle of it.
#[rstest]
#[case(Sqlite, 2, &[Storage::Serving])]
#[case(Postgres, 2, &[Storage::Serving])]
#[case(Sqlite, 8, &[Storage::Serving, Storage::Refusing(Refuses::Program), Storage::Serving])]
#[case(Postgres, 8, &[Storage::Serving, Storage::Refusing(Refuses::Session), Storage::Serving])]
#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_ours_is_trouble_when_it_is_very_long(
    #[case] database: Database,
    #[case] seconds: u64,
    #[case] told: &[Storage],
) {
    let bench = Bench::open(database).await;
    let long = async {
        let done = bench.write(async |tx| {
            tokio::time::sleep(std::time::Duration::from_secs(seconds)).await;
            insert(tx, 100).await
        });
        done.await.expect("kept");
        // Time for trouble that would be told late.
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        becomes(&bench, Storage::Serving).await;
    };
    assert_eq!(Box::pin(told_during(&bench, long)).await, told);
}

/// Another program keeps them waiting.
#[rstest]
#[case(Sqlite, LOCKS_HEAD, Refuses::Program)]
#[case(Postgres, LOCKS_HEAD, Refuses::Session)]
// PostgreSQL answers all the same, so it is not away.
#[case(Postgres, "LOCK TABLE settings, audit_head, assets IN ACCESS EXCLUSIVE MODE", Refuses::Session)]
// What reads goes on.
#[case(Postgres, "LOCK TABLE audit_log IN SHARE MODE", Refuses::Session)]
#[tokio::test(flavor = "multi_thread")]
async fn a_lock_of_another_is_told(#[case] database: Database, #[case] lock: &str, #[case] why: Refuses) {
    let bench = Bench::open(database).await;
    let other = bench.other().await;
    let held = async {
        for sql in ["BEGIN", lock] {
            other.execute_unprepared(sql).await.expect("locked");
        }
        tokio::time::sleep(std::time::Duration::from_secs(10)).await;
        becomes(&bench, Storage::Refusing(why)).await;
        other.execute_unprepared("ROLLBACK").await.expect("let go");
        becomes(&bench, Storage::Serving).await;
    };
    assert_eq!(
        Box::pin(told_during(&bench, held)).await,
        [Storage::Serving, Storage::Refusing(why), Storage::Serving]
    );
}

/// Not every transaction that locks the head of the log appends to it.
#[rstest]
#[tokio::test]
async fn a_lock_of_the_head_leaves_no_gap(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::open(database).await;
    bench.add(1).await;
    let (tx, head) = bench.store.begin_at_head().await.expect("begun");
    tx.commit().await.expect("kept");
    bench.add(2).await;
    let verdict = bench.store.verify_audit(None, &std::collections::BTreeMap::new()).await.expect("read");
    assert_eq!((head.seq, verdict.entries, verdict.broken), (1, 2, None));
}

/// A COMMIT that the database refuses.
#[rstest]
#[tokio::test]
async fn a_commit_that_fails_is_no_commit(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::open(database).await;
    for n in 0..3 {
        let refused = bench
            .write(async |tx| {
                insert(tx, 100).await?;
                let late = if database == Sqlite {
                    "PRAGMA defer_foreign_keys = ON;
                     INSERT INTO asset_tags (asset_id, tag_id) VALUES (X'00', X'00')"
                } else {
                    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
                     CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON tags DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse();
                     INSERT INTO tags (id, name, name_key, color, version, created_at, updated_at)
                        VALUES ('00000000-0000-0000-0000-000000000001', 't', 't', '#112233', 1, now(), now())"
                };
                tx.conn().execute_unprepared(late).await.map_err(db)?;
                Ok(())
            })
            .await;
        assert!(matches!(refused, Err(Error::Internal(_))), "{refused:?}");
        assert_eq!(bench.kept().await, (n, n));
        bench.add(n.into()).await;
        assert_eq!(bench.kept().await, (n + 1, n + 1));
    }
}

/// A request that is cancelled, wherever it is, and a panic.
#[rstest]
#[tokio::test]
async fn what_is_cancelled_is_kept_whole_or_not_at_all(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::open(database).await;
    for n in 0..40 {
        let work = bench.write(async |tx| {
            insert(tx, n).await?;
            tokio::task::yield_now().await;
            Ok(())
        });
        let micros = u64::try_from(n).expect("few") * 150;
        let _ = tokio::time::timeout(std::time::Duration::from_micros(micros), work).await;
    }
    let broken = std::panic::AssertUnwindSafe(bench.write(async |tx| {
        insert(tx, 1_000).await?;
        panic!("in the middle")
    }));
    assert!(futures_util::FutureExt::catch_unwind(broken).await.is_err());
    let (before, _) = bench.kept().await;
    bench.add(1_001).await;
    assert_eq!(bench.kept().await, (before + 1, before + 1));
}

/// A table that another program has locked stops neither those who read it nor those who write for long.
#[tokio::test]
async fn a_locked_table_is_refused_in_time() {
    let bench = Bench::open(Postgres).await;
    let other = bench.other().await;
    for sql in ["BEGIN", "LOCK TABLE assets IN ACCESS EXCLUSIVE MODE"] {
        other.execute_unprepared(sql).await.expect("locked");
    }
    let read = async || asset::Entity::find().count(bench.store.reader()).await.map_err(db);
    let write = |n| bench.write(async move |tx| insert(tx, n).await);
    let all = Box::pin(async { tokio::join!(read(), join_all((1..4).map(write))) });
    let soon = std::time::Duration::from_secs(8);
    let (read_one, written) = tokio::time::timeout(soon, all).await.expect("in time");
    assert!(matches!(read_one, Err(Error::Unavailable(_))), "{read_one:?}");
    assert!(written.iter().all(|one| matches!(one, Err(Error::Unavailable(_)))), "{written:?}");
    other.execute_unprepared("ROLLBACK").await.expect("let go");
    bench.add(1).await;
    assert_eq!(read().await.expect("counted"), 1);
}

/// A COMMIT that waits for a standby that is not there.
#[tokio::test]
async fn a_commit_that_does_not_end_is_unknown() {
    let bench = Bench::open(Postgres).await;
    let other = bench.other().await;
    let standby = async |name: &str| {
        for sql in [
            format!("ALTER SYSTEM SET synchronous_standby_names = '{name}'"),
            "SELECT pg_reload_conf()".to_owned(),
        ] {
            other.execute_unprepared(&sql).await.expect("set");
        }
    };
    standby("gone").await;
    let soon = std::time::Duration::from_secs(8);
    let mut n = 0;
    // PostgreSQL hears of the setting a little later.
    let unknown = async {
        loop {
            n += 1;
            bench.write(async |tx| insert(tx, n).await).await?;
        }
    };
    let unknown: Result<()> = tokio::time::timeout(soon, unknown).await.expect("in time");
    assert!(matches!(unknown, Err(Error::OutcomeUnknown(_))), "{unknown:?}");
    standby("").await;
    bench.add(n + 1).await;
    let all = u64::try_from(n + 1).expect("few");
    assert_eq!(bench.kept().await, (all, all));
}

/// A lock of another program: refused in words, in time, and forgotten when it is gone.
#[rstest]
#[tokio::test]
async fn a_locked_database_is_not_waited_for(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::open(database).await;
    let other = bench.other().await;
    lock(&other).await;
    // On a machine that stalls, at least once in five times: a driver that is told nothing waits for five seconds.
    let mut took = vec![std::time::Duration::MAX];
    while took[took.len() - 1] > std::time::Duration::from_secs(4) {
        assert!(took.len() <= 5, "{took:?}");
        let began = std::time::Instant::now();
        let refused = bench.write(async |tx| insert(tx, 1).await).await;
        assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
        took.push(began.elapsed());
    }
    other.execute_unprepared("ROLLBACK").await.expect("let go");
    other.close().await.expect("closed");
    bench.add(1).await;
    assert_eq!(bench.kept().await, (1, 1));
}

#[rstest]
#[tokio::test]
async fn a_database_of_a_newer_version_is_refused_in_words(#[values(Sqlite, Postgres)] database: Database) {
    let bench = Bench::open(database).await;
    let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_later', 0)";
    bench.other().await.execute_unprepared(newer).await.expect("noted");
    let opened = match &bench.postgres {
        Some(postgres) => Store::open_postgres(&Secret::new(postgres.url().to_owned())).await,
        None => Store::open_sqlite(bench.dir.path()).await,
    };
    let refused = opened.map(drop).expect_err("refused").to_string();
    assert!(refused.contains("newer version") && refused.contains("m9999_later"), "{refused}");
}

/// Nothing of an interrupted first start is in the way of the next.
#[tokio::test]
async fn half_made_tables_of_an_earlier_version_are_set_aside_or_explained() {
    for (unfinished, taken) in [
        ("CREATE TABLE settings (id integer)", true),
        ("CREATE TABLE settings (id integer); CREATE TABLE users (id integer)", true),
        (
            "CREATE TABLE settings (id integer); CREATE TABLE users (id integer); INSERT INTO users VALUES (1)",
            false,
        ),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("circuit-breaker.db");
        let url = format!("sqlite://{}?mode=rwc", file.display());
        let old = sea_orm::Database::connect(url).await.expect("made");
        old.execute_unprepared(unfinished).await.expect("left");
        old.close().await.expect("closed");
        match Store::open_sqlite(dir.path()).await {
            Ok(_) => {
                assert!(taken, "{unfinished}");
                assert!(dir.path().join("circuit-breaker.db.unfinished").exists());
            }
            Err(error) => {
                assert!(!taken, "{unfinished}: {error}");
                assert!(error.to_string().contains("is between two versions"), "{error}");
            }
        }
    }
}

/// Two servers that start at once on an empty PostgreSQL.
#[tokio::test(flavor = "multi_thread")]
async fn of_servers_that_start_at_once_one_makes_the_tables() {
    let postgres = cb_testkit::Postgres::start();
    let url = Secret::new(postgres.url().to_owned());
    let starts = (0..4).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { Store::open_postgres(&url).await.map(|_| ()) })
    });
    for start in starts.collect::<Vec<_>>() {
        start.await.expect("no panic").expect("opens");
    }
}
