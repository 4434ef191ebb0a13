//! Whether the database keeps what it is given, as this process has last seen it. Each write finds out for itself; this is
//! what people are told in between.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cb_core::Error;
use sea_orm::{ConnectionTrait as _, DbErr};
use tokio::sync::watch;

use crate::fault::{FULL, Fault, code_of_sqlite, has_code, is_read_only, is_unanswered, words};
use crate::open::Store;
use crate::open_error::mend_of_pooler;

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
/// Nothing was kept for so long: a write of ours that is in the way is no excuse any more.
const UNCLEAR: Duration = Duration::from_secs(3);
/// More different reasons than this are not logged until all is well again.
const REASONS: usize = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    Serving,
    /// Its disk is full: what is stored can be read, nothing can be saved.
    Full,
    /// What is stored can be read, nothing can be saved.
    Refusing(Refuses),
    /// PostgreSQL has no connection left: what needs another one is refused.
    Crowded,
    /// A database on the network does not answer.
    Away,
    /// What was opened, or a key that was there, has no name any more: whatever is written is gone when the server stops, or cannot be
    /// read afterwards.
    Replaced,
    /// Only the log of the database has no name any more.
    LogRemoved {
        /// What it held is in the database. While another program reads an older state, it cannot be.
        kept: bool,
    },
}

/// Why a database that answers saves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refuses {
    /// PostgreSQL permits only to read.
    ReadOnly,
    /// Another session of PostgreSQL has locked what every write needs. It may be one of ours.
    Session,
    /// Another program has locked the file, or a write of ours does not end.
    Program,
    /// The file cannot be written.
    File,
    /// PostgreSQL answers, and a COMMIT does not come back.
    Commit,
    /// What the log says.
    Other,
}

impl Refuses {
    fn by(error: &DbErr) -> Self {
        if is_read_only(error) {
            return Self::ReadOnly;
        }
        // No lock in time; cancelled while it waited for one.
        if has_code(error, &["55P03", "57014", "40P01"]) {
            return Self::Session;
        }
        match code_of_sqlite(error) {
            Some(5 | 6) => Self::Program,
            // READONLY, IOERR, CANTOPEN
            Some(8 | 10 | 14) => Self::File,
            _ => Self::Other,
        }
    }

    const fn trouble(self) -> &'static str {
        match self {
            Self::ReadOnly => {
                "Nothing can be saved, because PostgreSQL permits only to read. If this database is a replica, set CB_DB_URL to the primary server. Otherwise default_transaction_read_only is on: turn it off (ALTER SYSTEM RESET default_transaction_read_only, then SELECT pg_reload_conf(); the same setting of the database and of the user counts too). The server tries again every second."
            }
            Self::Session => {
                "Nothing can be saved, because another session of PostgreSQL has locked what every write needs. Find it (SELECT pid, usename, application_name, state, query FROM pg_stat_activity WHERE xact_start < now() - interval '5 seconds') and end it. The server tries again every second."
            }
            Self::Program => {
                "Nothing can be saved, because another program has locked the database, or a write of this server does not end. Find the program with fuser -v on circuit-breaker.db in the data folder, and end it. The server tries again every second."
            }
            Self::File => {
                "Nothing can be saved, because the file of the database cannot be written: it or its disk permits only to read, or the disk fails. The system's log (dmesg) says more. The server tries again every second."
            }
            Self::Commit => {
                "Nothing can be saved, because PostgreSQL does not finish a COMMIT. If synchronous_standby_names is set, it waits for a standby: start the standby, or take it out of that setting. The server tries again every second."
            }
            Self::Other => {
                "Nothing can be saved. The database is locked or read-only, or it is waiting for a missing standby or another session, or its disk fails. The server tries again every second; its log shows the details."
            }
        }
    }
}

