//! The place that a restore goes into: the data folder and, where `CB_DB_URL` is set, the PostgreSQL there.
//!
//! Everything is made ready in `DATA/.restoring`, because the folder may be the root of a volume and nothing can be renamed over it.
//! Then `ready.json` is written there. Until it is there, the place counts as empty and the next restore begins anew. From then on:
//!
//! - Into SQLite the restore is decided. Whoever opens the folder next moves what is ready into its place.
//! - Into PostgreSQL its COMMIT decides. `ready.json` says which entry the log must then have. Until PostgreSQL has answered, nobody
//!   removes `.restoring`: it holds the keys to a database that may be there.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use cb_core::config::{Config, ConfigError};
use cb_store::backup::{DATABASE_FILE, look_settled_postgres};
use serde::{Deserialize, Serialize};

use super::archive::Head;
use super::files::{self, Create as _, unwritable};
use super::{BackupError, refused, scratch};
use crate::kept::open_data_dir;
use crate::start_error::StartError;

const FOLDER: &str = ".restoring";
const READY: &str = "ready.json";

/// What is left of `.restoring` when everything has been moved: one rename ends the restore, and the folder is removed afterwards.
const DONE: &str = ".restored";

/// What may be in a folder that counts as empty, besides what a killed backup leaves.
const NOTHING: &[&str] = &["lost+found", "lock", super::make::LOCK, FOLDER, DONE];

/// What the next process needs to know when this one is cut short.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    /// Of the database as it was made ready.
    pub head: Head,
    /// The database goes into PostgreSQL, not into the folder.
    pub postgres: bool,
}

/// The data folder, taken for this process. Dropped before the restore is ready, it leaves the folder as it found it.
pub(super) struct Place {
    data: PathBuf,
    _lock: File,
    /// What was not there before.
    made: Vec<PathBuf>,
    /// This process has made `.restoring`.
    begun: bool,
    /// `ready.json` is written, so `.restoring` stays.
    ready: bool,
}

impl Place {
    /// Takes a folder that is empty or not there, or one that a restore was cut short in. Another is refused, and nothing in it is
    /// touched.
    pub fn take(config: &Config) -> Result<Self, BackupError> {
        let data = config.data_dir.clone();
        let there = entries(&data)?;
        if !data.join(FOLDER).join(READY).exists() {
            must_be_empty(&data)?;
        }
        let mut made = Vec::new();
        if !there.as_ref().is_some_and(|names| names.iter().any(|name| name == "lock")) {
            made.push(data.join("lock"));
        }
        if there.is_none() {
            made.push(data.clone());
        }
        let lock = open_data_dir(&data)?;
        Ok(Self { data, _lock: lock, made, begun: false, ready: false })
    }

    pub fn staging(&self) -> PathBuf {
        self.data.join(FOLDER)
    }

    /// A restore that was made ready and then cut short.
    pub fn ready(&self) -> Result<Option<Ready>, BackupError> {
        ready(&self.data)
    }

    /// Makes an empty folder to get everything ready in. What an undecided restore has left there is removed, so the caller asks
    /// [`committed`] first.
    pub fn begin(&mut self) -> Result<PathBuf, BackupError> {
        must_be_empty(&self.data)?;
        let staging = self.staging();
        clear(&staging)?;
        self.begun = true;
        files::make_private_folder(&staging)?;
        files::make_private_folder(&staging.join(files::TLS))?;
        Ok(staging)
    }

    /// Writes down that everything is ready to be moved, and makes all of it outlast a power cut.
    pub fn make_ready(&mut self, ready: &Ready) -> Result<(), BackupError> {
        let staging = self.staging();
        sync_all(&staging).map_err(|e| unwritable(&staging, &e))?;
        let (fresh, file) = (staging.join("ready.new"), staging.join(READY));
        let text = serde_json::to_vec(ready).map_err(cb_core::Error::internal)?;
        let failed = |e: std::io::Error| unwritable(&file, &e);
        fresh
            .create_private()
            .and_then(|mut open| open.write_all(&text).and_then(|()| open.sync_all()))
            .and_then(|()| std::fs::rename(&fresh, &file))
            .map_err(failed)?;
        self.ready = true;
        files::sync_folder(&staging).and_then(|()| files::sync_folder(&self.data)).map_err(failed)
    }

