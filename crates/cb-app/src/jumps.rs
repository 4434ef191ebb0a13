//! What becomes of stored times when somebody sets the wall clock.
//!
//! A stored time can lie further ahead than it ever should: it was written while the clock was wrong, or the clock was set back
//! since. Such a time is brought back to the longest wait that its kind has, each minute. The other way around, a clock that goes
//! forward makes everything old at once: for a while nothing is removed for its age, because the clock may be set right again.
//!
//! A new column that something waits for needs a line in `cb_store::bookkeeping` (`ahead.rs`), and its longest wait one in [`look`].

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cb_core::clock::{Time, built, to_second};
use cb_core::{Clock, Result};
use cb_store::Store;
use cb_store::bookkeeping::Longest;
use chrono::TimeDelta;

use crate::app::App;
use crate::auth::{sessions, steps};
use crate::notify::{OVERLAP, schedule};
use crate::start_error::StartError;
use crate::{jobs, reconcile};

/// Less is a correction, as a time server makes it.
pub(crate) const NOTICED: TimeDelta = TimeDelta::minutes(1);
/// After a jump forward nothing is removed for its age for so long: somebody may set the clock right.
const HELD: Duration = Duration::from_hours(1);

/// An answer that took longer is not used: its time is known only to within half of that.
const LONGEST_ANSWER: Duration = Duration::from_secs(1);

/// Compares the wall clock with the one that only goes forward.
pub(crate) struct Jumps(Mutex<Seen>);

struct Seen {
    wall: Time,
    steady: Duration,
    held_until: Duration,
    /// Since what waits was last looked at.
    set: bool,
    /// When that was.
    looked: Option<Duration>,
    /// This machine's own clock is not the one that is followed.
    apart: bool,
}

impl Jumps {
    pub fn new(clock: &dyn Clock) -> Self {
        let (wall, steady) = (clock.now(), clock.steady());
        Self(Mutex::new(Seen { wall, steady, held_until: steady, set: false, looked: None, apart: false }))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what waits is to be looked at: the clock was set, or the last look is a minute old.
    fn due(&self, steady: Duration) -> bool {
        const EVERY: Duration = Duration::from_mins(1);
        let mut seen = self.seen();
        let due =
            std::mem::take(&mut seen.set) || seen.looked.is_none_or(|at| steady.saturating_sub(at) >= EVERY);
        if due {
            seen.looked = Some(steady);
        }
        due
    }

    /// Looks at both; says how far the wall clock was set since the last look, if it was.
    fn look(&self, clock: &dyn Clock) -> Option<TimeDelta> {
        let mut seen = self.seen();
        let (wall, steady) = (clock.now(), clock.steady());
        let passed = TimeDelta::from_std(steady.saturating_sub(seen.steady)).unwrap_or(TimeDelta::MAX);
        let set = (wall - seen.wall) - passed;
        (seen.wall, seen.steady) = (wall, steady);
        if set.abs() < NOTICED {
            return None;
        }
        seen.set = true;
        if set > TimeDelta::zero() {
            seen.held_until = steady + HELD;
        }
        Some(set)
    }
}

/// Goes by the clock that all servers of this database share, from now on; answers whether it could.
pub(crate) async fn follow(store: &Store, clock: &dyn Clock) -> Result<bool> {
    if store.is_sqlite() {
        return Ok(true);
    }
    let asked = clock.steady();
    let said = store.time(clock.now()).await?;
    let took = clock.steady().saturating_sub(asked);
    if said < built() {
        static TOLD: AtomicBool = AtomicBool::new(false);
        if !TOLD.swap(true, Ordering::Relaxed) {
            let said = to_second(said);
            tracing::warn!(%said, "the clock of PostgreSQL has not been set yet, so the server goes on without it. Set it: timedatectl set-ntp true");
        }
        return Ok(false);
    }
    let quick = took <= LONGEST_ANSWER;
    if quick {
        clock.follow(said + TimeDelta::from_std(took / 2).unwrap_or_default());
    }
    Ok(quick)
}

/// The same for a process that begins; it may have to ask more than once.
pub(crate) async fn follow_at_start(store: &Store, clock: &dyn Clock) -> Result<(), StartError> {
    for _ in 0..3 {
        if follow(store, clock).await.map_err(StartError::Read)? {
            break;
        }
    }
    Ok(())
}

impl App {
    /// Whether nothing may be removed for its age just now. To be asked after the time that is compared with was read.
    pub(crate) fn removals_held(&self) -> bool {
        self.notice_jump();
        self.steady() < self.jumps().seen().held_until
    }

