//! Why a database cannot be opened, and what to do about it.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess, geteuid};
use sea_orm::{DbErr, sqlx};

use crate::fault::{Fault, driver, sqlite_code, words};
use crate::file::beside;

/// Why the database cannot be used, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {reason}. {mend}")]
pub struct OpenError {
    what: String,
    reason: String,
    mend: String,
    full: bool,
}

/// What to do about a PostgreSQL that permits only to read.
pub(crate) const READ_ONLY: &str = "If this database is a read-only replica, set CB_DB_URL to the primary server; otherwise default_transaction_read_only is on: turn it off in postgresql.conf (or by ALTER SYSTEM RESET and a reload), for the database (ALTER DATABASE NAME RESET) and for the user (ALTER USER NAME RESET), in a session that begins with SET default_transaction_read_only = off";

impl OpenError {
    pub(crate) fn new(what: impl Into<String>, reason: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { what: what.into(), reason: reason.into(), mend: mend.into(), full: false }
    }

    /// What happened, for a caller that has advice of its own.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The same of a database that other settings name than those of the server. Its URL contains no password.
    #[must_use]
    pub fn of(self, url: &str, password: &str) -> Self {
        let named = |text: &str| {
            let text = text.replace("the password there or in", "the password in");
            text.replace("CB_DB_URL", url).replace("CB_DB_PASSWORD", password)
        };
        Self {
            what: named(&self.what),
            reason: named(&self.reason),
            mend: named(&self.mend),
            full: self.full,
        }
    }

    /// Whether the disk has no room.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// The file or the folder that keeps this process from working with the database `file`, and what cures it. Asked before SQLite,
    /// which would read such a file, and make others beside it that nobody can write to.
    pub(crate) fn denied(file: &Path) -> Option<Self> {
        let folder = file.parent().unwrap_or(file);
        let all = AccessFlags::R_OK | AccessFlags::W_OK;
        let mut needed = vec![(folder.to_path_buf(), all | AccessFlags::X_OK), (file.to_path_buf(), all)];
        needed.extend(beside(file).map(|path| (path, all)));
        let (path, error) = needed.into_iter().find_map(|(path, access)| {
            eaccess(&path, access).err().map(|e| (path, e)).filter(|(_, e)| *e != Errno::ENOENT)
        })?;
        let mend = match (error, path.metadata()) {
            (Errno::EROFS, _) => "Mount its disk for writing".to_owned(),
            // Made by somebody else, such as root, in a folder of ours.
            (_, Ok(about)) if is_ours(folder) && about.uid() != geteuid().as_raw() => {
                format!("Make this user the owner again: sudo chown {} {}*", geteuid(), file.display())
            }
            (_, Ok(about)) => {
                let (give, on) = if about.is_dir() {
                    ("u+rwx", path.display().to_string())
                } else {
                    ("u+rw", format!("{}*", file.display()))
                };
                format!(
                    "Run this command as its owner, the user {0}: sudo -u '#{0}' cb …; if you are that user, restore the access: chmod {give} {on}",
                    about.uid()
                )
            }
            (_, Err(_)) => {
                format!(
                    "Run this command as the user that runs the server and owns {}: sudo -u USER cb …",
                    folder.display()
                )
            }
        };
        let reason = format!("{} cannot be read and written ({})", path.display(), error.desc());
        Some(Self::new(format!("The database {} cannot be used", file.display()), reason, mend))
    }

    /// Why there is nothing to read in the database `file`.
    pub(crate) fn missing(file: &Path) -> Option<Self> {
        let denied = Self::denied(file);
        if denied.is_some() {
            return denied;
        }
        let there = match file.metadata() {
            Ok(about) if about.len() > 0 => return None,
            there => there.is_ok(),
        };
        let (shown, folder) = (file.display(), file.parent().unwrap_or(file));
        // It is made behind the first migration.
        let used = folder.join("audit-key").exists();
        let what = if there {
            format!("The database {shown} is empty")
        } else {
            format!("There is no database at {shown}")
        };
        Some(if used {
            Self::new(
                what,
                format!("it is lost, because the folder {} was already in use", folder.display()),
                "Set CB_DB_URL if the server uses PostgreSQL. Otherwise put the database back, or move the folder away and restore a backup: cb restore FILE",
            )
        } else {
            Self::new(
                what,
                "no server has run with this folder",
                "Set CB_DATA_DIR to the data folder of the server",
            )
        })
    }

    pub(crate) fn without_log(file: &Path, user: i32) -> Self {
        Self::new(
            format!("The database {} has no log", file.display()),
            format!(
                "{0}-wal or {0}-shm was removed while the process {user} was using it",
                file.file_name().unwrap_or_default().display()
            ),
            "Stop that process first. If it is the server, it writes the content of the log into the database before it ends, unless another program is reading the database",
        )
    }

    pub(crate) fn damaged(file: &Path, reason: &str) -> Self {
        Self::new(
            format!("The database {} is damaged", file.display()),
            reason,
            format!(
                "Restore it from a backup, or save the readable part with: sqlite3 {} .recover > recovered.sql",
                file.display()
            ),
        )
    }

