//! Bounds how often something is done under a key: so many a minute, all of which may come at once (GCRA).

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cb_core::clock::SystemClock;
use cb_core::{Clock, Error, Result};

/// Keys remembered. Past it those that have rested are forgotten, and if too few have, all: whoever fills the memory shuts
/// nobody out by that.
const CAPACITY: usize = 20_000;

/// So many in so long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quota {
    /// What one uses up.
    pub step: Duration,
    /// What may be used up at once.
    pub room: Duration,
}

impl Quota {
    pub fn per_minute(most: NonZeroU32) -> Self {
        let step = Duration::from_mins(1) / most.get();
        Self { step, room: step * most.get() }
    }
}

/// In this process, by a clock that only goes forward, so that setting the machine's own shuts nobody out.
pub struct Rate {
    quota: Quota,
    clock: Arc<dyn Clock>,
    /// When a key has rested, by the steady clock (the "theoretical arrival time").
    rested: Mutex<HashMap<String, Duration>>,
}

impl Rate {
    pub fn per_minute(most: NonZeroU32) -> Self {
        Self::with(Quota::per_minute(most), Arc::new(SystemClock))
    }

    pub(crate) fn with(quota: Quota, clock: Arc<dyn Clock>) -> Self {
        Self { quota, clock, rested: Mutex::default() }
    }

    /// Counts one, or says how long to wait.
    pub fn enter(&self, key: &str) -> Result<()> {
        let now = self.clock.steady();
        let mut rested = self.rested();
        let next = rested.get(key).map_or(now, |at| (*at).max(now)) + self.quota.step;
        let retry_after = next.saturating_sub(now + self.quota.room);
        if !retry_after.is_zero() {
            return Err(Error::RateLimited { retry_after });
        }
        make_room(&mut rested, now);
        rested.insert(key.to_owned(), next);
        Ok(())
    }

    /// The one that was counted last was not let in by others.
    pub(crate) fn undo(&self, key: &str) {
        if let Some(at) = self.rested().get_mut(key) {
            *at = at.saturating_sub(self.quota.step);
        }
    }

    /// Others have used it up so far: from there this process goes on when it is alone.
    pub(crate) fn learn(&self, key: &str, ahead: Duration) {
        let now = self.clock.steady();
        let mut rested = self.rested();
        make_room(&mut rested, now);
        rested.insert(key.to_owned(), now + ahead.min(self.quota.room));
    }

    fn rested(&self) -> MutexGuard<'_, HashMap<String, Duration>> {
        self.rested.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn make_room(rested: &mut HashMap<String, Duration>, now: Duration) {
    if rested.len() < CAPACITY {
        return;
    }
    rested.retain(|_, at| *at > now);
    if rested.len() > CAPACITY / 2 {
        rested.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use cb_core::Error;

    use super::{CAPACITY, Rate};

    #[test]
    fn so_many_are_let_in_and_the_next_is_told_how_long_to_wait() {
        let rate = Rate::per_minute(NonZeroU32::new(6).expect("not zero"));
        for _ in 0..6 {
            rate.enter("a").expect("let in");
        }
        match rate.enter("a") {
            Err(Error::RateLimited { retry_after }) => assert!((8..=10).contains(&retry_after.as_secs())),
            other => panic!("{other:?}"),
        }
        rate.enter("b").expect("another key");
    }

    #[test]
    fn memory_is_bounded() {
        let rate = Rate::per_minute(NonZeroU32::MIN);
        for n in 0..CAPACITY + CAPACITY / 2 {
            rate.enter(&n.to_string()).expect("let in");
            rate.learn(&format!("other {n}"), rate.quota.room);
            assert!(rate.rested().len() <= CAPACITY);
        }
    }
}