impl Storage {
    /// What is the matter, and what to do about it.
    pub fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Serving => None,
            Self::Full => Some(FULL),
            Self::Refusing(why) => Some(why.trouble()),
            Self::Away => Some(
                "The database does not answer. Nothing can be read or saved until it answers. The server tries again every second; its log shows the details.",
            ),
            Self::Crowded => Some(
                "PostgreSQL has no free connection, so the server refuses some requests. End other sessions (SELECT * FROM pg_stat_activity), or raise max_connections (behind PgBouncer also its max_client_conn); this server uses up to 19 connections.",
            ),
            Self::Replaced => Some(
                "The data folder, the database or a key in the folder was removed or replaced while the server was running. The server cannot save anything. Copy what you need from these pages. Then put back what is missing, or stop the server and restore a backup.",
            ),
            Self::LogRemoved { kept: true } => Some(
                "The database's log (circuit-breaker.db-wal or -shm) was removed while the server was running. Everything that was saved before is safe, but the server cannot save anything more. Restart the server.",
            ),
            Self::LogRemoved { kept: false } => Some(
                "The database's log (circuit-breaker.db-wal or -shm) was removed while the server was running. The server cannot save anything more, and a restart now may lose the latest changes, because another program, such as sqlite3, is using the database or another log was put in its place. Stop that program, or put the log back. A message then says that everything that was saved is safe.",
            ),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Watched {
    state: watch::Sender<Storage>,
    /// When a write was last kept.
    kept: Mutex<Instant>,
    /// The reasons that were logged since it was serving last.
    reasons: Mutex<BTreeSet<String>>,
}

impl Default for Watched {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(Storage::Serving),
            kept: Mutex::new(Instant::now()),
            reasons: Mutex::default(),
        }
    }
}

/// What a look has found.
enum Found {
    Is(Storage),
    /// No answer at all: connections from before may stay silent for ever.
    Silent,
    /// The connections from before lead to a server that may only be read. Another one may have taken its place.
    ReadOnly,
    /// Our own work is in the way of finding out. If it stays so, this is why.
    Unclear(Refuses),
}

impl Watched {
    /// Tells a change, and nothing else: every write says how it went.
    pub fn set(&self, now: Storage) {
        let changed = self.state.send_if_modified(|storage| std::mem::replace(storage, now) != now);
        if !changed {
            return;
        }
        if let Some(trouble) = now.trouble() {
            tracing::error!("{trouble}");
        } else {
            self.reasons.lock().unwrap_or_else(PoisonError::into_inner).clear();
            tracing::info!("The database can be written to again.");
        }
    }

    /// Logs the reason why a look at the database failed, each once until all is well again. Answers whether this one is new.
    fn because(&self, reason: &str) -> bool {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        let new = reasons.len() < REASONS && reasons.insert(reason.to_owned());
        if new {
            tracing::error!(reason, "a check of the database failed");
        }
        new
    }

    fn get(&self) -> Storage {
        *self.state.borrow()
    }

    /// Notes that a write was kept. What it does not disprove stays: others may wait for a connection, a folder may have moved, and a full
    /// disk keeps what fits into room that the database already has.
    pub fn kept(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        if matches!(self.get(), Storage::Refusing(_) | Storage::Away) {
            self.set(Storage::Serving);
        }
    }

    fn keeps_nothing(&self) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > UNCLEAR
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

    /// Whether the database answers, and nothing says that it will not save what it is given. Without a connection for everybody it
    /// still serves most.
    pub fn serves(&self) -> bool {
        matches!(self.watched().get(), Storage::Serving | Storage::Crowded)
    }