    pub(crate) fn sqlite(file: &Path, error: &DbErr) -> Self {
        let text = words(error);
        let folder = file.parent().unwrap_or(file).display();
        let code = match driver(error) {
            Some(sqlx::Error::Database(error)) => sqlite_code(error.as_ref()),
            _ => None,
        };
        let full = Fault::of(error) == Fault::Full;
        let mend = match code.map(|code| code & 0xff) {
            Some(11 | 26) => return Self::damaged(file, &text),
            _ if full => format!("Free some space on the disk of {folder}, then start the server again"),
            Some(5 | 6) => format!("Find the program that is using it with: fuser -v {}; stop that program, then start the server again", file.display()),
            Some(10) => "The disk failed to read or write. Look at the system's log (dmesg), then start the server again. If the disk is broken, restore a backup to another disk".to_owned(),
            _ if file.is_dir() => format!("A folder has the name of the database. Move it away: mv {0} {0}.aside", file.display()),
            _ => format!("Allow the user that runs the server to write there: chown -R USER {folder} && chmod 700 {folder}, where USER is that user"),
        };
        Self { full, ..Self::new(format!("The database {} cannot be used", file.display()), text, mend) }
    }

    #[expect(clippy::needless_pass_by_value, reason = "made for map_err")]
    pub(crate) fn postgres(error: DbErr) -> Self {
        let code = match driver(&error) {
            Some(sqlx::Error::Database(error)) => error.code().map(std::borrow::Cow::into_owned),
            _ => None,
        };
        let text = words(&error);
        let mend = match code.as_deref().unwrap_or_default() {
            _ if let Some(mend) = mend_of_pooler(&text) => mend,
            "28000" if text.contains("pg_hba.conf") => {
                "Let the user of CB_DB_URL in from the address of this machine: add a line such as host DATABASE USER ADDRESS/32 scram-sha-256 to pg_hba.conf of PostgreSQL, and reload it"
            }
            "28P01" | "28000" => {
                "Check that the user in CB_DB_URL and the password there or in CB_DB_PASSWORD are set and right"
            }
            "3D000" => "Create the database that CB_DB_URL names: createdb --owner USER NAME",
            "42501" => "Allow the user to create tables: GRANT CREATE, USAGE ON SCHEMA public TO USER",
            "53300" => {
                "PostgreSQL has no free connection: raise max_connections, or end other sessions (SELECT * FROM pg_stat_activity)"
            }
            "53100" => "Free some space on the disk of PostgreSQL, then start the server again",
            "25006" => READ_ONLY,
            "55P03" => {
                "Another server is changing the tables, or another session has locked them (SELECT * FROM pg_locks): start the server again when it has finished"
            }
            "42P07" | "42710" => {
                "Something else has made tables in this database: create one for this server alone, such as: createdb --owner USER NAME"
            }
            code if code.starts_with("42") || code.starts_with("23") => {
                "Something else changed its tables: restore a backup into an empty database"
            }
            _ if is_tls(&error) => {
                "Check sslmode in CB_DB_URL: sslmode=require needs a PostgreSQL with ssl = on, and sslmode=verify-full also a certificate whose authority this machine trusts, or that sslrootcert names"
            }
            _ => {
                "Check that PostgreSQL 15 or later is running there and answers on the host and port in CB_DB_URL"
            }
        };
        Self::new("The database of CB_DB_URL cannot be used", text, mend)
    }
}

/// What PgBouncer says when it refuses, and what to do about it. Its codes say little: most are 08P01, a wrong protocol
/// (<https://github.com/pgbouncer/pgbouncer/blob/master/src/client.c>).
const OF_POOLER: [(&str, &str); 8] = [
    (
        "no more connections allowed",
        "PgBouncer takes no more clients: raise max_client_conn in its settings and reload it; each server uses up to 19 connections, a command up to 4",
    ),
    (
        "transaction blocks not allowed",
        "Set pool_mode = transaction in the settings of PgBouncer and reload it",
    ),
    ("SASL authentication failed", OF_USERLIST),
    ("no such user", OF_USERLIST),
    (
        "no such database",
        "Name the database of CB_DB_URL in the section [databases] of PgBouncer's settings, and reload it",
    ),
    (
        "query_wait_timeout",
        "PgBouncer had no connection to PostgreSQL in time: check that PostgreSQL runs behind it, or raise default_pool_size in its settings",
    ),
    ("server login has been failing", OF_BEHIND),
    ("cannot connect to server", OF_BEHIND),
];
const OF_USERLIST: &str = "Check that the user in CB_DB_URL and the password there or in CB_DB_PASSWORD are right, and that PgBouncer's auth_file (userlist.txt) has this user with this password";
const OF_BEHIND: &str = "PgBouncer runs, but does not reach PostgreSQL, or PostgreSQL refuses its user: the log of PgBouncer says more";

/// The cure, when it was a pooler that refused.
pub(crate) fn mend_of_pooler(said: &str) -> Option<&'static str> {
    OF_POOLER.iter().find(|(part, _)| said.contains(part)).map(|(_, mend)| *mend)
}

fn is_ours(folder: &Path) -> bool {
    folder.metadata().is_ok_and(|about| about.uid() == geteuid().as_raw())
}

/// Whether TLS was not to be had, or the certificate was not accepted.
fn is_tls(error: &DbErr) -> bool {
    match driver(error) {
        Some(sqlx::Error::Tls(_)) => true,
        Some(sqlx::Error::Io(error)) => error.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}
