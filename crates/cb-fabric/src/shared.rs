//! Rates and throttles that all servers of a cluster count together, in Redis.
//!
//! Each is one script, so that of two servers at once both are counted. The scripts measure by Redis' own clock: the clocks of
//! two servers differ, and the steady clock of one means nothing to another. That clock can be set, too, so a script never
//! believes a time further ahead than its longest wait. Every key expires by itself.
//!
//! Each answer is also learned by the limits of this process. They go on from there when Redis cannot be asked.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cb_core::{Error, Result};
use redis::Script;

use crate::digest::{Digester, hex};
use crate::rate::{Quota, Rate};
use crate::redis_link::RedisLink;
use crate::throttle::{self, Key, Throttle};

/// KEYS[1]: when the key has rested. ARGV: what one uses up, what may be used up at once; microseconds. Answers whether it is
/// let in, how long to wait, and how much is used up.
static ENTER_RATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local step, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local rested = tonumber(redis.call('GET', KEYS[1]) or '') or now
rested = math.min(math.max(rested, now), now + room)
local after = rested + step
local wait = after - room - now
if wait > 0 then
  return {0, wait, rested - now}
end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
return {1, 0, after - now}
",
    )
});

/// KEYS: a hash each of failures, of those that are free, and of when it is open again. ARGV: first wait, longest wait, memory;
/// milliseconds; then what is free for each key. Answers whether it is let in, and for each key its failures and its wait.
static ENTER_THROTTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local first, longest, memory = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local failures, open, let_in = {}, {}, 1
for i, key in ipairs(KEYS) do
  local known = redis.call('HMGET', key, 'failures', 'open')
  failures[i] = tonumber(known[1] or '') or 0
  open[i] = math.min(tonumber(known[2] or '') or now, now + longest)
  if open[i] > now then let_in = 0 end
end
local answer = {let_in}
for i, key in ipairs(KEYS) do
  if let_in == 1 then
    local free = tonumber(ARGV[3 + i])
    failures[i] = failures[i] + 1
    open[i] = now
    if failures[i] >= free then
      open[i] = now + math.min(first * 2 ^ math.min(failures[i] - free, 16), longest)
    end
    redis.call('HSET', key, 'failures', failures[i], 'free', free, 'open', string.format('%.0f', open[i]))
    redis.call('PEXPIRE', key, memory)
  end
  answer[#answer + 1] = failures[i]
  answer[#answer + 1] = math.max(open[i] - now, 0)
end
return answer
",
    )
});

static SPARE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local known = redis.call('HMGET', KEYS[1], 'failures', 'free')
local failures, free = tonumber(known[1] or '') or 0, tonumber(known[2] or '') or 0
failures = failures - 1
if failures <= 0 then
  return redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'failures', failures)
if failures < free then
  redis.call('HSET', KEYS[1], 'open', 0)
end
return 1
",
    )
});

static FORGIVE: LazyLock<Script> = LazyLock::new(|| Script::new("return redis.call('DEL', KEYS[1])"));

/// Where the count is kept: in this process alone, or in Redis, under names that say nothing.
#[derive(Clone)]
pub(crate) struct Together {
    pub redis: Option<Arc<RedisLink>>,
    pub digester: Digester,
}

impl Together {
    fn key(&self, redis: &RedisLink, what: &str, key: &str) -> String {
        format!("{}{what}:{}", redis.prefix, hex(&self.digester.digest(what, key)))
    }
}

/// Bounds how often something is done under a key.
pub struct SharedRate {
    name: &'static str,
    quota: Quota,
    here: Rate,
    together: Together,
}

impl SharedRate {
    pub(crate) fn new(name: &'static str, quota: Quota, here: Rate, together: Together) -> Self {
        Self { name, quota, here, together }
    }

    /// Counts one, or says how long to wait. Waits at most a quarter of a second for Redis.
    pub async fn enter(&self, key: &str) -> Result<()> {
        let Some(redis) = &self.together.redis else { return self.here.enter(key) };
        let mut script = ENTER_RATE.key(self.together.key(redis, &format!("rate:{}", self.name), key));
        script.arg(micros(self.quota.step)).arg(micros(self.quota.room));
        let Some((let_in, wait, ahead)) = redis.ask::<(u8, u64, u64)>(&script).await else {
            return self.here.enter(key);
        };
        self.here.learn(key, Duration::from_micros(ahead));
        match let_in {
            1 => Ok(()),
            _ => Err(Error::RateLimited { retry_after: Duration::from_micros(wait) }),
        }
    }
}

/// Slows down guessing; see [`Throttle`].
pub struct SharedThrottle {
    here: Throttle,
    together: Together,
}

impl SharedThrottle {
    pub(crate) fn new(here: Throttle, together: Together) -> Self {
        Self { here, together }
    }

    /// As [`Throttle::enter`]. Waits at most a quarter of a second for Redis.
    pub async fn enter<'a>(&self, keys: impl IntoIterator<Item = impl Into<Key<'a>>>) -> Result<()> {
        let keys: Vec<Key<'a>> = keys.into_iter().map(Into::into).collect();
        let Some(redis) = &self.together.redis else { return self.here.enter(keys) };
        let mut script = ENTER_THROTTLE.arg(millis(throttle::FIRST_WAIT));
        script.arg(millis(throttle::LONGEST_WAIT)).arg(millis(throttle::MEMORY));
        for key in &keys {
            script.key(self.together.key(redis, "throttle", key.name)).arg(key.free);
        }
        let Some(answer) = redis.ask::<Vec<u64>>(&script).await else { return self.here.enter(keys) };
        let (let_in, counts) = answer.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
        let mut longest = Duration::ZERO;
        for (key, count) in keys.into_iter().zip(counts.chunks_exact(2)) {
            let wait = Duration::from_millis(count[1]);
            longest = longest.max(wait);
            self.here.learn(key, u32::try_from(count[0]).unwrap_or(u32::MAX), wait);
        }
        if let_in == 1 { Ok(()) } else { Err(Error::RateLimited { retry_after: longest }) }
    }

    /// Counts an attempt as [`Self::enter`] does, and carries it out. When it ends by a fault of ours, its count is taken back: an outage
    /// is nobody's guess.
    pub async fn attempt<'a, T>(
        &self,
        keys: impl IntoIterator<Item = impl Into<Key<'a>>>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let keys: Vec<Key<'a>> = keys.into_iter().map(Into::into).collect();
        self.enter(keys.iter().copied()).await?;
        let done = work.await;
        if done.as_ref().is_err_and(Error::is_ours) {
            for key in keys {
                self.spare(key.name).await;
            }
        }
        done
    }

    /// As [`Throttle::spare`].
    pub async fn spare(&self, key: &str) {
        self.here.spare(key);
        self.tell(&SPARE, key).await;
    }

    /// As [`Throttle::forgive`].
    pub async fn forgive(&self, key: &str) {
        self.here.forgive(key);
        self.tell(&FORGIVE, key).await;
    }

    /// While Redis is away the count there stays, and the key waits longer than it must, never shorter.
    async fn tell(&self, script: &Script, key: &str) {
        if let Some(redis) = &self.together.redis {
            let _ = redis.ask::<i64>(&script.key(self.together.key(redis, "throttle", key))).await;
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