    /// Says in the log that this machine's own clock is not the one that the server goes by, and when it is again.
    pub(crate) fn notice_own_clock(&self) {
        let ahead = self.clock().ahead();
        let apart = ahead.abs() >= NOTICED;
        if std::mem::replace(&mut self.jumps().seen().apart, apart) == apart {
            return;
        }
        let seconds = ahead.num_seconds();
        if apart {
            tracing::warn!(
                seconds,
                "the clock of this machine is ahead of PostgreSQL's by so much (behind it, if negative). The server goes by PostgreSQL's, but this log \
                 and the checks of certificates do not. Set both: timedatectl set-ntp true"
            );
        } else {
            tracing::info!("the clock of this machine is the same as PostgreSQL's again");
        }
    }

    /// Says in the log that the clock was set.
    fn notice_jump(&self) {
        let Some(set) = self.jumps().look(&*self.clock()) else { return };
        let seconds = set.num_seconds();
        if seconds > 0 {
            tracing::warn!(
                seconds,
                "the clock went forward by more than the time that passed (it was set, or the machine slept); \
                 nothing is removed for its age for an hour"
            );
        } else {
            tracing::warn!(
                seconds,
                "the clock was set back; the server shortened the waits that had become too long"
            );
        }
    }
}

/// Brings back what lies further ahead than it can; answers how much did.
pub async fn look(app: &App) -> Result<u64> {
    let longest = Longest {
        session: sessions::ABSOLUTE,
        steps: steps::Purpose::ALL.map(|purpose| (purpose.as_str(), purpose.lives())).to_vec(),
        tries: schedule::longest(),
        previous_secret: OVERLAP,
        works: reconcile::longest_waits(),
        run: reconcile::lease(),
        job: jobs::longest_wait(),
    };
    // Whoever slept would take what the others have written since for times that lie ahead.
    if !follow(app.store(), &*app.clock()).await? {
        return Ok(0);
    }
    let now = app.now();
    // A look that took long judges by an old time, as one does during which the clock was set.
    let still = || (app.now() - now).abs() < NOTICED;
    app.store().bring_back(now, &longest, still).await
}

/// Notices a jump at once, and looks when the server starts, each minute, and when the clock was set.
pub(crate) async fn watch(app: &App) -> Result<()> {
    app.notice_jump();
    if !app.jumps().due(app.steady()) {
        return Ok(());
    }
    let rows = look(app).await?;
    if rows > 0 {
        tracing::warn!(rows, "times that lay too far ahead were brought back");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use cb_core::Clock;
    use cb_core::clock::Time;
    use chrono::{DateTime, TimeDelta};

    use super::{HELD, Jumps};

    /// Wall and steady.
    struct Hands(Mutex<(Time, Duration)>);

    impl Clock for Hands {
        fn now(&self) -> Time {
            self.0.lock().expect("lock").0
        }

        fn steady(&self) -> Duration {
            self.0.lock().expect("lock").1
        }
    }

    #[test]
    fn what_is_set_is_told_from_what_passes() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).expect("a time");
        let hands = Hands(Mutex::new((start, Duration::ZERO)));
        let jumps = Jumps::new(&hands);
        let mut held_until = Duration::ZERO;
        for (passes, set, found) in [
            (5, 0, None),
            (5, 30, None),
            (5, -30, None),
            (86_400, 0, None),
            (5, 86_400, Some(86_400)),
            (5, 0, None),
            (5, -86_400, Some(-86_400)),
            (0, 60, Some(60)),
            (3_600, -3_600, Some(-3_600)),
        ] {
            {
                let mut hands = hands.0.lock().expect("lock");
                hands.0 += TimeDelta::seconds(passes + set);
                hands.1 += Duration::from_secs(passes.unsigned_abs());
            }
            assert_eq!(jumps.look(&hands), found.map(TimeDelta::seconds), "{passes} {set}");
            if found.is_some_and(|seconds| seconds > 0) {
                held_until = hands.steady() + HELD;
            }
            assert_eq!(jumps.seen().held_until, held_until);
        }
    }
}
