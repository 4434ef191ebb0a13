//! How fast and how long: a rate per network, and timeouts that follow the measured round trip.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

/// A token bucket as a generic cell rate algorithm: one number, no refill task.
#[derive(Debug)]
pub(crate) struct Pacer {
    interval: Duration,
    /// How far the sending may run ahead of the even rate.
    burst: Duration,
    next: Mutex<Instant>,
    /// Where the many wait, so that they are together one among those that take turns.
    many: Semaphore,
}

impl Pacer {
    /// `rate` packets per second, in bursts of at most 20 ms.
    pub fn new(rate: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / rate.max(1),
            burst: Duration::from_millis(20),
            next: Mutex::new(Instant::now()),
            many: Semaphore::new(1),
        }
    }

    /// The same as [`Pacer::take`] for a crowd: thousands of connections that wait must not keep the sweep, which asks
    /// one address after the other, from its turn.
    pub async fn take_in_line(&self) {
        // Never closed; and if it were, the rate still holds.
        let _place = self.many.acquire().await;
        self.take().await;
    }

    /// Waits until one more packet may be sent.
    pub async fn take(&self) {
        let (turn, now) = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let turn = next.max(now.checked_sub(self.burst).unwrap_or(now));
            *next = turn + self.interval;
            (turn, now)
        };
        if turn > now {
            sleep_until(turn).await;
        }
    }
}

/// The round trip to one host (RFC 6298, with bounds for a local network).
#[derive(Debug, Clone, Copy)]
pub(crate) struct RoundTrip {
    smoothed: Option<Duration>,
    variation: Duration,
}

impl RoundTrip {
    /// Below this our own machine's scheduling would be taken for a silent port.
    const SHORTEST: Duration = Duration::from_millis(250);
    const LONGEST: Duration = Duration::from_millis(1_500);
    const UNKNOWN: Duration = Duration::from_millis(800);

    pub fn unknown() -> Self {
        Self { smoothed: None, variation: Duration::ZERO }
    }

    pub fn measured(&mut self, sample: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    /// How long to wait for an answer.
    pub fn timeout(&self) -> Duration {
        match self.smoothed {
            None => Self::UNKNOWN,
            Some(smoothed) => (smoothed * 2 + self.variation * 4).clamp(Self::SHORTEST, Self::LONGEST),
        }
    }
}

/// How many sockets one scan may have open: half of what the process may, within reason.
pub(crate) fn socket_budget() -> usize {
    let limit =
        std::fs::read_to_string("/proc/self/limits").ok().and_then(|text| soft_limit(&text)).unwrap_or(256);
    (limit / 2).clamp(64, 1024)
}

fn soft_limit(text: &str) -> Option<usize> {
    let line = text.lines().find(|line| line.starts_with("Max open files"))?;
    match line.split_whitespace().nth(3)? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_rate_is_kept_over_time() {
        let pacer = Pacer::new(500);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let start = Instant::now();
        for _ in 0..101 {
            pacer.take().await;
        }
        let spent = start.elapsed();
        assert!(spent >= Duration::from_millis(175), "idle time is no credit: {spent:?}");
    }

    #[test]
    fn timeouts_follow_the_round_trip_within_bounds() {
        let mut trip = RoundTrip::unknown();
        assert_eq!(trip.timeout(), RoundTrip::UNKNOWN);
        trip.measured(Duration::from_micros(80));
        assert_eq!(trip.timeout(), RoundTrip::SHORTEST);
        for _ in 0..50 {
            trip.measured(Duration::from_millis(200));
        }
        assert!(trip.timeout() > Duration::from_millis(390) && trip.timeout() < Duration::from_millis(600));
        trip.measured(Duration::from_mins(1));
        assert_eq!(trip.timeout(), RoundTrip::LONGEST);
    }

    #[test]
    fn the_limit_on_open_files_is_read() {
        let text = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files\n";
        assert_eq!(soft_limit(text), Some(1024));
        assert_eq!(soft_limit("Max open files  unlimited unlimited files"), Some(usize::MAX));
        assert_eq!(soft_limit("nothing"), None);
    }
}
