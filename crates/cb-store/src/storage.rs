//! Whether the database keeps what it is given, as this process has last seen it. Each write finds out for itself; this is
//! what people are told in between.

use std::time::Duration;

use cb_core::Error;
use sea_orm::{ConnectionTrait as _, DbErr};
use tokio::sync::{Notify, watch};

use crate::fault::Fault;
use crate::open::Store;

/// How long the next look is waited for while all is well, with a file.
const LOOK: Duration = Duration::from_secs(5);
/// The same in trouble, and with a database on the network.
const LOOK_CLOSELY: Duration = Duration::from_secs(1);
/// However many writes fail, two looks are so far apart.
const BETWEEN: Duration = Duration::from_millis(100);
/// An answer takes no longer.
const ANSWER: Duration = Duration::from_millis(1_800);
/// Long enough to wait for a lock, or for one of our own writes.
const PULSE: Duration = Duration::from_secs(6);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    Serving,
    /// Its disk is full: what is stored can be read, nothing can be saved.
    Full,
    /// It is locked or may only be read, or its disk fails.
    Refusing,
    /// A database on the network does not answer.
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
                "Nothing can be saved: the database is locked or may only be read, or its disk fails. The server tries again \
                 every second; its log says more.",
            ),
            Self::Away => Some(
                "The database does not answer. Nothing can be read or saved until it does. The server tries again every second; \
                 its log says more.",
            ),
            Self::Replaced => Some(
                "The database file was removed or replaced while the server ran. Nothing more is saved. Copy what you need from \
                 these pages. Put the folder back; or stop the server and restore a backup.",
            ),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Watched {
    storage: watch::Sender<Storage>,
    /// A write has failed.
    doubt: Notify,
}

impl Default for Watched {
    fn default() -> Self {
        Self { storage: watch::Sender::new(Storage::Serving), doubt: Notify::new() }
    }
}

impl Watched {
    /// Tells a change, and nothing else: every write says how it went.
    pub fn set(&self, now: Storage) {
        let changed = self.storage.send_if_modified(|storage| std::mem::replace(storage, now) != now);
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
        *self.storage.borrow()
    }
}

impl Store {
    pub(crate) fn is_away(&self) -> bool {
        self.watched().get() == Storage::Away
    }

    /// Whether the last write was not kept.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.watched().get() != Storage::Serving
    }

    /// How the database does, now and from now on.
    pub fn storage(&self) -> watch::Receiver<Storage> {
        self.watched().storage.subscribe()
    }

    /// Notes what a write has met. Only a look tells a database that fails from one that has too much to do.
    pub(crate) fn met(&self, error: &Error) {
        match error {
            Error::StorageFull(_) => self.watched().set(Storage::Full),
            Error::Unavailable(_) | Error::OutcomeUnknown(_) => self.watched().doubt.notify_one(),
            _ => {}
        }
    }

    /// Looks at the database for as long as the server runs.
    pub async fn watch_over(&self) {
        let watched = self.watched();
        loop {
            let pause = if self.is_sqlite() && !self.is_in_trouble() { LOOK } else { LOOK_CLOSELY };
            let doubted = tokio::time::timeout(pause, watched.doubt.notified()).await.is_ok();
            if let Some(storage) = self.look(doubted || self.is_in_trouble()).await {
                watched.set(storage);
            }
            if self.is_away() {
                self.silence().tell();
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }

    /// How the database does; none where our own work is in the way of finding out.
    async fn look(&self, closely: bool) -> Option<Storage> {
        if !self.is_still_there() {
            self.save_lost_log().await;
            return Some(Storage::Replaced);
        }
        let silent = if self.is_sqlite() { Storage::Refusing } else { Storage::Away };
        let asked = async {
            if self.is_away() {
                self.start_anew().await?;
            }
            self.lookout().execute_unprepared("SELECT version FROM settings").await.map(drop)
        };
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(Ok(())) => {}
            // Nobody else uses this connection: without one the database is not there.
            Ok(Err(error)) => return Some(after(&error).unwrap_or(silent)),
            Err(_) => return Some(silent),
        }
        if !closely {
            return Some(Storage::Serving);
        }
        let writing = self.is_writing();
        match tokio::time::timeout(PULSE, self.pulse()).await {
            Ok(Ok(())) => Some(Storage::Serving),
            Ok(Err(error)) if (writing || self.is_writing()) && Fault::of(&error) == Fault::Refusing => None,
            Ok(Err(error)) => {
                after(&error).map(|storage| if storage == Storage::Away { silent } else { storage })
            }
            Err(_) => Some(Storage::Refusing),
        }
    }
}

fn after(error: &DbErr) -> Option<Storage> {
    match Fault::of(error) {
        Fault::Full => Some(Storage::Full),
        Fault::Refusing | Fault::Query => Some(Storage::Refusing),
        Fault::Away => Some(Storage::Away),
        Fault::Busy => None,
    }
}
