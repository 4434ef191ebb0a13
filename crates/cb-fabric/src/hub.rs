//! Everybody in this process who listens, sleeps or remembers, and the way out to the other servers.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use cb_core::Event;
use cb_core::meter::Counter;
use tokio::sync::{Notify, broadcast, mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;
use uuid::Uuid;

use crate::digest::Digest;
use crate::wire::Said;

/// Events that a listener may fall behind before it has missed some.
pub(crate) const DEPTH: usize = 1024;
/// Messages that wait for NATS. One that finds no room is dropped, and its number with it: the others notice.
const QUEUE: usize = 4096;
/// How long a goodbye may take.
const LEAVE: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub(crate) enum Told {
    Event(Event),
    Missed(u64),
}

/// A cache, as the messages of others see it.
pub(crate) trait Forgets: Send + Sync {
    fn name(&self) -> &str;
    /// One key, or all.
    fn forget(&self, key: Option<Digest>);
}

/// Messages of other servers that did not arrive as they were sent.
#[derive(Default)]
pub struct Unheard {
    /// A server of this cluster has sent them.
    pub missed: Counter,
    /// They may be anybody's.
    pub refused: Counter,
}

pub(crate) struct Hub {
    pub unheard: Unheard,
    /// The other servers that NATS brings messages of.
    pub heard: Mutex<HashSet<Uuid>>,
    pub told: broadcast::Sender<Told>,
    last: Mutex<Instant>,
    sleepers: Mutex<HashMap<String, watch::Sender<()>>>,
    caches: Mutex<Vec<Weak<dyn Forgets>>>,
    /// Whether what others change is heard; caches hold nothing while it is not.
    hearing: AtomicBool,
}

impl Hub {
    pub fn new(hearing: bool) -> Self {
        Self {
            unheard: Unheard::default(),
            heard: Mutex::default(),
            told: broadcast::Sender::new(DEPTH),
            last: Mutex::new(Instant::now()),
            sleepers: Mutex::default(),
            caches: Mutex::default(),
            hearing: AtomicBool::new(hearing),
        }
    }

    pub fn tell(&self, told: Told) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        // An error means that nobody listens, which is fine.
        let _ = self.told.send(told);
    }

    /// For how long nothing has happened, as far as is known.
    pub fn quiet(&self) -> Duration {
        if self.hears() {
            self.last.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
        } else {
            Duration::ZERO
        }
    }

    /// So many messages passed unheard: whatever they would have changed is forgotten, and read afresh.
    pub fn missed(&self, count: u64) {
        self.forget(None, None);
        self.tell(Told::Missed(count));
        self.sleepers().values().for_each(|sleeper| sleeper.send_modify(|()| ()));
    }

    pub fn wake(&self, kind: &str) {
        if let Some(sleeper) = self.sleepers().get(kind) {
            sleeper.send_modify(|()| ());
        }
    }

    pub fn sleep_for(&self, kind: &str) -> watch::Receiver<()> {
        let mut sleepers = self.sleepers();
        let sleeper = sleepers.entry(kind.to_owned()).or_insert_with(|| watch::Sender::new(()));
        sleeper.subscribe()
    }

    fn sleepers(&self) -> MutexGuard<'_, HashMap<String, watch::Sender<()>>> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn add_cache(&self, cache: Weak<dyn Forgets>) {
        let mut caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        caches.retain(|cache| cache.strong_count() > 0);
        caches.push(cache);
    }

    /// In the caches of this name; in all of them without one.
    pub fn forget(&self, name: Option<&str>, key: Option<Digest>) {
        let caches = self.caches.lock().unwrap_or_else(PoisonError::into_inner);
        for cache in caches.iter().filter_map(Weak::upgrade) {
            if name.is_none_or(|name| name == cache.name()) {
                cache.forget(key);
            }
        }
    }

    pub fn hears(&self) -> bool {
        self.hearing.load(Ordering::Acquire)
    }

    /// Nothing that was remembered before survives the change.
    pub fn set_hearing(&self, hearing: bool) {
        self.hearing.store(hearing, Ordering::Release);
        self.forget(None, None);
    }
}

/// What waits to be sent: the number is given when it is said, so that a dropped message leaves a gap.
pub(crate) struct Outbox {
    sender: mpsc::Sender<(u64, Said)>,
    said: Mutex<u64>,
    /// Goodbye is the last word.
    over: AtomicBool,
    /// It has been sent.
    pub left: Notify,
}

impl Outbox {
    pub fn new() -> (Self, mpsc::Receiver<(u64, Said)>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self { sender, said: Mutex::new(0), over: AtomicBool::new(false), left: Notify::new() }, receiver)
    }

    /// Queued only if somebody takes it out: what was said while NATS was away is a gap.
    pub fn say(&self, queued: bool, said: impl FnOnce() -> Said) {
        let mut seq = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        *seq += 1;
        if queued {
            let _ = self.sender.try_send((*seq, said()));
        }
    }

    /// In its turn, so that it repeats only numbers that were sent before it, or are lost.
    pub fn repeat(&self, said: Said) {
        let seq = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever said goodbye is silent: a sign of life after it would be missed when it ends.
        let over = self.over.fetch_or(said == Said::Bye, Ordering::Relaxed);
        if !over {
            let _ = self.sender.try_send((*seq, said));
        }
    }
}

/// Ends the tasks when nobody has the bus or the fabric any more.
pub(crate) struct Shared {
    pub hub: Arc<Hub>,
    outbox: Option<Arc<Outbox>>,
    tasks: Vec<AbortHandle>,
}

impl Shared {
    pub fn alone() -> Self {
        Self { hub: Arc::new(Hub::new(true)), outbox: None, tasks: Vec::new() }
    }

    pub fn with_others(hub: Arc<Hub>, outbox: Arc<Outbox>, tasks: Vec<AbortHandle>) -> Self {
        Self { hub, outbox: Some(outbox), tasks }
    }

    /// To the others.
    pub fn say(&self, said: impl FnOnce() -> Said) {
        if let Some(outbox) = &self.outbox {
            outbox.say(self.hub.hears(), said);
        }
    }

    /// Returns when the others can know it, or nobody would hear it.
    pub async fn leave(&self) {
        if let Some(outbox) = self.outbox.as_ref().filter(|_| self.hub.hears()) {
            outbox.repeat(Said::Bye);
            let _ = timeout(LEAVE, outbox.left.notified()).await;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

#[cfg(test)]
mod tests {
    use super::{Outbox, QUEUE};
    use crate::wire::Said;

    #[tokio::test]
    async fn what_finds_no_room_is_a_gap_and_a_beat_shows_it() {
        let (outbox, mut queue) = Outbox::new();
        for _ in 0..QUEUE + 5 {
            outbox.say(true, || Said::Wake("scan".to_owned()));
        }
        let mut last = 0;
        for _ in 0..QUEUE {
            last = queue.recv().await.expect("queued").0;
        }
        outbox.say(false, || panic!("nobody reads it"));
        outbox.repeat(Said::Bye);
        let (seq, said) = queue.recv().await.expect("queued");
        assert_eq!((last, seq, said), (QUEUE as u64, QUEUE as u64 + 6, Said::Bye));
    }
}
