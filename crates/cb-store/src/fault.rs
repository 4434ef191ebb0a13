//! What a database error means to the one who asked: not there just now, full, or a fault of ours.

use std::io;

use cb_core::{Error, connection};
use sea_orm::sqlx::error::DatabaseError;
use sea_orm::sqlx::postgres::{PgDatabaseError, PgSeverity};
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, SqlErr, sqlx};

/// What is told while a disk is full.
pub(crate) const FULL: &str = "Nothing can be saved, because the disk of the database is full. What is stored can still be read. \
                               Free some space; the server needs no restart.";

/// What a failing database is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Every connection of ours is in use.
    Busy,
    /// It answers, and does not do it: locked by another, to be read only, or its disk fails.
    Refusing,
    /// PostgreSQL has no connection left for us.
    Crowded,
    /// It does not answer.
    Away,
    /// It answers, and has not the tables that were there when this process opened it.
    Emptied,
    /// Its disk has no room.
    Full,
    /// None of these: a rule that was broken, or a mistake in a query.
    Query,
}

impl Fault {
    pub fn of(error: &DbErr) -> Self {
        match driver(error) {
            Some(sqlx::Error::Database(told)) => match of_code(told.as_ref()) {
                // Refused before anything was asked: a password that was changed, a database that was dropped.
                Self::Query if matches!(error, DbErr::Conn(_)) => Self::Away,
                fault => fault,
            },
            Some(sqlx::Error::PoolTimedOut) => Self::Busy,
            Some(
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::Protocol(_)
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::BeginFailed,
            ) => Self::Away,
            Some(_) if matches!(error, DbErr::Conn(_)) => Self::Away,
            Some(_) => Self::Query,
            None => match error {
                DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Self::Busy,
                DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => Self::Away,
                _ => Self::Query,
            },
        }
    }
}

/// An error of the database, as the error of the one who asked.
#[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
pub fn db(error: DbErr) -> Error {
    let fault = Fault::of(&error);
    match fault {
        Fault::Full => Error::StorageFull(FULL.to_owned()),
        Fault::Busy | Fault::Refusing | Fault::Crowded | Fault::Away | Fault::Emptied => {
            tracing::warn!(%error, "the database did not carry out a request");
            let why = match fault {
                Fault::Busy => "The database is busy. Try again soon.",
                Fault::Refusing => "The database cannot do this at the moment. Try again soon.",
                Fault::Crowded => "PostgreSQL has no free connection at the moment. Try again soon.",
                Fault::Emptied => {
                    "The tables of Circuit Breaker are missing in the database at the moment. Try again soon."
                }
                _ => "The database does not answer at the moment. Try again soon.",
            };
            Error::Unavailable(why.to_owned())
        }
        // The door refuses it in a body and in an address. This is for a text that came wrapped in something else.
        Fault::Query if has_code(&error, &["22021", "22P05"]) => {
            Error::invalid("input", "The text contains the character U+0000. Remove it.")
        }
        Fault::Query => Error::Internal(format!("database: {error}")),
    }
}

/// What the database or the driver says, for people. The driver's own text also names a line of PostgreSQL's source.
pub(crate) fn words(error: &DbErr) -> String {
    match (driver(error), error) {
        (Some(sqlx::Error::Database(told)), _) => told.message().to_owned(),
        // The pool has tried again and again, and does not say why it failed.
        (Some(sqlx::Error::PoolTimedOut), _) | (None, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) => {
            "it does not answer".to_owned()
        }
        (Some(sqlx::Error::Io(error)), _) if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the other side closed the connection".to_owned()
        }
        (Some(sqlx::Error::Io(error)), _) => connection::words(error),
        (Some(other), _) => other.to_string(),
        (None, DbErr::Conn(RuntimeErr::Internal(why))) => why.clone(),
        (None, other) => other.to_string(),
    }
}

/// A constraint that the database kept, as the error of the one who ran into it.
pub fn conflict(error: &DbErr, message: &str) -> Error {
    refused(error, || Error::Conflict(message.to_owned()))
}

/// The same where one field of the input holds the value that something else already has.
pub fn taken(error: &DbErr, (field, reason): (&str, &str)) -> Error {
    refused(error, || Error::taken(field, reason))
}

fn refused(error: &DbErr, twice: impl FnOnce() -> Error) -> Error {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => twice(),
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::NotFound,
        _ => db(error.clone()),
    }
}

