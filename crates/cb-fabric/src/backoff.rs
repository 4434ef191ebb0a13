//! How long to wait before the next try: longer each time, never longer than [`LONGEST`], and not at the same moment as the others.

use std::sync::Arc;
use std::time::Duration;

use cb_core::Entropy;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(2);

pub(crate) struct Backoff {
    entropy: Arc<dyn Entropy>,
    tries: u32,
}

impl Backoff {
    pub fn new(entropy: Arc<dyn Entropy>) -> Self {
        Self { entropy, tries: 0 }
    }

    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// Between half of it and all of it.
    pub fn next(&mut self) -> Duration {
        let whole = (FIRST * 2u32.pow(self.tries.min(10))).min(LONGEST);
        self.tries = self.tries.saturating_add(1);
        let mut byte = [0u8];
        self.entropy.fill(&mut byte);
        whole / 2 + whole / 2 * u32::from(byte[0]) / 255
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use cb_core::OsEntropy;

    use super::{Backoff, FIRST, LONGEST};

    #[test]
    fn it_grows_is_bounded_and_begins_anew() {
        let mut backoff = Backoff::new(Arc::new(OsEntropy));
        assert!(backoff.next() <= FIRST);
        let waits: Vec<Duration> = (0..1000).map(|_| backoff.next()).collect();
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(waits[100..].iter().all(|wait| *wait >= LONGEST / 2));
        assert!(waits[100..].windows(2).any(|two| two[0] != two[1]), "not all at one moment");
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }
}
