//! A PostgreSQL that is out of reach without a word, full of others, or replaced by another: nothing waits for it for long, and nothing
//! from before is in the way when it is back.

use cb_core::audit::Action;
use std::time::Duration;

use cb_core::{Error, Principal, Secret};
use cb_testkit::asked_again;
use chrono::Utc;
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Audit, Refuses, Storage, Store};
use way::Way;

mod way;

/// As many as the pool of readers has.
const READS: usize = 8;
/// These, one that writes, the one that flushes and the lookout's.
const ALL: usize = READS + 3;
/// Far more than an answer may take, and far less than a statement may.
const SOON: Duration = Duration::from_secs(10);

fn watched(store: &Store) -> (watch::Receiver<Storage>, JoinHandle<()>) {
    let watching = store.clone();
    (store.storage(), tokio::spawn(async move { watching.watch_over().await }))
}

async fn reads(store: &Store, sql: &str) -> Vec<Result<(), Error>> {
    let read = async || store.reader().execute_unprepared(sql).await.map(drop).map_err(crate::db);
    join_all((0..READS).map(|_| read())).await
}

async fn write(store: &Store) -> Result<(), Error> {
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    let audit = Audit { action: Action::AssetCreated, actor: &Principal::Cli, at: Utc::now(), origin: None };
    store.write(audit, async |_| Ok(())).await.map(drop)
}

/// A user that may have `most` connections and a database of its own, at the place of `url`.
async fn few(root: &Store, url: &str, most: usize) -> String {
    for sql in [
        &format!("CREATE ROLE few LOGIN PASSWORD 'of the test' CONNECTION LIMIT {most}"),
        "CREATE DATABASE few OWNER few",
    ] {
        root.writer().execute_unprepared(sql).await.expect("made");
    }
    let address = url.split_once('@').expect("an address").1.replace("/postgres", "/few");
    format!("postgres://few:of%20the%20test@{address}")
}

async fn opened(url: &str) -> Store {
    Store::open_postgres(&Secret::new(url.to_owned())).await.expect("opens")
}