    /// PostgreSQL has certainly kept nothing: the place is empty again.
    pub fn give_up(mut self) {
        self.ready = false;
    }

    /// Moves what is ready into its place.
    pub fn move_in(mut self, ready: &Ready) -> Result<(), BackupError> {
        self.ready = true;
        move_in(&self.data, ready)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.ready {
            return;
        }
        if self.begun {
            let _ = clear(&self.staging());
        }
        for path in &self.made {
            let _ = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
        }
    }
}

fn must_be_empty(data: &Path) -> Result<(), BackupError> {
    let names = entries(data)?.unwrap_or_default();
    match names.iter().find(|name| !NOTHING.contains(&name.as_str()) && !scratch::is_one(name)) {
        None => Ok(()),
        Some(name) => Err(refused(format!(
            "{0} is not empty (it contains `{name}`), and a restore does not replace anything. Stop the server, move that folder away, for example with `mv {0} {0}.old`, and run this command again",
            data.display()
        ))),
    }
}

/// The names in `folder`; none where there is no such folder.
fn entries(folder: &Path) -> Result<Option<Vec<String>>, BackupError> {
    match std::fs::read_dir(folder) {
        Ok(names) => {
            Ok(Some(names.flatten().map(|name| name.file_name().to_string_lossy().into_owned()).collect()))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(refused(format!(
            "{} cannot be read ({e}). Run this command as the owner of the data folder",
            folder.display()
        ))),
    }
}

fn ready(data: &Path) -> Result<Option<Ready>, BackupError> {
    let Some(text) = files::read(&data.join(FOLDER).join(READY))? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|e| {
        let folder = data.join(FOLDER);
        refused(format!(
            "{} is damaged ({e}). Move {} away and keep it, because it may contain the only keys to a database that is already restored. Then run cb restore FILE again",
            folder.join(READY).display(),
            folder.display()
        ))
    })
}

/// Removes a folder, and first what says that it is ready: half of it is not.
fn clear(staging: &Path) -> Result<(), BackupError> {
    let _ = std::fs::remove_file(staging.join(READY));
    match std::fs::remove_dir_all(staging) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(unwritable(staging, &e)),
        _ => Ok(()),
    }
}

fn sync_all(folder: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { sync_all(&path)? } else { File::open(path)?.sync_all()? }
    }
    files::sync_folder(folder)
}

/// May be cut short and done again. The database goes last: while it is missing, `.restoring` is there and says why. What goes into
/// PostgreSQL is not moved: a database file in the folder would belong to nothing.
fn move_in(data: &Path, ready: &Ready) -> Result<(), BackupError> {
    let staging = data.join(FOLDER);
    let failed = |e: std::io::Error| unwritable(data, &e);
    let mut names = entries(&staging)?.unwrap_or_default();
    names.retain(|name| name != READY && !(ready.postgres && name.starts_with(DATABASE_FILE)));
    names.sort_by_key(|name| name == DATABASE_FILE);
    for name in names {
        std::fs::rename(staging.join(&name), data.join(&name)).map_err(failed)?;
    }
    files::sync_folder(data).map_err(failed)?;
    let done = data.join(DONE);
    clear(&done)?;
    std::fs::rename(&staging, &done).and_then(|()| files::sync_folder(data)).map_err(failed)?;
    clear(&done)
}

