//! Time that passes when a test says so.

use std::sync::Mutex;

use cb_core::Clock;
use cb_core::clock::Time;
use chrono::{TimeDelta, TimeZone as _, Utc};

pub struct TestClock(Mutex<Time>);

impl TestClock {
    /// Stands at 2026-01-01 12:00 UTC.
    pub fn new() -> Self {
        Self(Mutex::new(Utc.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).single().expect("a date")))
    }

    pub fn advance(&self, by: TimeDelta) {
        *self.0.lock().expect("no test panics while it holds the clock") += by;
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        *self.0.lock().expect("no test panics while it holds the clock")
    }
}
