//! Time as a parameter: nothing outside this file asks the system what time it is.
//!
//! The wall clock ([`Clock::now`]) says when something happened, and can be set to anything at any moment. What waits within this
//! process is measured by [`Clock::steady`]. What is stored and waits is compared with the wall clock, and never believed to wait
//! longer than it can ([`SKEW`]).

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};

pub type Time = DateTime<Utc>;

/// For people: RFC 3339, to the second, in UTC.
pub fn to_second(at: Time) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// What the clocks of two servers may differ by, or what a clock is set by in the ordinary course of things. A stored time that lies
/// further ahead than its longest wait and this is of a clock that was wrong.
pub const SKEW: TimeDelta = TimeDelta::minutes(5);

/// When this was built (`SOURCE_DATE_EPOCH`, or the time of the build). A clock that says an earlier time has not been set yet, as that
/// of a machine without a battery is before it has heard from a time server.
pub fn built() -> Time {
    static BUILT: LazyLock<Time> = LazyLock::new(|| {
        let seconds = env!("CB_BUILT").parse().ok();
        seconds.and_then(|s| DateTime::from_timestamp(s, 0)).unwrap_or(DateTime::UNIX_EPOCH)
    });
    *BUILT
}

pub trait Clock: Send + Sync + 'static {
    /// Now, in whole microseconds: what both databases can store without loss.
    fn now(&self) -> Time;

    /// How long it is since some moment, by a clock that only goes forward, whatever the wall clock is set to.
    fn steady(&self) -> Duration;
}

#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn now(&self) -> Time {
        Utc::now().trunc_subsecs(6)
    }

    fn steady(&self) -> Duration {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGAN.elapsed()
    }
}

/// RFC 3339, UTC, always six digits: sorts as text and reads the same on both databases.
pub fn fixed_width(time: Time) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