/// Whether the restore that was made ready is decided. An error where nobody can say: then nothing may be touched.
pub(super) async fn committed(config: &Config, ready: &Ready) -> Result<bool, StartError> {
    let (data, staging) = (config.data_dir.display(), config.data_dir.join(FOLDER));
    let keep = format!("Keep {}, because it contains the keys of the restored database", staging.display());
    let refuse =
        |reason: String, mend: String| ConfigError::new("CB_DB_URL", reason, format!("{mend}. {keep}"));
    match (&config.db_url, ready.postgres) {
        (None, false) => Ok(true),
        (Some(url), true) => {
            let standing = look_settled_postgres(url, ready.head.seq).await.map_err(|e| {
                refuse(
                    format!(
                        "a restore into {data} and this database was interrupted, and the server cannot find out from the database whether the data was saved ({})",
                        e.reason()
                    ),
                    "Start that database, or set CB_DB_URL to the database of that restore, and run this command again".to_owned(),
                )
            })?;
            Ok(standing.is_some_and(|standing| standing.hash.as_ref() == Some(&ready.head.hash)))
        }
        (None, true) => Err(refuse(
            format!("it is not set, but a restore into {data} and a PostgreSQL database was interrupted"),
            "Set CB_DB_URL to that database and run this command again".to_owned(),
        )
        .into()),
        (Some(_), false) => Err(refuse(
            format!("it is set, but a restore into {data} without PostgreSQL was interrupted"),
            "Run this command once without CB_DB_URL, which completes the restore".to_owned(),
        )
        .into()),
    }
}

/// Before anything in the folder is used, by whoever holds its lock: finishes a restore that was cut short, or refuses.
pub(crate) async fn settle(config: &Config) -> Result<(), StartError> {
    let data = &config.data_dir;
    scratch::sweep(data);
    // What cannot be removed now is removed later: nobody reads it.
    let _ = clear(&data.join(DONE));
    if !data.join(FOLDER).exists() {
        return Ok(());
    }
    let unusable = |e: BackupError| {
        ConfigError::new("CB_DATA_DIR", e.to_string().trim_end_matches('.'), "Then start the server again")
    };
    if let Some(ready) = ready(data).map_err(unusable)?
        && committed(config, &ready).await?
    {
        move_in(data, &ready).map_err(unusable)?;
        tracing::info!("completed an interrupted restore into this folder");
        return Ok(());
    }
    Err(cut_short(data).into())
}

/// Nothing can be done with a folder while a restore into it is not complete.
pub(super) fn cut_short(data: &Path) -> ConfigError {
    let staging = data.join(FOLDER);
    let mend = if staging.join(READY).exists() {
        format!(
            "Run cb restore FILE again, with the CB_DB_URL of that restore. Keep {}, because it may contain the only keys to a database that is already restored",
            staging.display()
        )
    } else {
        format!(
            "Run cb restore FILE again. Or, to start with an empty instance, delete {}",
            staging.display()
        )
    };
    let reason = format!("a restore into {} was interrupted before it was complete", data.display());
    ConfigError::new("CB_DATA_DIR", reason, mend)
}

pub(super) fn is_cut_short(data: &Path) -> bool {
    data.join(FOLDER).exists()
}

#[cfg(test)]
mod tests {
    use super::{DATABASE_FILE, FOLDER, Head, READY, Ready, move_in};

    fn moved(postgres: bool) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a folder");
        let staging = dir.path().join(FOLDER);
        std::fs::create_dir(&staging).expect("made");
        for name in [DATABASE_FILE, "circuit-breaker.db-wal", "circuit-breaker.db-shm", "audit-key", READY] {
            std::fs::write(staging.join(name), name).expect("written");
        }
        let ready = Ready { head: Head { seq: 1, hash: String::new() }, postgres };
        move_in(dir.path(), &ready).expect("moved");
        let mut names: Vec<_> = std::fs::read_dir(dir.path())
            .expect("reads")
            .map(|entry| entry.expect("a name").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    #[test]
    fn no_file_of_the_database_is_moved_where_it_goes_into_postgresql() {
        assert_eq!(moved(true), ["audit-key"]);
        let all = ["audit-key", DATABASE_FILE, "circuit-breaker.db-shm", "circuit-breaker.db-wal"];
        assert_eq!(moved(false), all);
    }
}