async fn becomes(storage: &mut watch::Receiver<Storage>, other: Storage) {
    drop(storage.wait_for(|storage| *storage == other).await.expect("watched"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_silent_host_is_given_up_and_holds_no_connection() {
    let postgres = cb_testkit::Postgres::start();
    let (way, url) = Way::to(postgres.url()).await;
    let store = Store::open_postgres(&url).await.expect("opens");
    let (mut storage, watching) = watched(&store);

    // Each makes a connection. Half of them are lost in the pool,
    let read = reads(&store, "SELECT pg_sleep(0.2)").await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");
    // some within a question, and some on the way back to the pool.
    let asked = async {
        let until_lost = async || {
            let mut read = Ok(());
            while read.is_ok() {
                read = store.reader().execute_unprepared("SELECT 1").await.map(drop).map_err(crate::db);
            }
            read
        };
        join_all((0..READS / 2).map(|_| until_lost())).await
    };
    let lose = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        way.loses_everything();
    };
    let all = async {
        let away = becomes(&mut storage, Storage::Away);
        tokio::join!(asked, lose, away)
    };
    let (read, (), ()) = tokio::time::timeout(SOON, all).await.expect("given up");
    assert!(read.iter().all(|read| matches!(read, Err(Error::Unavailable(_)))), "{read:?}");
    let written = tokio::time::timeout(SOON, write(&store)).await.expect("refused");
    assert!(matches!(written, Err(Error::Unavailable(_))), "{written:?}");

    way.is_whole_for_new_connections();
    tokio::time::timeout(SOON, becomes(&mut storage, Storage::Serving)).await.expect("seen");
    let connected = async { while reads(&store, "SELECT pg_sleep(0.2)").await.iter().any(Result::is_err) {} };
    tokio::time::timeout(SOON, connected).await.expect("each has a connection");
    // Longer than a connection is waited for: each has one of its own.
    let read = reads(&store, "SELECT pg_sleep(2.5)").await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");
    watching.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_room_for_more_connections_is_served_again() {
    let postgres = cb_testkit::Postgres::start();
    let root = opened(postgres.url()).await;
    let (way, url) = Way::to(&few(&root, postgres.url(), ALL).await).await;
    let store = Store::open_postgres(&url).await.expect("opens");
    let (mut storage, watching) = watched(&store);
    let read = reads(&store, "SELECT pg_sleep(0.2)").await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");

    way.holds_after(0);
    tokio::time::timeout(SOON, becomes(&mut storage, Storage::Away)).await.expect("seen");
    way.lets_go();
    tokio::time::timeout(SOON, becomes(&mut storage, Storage::Serving)).await.expect("seen");
    let read = reads(&store, "SELECT pg_sleep(0.2)").await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");
    watching.abort();
}

/// Others take every connection that is left, and end none of ours: what has one goes on, and the rest is told why.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_full_of_others_is_told_and_not_taken_for_away() {
    let postgres = cb_testkit::Postgres::start();
    let root = opened(postgres.url()).await;
    // One that reads, one that writes, the one that flushes, the lookout's.
    let store = opened(&few(&root, postgres.url(), 4).await).await;
    let (mut storage, watching) = watched(&store);
    let ours = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'few' AND backend_start < now() - interval '1 second'";
        let row = root.reader().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
        row.expect("asked").expect("a row").try_get_by_index::<i64>(0).expect("a number")
    };
    let written = join_all((0..20).map(|_| write(&store))).await;
    assert!(written.iter().all(|one| matches!(one, Ok(()) | Err(Error::Unavailable(_)))), "{written:?}");
    assert!(written.iter().any(Result::is_ok) && written.iter().any(Result::is_err), "{written:?}");
    tokio::time::timeout(SOON, becomes(&mut storage, Storage::Crowded)).await.expect("seen");
    let read = reads(&store, "SELECT pg_sleep(0.2)").await;
    assert!(read.iter().any(Result::is_ok), "{read:?}");
    // Longer than a look takes: our four are the same as before.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(ours().await, 4);
    root.writer().execute_unprepared("ALTER ROLE few CONNECTION LIMIT 30").await.expect("more");
    tokio::time::timeout(SOON, becomes(&mut storage, Storage::Serving)).await.expect("seen");
    let written = join_all((0..20).map(|_| asked_again(async || write(&store).await))).await;
    assert!(written.iter().all(Result::is_ok), "{written:?}");
    watching.abort();
}

/// The server that was asked until now may only be read, and its address leads to another one.
#[tokio::test(flavor = "multi_thread")]
async fn the_place_of_a_standby_is_asked_again() {
    let (before, after) = (cb_testkit::Postgres::start(), cb_testkit::Postgres::start());
    drop(opened(after.url()).await);
    let (way, url) = Way::to(before.url()).await;
    let store = Store::open_postgres(&url).await.expect("opens");
    let (mut storage, watching) = watched(&store);
    write(&store).await.expect("kept");
    // Beside what makes it so: it refuses only until it has found the other one.
    let found = tokio::spawn(async move {
        for state in [Storage::Refusing(Refuses::ReadOnly), Storage::Serving] {
            tokio::time::timeout(SOON, becomes(&mut storage, state)).await.expect("seen");
        }
    });

    way.leads_to(after.url());
    let root = opened(before.url()).await;
    for sql in ["ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()"] {
        root.writer().execute_unprepared(sql).await.expect("set");
    }
    let refused = async { while write(&store).await.is_ok() {} };
    tokio::time::timeout(SOON, refused).await.expect("refused");
    found.await.expect("seen");
    write(&store).await.expect("kept by the other one");
    watching.abort();
}

/// The caller is gone before the answer to a BEGIN is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_beginning_that_is_cut_short_leaves_no_transaction_open() {
    let postgres = cb_testkit::Postgres::start();
    let root = opened(postgres.url()).await;
    let (way, url) = Way::to(postgres.url()).await;
    let store = Store::open_postgres(&url).await.expect("opens");
    let open = async || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'";
        let row = root.reader().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
        row.expect("asked").expect("a row").try_get_by_index::<i64>(0).expect("a number")
    };
    let mut begun = 0;
    // Before a connection is given to somebody it is asked whether it is there. One of these holds the answer to the BEGIN.
    for pieces in 0..6 {
        store.begin_write().await.expect("begun").rollback().await.expect("ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
        way.holds_after(pieces);
        let _ = tokio::time::timeout(Duration::from_millis(200), store.begin_write()).await;
        begun += open().await;
        way.lets_go();
        let closed = async {
            while open().await > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(SOON, closed).await.expect("rolled back");
    }
    assert!(begun > 0, "none has begun");
}
