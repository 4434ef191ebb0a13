//! Audited writes beside each other, on PostgreSQL: one chain, nothing decided on what another changes, nothing acknowledged and lost.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use cb_core::audit::Action;
use cb_core::{Error, Principal, Result, Secret};
use cb_testkit::Database::Postgres;
use cb_testkit::asked_again;
use futures_util::future::join_all;
use rstest::rstest;
use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait as _, Statement};
use tokio::sync::Notify;
use uuid::Uuid;

use super::{Bench, insert};
use crate::entities::audit_entry;
use crate::{Audit, Row, Store, WriteTx, db};

impl Bench {
    async fn beside(
        &self,
        rows: &[Row],
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<()> + Clone,
    ) -> Result<()> {
        beside(&self.store, rows, work).await
    }

    async fn whole(&self) -> i64 {
        let verdict = self.store.verify_audit(None, &BTreeMap::new()).await.expect("read");
        assert_eq!(verdict.broken, None);
        verdict.entries
    }
}

async fn beside(
    store: &Store,
    rows: &[Row],
    work: impl AsyncFnOnce(&mut WriteTx) -> Result<()> + Clone,
) -> Result<()> {
    store.write_rows(rows, audit(), work).await.map(drop)
}

fn audit() -> Audit<'static> {
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    let at = chrono::Utc::now();
    Audit { action: Action::AssetUpdated, actor: &Principal::Cli, at, origin: None }
}

async fn one(tx: &WriteTx, sql: &str) -> Result<i64> {
    let row = tx.conn().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.map_err(db)?;
    row.ok_or(Error::NotFound)?.try_get_by_index(0).map_err(db)
}

/// Reads, waits, and writes what follows from what it has read: two at once would lose one.
async fn count_up(tx: &mut WriteTx) -> Result<()> {
    let version = one(tx, "SELECT max(version) FROM assets").await?;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let sql = format!("UPDATE assets SET version = {}", version + 1);
    tx.conn().execute_unprepared(&sql).await.map_err(db)?;
    Ok(())
}

async fn version(bench: &Bench) -> i64 {
    let sql = "SELECT version FROM assets";
    let row = bench.store.reader().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
    row.expect("read").expect("a row").try_get_by_index(0).expect("a number")
}

const ASSET: u128 = 1;

const ROW: Row = Row::Asset(Uuid::from_u128(ASSET));

/// Several entries each, from two servers.
#[tokio::test(flavor = "multi_thread")]
async fn sixteen_writers_make_one_chain() {
    let bench = Bench::open(Postgres).await;
    let url = Secret::new(bench.postgres.as_ref().expect("one").url().to_owned());
    let other = Store::open_postgres(&url).await.expect("opens");
    let writers = (0..16_u128).map(|writer| {
        let store = if writer % 2 == 0 { &bench.store } else { &other };
        async move {
            for n in 0..25 {
                let rows = [Row::Asset(Uuid::from_u128(n))];
                let work = async |tx: &mut WriteTx| {
                    insert(tx, 1_000 * writer + n + 1).await?;
                    tx.about("asset", Uuid::from_u128(n));
                    tx.tell(
                        Action::TagCreated,
                        "tag",
                        Uuid::from_u128(n),
                        serde_json::json!({ "ä\"\\": [n] }),
                    );
                    Ok(())
                };
                // One in five excludes all others.
                let done = asked_again(async || {
                    if n % 5 == 0 {
                        store.write(audit(), work).await.map(drop)
                    } else {
                        beside(store, &rows, work).await
                    }
                });
                done.await.expect("kept");
            }
        }
    });
    join_all(writers).await;
    assert_eq!(bench.whole().await, 16 * 25 * 2);
    other.close().await.expect("closed");
}

