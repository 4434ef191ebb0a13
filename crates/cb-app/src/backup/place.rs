//! The place that a restore goes into: the data folder and, where `CB_DB_URL` is set, the PostgreSQL there.
//!
//! Everything is made ready in `DATA/.restoring`, which may be the root of a volume, so nothing beside it can be counted on.
//! Then `ready.json` is written there. It decides: before it, the place is empty and the next restore begins anew; behind it,
//! whoever opens the folder next moves what is ready into its place. With PostgreSQL its commit decides: `ready.json` says which
//! entry its log must have.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use cb_core::config::{Config, ConfigError};
use cb_store::backup::{DATABASE_FILE, look_postgres};
use serde::{Deserialize, Serialize};

use super::archive::Head;
use super::files::{self, Create as _, unwritable};
use super::{BackupError, refused};
use crate::app::{StartError, open_data_dir};

const FOLDER: &str = ".restoring";
const READY: &str = "ready.json";

/// What is left of the folder when everything has been moved: it goes by one name at one moment, and is removed afterwards.
const DONE: &str = ".restored";

/// What may be in a folder that is empty.
const NOTHING: &[&str] = &["lost+found", "lock", FOLDER, DONE];

/// What the next process needs to know when this one is cut short.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ready {
    /// Of the database as it was made ready.
    pub head: Head,
    /// The database goes into PostgreSQL, not into the folder.
    pub postgres: bool,
}

/// The data folder, taken for this process; left as it was found unless the restore is through.
pub(super) struct Place {
    data: PathBuf,
    _lock: File,
    /// What was not there before.
    made: Vec<PathBuf>,
    through: bool,
}

impl Place {
    /// Takes a folder that is empty or not there. Another is refused, and nothing in it is touched.
    pub fn take(config: &Config) -> Result<Self, BackupError> {
        let data = config.data_dir.clone();
        let there = entries(&data)?;
        // What is ready may have been moved in part: that is finished, not refused.
        if let Some(names) = &there
            && !data.join(FOLDER).join(READY).exists()
            && let Some(name) = names.iter().find(|name| !NOTHING.contains(&name.as_str()))
        {
            return Err(refused(format!(
                "{0} is not empty (`{name}` is in it), and a restore replaces nothing. Stop the server, move that folder away, for example with `mv {0} {0}.old`, and run this again",
                data.display()
            )));
        }
        let mut made = Vec::new();
        if !there.as_ref().is_some_and(|names| names.iter().any(|name| name == "lock")) {
            made.push(data.join("lock"));
        }
        if there.is_none() {
            made.push(data.clone());
        }
        let lock = open_data_dir(&data)?;
        Ok(Self { data, _lock: lock, made, through: false })
    }

    pub fn staging(&self) -> PathBuf {
        self.data.join(FOLDER)
    }

    /// A restore that was made ready and then cut short.
    pub fn ready(&self) -> Result<Option<Ready>, BackupError> {
        ready(&self.data)
    }

    /// An empty folder to make everything ready in.
    pub fn begin(&self) -> Result<PathBuf, BackupError> {
        let staging = self.staging();
        clear(&staging)?;
        files::make_private_folder(&staging)?;
        files::make_private_folder(&staging.join(files::TLS))?;
        Ok(staging)
    }

    /// Everything is there, and outlasts a power cut: writes down that it may be moved.
    pub fn make_ready(&self, ready: &Ready) -> Result<(), BackupError> {
        let staging = self.staging();
        sync_all(&staging).map_err(|e| unwritable(&staging, &e))?;
        let (fresh, file) = (staging.join("ready.new"), staging.join(READY));
        let text = serde_json::to_vec(ready).map_err(cb_core::Error::internal)?;
        fresh
            .create_private()
            .and_then(|mut open| open.write_all(&text).and_then(|()| open.sync_all()))
            .and_then(|()| std::fs::rename(&fresh, &file))
            .and_then(|()| files::sync_folder(&staging))
            .and_then(|()| files::sync_folder(&self.data))
            .map_err(|e| unwritable(&file, &e))
    }

