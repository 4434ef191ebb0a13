//! Behind a PgBouncer in transaction mode: connections are lent, and every promise of the store holds all the same.

use std::time::{Duration, Instant};

use cb_core::audit::Action;
use cb_core::{Error, Principal, Secret};
use cb_testkit::{PgBouncer, Postgres};
use chrono::DateTime;
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, DbBackend, EntityTrait as _, Statement};

use crate::entities::{audit_entry, setting};
use crate::pool::{self, Use, Way};
use crate::{Audit, Storage, Store, db};

/// A read and a write give up after half of that, and the pooler itself after two minutes.
const SOON: Duration = Duration::from_secs(10);

fn secret(url: &str) -> Secret {
    Secret::new(url.to_owned())
}

async fn written(store: &Store) -> Result<(), Error> {
    let at = DateTime::from_timestamp(1, 0).expect("a time");
    let audit = Audit { action: Action::SettingsUpdated, actor: &Principal::Server, at, origin: None };
    store.write(audit, async |_| Ok(())).await.map(drop)
}

async fn number(store: &Store, sql: &str) -> i64 {
    let row = store.reader().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await;
    row.expect("reads").expect("a row").try_get_by_index(0).expect("a number")
}

#[tokio::test]
async fn a_pooler_is_noticed_however_it_takes_options() {
    let postgres = Postgres::start();
    let way = async |url: &str| pool::postgres(&secret(url), 1, Use::Read).await.expect("opens").way();
    assert_eq!(way(postgres.url()).await, Way::Own);
    let lent = Way::Lent(Use::Read);
    for lines in ["", "ignore_startup_parameters = options,extra_float_digits", "pool_mode = session"] {
        assert_eq!(way(PgBouncer::with(&postgres, 2, lines).url()).await, lent, "{lines}");
    }
}

#[tokio::test]
async fn what_a_pooler_refuses_is_told_with_a_cure() {
    let postgres = Postgres::start();
    let refused = async |lines: &str, change: &dyn Fn(&str) -> String| {
        let bouncer = PgBouncer::with(&postgres, 2, lines);
        let why = Store::open_postgres(&secret(&change(bouncer.url()))).await.err();
        why.map(|why| why.to_string()).unwrap_or_default()
    };
    let as_it_is = |url: &str| url.to_owned();
    let why = refused("max_client_conn = 1", &as_it_is).await;
    assert!(why.contains("raise max_client_conn"), "{why}");
    let why = refused("pool_mode = statement", &as_it_is).await;
    assert!(why.contains("Set pool_mode = transaction"), "{why}");
    let why = refused("", &|url| url.replace("://cb:", "://cb:x")).await;
    assert!(why.contains("userlist.txt"), "{why}");
    let why = refused("", &|url| url.replace("://cb:", "://nobody:")).await;
    assert!(why.contains("userlist.txt"), "{why}");
}

/// A pooler that takes no more clients says so at once. Those that we have come back.
#[tokio::test(flavor = "multi_thread")]
async fn questions_wait_for_a_connection_where_a_pooler_takes_no_more_clients() {
    let postgres = Postgres::start();
    // Those of an open store, and two.
    let bouncer = PgBouncer::with(&postgres, 6, "max_client_conn = 6");
    let store = Store::open_postgres(&secret(bouncer.url())).await.expect("opens");
    let asked = (0..30).map(|_| number(&store, "SELECT 1::bigint FROM pg_sleep(0.02)"));
    assert!(join_all(asked).await.iter().all(|answer| *answer == 1));
}

