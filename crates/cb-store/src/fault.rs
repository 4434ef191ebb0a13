//! What a database error means to the one who asked: not there just now, full, or a fault of ours.

use std::path::Path;

use cb_core::Error;
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};

/// What a failing database is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does not answer, is locked by somebody else, or its disk fails.
    Away,
    /// Its disk has no room.
    Full,
    /// Neither: a rule that was broken, or a mistake in a query.
    Query,
}

impl Fault {
    pub fn of(error: &DbErr) -> Self {
        match driver(error) {
            Some(sqlx::Error::Database(error)) => of_code(error.as_ref()),
            Some(
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::BeginFailed,
            ) => Self::Away,
            Some(_) => Self::Query,
            None => match error {
                DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Away,
                _ => Self::Query,
            },
        }
    }
}

/// An error of the database, as the error of the one who asked.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub fn db(error: DbErr) -> Error {
    match Fault::of(&error) {
        Fault::Full => Error::StorageFull(
            "Nothing can be saved, because the disk of the database is full. What is stored can still be read. Free some space; \
             the server needs no restart"
                .to_owned(),
        ),
        Fault::Away => {
            tracing::warn!(%error, "the database did not do what it was asked");
            Error::Unavailable("The database does not answer just now; try again in a moment".to_owned())
        }
        Fault::Query => Error::Internal(format!("database: {error}")),
    }
}

/// A constraint that the database kept, as the error of the one who ran into it.
pub fn conflict(error: &DbErr, message: &str) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => Error::Conflict(message.to_owned()),
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::NotFound,
        _ => db(error.clone()),
    }
}

/// Whether a failed COMMIT has certainly kept nothing. The database has answered with a reason of its own; a lost connection or
/// a disk that failed while it was told to keep the data leaves that open.
pub(crate) fn certainly_lost(error: &DbErr) -> bool {
    let Some(sqlx::Error::Database(error)) = driver(error) else { return false };
    match of_code(error.as_ref()) {
        Fault::Full | Fault::Query => true,
        // SQLITE_BUSY and SQLITE_LOCKED: the lock was never taken.
        Fault::Away => sqlite_code(error.as_ref()).is_some_and(|code| matches!(code & 0xff, 5 | 6)),
    }
}

fn driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(e))
        | DbErr::Exec(RuntimeErr::SqlxError(e))
        | DbErr::Query(RuntimeErr::SqlxError(e)) => Some(e),
        _ => None,
    }
}

/// SQLite's codes are numbers (<https://www.sqlite.org/rescode.html>), PostgreSQL's have five characters.
fn of_code(error: &dyn DatabaseError) -> Fault {
    if let Some(code) = sqlite_code(error) {
        // The low byte is the kind, the rest says more.
        return match code & 0xff {
            13 => Fault::Full,
            // SQLITE_IOERR_SHMSIZE: the index of the log could not grow, which only a full disk does.
            10 if code == 4874 => Fault::Full,
            // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CANTOPEN, PROTOCOL
            5 | 6 | 7 | 8 | 9 | 10 | 14 | 15 => Fault::Away,
            _ => Fault::Query,
        };
    }
    // https://www.postgresql.org/docs/15/errcodes-appendix.html
    let code = error.code().unwrap_or_default();
    match code.as_ref() {
        "53100" => Fault::Full,
        // Read only; in the way of another transaction; no lock in time; cancelled.
        "25006" | "25P03" | "40001" | "40P01" | "55P03" | "57014" => Fault::Away,
        code if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => Fault::Away,
        _ => Fault::Query,
    }
}

fn sqlite_code(error: &dyn DatabaseError) -> Option<u32> {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse().ok()
}

/// Why the database cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {reason}. {mend}")]
pub struct OpenError {
    what: String,
    reason: String,
    mend: String,
}

impl OpenError {
    pub(crate) fn new(what: impl Into<String>, reason: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), reason: reason.into(), mend: mend.into() }
    }

    /// What happened, for a caller that has advice of its own.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub(crate) fn damaged(file: &Path, reason: &str) -> Self {
        Self::new(
            format!("The database {} is damaged", file.display()),
            reason,
            format!(
                "Restore it from a backup, or save what can be read with: sqlite3 {} .recover > recovered.sql",
                file.display()
            ),
        )
    }

    pub(crate) fn sqlite(file: &Path, error: &DbErr) -> Self {
        let text = error.to_string();
        let folder = file.parent().unwrap_or(file).display();
        let code = match driver(error) {
            Some(sqlx::Error::Database(error)) => sqlite_code(error.as_ref()),
            _ => None,
        };
        let mend = match code.map(|code| code & 0xff) {
            Some(11 | 26) => return Self::damaged(file, &text),
            Some(13) => format!("Free space on the disk that holds {folder}, then start again"),
            _ if code == Some(4874) => format!("Free space on the disk that holds {folder}, then start again"),
            Some(5 | 6) => format!("Find the program that holds it with: fuser -v {}; end it, then start again", file.display()),
            Some(10) => "The disk failed to read or write. Look into the system's log (dmesg), then start again; restore a backup if the disk is broken".to_owned(),
            _ if file.is_dir() => format!("A folder stands where the database should be. Move it away: mv {0} {0}.aside", file.display()),
            _ => format!("Let the server's user write there: chown -R \"$(id -un)\" {folder} && chmod 700 {folder}"),
        };
        Self::new(format!("The database {} cannot be used", file.display()), text, mend)
    }

    #[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
    pub(crate) fn postgres(error: DbErr) -> Self {
        let code = match driver(&error) {
            Some(sqlx::Error::Database(error)) => error.code().map(std::borrow::Cow::into_owned),
            _ => None,
        };
        let mend = match code.as_deref().unwrap_or_default() {
            "28P01" | "28000" => "See that the user and password in CB_DB_URL and CB_DB_PASSWORD are right",
            "3D000" => "Make the database that CB_DB_URL names: createdb --owner USER NAME",
            "42501" => "Give the user the right to make tables: GRANT CREATE, USAGE ON SCHEMA public TO USER",
            "53300" => {
                "PostgreSQL has no connection left: raise max_connections, or end what holds them (SELECT * FROM pg_stat_activity)"
            }
            "53100" => "Free space on PostgreSQL's disk, then start again",
            "25006" => "It is a replica that may only be read: name the primary server in CB_DB_URL",
            "55P03" => "Another server changes its tables at this moment: start again when that has ended",
            code if code.starts_with("42") || code.starts_with("23") => {
                "Its tables are not as this program left them: restore a backup into an empty database"
            }
            _ => {
                "See that PostgreSQL 15 or later runs there and is reached by the host and port in CB_DB_URL"
            }
        };
        Self::new("The database of CB_DB_URL cannot be used", error.to_string(), mend)
    }
}