/// PostgreSQL wakes all who wait for a row when it is free, and one who waits for a lock of its own.
#[tokio::test(flavor = "multi_thread")]
async fn one_at_a_time_waits_for_the_head_itself() {
    let bench = Bench::open(Postgres).await;
    let (holder, onlooker) = (bench.other().await, bench.other().await);
    super::lock(&holder).await;
    let writes = join_all((0..4_u128).map(|n| {
        let bench = &bench;
        async move { bench.beside(&[], async |tx| insert(tx, n + 1).await).await }
    }));
    let look = async {
        let count =
            "SELECT count(*), count(*) FILTER (WHERE locktype <> 'advisory') FROM pg_locks WHERE NOT granted";
        loop {
            let row = onlooker.query_one_raw(Statement::from_string(DbBackend::Postgres, count)).await;
            let row = row.expect("read").expect("a row");
            let (all, others): (i64, i64) =
                (row.try_get_by_index(0).expect("a count"), row.try_get_by_index(1).expect("a count"));
            if all == 4 {
                break others;
            }
        }
    };
    let (done, others) = tokio::join!(writes, async {
        let others = tokio::time::timeout(Duration::from_secs(10), look).await.expect("all wait");
        holder.execute_unprepared("ROLLBACK").await.expect("let go");
        others
    });
    assert_eq!(others, 1, "all who wait for the row wake up when it is free");
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(bench.whole().await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_one_row_wait_for_each_other() {
    let bench = Bench::open(Postgres).await;
    bench.add(ASSET).await;
    let up = async || bench.beside(&[ROW], async |tx| count_up(tx).await).await;
    let done = join_all((0..8).map(|_| asked_again(&up))).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(version(&bench).await, 9);
    assert_eq!(bench.whole().await, 9);
}

/// What decides on everything sees no other write half-way, and no write begins beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_of_everything_is_alone() {
    let bench = Bench::open(Postgres).await;
    bench.add(ASSET).await;
    let done = join_all((0..12_u128).map(|n| {
        let bench = &bench;
        asked_again(async move || {
            if n % 2 == 0 {
                bench.write(async |tx| count_up(tx).await).await
            } else {
                // Declares another row than the one that it changes, so only the lock of all writes keeps it apart.
                let rows = [Row::Asset(Uuid::from_u128(100 + n))];
                bench
                    .beside(&rows, async |tx| {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                        let up = "UPDATE assets SET version = version + 1";
                        tx.conn().execute_unprepared(up).await.map_err(db).map(drop)
                    })
                    .await
            }
        })
    }))
    .await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(version(&bench).await, 13);
}

/// Two that each leave the other: with both at once nobody would be left.
#[tokio::test(flavor = "multi_thread")]
async fn the_last_one_stays() {
    let bench = Bench::open(Postgres).await;
    for n in 1..=2 {
        bench.add(n).await;
    }
    let leave = |n: u128| {
        bench.write(async move |tx| {
            if one(tx, "SELECT count(*) FROM assets").await? < 2 {
                return Err(Error::Conflict("the last one".to_owned()));
            }
            // Longer than the other one needs for a connection.
            tokio::time::sleep(Duration::from_millis(500)).await;
            let sql = format!("DELETE FROM assets WHERE id = '{}'", Uuid::from_u128(n));
            tx.conn().execute_unprepared(&sql).await.map_err(db).map(drop)
        })
    };
    let (a, b) = tokio::join!(leave(1), leave(2));
    assert!(a.is_ok() != b.is_ok(), "{a:?} {b:?}");
    assert_eq!(bench.kept().await.0, 1);
}

/// One that takes long does not stop those of other rows.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_write_stops_only_its_own_row() {
    let bench = Bench::open(Postgres).await;
    bench.add(ASSET).await;
    let (held, over) = (Notify::new(), Notify::new());
    let long = bench.beside(&[ROW], async |_| {
        held.notify_one();
        over.notified().await;
        Ok(())
    });
    let others = async {
        held.notified().await;
        for n in 10..20 {
            bench
                .beside(&[Row::AssetStays(Uuid::from_u128(n))], async |tx| insert(tx, n).await)
                .await
                .expect("kept");
        }
        let refused = bench.beside(&[ROW], async |_| Ok(())).await;
        over.notify_one();
        refused
    };
    let (long, refused) = tokio::join!(long, others);
    long.expect("kept");
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(bench.whole().await, 12);
}

/// How a write comes to need the row.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Needs {
    /// It says so.
    Declared,
    /// A statement of its work locks it, as a reference does.
    Within,
}

impl Needs {
    async fn edit(self, bench: &Bench) -> Result<()> {
        let rows: &[Row] = if self == Self::Declared { &[ROW] } else { &[] };
        bench.beside(rows, async |tx| count_up(tx).await).await
    }
}

/// How long each of many writes takes that need no row of another, beside others and alone in turn; the middle and all together.
async fn figures(bench: &Bench, first: u128) -> (Duration, Duration) {
    let mut took = Vec::new();
    for n in first..first + 60 {
        let began = Instant::now();
        let done = if n % 2 == 0 {
            bench.write(async |tx| insert(tx, n).await).await
        } else {
            bench.beside(&[Row::Asset(Uuid::from_u128(n))], async |tx| insert(tx, n).await).await
        };
        done.expect("kept");
        took.push(began.elapsed());
    }
    let all = took.iter().sum();
    took.sort();
    (took[took.len() / 2], all)
}

