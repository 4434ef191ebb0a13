//! A host of PostgreSQL that is out of reach without a word: nothing waits for it for long, and nothing from before is in the way when
//! it is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cb_core::{Error, Principal, Secret};
use chrono::Utc;
use futures_util::future::join_all;
use sea_orm::ConnectionTrait as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{Audit, Storage, Store};

/// As many as the pool of readers has.
const READS: usize = 8;
/// These, one that writes and the lookout's.
const ALL: usize = READS + 2;
/// Far more than an answer may take, and far less than a statement may.
const SOON: Duration = Duration::from_secs(10);

/// The way to PostgreSQL. What is lost on a connection is lost for ever: it stays open and silent. What is held arrives later.
#[derive(Clone, Default)]
struct Way(Arc<Numbers>);

#[derive(Default)]
struct Numbers {
    made: AtomicUsize,
    /// Connections with smaller numbers are lost.
    lost: AtomicUsize,
    holds: AtomicBool,
}

impl Way {
    /// `url` by this way.
    async fn to(&self, url: &str) -> Secret {
        let (before, rest) = url.rsplit_once(':').expect("a port");
        let (port, path) = rest.split_once('/').expect("a database");
        let begins = self.begins(port.parse().expect("a port")).await;
        Secret::new(format!("{before}:{begins}/{path}"))
    }

    /// The port at which the way to `port` begins.
    #[expect(clippy::disallowed_methods, reason = "a PostgreSQL of the test's own")]
    async fn begins(&self, port: u16) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let begins = listener.local_addr().expect("bound").port();
        let way = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = way.0.made.fetch_add(1, SeqCst);
                let server = TcpStream::connect(("127.0.0.1", port)).await.expect("PostgreSQL");
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(way.clone().carry(number, from_client, to_server));
                tokio::spawn(way.clone().carry(number, from_server, to_client));
            }
        });
        begins
    }

    async fn carry(self, number: usize, mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin) {
        let mut bytes = [0; 8192];
        loop {
            let read = from.read(&mut bytes).await.unwrap_or_default();
            if number < self.0.lost.load(SeqCst) {
                // The end of a connection is lost like everything else.
                std::future::pending::<()>().await;
            }
            while self.0.holds.load(SeqCst) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if read == 0 || to.write_all(bytes.get(..read).unwrap_or_default()).await.is_err() {
                return;
            }
        }
    }

    fn loses_everything(&self) {
        self.0.lost.store(usize::MAX, SeqCst);
    }

    fn is_whole_for_new_connections(&self) {
        self.0.lost.store(self.0.made.load(SeqCst), SeqCst);
    }

    fn holds(&self, holds: bool) {
        self.0.holds.store(holds, SeqCst);
    }
}

fn watched(store: &Store) -> (watch::Receiver<Storage>, JoinHandle<()>) {
    let watching = store.clone();
    (store.storage(), tokio::spawn(async move { watching.watch_over().await }))
}

async fn reads(store: &Store, sql: &str) -> Vec<Result<(), Error>> {
    let read = async || store.reader().execute_unprepared(sql).await.map(drop).map_err(crate::db);
    join_all((0..READS).map(|_| read())).await
}

async fn becomes(storage: &mut watch::Receiver<Storage>, other: Storage) {
    drop(storage.wait_for(|storage| *storage == other).await.expect("watched"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_silent_host_is_given_up_and_holds_no_connection() {
    let postgres = cb_testkit::Postgres::start();
    let way = Way::default();
    let store = Store::open_postgres(&way.to(postgres.url()).await).await.expect("opens");
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
    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    let audit = Audit { action: "asset_created", actor: &Principal::Cli, at: Utc::now(), origin: None };
    let all = async {
        let away = becomes(&mut storage, Storage::Away);
        tokio::join!(asked, lose, away)
    };
    let (read, (), ()) = tokio::time::timeout(SOON, all).await.expect("given up");
    assert!(read.iter().all(|read| matches!(read, Err(Error::Unavailable(_)))), "{read:?}");
    let written = tokio::time::timeout(SOON, store.write(audit, async |_| Ok(()))).await.expect("refused");
    assert!(matches!(written, Err(Error::Unavailable(_))), "{written:?}");

    way.is_whole_for_new_connections();
    tokio::time::timeout(SOON, becomes(&mut storage, Storage::Serving)).await.expect("seen");
    // Longer than a connection is waited for: each has one of its own.
    let read = reads(&store, "SELECT pg_sleep(2.5)").await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");
    watching.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_room_for_more_connections_is_served_again() {
    let postgres = cb_testkit::Postgres::start();
    let root = Store::open_postgres(&Secret::new(postgres.url().to_owned())).await.expect("opens");
    for sql in [
        &format!("CREATE ROLE few LOGIN PASSWORD 'of the test' CONNECTION LIMIT {ALL}"),
        "CREATE DATABASE few OWNER few",
    ] {
        root.writer().execute_unprepared(sql).await.expect("made");
    }
    let way = Way::default();
    let address = postgres.url().split_once('@').expect("an address").1.replace("/postgres", "/few");
    let url = way.to(&format!("postgres://few:of%20the%20test@{address}")).await;
    let store = Store::open_postgres(&url).await.expect("opens");
    let (mut storage, watching) = watched(&store);
    let read = reads(&store, "SELECT pg_sleep(0.2)").await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");

    way.holds(true);
    tokio::time::timeout(SOON, becomes(&mut storage, Storage::Away)).await.expect("seen");
    way.holds(false);
    tokio::time::timeout(SOON, becomes(&mut storage, Storage::Serving)).await.expect("seen");
    let read = reads(&store, "SELECT pg_sleep(0.2)").await;
    assert!(read.iter().all(Result::is_ok), "{read:?}");
    watching.abort();
}