/// The locks of a write say nothing at a level where it sees what was before them.
#[tokio::test(flavor = "multi_thread")]
async fn the_level_of_a_transaction_is_ours_whatever_the_database_says() {
    let postgres = Postgres::start();
    let bouncer = PgBouncer::start(&postgres, 3);
    let own = Store::open_postgres(&secret(postgres.url())).await.expect("opens");
    let sql = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END $$";
    own.writer().execute_unprepared(sql).await.expect("set");
    for url in [postgres.url(), bouncer.url()] {
        let store = Store::open_postgres(&secret(url)).await.expect("opens");
        let at = DateTime::from_timestamp(1, 0).expect("a time");
        let audit = Audit { action: Action::SettingsUpdated, actor: &Principal::Server, at, origin: None };
        let asked = async |tx: &mut crate::WriteTx| {
            let sql = Statement::from_string(DbBackend::Postgres, "SHOW transaction_isolation");
            let row = tx.conn().query_one_raw(sql).await.expect("reads").expect("a row");
            Ok(row.try_get_by_index::<String>(0).expect("a word"))
        };
        let (level, _) = store.write(audit, asked).await.expect("written");
        assert_eq!(level, "read committed", "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_made_once_and_what_reads_cannot_write() {
    let postgres = Postgres::start();
    let bouncer = PgBouncer::start(&postgres, 3);
    let url = secret(bouncer.url());
    let open = || Store::open_postgres(&url);
    let (one, two, three, four) = tokio::join!(open(), open(), open(), open());
    let stores = [one, two, three, four].map(|store| store.expect("opens"));
    for store in &stores {
        written(store).await.expect("written");
        for sql in ["UPDATE settings SET version = 7", "CREATE TEMP TABLE x (a int)"] {
            let why = store.reader().execute_unprepared(sql).await.expect_err(sql).to_string();
            assert!(why.contains("read-only transaction"), "{why}");
            let statement = Statement::from_string(DbBackend::Postgres, sql);
            assert!(store.reader().execute_raw(statement.clone()).await.is_err(), "{sql}");
            assert!(store.reader().query_all_raw(statement).await.is_err(), "{sql}");
        }
        // It is over with the transaction.
        assert!(store.writer().execute_unprepared("SET LOCAL lock_timeout = 1; SELECT 1").await.is_ok());
        let wait = "SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout'";
        assert_eq!(number(store, wait).await, 1000);
    }
    let snapshot = stores[0].snapshot().await.expect("begins");
    let entries = async |conn: &_| audit_entry::Entity::find().all(conn).await.expect("reads").len();
    assert_eq!(entries(&snapshot).await, 4);
    written(&stores[1]).await.expect("written");
    assert_eq!(entries(&snapshot).await, 4);
    drop(snapshot);
    assert_eq!(audit_entry::Entity::find().all(stores[0].reader()).await.expect("reads").len(), 5);
    // Nothing is left in a session that another client would meet.
    assert_eq!(
        number(
            &stores[0],
            "SELECT count(*) FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared_statements%'"
        )
        .await,
        0
    );
    for store in stores {
        store.close().await.expect("closed");
    }
}

/// Twenty-four writers of three servers over four connections; nobody uses more, and the chain is whole.
#[tokio::test(flavor = "multi_thread")]
async fn servers_share_few_connections() {
    const EACH: i64 = 40;
    let postgres = Postgres::start();
    let bouncer = PgBouncer::start(&postgres, 4);
    let url = secret(bouncer.url());
    let mut stores = Vec::new();
    for _ in 0..3 {
        stores.push(Store::open_postgres(&url).await.expect("opens"));
    }
    let watch = Store::read_postgres(&secret(postgres.url())).await.expect("opens");
    let tasks: Vec<_> = (0..24)
        .map(|n| {
            let store = stores[n % 3].clone();
            tokio::spawn(async move {
                let mut unknown = 0;
                for _ in 0..EACH {
                    // Whatever finds the pooler busy is refused, and tried again as its client would. It may find it busy after its
                    // COMMIT, too.
                    while let Err(error) = written(&store).await {
                        unknown += i64::from(matches!(error, Error::OutcomeUnknown(_)));
                        assert!(matches!(error, Error::Unavailable(_) | Error::OutcomeUnknown(_)), "{error}");
                    }
                    while let Err(error) =
                        setting::Entity::find_by_id(1).one(store.reader()).await.map_err(db)
                    {
                        assert!(matches!(error, Error::Unavailable(_)), "{error}");
                    }
                }
                unknown
            })
        })
        .collect();
    let mut most = 0;
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND client_port IS NOT NULL";
        // Less the other connection of the one that watches, if there is one.
        most = most.max(number(&watch, sql).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let mut unknown = 0;
    for task in tasks {
        unknown += task.await.expect("written");
    }
    let verdict = stores[0].verify_audit(None, &std::collections::BTreeMap::new()).await.expect("read");
    assert_eq!(verdict.broken, None);
    assert!((24 * EACH..=24 * EACH + unknown).contains(&verdict.entries), "{} {unknown}", verdict.entries);
    assert!((2..=5).contains(&most), "{most} connections to PostgreSQL");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_without_a_free_connection_refuses_soon_and_one_that_comes_back_serves() {
    let postgres = Postgres::start();
    let mut bouncer = PgBouncer::start(&postgres, 3);
    let url = secret(bouncer.url());
    let store = Store::open_postgres(&url).await.expect("opens");
    let watched = store.clone();
    tokio::spawn(async move { watched.watch_over().await });
    written(&store).await.expect("written");
    let other = Store::open_postgres(&url).await.expect("opens");
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(other.begin_write().await.expect("begins"));
    }
    for tx in &held {
        tx.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await.expect("set");
    }
    for _ in 0..3 {
        let began = Instant::now();
        assert!(setting::Entity::find_by_id(1).one(store.reader()).await.is_err());
        let why = written(&store).await.expect_err("no connection");
        assert!(matches!(why, Error::Unavailable(_)), "{why}");
        assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    }
    drop(held);
    serves_again(&store).await;
    bouncer.kill();
    assert!(written(&store).await.is_err());
    let mut storage = store.storage();
    let away = storage.wait_for(|state| *state == Storage::Away);
    tokio::time::timeout(Duration::from_secs(20), away).await.expect("it is told").expect("watched");
    bouncer.start_again();
    serves_again(&store).await;
    bouncer.pause();
    let began = Instant::now();
    assert!(written(&store).await.is_err());
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    bouncer.resume();
    serves_again(&store).await;
}

async fn serves_again(store: &Store) {
    let began = Instant::now();
    loop {
        let read = setting::Entity::find_by_id(1).one(store.reader()).await;
        if read.is_ok() && written(store).await.is_ok() {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "it does not serve again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
