//! Time as a parameter: nothing outside this file asks the system what time it is.
//!
//! The wall clock ([`Clock::now`]) says when something happened, and can be set to anything at any moment. What waits within this
//! process is measured by [`Clock::steady`]. What is stored and waits is compared with the wall clock, and never believed to wait
//! longer than it can ([`SKEW`]).
//!
//! Servers that share a database share its clock: each asks for the time when it starts and each ten seconds, and in between adds what
//! has passed by its own steady clock ([`Clock::follow`]). What somebody sets the wall clock of one of them to changes nothing.

use std::sync::{LazyLock, PoisonError, RwLock};
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

    /// Goes by the clock that says `shared` at this moment.
    fn follow(&self, _shared: Time) {}

    /// How far this machine's own clock is ahead of the one that is followed.
    fn ahead(&self) -> TimeDelta {
        TimeDelta::zero()
    }
}

/// The clock of this process.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

/// What the clock that is followed said, and when that was by the steady one.
static FOLLOWED: RwLock<Option<(Time, Duration)>> = RwLock::new(None);

impl SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    fn own() -> Time {
        Utc::now().trunc_subsecs(6)
    }

    fn followed(self) -> Option<Time> {
        let (said, at) = (*FOLLOWED.read().unwrap_or_else(PoisonError::into_inner))?;
        let passed = TimeDelta::from_std(self.steady().saturating_sub(at)).ok()?;
        Some((said + passed).trunc_subsecs(6))
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        self.followed().unwrap_or_else(Self::own)
    }

    fn steady(&self) -> Duration {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        BEGAN.elapsed()
    }

    fn follow(&self, shared: Time) {
        *FOLLOWED.write().unwrap_or_else(PoisonError::into_inner) = Some((shared, self.steady()));
    }

    fn ahead(&self) -> TimeDelta {
        self.followed().map_or(TimeDelta::zero(), |followed| Self::own() - followed)
    }
}

/// RFC 3339, UTC, always six digits: sorts as text and reads the same on both databases.
pub fn fixed_width(time: Time) -> String {
    time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;
    use std::time::Duration;

    use chrono::TimeDelta;

    use super::{Clock as _, SystemClock};

    #[test]
    fn a_clock_that_follows_another_goes_on_by_itself() {
        let (clock, near) = (SystemClock, |a: TimeDelta, b| (a - b).abs() < TimeDelta::seconds(5));
        let own = clock.now();
        assert_eq!(clock.ahead(), TimeDelta::zero());
        for hours in [3, -7] {
            clock.follow(own + TimeDelta::hours(hours));
            let before = clock.now();
            assert!(near(before - own, TimeDelta::hours(hours)), "{before}");
            sleep(Duration::from_millis(20));
            let passed = clock.now() - before;
            assert!(passed >= TimeDelta::milliseconds(20) && near(passed, TimeDelta::zero()), "{passed}");
            assert!(near(clock.ahead(), TimeDelta::hours(-hours)), "{}", clock.ahead());
        }
    }
}
