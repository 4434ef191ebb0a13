//! The way to Redis, which only counts.
//!
//! One connection for all. Whoever asks while it is down is not kept waiting; whoever asks and gets no answer within [`WAIT`]
//! takes it down. A try that can write, not a ping, says that it is up: a read-only or a full Redis is down for us.

use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cb_core::config::ConfigError;
use cb_core::{Entropy, Secret};
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, FromRedisValue, RedisError, ScriptInvocation,
};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::backoff::Backoff;
use crate::state::{Board, Which};
use crate::unreached::REDIS;

/// Longest that anybody waits for an answer.
pub(crate) const WAIT: Duration = Duration::from_millis(250);
/// For a connection with all that belongs to it.
const CONNECT: Duration = Duration::from_secs(2);
/// Between two tries that can write.
const PROBE: Duration = Duration::from_secs(1);

pub(crate) struct RedisLink {
    client: Client,
    /// What all keys of this cluster begin with.
    prefix: String,
    connection: Mutex<Connection>,
    lost: Notify,
    board: Board,
}

/// The number says which connection it was that somebody found dead.
#[derive(Default)]
struct Connection {
    number: u64,
    open: Option<MultiplexedConnection>,
}

impl RedisLink {
    pub fn new(url: &Secret, prefix: String, board: Board) -> Result<Self, ConfigError> {
        let client = Client::open(url.expose())
            .map_err(|error| REDIS.wrong(format!("Redis cannot be reached by it ({})", error.category())))?;
        Ok(Self { client, prefix, connection: Mutex::default(), lost: Notify::new(), board })
    }

    pub fn key(&self, what: &str, name: &str) -> String {
        format!("{}{what}:{name}", self.prefix)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: Redis cannot be asked, count here.
    pub async fn ask<T: FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Option<T> {
        let (number, mut open) = {
            let connection = self.connection();
            (connection.number, connection.open.clone()?)
        };
        match timeout(WAIT, script.invoke_async(&mut open)).await {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(error)) => {
                self.lose(number, words(&error));
                None
            }
            Err(_) => {
                self.lose(number, REDIS.is_silent());
                None
            }
        }
    }

    fn lose(&self, number: u64, why: String) {
        let mut connection = self.connection();
        if connection.number == number && connection.open.take().is_some() {
            drop(connection);
            self.board.down(Which::Redis, why);
            self.lost.notify_one();
        }
    }

    /// For as long as the server runs.
    pub async fn keep(self: Arc<Self>, entropy: Arc<dyn Entropy>, me: String) {
        let mut backoff = Backoff::new(entropy);
        loop {
            match self.connect(&me).await {
                Ok(open) => {
                    let number = {
                        let mut connection = self.connection();
                        connection.number += 1;
                        connection.open = Some(open.clone());
                        connection.number
                    };
                    self.board.up(Which::Redis);
                    if self.watch(open, &me, number).await {
                        backoff.reset();
                    }
                }
                Err(why) => self.board.down(Which::Redis, why),
            }
            sleep(backoff.next()).await;
        }
    }

    async fn connect(&self, me: &str) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(CONNECT));
        let connect = self.client.get_multiplexed_async_connection_with_config(&config);
        // The client's own bound does not reach the resolver.
        let mut open = match timeout(CONNECT, connect).await {
            Ok(Ok(open)) => open,
            Ok(Err(error)) if error.is_timeout() => return Err(self.silent_at_once()),
            Ok(Err(error)) if is_hung_up(&error) => return Err(REDIS.hung_up_at_once()),
            Ok(Err(error)) => return Err(words(&error)),
            Err(_) => return Err(self.silent_at_once()),
        };
        self.probe(&mut open, me, CONNECT).await.map(|()| open)
    }

    fn silent_at_once(&self) -> String {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::TcpTls { .. } => REDIS.is_silent_in_tls(),
            _ => REDIS.is_silent(),
        }
    }

    /// The key that says that a server uses this Redis.
    pub fn alive(&self, server: &str) -> String {
        format!("{}alive:{server}", self.prefix)
    }

    async fn probe(
        &self,
        open: &mut MultiplexedConnection,
        me: &str,
        longest: Duration,
    ) -> Result<(), String> {
        let key = self.alive(me);
        let mut set = redis::cmd("SET");
        set.arg(key).arg("1").arg("PX").arg(10_000);
        match timeout(longest, set.query_async::<()>(open)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(words(&error)),
            Err(_) => Err(REDIS.is_silent()),
        }
    }

    /// Until the connection is lost; whether it has been of use.
    async fn watch(&self, mut open: MultiplexedConnection, me: &str, number: u64) -> bool {
        let mut worked = false;
        loop {
            // Somebody may have lost an earlier one: then this one is looked at a little early.
            let _ = timeout(PROBE, self.lost.notified()).await;
            {
                let connection = self.connection();
                if connection.number != number || connection.open.is_none() {
                    return worked;
                }
            }
            if let Err(why) = self.probe(&mut open, me, 4 * WAIT).await {
                self.lose(number, why);
                return worked;
            }
            worked = true;
        }
    }
}

/// A sentence for a person, without what Redis says of the command: there are keys in it.
fn words(error: &RedisError) -> String {
    let says = match error.code() {
        Some("WRONGPASS" | "NOAUTH") => return REDIS.refuses_password(),
        Some("READONLY") => "This Redis is a read-only replica: set CB_REDIS_URL to the primary server.",
        Some("OOM") => "Redis is out of memory and refuses writes: raise its maxmemory.",
        Some("MISCONF") => "Redis cannot save to its disk and refuses writes.",
        Some("LOADING") => "Redis is loading its data.",
        Some("MASTERDOWN" | "CLUSTERDOWN" | "MOVED" | "ASK") => {
            "This Redis is part of a cluster or replica set that does not accept the keys: set CB_REDIS_URL to one single server."
        }
        Some("NOPERM") => {
            "Redis does not permit the user of CB_REDIS_URL what it needs: SET, TIME and scripts, on keys that begin with circuit-breaker:."
        }
        Some(code) => return format!("Redis answers with the error {code}."),
        None if error.kind() == ErrorKind::AuthenticationFailed => return REDIS.refuses_password(),
        None if error.is_timeout() => return REDIS.is_silent(),
        None => {
            return match io_error(error) {
                Some(_) if is_hung_up(error) => REDIS.hung_up(),
                Some(error) => REDIS.is_unreachable(error),
                // Such as the machine's certificates, which cannot be read.
                None if error.is_io_error() => REDIS.fails_in_tls(&error.to_string()),
                None if error.kind() == ErrorKind::Parse => REDIS.is_another_service(),
                None => format!("Redis cannot be used ({}).", error.category()),
            };
        }
    };
    says.to_owned()
}

fn is_hung_up(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
}

fn io_error(error: &RedisError) -> Option<&io::Error> {
    error.source()?.downcast_ref::<Arc<dyn Error + Send + Sync>>()?.downcast_ref()
}