/// Another client keeps a row locked, and somebody edits it again and again.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_another_client_holds_stops_nobody_else(
    #[values(Needs::Declared, Needs::Within)] needs: Needs,
) {
    let bench = Bench::open(Postgres).await;
    bench.add(ASSET).await;
    let (middle_before, all_before) = figures(&bench, 100).await;
    let other = bench.other().await;
    for sql in ["BEGIN", "SELECT id FROM assets FOR UPDATE"] {
        other.execute_unprepared(sql).await.expect("locked");
    }
    let refused = AtomicU64::new(0);
    let editing = async {
        loop {
            let edited = needs.edit(&bench).await;
            assert!(matches!(edited, Err(Error::Unavailable(_))), "{edited:?}");
            refused.fetch_add(1, SeqCst);
        }
    };
    let others = async {
        // Until the row is waited for.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let figures = figures(&bench, 200).await;
        while refused.load(SeqCst) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        figures
    };
    let (middle, all) = tokio::select! {
        figures = others => figures,
        () = editing => unreachable!("it goes on"),
    };
    // Who waits behind the row waits for seconds, or is refused; the rest is what else this machine does.
    let else_done = Duration::from_millis(200);
    assert!(middle < middle_before * 5 + else_done, "{middle:?} in place of {middle_before:?}");
    assert!(all < all_before * 10 + 60 * else_done, "{all:?} in place of {all_before:?}");
}

/// A row that becomes free in time is written once, however often its write began.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_becomes_free_is_written_once(#[values(Needs::Declared, Needs::Within)] needs: Needs) {
    let bench = Bench::open(Postgres).await;
    bench.add(ASSET).await;
    let other = bench.other().await;
    for sql in ["BEGIN", "SELECT id FROM assets FOR UPDATE"] {
        other.execute_unprepared(sql).await.expect("locked");
    }
    let free = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        other.execute_unprepared("ROLLBACK").await.expect("let go");
    };
    let (edited, ()) = tokio::join!(needs.edit(&bench), free);
    edited.expect("kept");
    assert_eq!((version(&bench).await, bench.whole().await), (2, 2));
}

/// The head of the log is waited for longer than a row, and what the transaction was told ends with it.
#[tokio::test(flavor = "multi_thread")]
async fn the_head_of_the_log_is_waited_for() {
    let bench = Bench::open(Postgres).await;
    let other = bench.other().await;
    super::lock(&other).await;
    let free = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        other.execute_unprepared("ROLLBACK").await.expect("let go");
    };
    let begun = AtomicU64::new(0);
    let write = bench.beside(&[], async |tx| {
        begun.fetch_add(1, SeqCst);
        insert(tx, 1).await
    });
    let (written, ()) = tokio::join!(write, free);
    written.expect("kept");
    assert_eq!((begun.load(SeqCst), bench.whole().await), (1, 1));
    let wait = "SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout'";
    let row = bench.store.writer().query_one_raw(Statement::from_string(DbBackend::Postgres, wait)).await;
    assert_eq!(row.expect("read").expect("a row").try_get_by_index::<i64>(0).expect("a number"), 2_000);
}

/// An ordinary role: no superuser, no owner of the server.
#[tokio::test]
async fn an_ordinary_role_may_flush() {
    let postgres = cb_testkit::Postgres::start();
    let root = sea_orm::Database::connect(postgres.url()).await.expect("connects");
    for sql in ["CREATE ROLE plain LOGIN PASSWORD 'plain'", "CREATE DATABASE theirs OWNER plain"] {
        root.execute_unprepared(sql).await.expect("made");
    }
    let (_, host) = postgres.url().rsplit_once('@').expect("a host");
    let url = format!("postgres://plain:plain@{}", host.replace("/postgres", "/theirs"));
    let store = Store::open_postgres(&Secret::new(url)).await.expect("opens");
    beside(&store, &[], async |tx| insert(tx, 1).await).await.expect("kept");
    store.write(audit(), async |tx| insert(tx, 2).await).await.expect("kept");
    assert!(store.durable_audit_head().await.expect("read").is_some_and(|head| head.0 == 2));
    root.close().await.expect("closed");
    store.close().await.expect("closed");
}

/// The writers do not wait for the disk, and the acknowledgement does: with nothing else that writes, everything that was
/// acknowledged is flushed at that moment.
#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_write_is_on_the_disk() {
    let bench = Bench::open(Postgres).await;
    let flushed = "SELECT CASE WHEN pg_current_wal_flush_lsn() >= $1::pg_lsn THEN 1::bigint ELSE 0 END";
    let end = "SELECT pg_current_wal_insert_lsn()::text";
    for n in 1..40 {
        let done = bench.beside(&[], async |tx| {
            insert(tx, n).await?;
            // PostgreSQL's own writer would flush it within a moment.
            let later = "SELECT pg_current_wal_insert_lsn()";
            tx.conn().execute_unprepared(later).await.map_err(db).map(drop)
        });
        done.await.expect("kept");
        let ask = Statement::from_string(DbBackend::Postgres, end.to_owned());
        let row = bench.store.reader().query_one_raw(ask).await.expect("read").expect("a row");
        let lsn: String = row.try_get_by_index(0).expect("a place");
        let ask = Statement::from_sql_and_values(DbBackend::Postgres, flushed, [lsn.into()]);
        let row = bench.store.reader().query_one_raw(ask).await.expect("read").expect("a row");
        assert_eq!(row.try_get_by_index::<i64>(0).expect("a number"), 1, "write {n}");
    }
}

