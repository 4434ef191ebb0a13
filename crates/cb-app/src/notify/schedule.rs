//! When a delivery that failed is tried again.

use std::time::Duration;

use cb_core::Entropy;
use cb_notify::ASKED_MOST;
use chrono::TimeDelta;

/// Behind each try that failed, as Standard Webhooks proposes: ten tries in some three days.
const WAITS: [TimeDelta; 9] = [
    TimeDelta::seconds(5),
    TimeDelta::minutes(5),
    TimeDelta::minutes(30),
    TimeDelta::hours(2),
    TimeDelta::hours(5),
    TimeDelta::hours(10),
    TimeDelta::hours(14),
    TimeDelta::hours(20),
    TimeDelta::hours(24),
];

/// How long to wait behind the try of that number, counted from 1; none behind the last. A fifth more or less, so that what
/// failed together does not come together again, and never sooner than the receiver asks for.
pub(super) fn wait(tries: i32, asked: Option<Duration>, entropy: &dyn Entropy) -> Option<TimeDelta> {
    let index = usize::try_from(tries).ok()?.checked_sub(1)?;
    let millis = WAITS.get(index)?.num_milliseconds();
    let mut random = [0u8; 2];
    entropy.fill(&mut random);
    let fifth = millis / 5;
    let jitter = fifth * 2 * i64::from(u16::from_be_bytes(random)) / i64::from(u16::MAX) - fifth;
    let asked = asked.and_then(|asked| TimeDelta::from_std(asked).ok()).unwrap_or_default();
    Some(TimeDelta::milliseconds(millis + jitter).max(asked))
}

/// The longest wait behind so many tries, from none on: what [`wait`] can answer at most.
pub(crate) fn longest() -> Vec<TimeDelta> {
    let asked = TimeDelta::from_std(ASKED_MOST).unwrap_or(TimeDelta::MAX);
    let waits = WAITS.iter().map(|wait| (*wait + *wait / 5).max(asked));
    std::iter::once(TimeDelta::zero()).chain(waits).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use cb_core::{Entropy, OsEntropy};
    use chrono::TimeDelta;

    use super::{longest, wait};

    /// Always the same byte.
    struct Loaded(u8);

    impl Entropy for Loaded {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[test]
    fn the_waits_grow_from_seconds_to_a_day_and_then_there_is_an_end() {
        let least = |tries| wait(tries, None, &Loaded(0)).map(|w| w.num_seconds());
        let waits: Vec<i64> = (1..=9).filter_map(least).collect();
        assert_eq!(waits, [4, 240, 1440, 5760, 14_400, 28_800, 40_320, 57_600, 69_120]);
        assert_eq!(least(10), None);
        assert_eq!(least(0), None);
        assert_eq!(least(-1), None);
    }

    #[test]
    fn it_is_a_fifth_more_or_less() {
        assert_eq!(wait(2, None, &Loaded(0)), Some(TimeDelta::seconds(240)));
        assert_eq!(wait(2, None, &Loaded(0xff)), Some(TimeDelta::seconds(360)));
        for _ in 0..1000 {
            let wait = wait(9, None, &OsEntropy).expect("one more try");
            assert!(wait >= TimeDelta::hours(19) && wait <= TimeDelta::hours(29), "{wait}");
        }
    }

    #[test]
    fn no_wait_is_longer_than_the_longest() {
        let longest = longest();
        assert_eq!(longest.len(), 10);
        assert_eq!(longest[0], TimeDelta::zero());
        for (tries, longest) in (1..).zip(&longest[1..]) {
            for asked in [None, Some(cb_notify::ASKED_MOST)] {
                let wait = wait(tries, asked, &Loaded(0xff)).expect("one more try");
                assert!(wait <= *longest && *longest <= TimeDelta::hours(29), "{tries}");
            }
        }
    }

    #[test]
    fn never_sooner_than_asked_for_and_not_later_for_its_sake() {
        let asked =
            |seconds| wait(1, Some(Duration::from_secs(seconds)), &Loaded(0x80)).map(|w| w.num_seconds());
        assert_eq!(asked(60), Some(60));
        assert_eq!(asked(1), Some(5));
        assert!(wait(10, Some(Duration::from_mins(1)), &Loaded(0)).is_none());
    }
}
