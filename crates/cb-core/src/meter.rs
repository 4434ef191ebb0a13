//! What a process counts about itself, for the metrics. Counting never waits and never allocates.
//!
//! Each counter belongs to what it counts and starts with it, so two servers in one process count apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Only goes up.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub fn one(&self) {
        self.add(1);
    }

    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One counter for each of a few words.
#[derive(Debug)]
pub struct Counters<const N: usize>([(&'static str, Counter); N]);

impl<const N: usize> Counters<N> {
    pub fn of(words: [&'static str; N]) -> Self {
        Self(words.map(|word| (word, Counter::new())))
    }

    /// A word that is not one of them is not counted.
    pub fn one(&self, word: &str) {
        if let Some((_, counter)) = self.0.iter().find(|(known, _)| *known == word) {
            counter.one();
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(word, counter)| (*word, counter.get()))
    }
}

/// The upper ends of the buckets of every histogram, in milliseconds.
pub const BUCKETS_MS: [u32; 14] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000];

/// How long something took, in buckets.
#[derive(Debug, Default)]
pub struct Histogram {
    /// The last one has no upper end.
    buckets: [Counter; BUCKETS_MS.len() + 1],
    micros: Counter,
}

impl Histogram {
    pub fn took(&self, time: Duration) {
        let bucket = BUCKETS_MS.partition_point(|end| Duration::from_millis(u64::from(*end)) < time);
        self.buckets[bucket].one();
        self.micros.add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// How many took at most as long as the end of each bucket. The last is all of them.
    pub fn cumulated(&self) -> [u64; BUCKETS_MS.len() + 1] {
        let mut sum = 0;
        self.buckets.each_ref().map(|bucket| {
            sum += bucket.get();
            sum
        })
    }

    /// All of it together.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.micros.get())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BUCKETS_MS, Counters, Histogram};

    #[test]
    fn a_time_is_in_the_bucket_whose_end_it_does_not_exceed() {
        let histogram = Histogram::default();
        for micros in [0, 1_000, 1_001, 29_999_999, 30_000_000, 30_000_001] {
            histogram.took(Duration::from_micros(micros));
        }
        let counts = histogram.cumulated();
        assert_eq!((counts[0], counts[1]), (2, 3));
        assert_eq!((counts[BUCKETS_MS.len() - 1], counts[BUCKETS_MS.len()]), (5, 6));
        assert_eq!(histogram.sum(), Duration::from_micros(90_002_001));
        assert!(BUCKETS_MS.is_sorted());
    }

    #[test]
    fn only_known_words_are_counted() {
        let counters = Counters::of(["sent", "failed"]);
        for word in ["sent", "lost", "failed", "sent"] {
            counters.one(word);
        }
        assert_eq!(counters.iter().collect::<Vec<_>>(), [("sent", 2), ("failed", 1)]);
    }
}
