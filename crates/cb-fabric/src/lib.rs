//! What servers share: events, wake-ups, rates, throttles, caches. One type, [`Fabric`], with two modes: `embedded`, in this process
//! alone, and `cluster`, over Redis (counts) and NATS core (carries).
//!
//! Invariants: truth is in the database, and nothing here holds any: Redis and NATS may be restarted, emptied or lost at any
//! moment. Publishing never waits, and every other wait has a bound. A message that was lost is never silent: listeners hear
//! that they missed something and read afresh. An outage makes a server slower, never wrong, and no limit unlimited. The memory
//! of all of it is bounded, here and there. No key, user name or secret leaves the process; only digests of them do.
//!
//! There are no locks. What must not be done twice is claimed by a lease in the database, which is checked by the transaction
//! that does it; a lock in Redis would have to be checked there all the same.
//!
//! To add something that servers tell each other, add a variant to `wire::Said`. The suite in `tests/` holds both modes to the
//! same laws.

mod backoff;
mod bus;
mod cache;
mod digest;
mod hub;
mod meet;
mod nats;
mod rate;
mod redis_link;
mod shared;
mod state;
mod throttle;
mod unreached;
mod wake;
mod wire;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use cb_core::config::{ClusterUrls, ConfigError};
use cb_core::{Clock, Entropy, Secret};
use tokio::sync::watch;
use uuid::Uuid;

use crate::digest::{Digester, hex};
use crate::hub::{Hub, Outbox, Shared};
use crate::nats::{Address, NatsLink};
use crate::rate::Quota;
use crate::redis_link::RedisLink;
use crate::shared::Together;
use crate::state::Board;
use crate::wire::{Said, Seal};

pub use bus::{Bus, Heard, Listener};
pub use cache::{Cache, Ticket};
pub use hub::Unheard;
pub use meet::Met;
pub use rate::Rate;
pub use shared::{SharedRate, SharedThrottle};
pub use state::{FabricState, Link};
pub use throttle::{Key, Throttle};
pub use wake::Sleeper;

/// Cheap to clone. When the last clone is gone, so are its connections.
#[derive(Clone)]
pub struct Fabric {
    id: Option<Uuid>,
    bus: Bus,
    together: Together,
    board: Board,
    clock: Arc<dyn Clock>,
}

impl Fabric {
    /// For one server.
    pub fn embedded(clock: Arc<dyn Clock>, entropy: &dyn Entropy) -> Self {
        let digester = Digester::new(&Secret::new(entropy.token()), "");
        Self {
            id: None,
            bus: Bus::new(),
            together: Together { redis: None, digester },
            board: Board::embedded(clock.clone()),
            clock,
        }
    }

    /// For one of several. Does not wait for Redis and NATS: a server starts without them and says so.
    ///
    /// `key` is a secret that all servers of this cluster have, and `installation` names their database: servers with others neither
    /// hear nor count with these. To be called within a runtime.
    pub fn cluster(
        urls: &ClusterUrls,
        key: &Secret,
        installation: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        let digester = Digester::new(key, installation);
        let name = hex(&digester.digest("cluster", "")[..8]);
        let me = entropy.uuid(clock.now());
        let board = Board::cluster(clock.clone());
        let redis = RedisLink::new(&urls.redis, format!("circuit-breaker:{name}:"), board.clone())?;
        let redis = Arc::new(redis);
        let address = Address::parse(&urls.nats)?;
        let hub = Arc::new(Hub::new(false));
        let (outbox, queue) = Outbox::new();
        let outbox = Arc::new(outbox);
        let nats = NatsLink {
            address,
            prefix: format!("circuit-breaker.{name}."),
            seal: Seal::new(&digester),
            me,
            hub: hub.clone(),
            outbox: outbox.clone(),
            board: board.clone(),
            entropy: entropy.clone(),
        };
        let tasks = vec![
            tokio::spawn(redis.clone().keep(entropy, me.simple().to_string())).abort_handle(),
            tokio::spawn(nats.keep(queue)).abort_handle(),
        ];
        let shared = Arc::new(Shared::with_others(hub, outbox, tasks));
        let together = Together { redis: Some(redis), digester };
        Ok(Self { id: Some(me), bus: Bus { shared }, together, board, clock })
    }

    /// What publishes and hears events.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// There may be work of this kind, here or at another server. Never waits.
    pub fn wake(&self, kind: &str) {
        self.bus.shared.hub.wake(kind);
        self.bus.shared.say(|| Said::Wake(kind.to_owned()));
    }

    /// Sleeps until there may be work of this kind. Kinds are few, and named by the code.
    pub fn sleeper(&self, kind: &'static str) -> Sleeper {
        Sleeper { receiver: self.bus.shared.hub.sleep_for(kind) }
    }

    /// So many a minute under each key, all of which may come at once. The name says what is counted.
    pub fn rate(&self, name: &'static str, most: NonZeroU32) -> SharedRate {
        SharedRate::new(name, Quota::per_minute(most), &self.clock, self.together.clone())
    }

    /// Failures double the wait. There is one for everything, told apart by the keys.
    pub fn throttle(&self) -> SharedThrottle {
        SharedThrottle::new(&self.clock, self.bus.shared.clone(), self.together.clone())
    }

    /// Remembers at most so many for at most so long. Caches of one name forget together.
    pub fn cache<T: Clone + Send + Sync + 'static>(
        &self,
        name: &'static str,
        capacity: usize,
        ttl: Duration,
    ) -> Cache<T> {
        let digester = self.together.digester.clone();
        Cache::new(self.bus.shared.clone(), digester, self.clock.clone(), name, capacity, ttl)
    }

    /// Says goodbye to the others, so that they need not read afresh what this server may have changed. To be called after the last
    /// change. Takes at most a second.
    pub async fn leave(&self) {
        self.bus.shared.leave().await;
    }

    /// What is up, what is down since when, and why.
    pub fn state(&self) -> watch::Receiver<FabricState> {
        self.board.watch()
    }
}
