//! Whether the database keeps what it is given, as this process has last seen it. Each write finds out for itself; this is
//! what people are told in between.

use std::time::Duration;

use cb_core::Error;
use sea_orm::ConnectionTrait as _;
use tokio::sync::watch;

use crate::open::Store;

/// While all is well the database is looked at so often …
const LOOK: Duration = Duration::from_secs(5);
/// … and so often while it is not, or when it is on another machine.
const LOOK_CLOSELY: Duration = Duration::from_secs(1);
/// An answer takes no longer.
const ANSWER: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    Serving,
    /// Its disk is full: what is stored can be read, nothing can be saved.
    Full,
    /// Another program has locked it, or its disk fails.
    Refusing,
    /// A database on the network does not answer, or may only be read.
    Away,
    /// The file that was opened has no name any more: whatever is written to it is gone when the server stops.
    Replaced,
}

impl Storage {
    /// What is the matter, and what to do about it.
    pub fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Serving => None,
            Self::Full => Some(
                "Nothing can be saved, because the disk of the database is full. What is stored can still be read. Free some \
                 space; the server needs no restart.",
            ),
            Self::Refusing => Some(
                "Nothing can be saved: another program has locked the database, or its disk fails. The server tries again every \
                 second; its log says more.",
            ),
            Self::Away => Some(
                "The database does not answer, or may only be read. Nothing can be saved until that has changed; the server tries \
                 again every second, and its log says more.",
            ),
            Self::Replaced => Some(
                "The database file was removed or replaced while the server ran. Nothing more is saved. Copy what you need from \
                 these pages, put the folder back or restore a backup, and start the server again.",
            ),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Watched(watch::Sender<Storage>);

impl Default for Watched {
    fn default() -> Self {
        Self(watch::Sender::new(Storage::Serving))
    }
}

impl Watched {
    pub fn set(&self, now: Storage) {
        // Each write says how it went; only a change is told.
        let changed = self.0.send_if_modified(|storage| std::mem::replace(storage, now) != now);
        if !changed {
            return;
        }
        if let Some(trouble) = now.trouble() {
            tracing::error!("{trouble}");
        } else {
            tracing::info!("The database can be written to again.");
        }
    }

    fn get(&self) -> Storage {
        *self.0.borrow()
    }
}

impl Store {
    /// Whether the last write was not kept.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.watched().get() != Storage::Serving
    }

    /// How the database does, now and from now on.
    pub fn storage(&self) -> watch::Receiver<Storage> {
        self.watched().0.subscribe()
    }

    /// Notes what a write has met.
    pub(crate) fn met(&self, error: &Error) {
        match error {
            Error::StorageFull(_) => self.watched().set(Storage::Full),
            Error::Unavailable(_) | Error::OutcomeUnknown(_) if self.is_still_there() => {
                self.does_not_answer();
            }
            _ => {}
        }
    }

    fn does_not_answer(&self) {
        self.watched().set(if self.is_sqlite() { Storage::Refusing } else { Storage::Away });
    }

    /// Looks at the database for as long as the server runs.
    pub async fn watch_over(&self) {
        loop {
            let watched = self.watched();
            let well = watched.get() == Storage::Serving;
            tokio::time::sleep(if well && self.is_sqlite() { LOOK } else { LOOK_CLOSELY }).await;
            if !self.is_still_there() {
                watched.set(Storage::Replaced);
                continue;
            }
            if watched.get() != Storage::Serving {
                // Nobody may be writing: only a write tells whether one can be kept.
                if self.pulse().await.is_ok() {
                    watched.set(Storage::Serving);
                }
                continue;
            }
            let answer = self.reader().execute_unprepared("SELECT 1");
            if !matches!(tokio::time::timeout(ANSWER, answer).await, Ok(Ok(_))) {
                self.does_not_answer();
            }
        }
    }
}
