//! Whether servers that share a database share this Redis and this NATS too. A setting that names another one is no outage: each link is
//! up, and nobody hears what the others change.

use std::sync::{LazyLock, PoisonError};

use redis::Script;
use uuid::Uuid;

use crate::redis_link::RedisLink;
use crate::{Fabric, FabricState};

/// KEYS: signs of life. Answers for each whether it is there.
static ARE_THERE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local there = {}
for i, key in ipairs(KEYS) do
  there[i] = redis.call('GET', key) and 1 or 0
end
return there
",
    )
});

/// Where another server was met; nothing where this server cannot look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Met {
    pub redis: Option<bool>,
    pub nats: Option<bool>,
}

impl Fabric {
    /// By what the others know this process; nothing in the mode embedded.
    pub fn id(&self) -> Option<Uuid> {
        self.id
    }

    /// Whether each of these processes is met. One that has just started, or just ended, may be missed or met for some seconds.
    pub async fn meets(&self, others: &[Uuid]) -> Vec<Met> {
        let up = match &*self.state().borrow() {
            FabricState::Cluster { nats, .. } => nats.up,
            FabricState::Embedded => false,
        };
        let in_redis = match &self.together.redis {
            Some(redis) if !others.is_empty() => are_there(redis, others).await,
            _ => None,
        };
        let heard = self.bus.shared.hub.heard.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let one = |(at, other): (usize, &Uuid)| Met {
            redis: in_redis.as_ref().and_then(|there| there.get(at).copied()),
            nats: up.then(|| heard.contains(other)),
        };
        others.iter().enumerate().map(one).collect()
    }
}

async fn are_there(redis: &RedisLink, others: &[Uuid]) -> Option<Vec<bool>> {
    let mut asked = ARE_THERE.prepare_invoke();
    for other in others {
        asked.key(redis.alive(&other.simple().to_string()));
    }
    redis.ask(&asked).await
}
