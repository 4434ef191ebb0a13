//! Sessions as they were read a moment ago: the ten requests of a page do not ask the database ten times for the same row.
//!
//! What was read is good until this process writes anything that the audit log tells of, and never longer than [`GOOD_FOR`]: another process (a replica,
//! the command line) may have ended the session. So there is no list of events that somebody could forget to add to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cb_store::Store;
use cb_store::entities::{session, user};
use tokio::time::Instant;

/// A quarter of the second within which every session must have ended.
const GOOD_FOR: Duration = Duration::from_millis(250);
/// More are not kept; a busy site begins anew.
const CAPACITY: usize = 4096;

/// The database as it stood before something was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    writes: u64,
    at: Instant,
}

impl Moment {
    /// To be taken before the read.
    pub fn now(store: &Store) -> Self {
        Self { writes: store.writes(), at: Instant::now() }
    }

    fn still_good(self, store: &Store) -> bool {
        self.writes == store.writes() && self.at.elapsed() < GOOD_FOR
    }
}

/// By the hash of the session's secret.
#[derive(Default)]
pub(crate) struct Recent(Mutex<HashMap<String, (Moment, session::Model, user::Model)>>);

impl Recent {
    pub fn find(&self, store: &Store, hash: &str) -> Option<(session::Model, user::Model)> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (moment, row, owner) = known.get(hash)?;
        moment.still_good(store).then(|| (row.clone(), owner.clone()))
    }

    pub fn keep(&self, moment: Moment, hash: String, row: &session::Model, owner: &user::Model) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(hash, (moment, row.clone(), owner.clone()));
    }

    pub fn forget(&self, hash: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(hash);
    }
}