/// PostgreSQL dies again and again under eight writers. Every write that was acknowledged is there, and the chain is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_a_dying_postgresql() {
    const DEATHS: u32 = 12;
    let mut bench = Bench::open(Postgres).await;
    let over = Arc::new(AtomicBool::new(false));
    let acknowledged: Arc<std::sync::Mutex<Vec<u128>>> = Arc::default();
    let next = Arc::new(AtomicU64::new(1));
    let writers: Vec<_> = (0..8)
        .map(|_| {
            let (store, over) = (bench.store.clone(), over.clone());
            let (acknowledged, next) = (acknowledged.clone(), next.clone());
            tokio::spawn(async move {
                while !over.load(SeqCst) {
                    let n = u128::from(next.fetch_add(1, SeqCst));
                    if beside(&store, &[Row::Tag(Uuid::from_u128(n))], async |tx| insert(tx, n).await)
                        .await
                        .is_ok()
                    {
                        acknowledged.lock().expect("no panic").push(n);
                    } else {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                }
            })
        })
        .collect();
    let watching = tokio::spawn({
        let store = bench.store.clone();
        async move { store.watch_over().await }
    });
    let mut before = 0;
    for death in 0..DEATHS {
        let many = async {
            while acknowledged.lock().expect("no panic").len() < before + 30 {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), many).await.expect("it writes again");
        tokio::time::sleep(Duration::from_millis(u64::from(death * 7 % 11))).await;
        let postgres = bench.postgres.as_mut().expect("one");
        // Half of the times only a session of it dies: then it starts again by itself, and the address answers all the while.
        tokio::task::block_in_place(|| {
            if death % 2 == 0 { postgres.dies() } else { postgres.loses_a_session() }
        });
        before = acknowledged.lock().expect("no panic").len();
    }
    over.store(true, SeqCst);
    join_all(writers).await;
    watching.abort();
    let acknowledged = acknowledged.lock().expect("no panic").clone();
    let ask = Statement::from_string(DbBackend::Postgres, "SELECT name FROM assets");
    let rows = bench.store.reader().query_all_raw(ask).await.expect("read");
    let names: std::collections::HashSet<String> =
        rows.iter().map(|row| row.try_get_by_index(0).expect("a name")).collect();
    let lost: Vec<_> = acknowledged.iter().filter(|n| !names.contains(&format!("a{n}"))).collect();
    assert!(lost.is_empty(), "{} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
    let entries = audit_entry::Entity::find().all(bench.store.reader()).await.expect("read").len();
    assert_eq!(entries, names.len(), "an entry for each");
    assert_eq!(usize::try_from(bench.whole().await).expect("few"), entries);
}

/// PostgreSQL has no connection left for the one that flushes: the writes have theirs.
#[tokio::test(flavor = "multi_thread")]
async fn writes_are_answered_for_while_nobody_gets_another_connection() {
    let postgres = cb_testkit::Postgres::with(10);
    let store = Store::open_postgres(&Secret::new(postgres.url().to_owned())).await.expect("opens");
    let bench = Bench { store, dir: tempfile::tempdir().expect("a folder"), postgres: Some(postgres) };
    bench.add(1).await;
    let mut others = Vec::new();
    let most = sea_orm::ConnectOptions::new(bench.postgres.as_ref().expect("there").url());
    let another = async || {
        let mut one = most.clone();
        one.max_connections(1).acquire_timeout(std::time::Duration::from_millis(500));
        sea_orm::Database::connect(one).await
    };
    others.push(another().await.expect("room"));
    while let Ok(other) = another().await {
        others.push(other);
    }
    let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%AS MATERIALIZED (SELECT pg_logical_emit_message%' AND pid <> pg_backend_pid()";
    assert_eq!(others[0].execute_unprepared(ended).await.expect("ended").rows_affected(), 1);
    others.push(another().await.expect("what the one that flushes had"));
    let began = std::time::Instant::now();
    for n in 2..5 {
        bench.add(n).await;
    }
    assert!(began.elapsed() < std::time::Duration::from_secs(6), "{:?}", began.elapsed());
    drop(others);
    assert_eq!(bench.kept().await, (4, 4));
}
