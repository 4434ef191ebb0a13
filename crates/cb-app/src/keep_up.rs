//! Background work that goes on until the server stops: what fails is started again, however often it fails.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How long work that has failed waits.
#[derive(Clone, Copy)]
struct Pauses {
    /// Before it is started again for the first time; each further failure doubles it …
    first: Duration,
    /// … up to this.
    most: Duration,
    /// Work that went well for so long waits the shortest time again.
    went_well: Duration,
}

const PAUSES: Pauses = Pauses {
    first: Duration::from_secs(1),
    most: Duration::from_mins(1),
    went_well: Duration::from_mins(10),
};

impl Pauses {
    fn next(self, last: Option<Duration>, worked: Duration) -> Duration {
        let doubled = last.filter(|_| worked < self.went_well).map(|last| last * 2);
        doubled.map_or(self.first, |pause| pause.min(self.most))
    }
}

/// Runs what `start` starts until it ends by itself, and starts it again when it panics. Leases of what it held end in their time.
pub(crate) async fn keep_up<W>(stopping: &CancellationToken, work: &str, start: impl Fn() -> W)
where
    W: Future<Output = ()> + Send + 'static,
{
    keep_up_after(PAUSES, stopping, work, start).await;
}

async fn keep_up_after<W>(pauses: Pauses, stopping: &CancellationToken, work: &str, start: impl Fn() -> W)
where
    W: Future<Output = ()> + Send + 'static,
{
    let mut last = None;
    loop {
        let began = Instant::now();
        // In a task of its own, which ends with this one.
        let mut task = JoinSet::new();
        task.spawn(start());
        let Some(Err(error)) = task.join_next().await else { return };
        let pause = pauses.next(last, began.elapsed());
        last = Some(pause);
        let seconds = pause.as_secs();
        tracing::error!(work, %error, "background work failed; the server starts it again in {seconds} s");
        tokio::select! {
            () = stopping.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::{PAUSES, Pauses, keep_up_after};

    /// Work that fails so often and then goes well; answers how often it was started.
    async fn starts(stopping: &CancellationToken, fails: u32) -> u32 {
        let short = Pauses { first: Duration::from_millis(1), most: Duration::from_millis(2), ..PAUSES };
        let starts = Arc::new(AtomicU32::new(0));
        keep_up_after(short, stopping, "tests", || {
            let starts = starts.clone();
            async move { assert!(starts.fetch_add(1, Ordering::SeqCst) >= fails, "a fault of the work") }
        })
        .await;
        starts.load(Ordering::SeqCst)
    }

    #[tokio::test]
    async fn what_fails_is_started_again_however_often() {
        assert_eq!(starts(&CancellationToken::new(), 30).await, 31);
    }

    #[tokio::test]
    async fn a_server_that_stops_starts_nothing_again() {
        let stopping = CancellationToken::new();
        stopping.cancel();
        assert_eq!(starts(&stopping, 30).await, 1);
    }

    #[test]
    fn the_pause_grows_up_to_a_minute_until_work_goes_well_again() {
        let mut last = None;
        let mut pauses = Vec::new();
        for worked in [0, 0, 599, 0, 0, 0, 0, 0, 600, 0] {
            last = Some(PAUSES.next(last, Duration::from_secs(worked)));
            pauses.extend(last.map(|pause| pause.as_secs()));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 1, 2]);
    }
}