    /// How the database does, now and from now on.
    pub fn storage(&self) -> watch::Receiver<Storage> {
        self.watched().state.subscribe()
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
                    self.watched().set(Storage::Refusing(Refuses::ReadOnly));
                    self.start_anew().await;
                }
                Found::Unclear(why) if self.watched().keeps_nothing() => {
                    self.watched().set(Storage::Refusing(why));
                }
                Found::Unclear(_) => {}
            }
            self.signals().note(self.is_away());
            tokio::time::sleep(BETWEEN).await;
        }
    }

    async fn look(&self, closely: bool) -> Found {
        if self.lost().is_some() {
            self.save_lost_log().await;
        }
        if let Some(lost) = self.lost() {
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
        // A file is read. PostgreSQL is asked for nothing that another session could have locked.
        let question = if self.is_sqlite() { "SELECT version FROM settings" } else { "SELECT 1" };
        let asked = self.lookout().execute_unprepared(question);
        match tokio::time::timeout(ANSWER, asked).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(self.found(&self.why(error).await)),
            Err(_) if self.is_sqlite() => Err(Found::Is(Storage::Refusing(Refuses::Program))),
            Err(_) => Err(Found::Silent),
        }
    }

    /// Whether a write is kept.
    async fn keeps(&self) -> Found {
        let was_full = self.watched().get() == Storage::Full;
        if was_full && self.file().is_some_and(|file| !file.has_room()) {
            return Found::Is(Storage::Full);
        }
        let writing = self.is_writing();
        let mut pulse = pin!(self.pulse(was_full));
        let kept = match tokio::time::timeout(BRIEF, pulse.as_mut()).await {
            Ok(kept) => Ok(kept),
            // A lock keeps it waiting just as silence does.
            Err(_) if self.is_silent().await => return Found::Silent,
            Err(_) => tokio::time::timeout(PULSE, pulse).await,
        };
        match kept {
            Ok(Ok(())) => self.has_room().await,
            Ok(Err(error)) => match Fault::of(&error) {
                Fault::Busy => Found::Unclear(Refuses::Other),
                Fault::Refusing if writing || self.is_writing() => Found::Unclear(Refuses::by(&error)),
                // It has just answered: a COMMIT of its own waits, as for a standby.
                _ if is_unanswered(&error) => Found::Is(Storage::Refusing(Refuses::Commit)),
                _ => self.found(&error),
            },
            Err(_) => Found::Is(Storage::Refusing(Refuses::Other)),
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
        let text = words(error);
        let new = self.watched().because(&text);
        if new && let Some(mend) = mend_of_pooler(&text) {
            tracing::error!("{mend}.");
        }
        match Fault::of(error) {
            Fault::Full => Found::Is(Storage::Full),
            Fault::Refusing if is_read_only(error) => Found::ReadOnly,
            Fault::Refusing | Fault::Query => Found::Is(Storage::Refusing(Refuses::by(error))),
            // A file is never away.
            Fault::Away | Fault::Busy if self.is_sqlite() => Found::Is(Storage::Refusing(Refuses::by(error))),
            Fault::Crowded => Found::Is(Storage::Crowded),
            Fault::Emptied => Found::Is(Storage::Replaced),
            Fault::Away if is_unanswered(error) => Found::Silent,
            Fault::Away if has_code(error, &["28P01", "28000"]) => {
                if new {
                    tracing::error!(
                        "PostgreSQL refuses the user or the password of this server. If the password was changed, set CB_DB_PASSWORD (or the password in CB_DB_URL) to the new one and start the server again."
                    );
                }
                Found::Is(Storage::Away)
            }
            // The lookout shares its connection with nobody.
            Fault::Away | Fault::Busy => Found::Is(Storage::Away),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Refuses, Storage, Watched};

    #[test]
    fn a_write_that_was_kept_disproves_only_what_it_can() {
        for (before, after) in [
            (Storage::Full, Storage::Full),
            (Storage::Refusing(Refuses::ReadOnly), Storage::Serving),
            (Storage::Away, Storage::Serving),
            (Storage::Crowded, Storage::Crowded),
            (Storage::Replaced, Storage::Replaced),
            (Storage::LogRemoved { kept: false }, Storage::LogRemoved { kept: false }),
        ] {
            let watched = Watched::default();
            watched.set(before);
            watched.kept();
            assert_eq!(watched.get(), after, "{before:?}");
        }
    }

    #[test]
    fn each_reason_is_logged_once_until_all_is_well_and_not_too_many() {
        let watched = Watched::default();
        watched.set(Storage::Away);
        assert!(watched.because("nothing accepts connections there"));
        assert!(watched.because("the database system is starting up"));
        assert!(!watched.because("nothing accepts connections there"));
        watched.set(Storage::Serving);
        assert!(watched.because("nothing accepts connections there"));
        watched.set(Storage::Away);
        let logged = (0..100).filter(|number| watched.because(&format!("relation {number}"))).count();
        assert_eq!(logged, super::REASONS - 1);
    }
}
