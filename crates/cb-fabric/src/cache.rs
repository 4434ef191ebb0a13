//! What was read lately, in this process; forgotten in every process when one says so.
//!
//! Invariants: an entry lives at most its time, counted from before it was read. What was read before somebody said "forget" is
//! never remembered after it. While the others are not heard, nothing is remembered. Values never leave the process: who can write to
//! Redis or NATS can make a server read, never believe.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cb_core::Clock;

use crate::digest::{Digest, Digester, hex};
use crate::hub::{Forgets, Shared};
use crate::wire::Said;

/// Keys that share a mark: forgetting one keeps what is just being read for its neighbours from being remembered.
const MARKS: usize = 256;

pub struct Cache<T> {
    inner: Arc<Inner<T>>,
    shared: Arc<Shared>,
    digester: Digester,
}

impl<T> Clone for Cache<T> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: self.shared.clone(), digester: self.digester.clone() }
    }
}

struct Inner<T> {
    name: &'static str,
    capacity: usize,
    ttl: Duration,
    clock: Arc<dyn Clock>,
    held: Mutex<Held<T>>,
}

struct Held<T> {
    entries: HashMap<Digest, Entry<T>>,
    /// In the order in which they came, which is the order in which they end; those that were replaced are still in it.
    order: VecDeque<(Digest, u64)>,
    number: u64,
    marks: Box<[u64; MARKS]>,
}

struct Entry<T> {
    value: T,
    number: u64,
    ends: Duration,
}

/// The right to remember what is read from now on.
pub struct Ticket {
    key: Digest,
    mark: u64,
    taken: Duration,
}

impl<T: Clone + Send + Sync + 'static> Cache<T> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        digester: Digester,
        clock: Arc<dyn Clock>,
        name: &'static str,
        capacity: usize,
        ttl: Duration,
    ) -> Self {
        let held =
            Held { entries: HashMap::new(), order: VecDeque::new(), number: 0, marks: Box::new([0; MARKS]) };
        let inner = Arc::new(Inner { name, capacity: capacity.max(1), ttl, clock, held: Mutex::new(held) });
        let forgets: Arc<dyn Forgets> = inner.clone();
        shared.hub.add_cache(Arc::downgrade(&forgets));
        Self { inner, shared, digester }
    }

    pub fn get(&self, key: &str) -> Option<T> {
        if !self.shared.hub.hears() {
            return None;
        }
        let digest = self.digest(key);
        let now = self.inner.clock.steady();
        let held = self.inner.held();
        held.entries.get(&digest).filter(|entry| now < entry.ends).map(|entry| entry.value.clone())
    }

    /// To be taken before the value is read.
    pub fn ticket(&self, key: &str) -> Ticket {
        let key = self.digest(key);
        Ticket { key, mark: self.inner.held().marks[place(&key)], taken: self.inner.clock.steady() }
    }

    /// Remembers what was read with the ticket, unless somebody has said since to forget it.
    pub fn put(&self, ticket: &Ticket, value: T) {
        let mut held = self.inner.held();
        // Asked under the lock: who ceases to hear forgets everything afterwards.
        if !self.shared.hub.hears() || held.marks[place(&ticket.key)] != ticket.mark {
            return;
        }
        held.number += 1;
        let number = held.number;
        held.entries.insert(ticket.key, Entry { value, number, ends: ticket.taken + self.inner.ttl });
        held.order.push_back((ticket.key, number));
        while held.entries.len() > self.inner.capacity || held.order.len() > 2 * self.inner.capacity {
            held.drop_oldest();
        }
    }

    /// What is remembered, or what `read` says.
    pub async fn get_or_read<E>(&self, key: &str, read: impl AsyncFnOnce() -> Result<T, E>) -> Result<T, E> {
        if let Some(value) = self.get(key) {
            return Ok(value);
        }
        let ticket = self.ticket(key);
        let value = read().await?;
        self.put(&ticket, value.clone());
        Ok(value)
    }

    /// Here when this returns, everywhere else as soon as it is heard. To be called after the commit that makes the old value
    /// wrong.
    pub fn forget(&self, key: &str) {
        let digest = self.digest(key);
        self.shared.hub.forget(Some(self.inner.name), Some(digest));
        self.shared.say(|| Said::Forget { cache: self.inner.name.to_owned(), key: Some(hex(&digest)) });
    }

    pub fn forget_all(&self) {
        self.shared.hub.forget(Some(self.inner.name), None);
        self.shared.say(|| Said::Forget { cache: self.inner.name.to_owned(), key: None });
    }

    fn digest(&self, key: &str) -> Digest {
        self.digester.digest(self.inner.name, key)
    }
}

impl<T> Inner<T> {
    fn held(&self) -> MutexGuard<'_, Held<T>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Held<T> {
    fn drop_oldest(&mut self) {
        let Some((key, number)) = self.order.pop_front() else { return };
        if self.entries.get(&key).is_some_and(|entry| entry.number == number) {
            self.entries.remove(&key);
        }
    }
}

impl<T: Send + Sync> Forgets for Inner<T> {
    fn name(&self) -> &str {
        self.name
    }

    fn forget(&self, key: Option<Digest>) {
        let mut held = self.held();
        if let Some(key) = key {
            held.marks[place(&key)] += 1;
            held.entries.remove(&key);
        } else {
            held.marks.iter_mut().for_each(|mark| *mark += 1);
            held.entries.clear();
            held.order.clear();
        }
    }
}

fn place(key: &Digest) -> usize {
    usize::from(key[0]) % MARKS
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use cb_core::Secret;
    use cb_core::clock::SystemClock;

    use super::Cache;
    use crate::digest::Digester;
    use crate::hub::Shared;

    #[test]
    fn memory_is_bounded_and_the_newest_stay() {
        let digester = Digester::new(&Secret::new("k".to_owned()), "one");
        let (shared, ttl) = (Arc::new(Shared::alone()), Duration::from_hours(1));
        let cache = Cache::new(shared, digester, Arc::new(SystemClock), "c", 100, ttl);
        for n in 0..1000 {
            cache.put(&cache.ticket(&n.to_string()), n);
            cache.put(&cache.ticket("again"), n);
            let held = cache.inner.held();
            assert!(held.entries.len() <= 100 && held.order.len() <= 200);
        }
        assert_eq!((cache.get("again"), cache.get("999"), cache.get("1")), (Some(999), Some(999), None));
    }
}