/// Whether a failed COMMIT has certainly kept nothing. The database has answered with a reason of its own; a lost connection or
/// a disk that failed while it was told to keep the data leaves that open.
pub(crate) fn certainly_lost(error: &DbErr) -> bool {
    let Some(sqlx::Error::Database(error)) = driver(error) else { return false };
    match sqlite_code(error.as_ref()) {
        // BUSY and LOCKED: the lock was never taken. Of the errors of a disk, some come when everything is in the log.
        Some(code) => code & 0xff != IOERR && !matches!(code & 0xff, 7 | 8 | 9 | 14 | 15),
        None => {
            is_error(error.as_ref())
                && matches!(of_code(error.as_ref()), Fault::Full | Fault::Query | Fault::Emptied)
        }
    }
}

/// Whether PostgreSQL has ended the transaction, and nothing more. When it ends itself (PANIC) or the session (FATAL), or says 40003,
/// the commit may be in its log already.
pub(crate) fn is_error(error: &dyn DatabaseError) -> bool {
    error
        .try_downcast_ref::<PgDatabaseError>()
        .is_some_and(|told| matches!(told.severity(), PgSeverity::Error) && told.code() != "40003")
}

/// The error of a question whose answer nobody has waited for any longer.
pub(crate) fn unanswered(why: String) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(why))
}

pub(crate) fn is_unanswered(error: &DbErr) -> bool {
    matches!(error, DbErr::Conn(RuntimeErr::Internal(_)))
}

pub(crate) fn driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(e))
        | DbErr::Exec(RuntimeErr::SqlxError(e))
        | DbErr::Query(RuntimeErr::SqlxError(e)) => Some(e),
        _ => None,
    }
}

const IOERR: u32 = 10;

/// SQLite's codes are numbers (<https://www.sqlite.org/rescode.html>), PostgreSQL's have five characters.
fn of_code(error: &dyn DatabaseError) -> Fault {
    if let Some(code) = sqlite_code(error) {
        // The low byte is the kind, the rest says more.
        return match code & 0xff {
            13 => Fault::Full,
            // SQLITE_IOERR_SHMSIZE: the index of the log could not grow, which only a full disk does.
            IOERR if code == 4874 => Fault::Full,
            // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CANTOPEN, PROTOCOL
            5 | 6 | 7 | 8 | 9 | IOERR | 14 | 15 => Fault::Refusing,
            _ => Fault::Query,
        };
    }
    // https://www.postgresql.org/docs/15/errcodes-appendix.html
    let code = error.code().unwrap_or_default();
    match code.as_ref() {
        "53100" => Fault::Full,
        "53300" => Fault::Crowded,
        // PgBouncer has as many clients as max_client_conn permits.
        "08P01" if error.message().contains("no more connections allowed") => Fault::Crowded,
        // To be read only; in the way of another transaction; no lock in time; cancelled.
        "25006" | "25P03" | "40001" | "40P01" | "55P03" | "57014" => Fault::Refusing,
        // No such table, no such schema.
        "42P01" | "3F000" => Fault::Emptied,
        code if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => Fault::Away,
        _ => Fault::Query,
    }
}

/// Whether there is no room for another connection.
pub(crate) fn is_crowded(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| of_code(error) == Fault::Crowded)
}

/// Whether PostgreSQL may only be read: a standby, or one that became one.
pub(crate) fn is_read_only(error: &DbErr) -> bool {
    has_code(error, &["25006"])
}

/// Whether another connection stands in the way of SQLite.
pub(crate) fn is_busy(error: &DbErr) -> bool {
    code_of_sqlite(error) == Some(5)
}

/// SQLite's primary result code (https://www.sqlite.org/rescode.html).
pub(crate) fn code_of_sqlite(error: &DbErr) -> Option<u32> {
    let Some(sqlx::Error::Database(error)) = driver(error) else { return None };
    sqlite_code(error.as_ref()).map(|code| code & 0xff)
}

/// Whether PostgreSQL gives one of these as its reason. (SQLite's codes are shorter.)
pub(crate) fn has_code(error: &DbErr, codes: &[&str]) -> bool {
    matches!(driver(error), Some(sqlx::Error::Database(told)) if told.code().is_some_and(|code| codes.contains(&code.as_ref())))
}

pub(crate) fn sqlite_code(error: &dyn DatabaseError) -> Option<u32> {
    error.try_downcast_ref::<sqlx::sqlite::SqliteError>()?;
    error.code()?.parse().ok()
}
