//! Whether the database keeps what it is given, as this process has last seen it. Each write finds out for itself; this is
//! what people are told in between.

use std::pin::pin;
use std::time::Duration;

use cb_core::Error;
use sea_orm::{ConnectionTrait as _, DbErr};
use tokio::sync::watch;

use crate::fault::{FULL, Fault, is_read_only, is_unanswered};
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
const PULSE: Duration = Duration::from_secs(5);
/// Most writes of ours take less.
const BRIEF: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    Serving,
    /// Its disk is full: what is stored can be read, nothing can be saved.
    Full,
    /// It is locked or may only be read, waits for a standby, or its disk fails.
    Refusing,
    /// PostgreSQL has no connection left: what needs another one is refused.
    Crowded,
    /// A database on the network does not answer.
    Away,
    /// The file or the folder that was opened has no name any more: whatever is written to it is gone when the server stops.
    Replaced,
    /// Only the log of the database has no name any more. What it held is written into the database, unless another program reads.
    LogRemoved,
}

impl Storage {
    /// What is the matter, and what to do about it.
    pub fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Serving => None,
            Self::Full => Some(FULL),
            Self::Refusing => Some(
                "Nothing can be saved: the database is locked or may only be read, waits for a standby that is gone, or its disk \
                 fails. The server tries again every second; its log says more.",
            ),
            Self::Away => Some(
                "The database does not answer. Nothing can be read or saved until it does. The server tries again every second; \
                 its log says more.",
            ),
            Self::Crowded => Some(
                "PostgreSQL has no connection left, so some of what is asked is refused. End what holds them (SELECT * FROM \
                 pg_stat_activity), or raise max_connections; this server uses up to eighteen.",
            ),
            Self::Replaced => Some(
                "The data folder, or the database in it, was removed or replaced while the server ran. Nothing more is saved. Copy \
                 what you need from these pages. Put the folder back; or stop the server and restore a backup.",
            ),
            Self::LogRemoved => Some(
                "The database's log (circuit-breaker.db-wal or -shm) was removed while the server ran. Nothing more is saved. End \
                 every other program that reads the database, such as sqlite3. Restart the server then: it writes what the log \
                 held into the database before it ends.",
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

/// What a look has found.
enum Found {
    Is(Storage),
    /// No answer at all: connections from before may stay silent for ever.
    Silent,
    /// The connections from before lead to a server that may only be read. Another one may have taken its place.
    ReadOnly,
    /// Our own work is in the way of finding out.
    Unclear,
}

impl Watched {
    /// Tells a change, and nothing else: every write says how it went.
    pub fn set(&self, now: Storage) {
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
    pub(crate) fn is_away(&self) -> bool {
        self.watched().get() == Storage::Away
    }

    /// Whether the last write was not kept.
    pub(crate) fn is_in_trouble(&self) -> bool {
        self.watched().get() != Storage::Serving
    }

    /// How the database does, now and from now on.
    pub fn storage(&self) -> watch::Receiver<Storage> {
        self.watched().0.subscribe()
    }

    /// Notes what a write has met. Only a look tells a database that fails from one that has too much to do.
    pub(crate) fn met(&self, error: &Error) {
        match error {
            Error::StorageFull(_) => self.watched().set(Storage::Full),
            Error::Unavailable(_) | Error::OutcomeUnknown(_) => self.signals().doubt(),
            _ => {}
        }
    }

    /// Looks at the database for as long as the server runs.
    pub async fn watch_over(&self) {
        loop {
            let pause = if self.is_sqlite() && !self.is_in_trouble() { LOOK } else { LOOK_CLOSELY };
            let doubted = tokio::time::timeout(pause, self.signals().doubted()).await.is_ok();
            match self.look(doubted || self.is_in_trouble()).await {
                Found::Is(storage) => self.watched().set(storage),
                Found::Silent => {
                    self.watched().set(Storage::Away);
                    self.signals().give_up();
                    self.start_anew().await;
                }
                Found::ReadOnly => {
                    self.watched().set(Storage::Refusing);
                    self.start_anew().await;
                }
                Found::Unclear => {}
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }

    async fn look(&self, closely: bool) -> Found {
        if let Some(lost) = self.lost() {
            if lost == Storage::LogRemoved {
                self.save_lost_log().await;
            }
            return Found::Is(lost);
        }
        if let Err(found) = self.answers().await {
            return found;
        }
        if closely { self.keeps().await } else { Found::Is(Storage::Serving) }
    }

    /// Asks on the lookout's connection, which nobody else uses: without one the database is not there.
    async fn answers(&self) -> Result<(), Found> {
        if self.is_away() {
            // It has no connection that could answer.
            self.another_connection().await.map_err(|error| self.found(&error))?;
        }
        let asked = self.lookout().execute_unprepared("SELECT version FROM settings");
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.found(&self.why(error).await)),
            Err(_) if self.is_sqlite() => Err(Found::Is(Storage::Refusing)),
            Err(_) => Err(Found::Silent),
        }
    }

    /// Whether a write is kept.
    async fn keeps(&self) -> Found {
        let writing = self.is_writing();
        let mut pulse = pin!(self.pulse());
        let kept = match tokio::time::timeout(BRIEF, pulse.as_mut()).await {
            Ok(kept) => Ok(kept),
            // A lock keeps it waiting just as silence does.
            Err(_) if self.is_silent().await => return Found::Silent,
            Err(_) => tokio::time::timeout(PULSE, pulse).await,
        };
        match kept {
            Ok(Ok(())) => self.has_room().await,
            Ok(Err(error)) => match Fault::of(&error) {
                Fault::Busy => Found::Unclear,
                Fault::Refusing if writing || self.is_writing() => Found::Unclear,
                // It has just answered: a COMMIT of its own waits, as for a standby.
                _ if is_unanswered(&error) => Found::Is(Storage::Refusing),
                _ => self.found(&error),
            },
            Err(_) => Found::Is(Storage::Refusing),
        }
    }

    async fn is_silent(&self) -> bool {
        self.another_connection().await.is_err_and(|error| is_unanswered(&error))
    }

    /// Whether PostgreSQL has a connection for those who wait for one.
    async fn has_room(&self) -> Found {
        match self.another_connection().await {
            Err(error) if Fault::of(&error) == Fault::Crowded => Found::Is(Storage::Crowded),
            Err(error) if is_unanswered(&error) => Found::Silent,
            _ => Found::Is(Storage::Serving),
        }
    }

    fn found(&self, error: &DbErr) -> Found {
        match Fault::of(error) {
            Fault::Full => Found::Is(Storage::Full),
            Fault::Refusing if is_read_only(error) => Found::ReadOnly,
            Fault::Refusing | Fault::Query => Found::Is(Storage::Refusing),
            // A file is never away.
            Fault::Away | Fault::Busy if self.is_sqlite() => Found::Is(Storage::Refusing),
            Fault::Crowded => Found::Is(Storage::Crowded),
            Fault::Away if is_unanswered(error) => Found::Silent,
            // The lookout shares its connection with nobody.
            Fault::Away | Fault::Busy => Found::Is(Storage::Away),
        }
    }
}
