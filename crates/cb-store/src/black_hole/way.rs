//! A way to PostgreSQL on which things go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use cb_core::Secret;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is lost on a connection is lost for ever: it stays open and silent. What is held arrives later.
#[derive(Clone)]
pub(super) struct Way(Arc<Numbers>);

struct Numbers {
    ends: AtomicU16,
    made: AtomicUsize,
    /// Connections with smaller numbers are lost.
    lost: AtomicUsize,
    /// How many more pieces arrive before everything is held.
    pieces: AtomicUsize,
}

impl Way {
    /// A way to the server of `url`, and the URL by this way.
    pub async fn to(url: &str) -> (Self, Secret) {
        let (before, port, database) = parts(url);
        let way = Self(Arc::new(Numbers {
            ends: AtomicU16::new(port),
            made: AtomicUsize::default(),
            lost: AtomicUsize::default(),
            pieces: AtomicUsize::new(usize::MAX),
        }));
        let begins = way.begins().await;
        (way, Secret::new(format!("{before}:{begins}/{database}")))
    }

    /// The port at which it begins.
    #[expect(clippy::disallowed_methods, reason = "a PostgreSQL of the test's own")]
    async fn begins(&self) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let begins = listener.local_addr().expect("bound").port();
        let way = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = way.0.made.fetch_add(1, SeqCst);
                let server = TcpStream::connect(("127.0.0.1", way.0.ends.load(SeqCst))).await;
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.expect("PostgreSQL").into_split();
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
            while !self.lets_through() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if read == 0 || to.write_all(bytes.get(..read).unwrap_or_default()).await.is_err() {
                return;
            }
        }
    }

    fn lets_through(&self) -> bool {
        let one_less = |left: usize| if left == usize::MAX { Some(left) } else { left.checked_sub(1) };
        self.0.pieces.fetch_update(SeqCst, SeqCst, one_less).is_ok()
    }

    pub fn loses_everything(&self) {
        self.0.lost.store(usize::MAX, SeqCst);
    }

    pub fn is_whole_for_new_connections(&self) {
        self.0.lost.store(self.0.made.load(SeqCst), SeqCst);
    }

    /// Holds everything after so many pieces; a question is one, and its answer another.
    pub fn holds_after(&self, pieces: usize) {
        self.0.pieces.store(pieces, SeqCst);
    }

    pub fn lets_go(&self) {
        self.0.pieces.store(usize::MAX, SeqCst);
    }

    /// New connections go to the server of `url`.
    pub fn leads_to(&self, url: &str) {
        self.0.ends.store(parts(url).1, SeqCst);
    }
}

/// What stands before the port, the port, and the database.
fn parts(url: &str) -> (&str, u16, &str) {
    let (before, rest) = url.rsplit_once(':').expect("a port");
    let (port, database) = rest.split_once('/').expect("a database");
    (before, port.parse().expect("a port"), database)
}
