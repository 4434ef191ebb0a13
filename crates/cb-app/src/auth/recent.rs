//! Sessions as they were read a moment ago: the ten requests of a page do not ask the database ten times for the same row.
//!
//! What was read is good until this process writes anything that the audit log tells of, until another server is heard to have ended a
//! session, and never longer than [`GOOD_FOR`]: who is not heard (a server while NATS is away, the command line) may have ended it. So
//! there is no list of events that somebody could forget to add to, and the bound needs neither Redis nor NATS. That is why it is no
//! [`cb_fabric::Cache`], which remembers nothing while the others are not heard.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
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
    ends: u64,
    at: Instant,
}

/// By the hash of the session's secret.
#[derive(Default)]
pub(crate) struct Recent {
    known: Mutex<HashMap<String, (Moment, session::Model, user::Model)>>,
    /// Ends that were heard.
    ends: AtomicU64,
}

impl Recent {
    /// To be taken before the read.
    pub fn moment(&self, store: &Store) -> Moment {
        Moment { writes: store.writes(), ends: self.ends.load(Ordering::Acquire), at: Instant::now() }
    }

    pub fn find(&self, store: &Store, hash: &str) -> Option<(session::Model, user::Model)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (then, row, owner) = known.get(hash)?;
        let now = self.moment(store);
        let good = then.writes == now.writes && then.ends == now.ends && now.at - then.at < GOOD_FOR;
        good.then(|| (row.clone(), owner.clone()))
    }

    pub fn keep(&self, moment: Moment, hash: String, row: &session::Model, owner: &user::Model) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CAPACITY {
            known.clear();
        }
        known.insert(hash, (moment, row.clone(), owner.clone()));
    }

    pub fn forget(&self, hash: &str) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).remove(hash);
    }

    /// Also what is being read at this moment.
    pub fn forget_all(&self) {
        self.ends.fetch_add(1, Ordering::AcqRel);
    }
}
