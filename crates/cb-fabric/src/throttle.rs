//! Slows down guessing: each failure under a key doubles the wait, and there is no permanent lock-out.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use cb_core::clock::Time;
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

    /// How long the caller must wait, if any of its keys says so.
    pub fn wait(&self, keys: &[&str], now: Time) -> Option<Duration> {
        let known = self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        keys.iter()
            .filter_map(|k| known.get(*k))
            .filter_map(|r| (r.open_again - now).to_std().ok())
            .filter(|wait| !wait.is_zero())
            .max()
    }

    /// Counts an attempt against each key before its outcome is known, so that a hundred at once
    /// do not all slip through. [`Throttle::forgive`] takes it back.
    pub fn strike(&self, keys: &[&str], now: Time) {
        let mut known = self.keys.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
    }

    /// The attempt was a right one: its own [`Throttle::strike`] is taken back, what others did wrong stays.
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
    use std::time::Duration;

    use chrono::{TimeDelta, TimeZone as _, Utc};

    use super::{CAPACITY, FREE, LONGEST_WAIT, Throttle};

    fn at(seconds: i64) -> cb_core::clock::Time {
        Utc.timestamp_opt(1_800_000_000 + seconds, 0).single().expect("a time")
    }

    #[test]
    fn the_wait_doubles_has_an_end_and_is_forgiven() {
        let throttle = Throttle::new();
        for _ in 1..FREE {
            throttle.strike(&["a"], at(0));
            assert_eq!(throttle.wait(&["a"], at(0)), None);
        }
        throttle.strike(&["a"], at(0));
        assert_eq!(throttle.wait(&["a", "b"], at(0)), Some(Duration::from_secs(2)));
        throttle.strike(&["a"], at(0));
        assert_eq!(throttle.wait(&["a"], at(0)), Some(Duration::from_secs(4)));
        assert_eq!(throttle.wait(&["a"], at(4)), None);
        for _ in 0..100 {
            throttle.strike(&["a"], at(5));
        }
        assert_eq!(throttle.wait(&["a"], at(5)), Some(LONGEST_WAIT));
        assert_eq!(throttle.wait(&["b"], at(5)), None);
        throttle.forgive("a");
        assert_eq!(throttle.wait(&["a"], at(5)), None);
    }

    #[test]
    fn an_hour_of_quiet_is_enough_and_memory_is_bounded() {
        let throttle = Throttle::new();
        for _ in 0..FREE {
            throttle.strike(&["a"], at(0));
        }
        throttle.strike(&["a"], at(0) + TimeDelta::hours(2));
        assert_eq!(throttle.wait(&["a"], at(0) + TimeDelta::hours(2)), None);
        for i in 0..CAPACITY + 10 {
            throttle.strike(&[&format!("k{i}")], at(8000));
        }
        assert!(throttle.keys.lock().expect("lock").len() <= CAPACITY);
    }
}
