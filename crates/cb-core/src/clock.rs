//! Time as a parameter: nothing outside this file asks the system what time it is.

use chrono::{DateTime, SubsecRound, Utc};

pub type Time = DateTime<Utc>;

pub trait Clock: Send + Sync + 'static {
    /// Now, in whole microseconds: what both databases can store without loss.
    fn now(&self) -> Time;
}

#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> Time {
        Utc::now().trunc_subsecs(6)
    }
}

/// RFC 3339, UTC, always six digits: sorts as text and reads the same on both databases.
pub fn fixed_width(time: Time) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
