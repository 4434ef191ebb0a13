//! Bounds how often something is done under a key: so many a minute, all of which may come at once (GCRA).

use std::num::NonZeroU32;
use std::sync::{PoisonError, RwLock};

use cb_core::{Error, Result};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota};

/// Keys remembered. Past it those that have rested are forgotten, and if too few have, all: whoever fills the memory shuts
/// nobody out by that.
const CAPACITY: usize = 20_000;

/// By a clock that only goes forward, so that setting the machine's own shuts nobody out either.
pub struct Rate {
    quota: Quota,
    limiter: RwLock<DefaultKeyedRateLimiter<String>>,
}

impl Rate {
    pub fn per_minute(most: NonZeroU32) -> Self {
        let quota = Quota::per_minute(most);
        Self { quota, limiter: RwLock::new(DefaultKeyedRateLimiter::keyed(quota)) }
    }

    /// Counts one, or says how long to wait.
    pub fn enter(&self, key: &str) -> Result<()> {
        self.make_room();
        let limiter = self.limiter.read().unwrap_or_else(PoisonError::into_inner);
        limiter.check_key(&key.to_owned()).map_err(|until| {
            let retry_after = until.wait_time_from(DefaultClock::default().now());
            Error::RateLimited { retry_after }
        })
    }

    fn make_room(&self) {
        if self.limiter.read().unwrap_or_else(PoisonError::into_inner).len() < CAPACITY {
            return;
        }
        let mut limiter = self.limiter.write().unwrap_or_else(PoisonError::into_inner);
        limiter.retain_recent();
        if limiter.len() > CAPACITY / 2 {
            *limiter = DefaultKeyedRateLimiter::keyed(self.quota);
        }
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
            assert!(rate.limiter.read().expect("lock").len() <= CAPACITY);
        }
    }
}
