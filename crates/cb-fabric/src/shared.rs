//! Rates and throttles that all servers of a cluster count together, in Redis.
//!
//! Each is one script, so that of two servers at once both are counted. The scripts measure by Redis' own clock: the clocks of
//! two servers differ, and the steady clock of one means nothing to another. That clock can be set, too, so a script never
//! believes a time further ahead than its longest wait. Every key expires by itself.
//!
//! Redis can only make a limit stricter, never looser. Each process counts what it lets in itself (`own`), and asks Redis besides:
//! whoever empties Redis, or writes into it, gains no more guesses than each server allows alone. Each answer is also learned
//! (`here`); there the process goes on when Redis cannot be asked.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use cb_core::{Clock, Error, Result};
use redis::Script;

use crate::digest::{Digest, Digester, hex};
use crate::hub::{Forgets, Shared};
use crate::rate::{Quota, Rate};
use crate::redis_link::RedisLink;
use crate::throttle::{self, Key, Throttle};
use crate::wire::Said;

/// KEYS[1]: when the key has rested. ARGV: what one uses up, what may be used up at once; microseconds. Answers whether it is
/// let in, how long to wait, and how much is used up.
static ENTER_RATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local step, room = tonumber(ARGV[1]), tonumber(ARGV[2])
local rested = tonumber(redis.call('GET', KEYS[1]) or '') or now
-- Written so that what is no number at all is none that counts.
if not (rested > now) then rested = now end
rested = math.min(rested, now + room)
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
  if not (failures[i] > 0) then failures[i] = 0 end
  failures[i] = math.floor(math.min(failures[i], 1000000))
  open[i] = tonumber(known[2] or '') or now
  if not (open[i] > now) then open[i] = now end
  open[i] = math.min(open[i], now + longest)
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
        redis.key(what, &hex(&self.digester.digest(what, key)))
    }
}

/// Bounds how often something is done under a key.
pub struct SharedRate {
    name: &'static str,
    quota: Quota,
    own: Rate,
    here: Rate,
    together: Together,
}

impl SharedRate {
    pub(crate) fn new(name: &'static str, quota: Quota, clock: &Arc<dyn Clock>, together: Together) -> Self {
        let rate = || Rate::with(quota, clock.clone());
        Self { name, quota, own: rate(), here: rate(), together }
    }

    /// Counts one, or says how long to wait. Waits at most a quarter of a second for Redis.
    pub async fn enter(&self, key: &str) -> Result<()> {
        self.own.enter(key)?;
        let Some(redis) = &self.together.redis else { return Ok(()) };
        let let_in = self.enter_with_others(redis, key).await;
        if let_in.is_err() {
            self.own.undo(key);
        }
        let_in
    }

    async fn enter_with_others(&self, redis: &RedisLink, key: &str) -> Result<()> {
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
    counts: Arc<Counts>,
    shared: Arc<Shared>,
    together: Together,
}

/// By the digests of the keys, which is what others say.
struct Counts {
    own: Throttle,
    here: Throttle,
}

const THROTTLE: &str = "throttle";

impl Forgets for Counts {
    fn name(&self) -> &str {
        THROTTLE
    }

    /// What is forgiven is always named: after a gap everybody waits longer than they must.
    fn forget(&self, key: Option<Digest>) {
        if let Some(key) = key {
            self.forgive(&hex(&key));
        }
    }
}

impl Counts {
    fn forgive(&self, name: &str) {
        self.own.forgive(name);
        self.here.forgive(name);
    }
}

impl SharedThrottle {
    pub(crate) fn new(clock: &Arc<dyn Clock>, shared: Arc<Shared>, together: Together) -> Self {
        let counts = Counts { own: Throttle::new(clock.clone()), here: Throttle::new(clock.clone()) };
        let counts = Arc::new(counts);
        let forgets: Arc<dyn Forgets> = counts.clone();
        shared.hub.add_cache(Arc::downgrade(&forgets));
        Self { counts, shared, together }
    }

    fn name(&self, key: &str) -> String {
        hex(&self.together.digester.digest(THROTTLE, key))
    }

    /// As [`Throttle::enter`]. Waits at most a quarter of a second for Redis.
    pub async fn enter<'a>(&self, keys: impl IntoIterator<Item = impl Into<Key<'a>>>) -> Result<()> {
        let keys = keys.into_iter().map(Into::into);
        let names: Vec<_> = keys.map(|Key { name, free }| (self.name(name), free)).collect();
        let keys: Vec<_> = names.iter().map(|(name, free)| Key { name, free: *free }).collect();
        self.counts.own.enter(keys.iter().copied())?;
        let Some(redis) = &self.together.redis else { return Ok(()) };
        let let_in = self.enter_with_others(redis, &keys).await;
        if let_in.is_err() {
            self.counts.own.undo(keys);
        }
        let_in
    }

    async fn enter_with_others(&self, redis: &RedisLink, keys: &[Key<'_>]) -> Result<()> {
        let here = &self.counts.here;
        let mut script = ENTER_THROTTLE.arg(millis(throttle::FIRST_WAIT));
        script.arg(millis(throttle::LONGEST_WAIT)).arg(millis(throttle::MEMORY));
        for key in keys {
            script.key(redis.key(THROTTLE, key.name)).arg(key.free);
        }
        let Some(answer) = redis.ask::<Vec<u64>>(&script).await else {
            return here.enter(keys.iter().copied());
        };
        let (let_in, counts) = answer.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
        let mut longest = Duration::ZERO;
        for (key, count) in keys.iter().zip(counts.chunks_exact(2)) {
            let wait = Duration::from_millis(count[1]);
            longest = longest.max(wait);
            here.learn(*key, u32::try_from(count[0]).unwrap_or(u32::MAX), wait);
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

    /// As [`Throttle::spare`], at the server that let the attempt in.
    pub async fn spare(&self, key: &str) {
        let name = self.name(key);
        self.counts.own.spare(&name);
        self.counts.here.spare(&name);
        self.tell(&SPARE, &name).await;
    }

    /// As [`Throttle::forgive`]; the others hear it.
    pub async fn forgive(&self, key: &str) {
        let digest = self.together.digester.digest(THROTTLE, key);
        let name = hex(&digest);
        self.counts.forgive(&name);
        self.shared.say(|| Said::Forget { cache: THROTTLE.to_owned(), key: Some(name.clone()) });
        self.tell(&FORGIVE, &name).await;
    }

    /// While Redis is away the count there stays, and the key waits longer than it must, never shorter.
    async fn tell(&self, script: &Script, name: &str) {
        if let Some(redis) = &self.together.redis {
            let _ = redis.ask::<i64>(&script.key(redis.key(THROTTLE, name))).await;
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
