//! Slows down guessing: each failure under a key doubles the wait, and there is no permanent lock-out. Waits are measured by a
//! clock that only goes forward: setting the wall clock neither shuts anybody out nor lets a guesser in.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cb_core::{Clock, Error, Result};

/// Failures of one person that cost nothing: people mistype.
const FREE: u32 = 5;
/// Failures that cost nothing where strangers share the count.
const FREE_TOGETHER: u32 = 20;
pub(crate) const FIRST_WAIT: Duration = Duration::from_secs(2);
pub(crate) const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// A key without a failure for so long is forgotten.
pub(crate) const MEMORY: Duration = Duration::from_hours(1);
/// Keys remembered; past it the one whose last failure is oldest goes.
const CAPACITY: usize = 20_000;

/// What an attempt counts against.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    pub(crate) name: &'a str,
    pub(crate) free: u32,
}

impl<'a> Key<'a> {
    /// One count for everybody, wherever they come from.
    pub fn together(name: &'a str) -> Self {
        Self { name, free: FREE_TOGETHER }
    }
}

impl<'a> From<&'a str> for Key<'a> {
    fn from(name: &'a str) -> Self {
        Self { name, free: FREE }
    }
}

impl<'a> From<&'a String> for Key<'a> {
    fn from(name: &'a String) -> Self {
        name.as_str().into()
    }
}

pub struct Throttle {
    clock: Arc<dyn Clock>,
    keys: Mutex<HashMap<String, Record>>,
}

/// Times of the steady clock.
struct Record {
    failures: u32,
    free: u32,
    last: Duration,
    open_again: Duration,
    /// What it was before the last attempt.
    open_before: Duration,
}

impl Throttle {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, keys: Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Record>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets an attempt in and counts it against each key before its outcome is known, so that of a hundred at once not all
    /// slip through; or says how long to wait, if any of its keys has to. [`Throttle::spare`] and [`Throttle::forgive`] take
    /// the count back.
    pub fn enter<'a>(&self, keys: impl IntoIterator<Item = impl Into<Key<'a>>>) -> Result<()> {
        let keys: Vec<Key<'a>> = keys.into_iter().map(Into::into).collect();
        let now = self.clock.steady();
        let mut known = self.known();
        let wait = keys
            .iter()
            .filter_map(|k| known.get(k.name))
            .map(|r| r.open_again.saturating_sub(now))
            .filter(|wait| !wait.is_zero())
            .max();
        if let Some(retry_after) = wait {
            return Err(Error::RateLimited { retry_after });
        }
        for Key { name, free } in keys {
            if known.len() >= CAPACITY && !known.contains_key(name) {
                make_room(&mut known, now);
            }
            let new = Record { failures: 0, free, last: now, open_again: now, open_before: now };
            let record = known.entry(name.to_owned()).or_insert(new);
            if now.saturating_sub(record.last) > MEMORY {
                record.failures = 0;
            }
            record.failures = record.failures.saturating_add(1);
            record.last = now;
            record.open_before = record.open_again;
            if record.failures >= free {
                let doublings = (record.failures - free).min(16);
                record.open_again = now + (FIRST_WAIT * 2u32.pow(doublings)).min(LONGEST_WAIT);
            }
        }
        Ok(())
    }

    /// Others have counted so many under it: from there this process goes on when it is alone.
    pub(crate) fn learn(&self, Key { name, free }: Key<'_>, failures: u32, wait: Duration) {
        let now = self.clock.steady();
        let mut known = self.known();
        if known.len() >= CAPACITY && !known.contains_key(name) {
            make_room(&mut known, now);
        }
        let open_again = now + wait.min(LONGEST_WAIT);
        let record = Record { failures, free, last: now, open_again, open_before: open_again };
        known.insert(name.to_owned(), record);
    }

    /// The attempt was a right one: its own count is taken back, what others did wrong stays.
    pub fn spare(&self, key: &str) {
        let mut known = self.known();
        if let Some(record) = known.get_mut(key) {
            record.failures = record.failures.saturating_sub(1);
            if record.failures == 0 {
                known.remove(key);
            } else if record.failures < record.free {
                record.open_again = record.last;
            }
        }
    }

    /// The attempt was not made, because somebody else did not let it in.
    pub(crate) fn undo<'a>(&self, keys: impl IntoIterator<Item = Key<'a>>) {
        for Key { name, .. } in keys {
            if let Some(record) = self.known().get_mut(name) {
                record.open_again = record.open_before;
            }
            self.spare(name);
        }
    }

    /// A correct secret clears the recorded failures for this key.
    pub fn forgive(&self, key: &str) {
        self.known().remove(key);
    }
}

