//! Slows down guessing: each failure under a key doubles the wait, and there is no permanent lock-out.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use cb_core::clock::Time;
use cb_core::{Error, Result};
use chrono::TimeDelta;

/// Failures that cost nothing: people mistype.
const FREE: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// A key without a failure for so long is forgotten.
const MEMORY: TimeDelta = TimeDelta::hours(1);
/// Keys remembered; past it the one whose last failure is oldest goes.
const CAPACITY: usize = 20_000;

#[derive(Default)]
pub struct Throttle {
    keys: Mutex<HashMap<String, Record>>,
}

struct Record {
    failures: u32,
    last: Time,
    open_again: Time,
}

impl Throttle {
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets an attempt in and counts it against each key before its outcome is known, so that of a hundred at once not all
    /// slip through; or says how long to wait, if any of its keys has to. [`Throttle::spare`] and [`Throttle::forgive`] take
    /// the count back.
    pub fn enter(&self, keys: &[&str], now: Time) -> Result<()> {
        let mut known = self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let wait = keys
            .iter()
            .filter_map(|k| known.get(*k))
            .filter_map(|r| (r.open_again - now).to_std().ok())
            .filter(|wait| !wait.is_zero())
            .max();
        if let Some(retry_after) = wait {
            return Err(Error::RateLimited { retry_after });
        }
        for key in keys {
            if known.len() >= CAPACITY && !known.contains_key(*key) {
                make_room(&mut known, now);
            }
            let record =
                known.entry((*key).to_owned()).or_insert(Record { failures: 0, last: now, open_again: now });
            if now - record.last > MEMORY {
                record.failures = 0;
            }
            record.failures = record.failures.saturating_add(1);
            record.last = now;
            if record.failures >= FREE {
                let doublings = (record.failures - FREE).min(16);
                record.open_again = now + (FIRST_WAIT * 2u32.pow(doublings)).min(LONGEST_WAIT);
            }
        }
        Ok(())
    }

    /// The attempt was a right one: its own count is taken back, what others did wrong stays.
    pub fn spare(&self, key: &str) {
        let mut known = self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(record) = known.get_mut(key) {
            record.failures = record.failures.saturating_sub(1);
            if record.failures == 0 {
                known.remove(key);
            } else if record.failures < FREE {
                record.open_again = record.last;
            }
        }
    }

    /// The right secret was shown: what stood against the key is forgotten.
    pub fn forgive(&self, key: &str) {
        self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner).remove(key);
    }
}

fn make_room(known: &mut HashMap<String, Record>, now: Time) {
    known.retain(|_, r| now - r.last <= MEMORY);
    if known.len() >= CAPACITY
        && let Some(oldest) = known.iter().min_by_key(|(_, r)| r.last).map(|(k, _)| k.clone())
    {
        known.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use cb_core::Error;
    use chrono::{TimeDelta, TimeZone as _, Utc};

    use super::{CAPACITY, FREE, LONGEST_WAIT, Throttle};

    fn at(seconds: i64) -> cb_core::clock::Time {
        Utc.timestamp_opt(1_800_000_000 + seconds, 0).single().expect("a time")
    }

    /// Enters, and answers the wait in seconds when it is not let in.
    fn enter(throttle: &Throttle, keys: &[&str], seconds: i64) -> Option<u64> {
        match throttle.enter(keys, at(seconds)) {
            Ok(()) => None,
            Err(Error::RateLimited { retry_after }) => Some(retry_after.as_secs()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn the_wait_doubles_has_an_end_and_is_forgiven() {
        let throttle = Throttle::new();
        for _ in 0..FREE {
            assert_eq!(enter(&throttle, &["a"], 0), None);
        }
        assert_eq!(enter(&throttle, &["a", "b"], 0), Some(2));
        assert_eq!(enter(&throttle, &["b"], 0), None, "who is not let in is not counted");
        let mut now = 0;
        for wait in [2, 4, 8, 16, 32, 64, 128, 256, 512, LONGEST_WAIT.as_secs(), LONGEST_WAIT.as_secs()] {
            assert_eq!(enter(&throttle, &["a"], now), Some(wait));
            now += i64::try_from(wait).expect("short");
            assert_eq!(enter(&throttle, &["a"], now), None);
        }
        throttle.forgive("a");
        assert_eq!(enter(&throttle, &["a"], now), None);
    }

    #[test]
    fn of_many_at_once_no_more_are_let_in_than_one_after_another() {
        let throttle = Throttle::new();
        let let_in = std::thread::scope(|scope| {
            let tries: Vec<_> =
                (0..64).map(|_| scope.spawn(|| throttle.enter(&["a"], at(0)).is_ok())).collect();
            tries.into_iter().map(|t| t.join().expect("no panic")).filter(|ok| *ok).count()
        });
        assert_eq!(let_in, FREE as usize);
    }

    #[test]
    fn an_hour_of_quiet_is_enough_and_memory_is_bounded() {
        let throttle = Throttle::new();
        for _ in 0..FREE {
            throttle.enter(&["a"], at(0)).expect("let in");
        }
        throttle.enter(&["a"], at(0) + TimeDelta::hours(2)).expect("let in");
        throttle.enter(&["a"], at(0) + TimeDelta::hours(2)).expect("let in: it is the second");
        for i in 0..CAPACITY + 10 {
            throttle.enter(&[&format!("k{i}")], at(8000)).expect("let in");
        }
        assert!(throttle.keys.lock().expect("lock").len() <= CAPACITY);
    }
}
