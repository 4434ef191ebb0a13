//! Time that passes when a test says so.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use cb_core::Clock;
use cb_core::clock::Time;
use chrono::{TimeDelta, TimeZone as _, Utc};

pub struct TestClock(Mutex<Hands>);

struct Hands {
    wall: Time,
    steady: Duration,
}

impl TestClock {
    /// Stands at 2026-01-01 12:00 UTC.
    pub fn new() -> Self {
        let wall = Utc.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).single().expect("a date");
        Self(Mutex::new(Hands { wall, steady: Duration::from_hours(1) }))
    }

    /// Time passes.
    pub fn advance(&self, by: TimeDelta) {
        let mut hands = self.hands();
        hands.wall += by;
        hands.steady += by.to_std().expect("time does not go back; see `set`");
    }

    /// Somebody sets the wall clock, forward or back.
    pub fn set(&self, by: TimeDelta) {
        self.hands().wall += by;
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().expect("no test panics while it holds the clock")
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        self.hands().wall
    }

    fn steady(&self) -> Duration {
        self.hands().steady
    }
}