fn make_room(known: &mut HashMap<String, Record>, now: Duration) {
    known.retain(|_, r| now.saturating_sub(r.last) <= MEMORY);
    if known.len() >= CAPACITY
        && let Some(oldest) = known.iter().min_by_key(|(_, r)| r.last).map(|(k, _)| k.clone())
    {
        known.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use cb_core::clock::Time;
    use cb_core::{Clock, Error};
    use chrono::{DateTime, TimeDelta};

    use super::{CAPACITY, FREE, FREE_TOGETHER, Key, LONGEST_WAIT, Throttle};

    /// Wall and steady.
    struct Hands(Mutex<(Time, Duration)>);

    impl Clock for Hands {
        fn now(&self) -> Time {
            self.0.lock().expect("lock").0
        }

        fn steady(&self) -> Duration {
            self.0.lock().expect("lock").1
        }
    }

    impl Hands {
        fn pass(&self, seconds: u64) {
            let mut hands = self.0.lock().expect("lock");
            hands.0 += Duration::from_secs(seconds);
            hands.1 += Duration::from_secs(seconds);
        }
    }

    fn throttle() -> (Throttle, Arc<Hands>) {
        let wall = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        let hands = Arc::new(Hands(Mutex::new((wall, Duration::ZERO))));
        (Throttle::new(hands.clone()), hands)
    }

    /// Enters, and answers the wait in seconds when it is not let in.
    fn enter(throttle: &Throttle, keys: &[&str]) -> Option<u64> {
        match throttle.enter(keys.iter().copied()) {
            Ok(()) => None,
            Err(Error::RateLimited { retry_after }) => Some(retry_after.as_secs()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_strangers_share_is_free_for_longer() {
        let (throttle, _) = throttle();
        for _ in 0..FREE_TOGETHER {
            throttle.enter([Key::together("a")]).expect("let in");
        }
        assert!(throttle.enter([Key::together("a")]).is_err());
        throttle.spare("a");
        assert!(throttle.enter([Key::together("a")]).is_ok(), "a right one takes its own count back");
    }

    #[test]
    fn the_wait_doubles_has_an_end_and_is_forgiven() {
        let (throttle, hands) = throttle();
        for _ in 0..FREE {
            assert_eq!(enter(&throttle, &["a"]), None);
        }
        assert_eq!(enter(&throttle, &["a", "b"]), Some(2));
        assert_eq!(enter(&throttle, &["b"]), None, "who is not let in is not counted");
        for wait in [2, 4, 8, 16, 32, 64, 128, 256, 512, LONGEST_WAIT.as_secs(), LONGEST_WAIT.as_secs()] {
            assert_eq!(enter(&throttle, &["a"]), Some(wait));
            hands.pass(wait);
            assert_eq!(enter(&throttle, &["a"]), None);
        }
        throttle.forgive("a");
        assert_eq!(enter(&throttle, &["a"]), None);
    }

    #[test]
    fn setting_the_wall_clock_changes_no_wait() {
        for days in [-365, -1, 1, 365] {
            let (throttle, hands) = throttle();
            for _ in 0..FREE {
                assert_eq!(enter(&throttle, &["a"]), None);
            }
            hands.0.lock().expect("lock").0 += TimeDelta::days(days);
            assert_eq!(enter(&throttle, &["a"]), Some(2), "{days}");
            hands.pass(2);
            assert_eq!(enter(&throttle, &["a"]), None, "{days}");
            assert_eq!(enter(&throttle, &["a"]), Some(4), "{days}: nothing was forgotten");
        }
    }

    #[test]
    fn of_many_at_once_no_more_are_let_in_than_one_after_another() {
        let (throttle, _) = throttle();
        let let_in = std::thread::scope(|scope| {
            let tries: Vec<_> = (0..64).map(|_| scope.spawn(|| throttle.enter(["a"]).is_ok())).collect();
            tries.into_iter().map(|t| t.join().expect("no panic")).filter(|ok| *ok).count()
        });
        assert_eq!(let_in, FREE as usize);
    }

    #[test]
    fn an_hour_of_quiet_is_enough_and_memory_is_bounded() {
        let (throttle, hands) = throttle();
        for _ in 0..FREE {
            throttle.enter(["a"]).expect("let in");
        }
        hands.pass(7200);
        throttle.enter(["a"]).expect("let in");
        throttle.enter(["a"]).expect("let in: it is the second");
        hands.pass(800);
        for i in 0..CAPACITY + 10 {
            throttle.enter([&format!("k{i}")]).expect("let in");
        }
        assert!(throttle.keys.lock().expect("lock").len() <= CAPACITY);
    }
}