    /// Moves what is ready into its place.
    pub fn move_in(mut self, ready: &Ready) -> Result<(), BackupError> {
        // From here on it is for the next process to finish, if this one does not.
        self.through = true;
        move_in(&self.data, ready)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What is decided stays.
        if self.through || self.ready().is_ok_and(|ready| ready.is_some_and(|ready| !ready.postgres)) {
            return;
        }
        let _ = clear(&self.staging());
        for path in &self.made {
            let _ = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
        }
    }
}

/// The names in `folder`; none where there is no such folder.
fn entries(folder: &Path) -> Result<Option<Vec<String>>, BackupError> {
    match std::fs::read_dir(folder) {
        Ok(names) => {
            Ok(Some(names.flatten().map(|name| name.file_name().to_string_lossy().into_owned()).collect()))
        }
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(refused(format!("{} cannot be looked into ({e})", folder.display()))),
    }
}

fn ready(data: &Path) -> Result<Option<Ready>, BackupError> {
    let Some(text) = files::read(&data.join(FOLDER).join(READY))? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|e| {
        refused(format!("{} is damaged ({e}). Remove {0}, and restore again", data.join(FOLDER).display()))
    })
}

fn clear(staging: &Path) -> Result<(), BackupError> {
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

/// May be cut short and done again. The database goes last: while it is missing, `.restoring` is there and says why.
fn move_in(data: &Path, ready: &Ready) -> Result<(), BackupError> {
    let staging = data.join(FOLDER);
    let failed = |e: std::io::Error| unwritable(data, &e);
    let mut names = entries(&staging)?.unwrap_or_default();
    names.retain(|name| name != READY && name != DATABASE_FILE);
    if ready.postgres {
        let _ = std::fs::remove_file(staging.join(DATABASE_FILE));
    } else if staging.join(DATABASE_FILE).exists() {
        names.push(DATABASE_FILE.to_owned());
    }
    for name in names {
        std::fs::rename(staging.join(&name), data.join(&name)).map_err(failed)?;
    }
    files::sync_folder(data).map_err(failed)?;
    let done = data.join(DONE);
    clear(&done)?;
    std::fs::rename(&staging, &done).and_then(|()| files::sync_folder(data)).map_err(failed)?;
    clear(&done)
}

/// Whether the PostgreSQL of `config` has what was made ready.
pub(super) async fn committed(config: &Config, ready: &Ready) -> Result<bool, StartError> {
    let Some(url) = &config.db_url else { return Ok(!ready.postgres) };
    if !ready.postgres {
        return Ok(false);
    }
    let standing = look_postgres(url, ready.head.seq).await?;
    Ok(standing.is_some_and(|standing| standing.hash.as_ref() == Some(&ready.head.hash)))
}

/// Before anything in the folder is used, by whoever holds its lock: finishes a restore that was cut short, or refuses.
pub(crate) async fn settle(config: &Config) -> Result<(), StartError> {
    let data = &config.data_dir;
    // Of no use to anybody; what cannot be removed now is removed later.
    let _ = clear(&data.join(DONE));
    if !data.join(FOLDER).exists() {
        return Ok(());
    }
    let unusable = |e: BackupError| {
        ConfigError::new("CB_DATA_DIR", e.to_string().trim_end_matches('.'), "Then start again")
    };
    if let Some(ready) = ready(data).map_err(unusable)?
        && committed(config, &ready).await?
    {
        move_in(data, &ready).map_err(unusable)?;
        tracing::info!("a restore into this folder that had been cut short was completed");
        return Ok(());
    }
    Err(cut_short(data).into())
}

/// None may be begun in a folder where a restore is not through.
pub(super) fn cut_short(data: &Path) -> ConfigError {
    ConfigError::new(
        "CB_DATA_DIR",
        format!("a restore into {} was cut short before it was complete", data.display()),
        format!(
            "Run cb restore FILE again; or, to begin with an empty instance, remove {}",
            data.join(FOLDER).display()
        ),
    )
}

pub(super) fn is_cut_short(data: &Path) -> bool {
    data.join(FOLDER).exists()
}
