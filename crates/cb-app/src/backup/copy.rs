//! Moves the database of a data folder into the other kind of database. The folder stays where it is, with the keys, the
//! checkpoint and the certificates in it: only the database has another place afterwards.
//!
//! The source is read in one snapshot and is not changed. It is verified first. The destination is filled in one transaction, which
//! compares every table with what was read before it commits; SQLite is filled beside its place, verified, and moved there by one
//! rename. So whatever is cut short, the destination is empty or whole.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cb_core::audit::{Action, Checkpoint};
use cb_core::config::{Config, new_database};
use cb_core::{Clock, Entropy, Error, Principal, Secret};
use cb_store::backup::{DATABASE_FILE, Moved, keep_one_file};
use cb_store::{Audit, OpenError, Store};
use tokio_util::sync::CancellationToken;

use super::archive::Head;
use super::examine::{Examined, signing_key, verify};
use super::files::{self, AUDIT_KEY, unwritable};
use super::scratch::Scratch;
use super::{BackupError, guard, place, refused, unless_stopped};
use crate::audit::{CHECKPOINT_FILE, SET_ASIDE_FILE, read_checkpoint, set_aside};
use crate::jumps::follow_at_start;
use crate::kept::{no_audit_key, open_data_dir};
use crate::shared::compare_audit_key;
use crate::vault::Unfit;

/// Where the database goes.
pub enum To {
    /// `circuit-breaker.db` in the data folder.
    Sqlite,
    Postgres {
        url: Secret,
        /// The URL without its password.
        shown: String,
    },
}

impl To {
    /// As `--to` says it: `sqlite`, or a URL without its password.
    pub fn read(text: &str, config: &Config) -> Result<Self, BackupError> {
        if text == "sqlite" {
            return Ok(Self::Sqlite);
        }
        let (shown, url) = new_database(text, config.db_password_new.as_ref())?;
        Ok(Self::Postgres { url, shown: shown.into() })
    }
}

/// A database that was copied, and what was verified at its destination.
#[derive(Debug)]
pub struct Copied {
    pub tables: usize,
    pub rows: u64,
    pub took: Duration,
    /// The entry that records the copy.
    pub head: Head,
    pub checkpoints: usize,
    pub sealed: i64,
    pub fingerprint: String,
}

/// Copies the database of `config`, which no server may use, into `to`, which nobody may have used. When `stop` is cancelled before
/// the copy is kept, the destination stays empty.
pub async fn copy(
    config: &Config,
    clock: &Arc<dyn Clock>,
    entropy: &dyn Entropy,
    to: &To,
    stop: &CancellationToken,
) -> Result<Copied, BackupError> {
    let began = Instant::now();
    let data = &config.data_dir;
    has_another_kind(config, to)?;
    // No server works in this folder, and none starts in it meanwhile.
    let _lock: File = open_data_dir(data)?;
    if place::is_cut_short(data) {
        return Err(place::cut_short(data).into());
    }
    if let Some(url) = &config.db_url
        && unless_stopped(stop, Store::has_servers(url)).await?
    {
        return Err(refused(
            "A server or a cb command is connected to the database of CB_DB_URL, so it may change while it is copied. Stop every server that uses it, and run this command again",
        ));
    }
    unless_stopped(stop, guard(config)).await?;
    let key = files::read(&data.join(AUDIT_KEY))?.ok_or_else(|| refused(no_audit_key(data).to_string()))?;
    let key = signing_key(&key)?;
    let kept = checkpoints(data)?;
    let source = match &config.db_url {
        Some(url) => unless_stopped(stop, Store::attach_postgres(url)).await?,
        None => unless_stopped(stop, Store::attach_sqlite(data)).await?,
    };
    unless_stopped(stop, follow_at_start(&source, &**clock)).await?;
    unless_stopped(stop, compare_audit_key(&source, data, &key.public())).await?;
    let sound = async |store: &Store| {
        let examined = Box::pin(verify(store, config, &key, &kept, |why| unfit(&why))).await?;
        match examined.flaws.as_slice() {
            [] => Ok(examined),
            flaws => Err(refused(format!(
                "The data could not be verified: {}. Find out why. To move the data as it is, use cb backup --damaged and cb restore --damaged",
                flaws.join("; ")
            ))),
        }
    };
    let work = async {
        let before = unless_stopped(stop, sound(&source)).await?;
        let same = |moved: &Moved, there: &Examined| {
            let same = there.head.seq == moved.head.0
                && there.entries == before.entries + 1
                && there.sealed == before.sealed;
            same.then_some(())
                .ok_or_else(|| refused("The copy has another number of entries or of stored secrets"))
        };
        let audit =
            Audit { action: Action::StoreCopied, actor: &Principal::Cli, at: clock.now(), origin: None };
        match to {
            To::Postgres { url, .. } => {
                let open = async { Store::open_postgres(url).await.map_err(named) };
                let store = unless_stopped(stop, open).await?;
                unless_stopped(stop, follow_at_start(&store, &**clock)).await?;
                let audit = Audit { at: clock.now(), ..audit };
                let done = async {
                    let moved = into_postgres(&store, &source, audit, stop).await?;
                    let verified = async {
                        let there = sound(&store).await?;
                        same(&moved, &there).map(|()| there)
                    };
                    match unless_stopped(stop, verified).await {
                        Ok(there) => Ok((moved, there)),
                        Err(BackupError::Stopped) => {
                            Err(spoilt(&refused("it is complete, but it was not verified")))
                        }
                        Err(why) => Err(spoilt(&why)),
                    }
                };
                let done = Box::pin(done).await;
                let _ = store.close().await;
                done
            }
            To::Sqlite => {
                let fill = async |store: &Store| {
                    let moved = into_sqlite(store, &source, audit, data).await?;
                    let there = sound(store).await?;
                    same(&moved, &there).map(|()| (moved, there))
                };
                beside_and_moved(data, entropy, stop, fill).await
            }
        }
    };
    let done = Box::pin(work).await;
    // It was only read.
    let _ = source.close().await;
    let (moved, there) = done?;
    Ok(Copied {
        tables: moved.tables.len(),
        rows: moved.tables.iter().map(|table| table.rows).sum(),
        took: began.elapsed(),
        head: there.head,
        checkpoints: there.checkpoints,
        sealed: there.sealed,
        fingerprint: there.root.fingerprint,
    })
}

/// Refuses where there is nothing to copy from, or where it would go into the same kind of database.
fn has_another_kind(config: &Config, to: &To) -> Result<(), BackupError> {
    match (to, &config.db_url) {
        (To::Sqlite, None) => {
            return Err(refused(
                "The database is already SQLite: CB_DB_URL is not set. Set CB_DB_URL to the PostgreSQL database to copy from",
            ));
        }
        (To::Postgres { .. }, Some(_)) => {
            return Err(refused(
                "The database is already PostgreSQL: CB_DB_URL is set. Use pg_dump to move it to another PostgreSQL, or unset CB_DB_URL to copy the SQLite database in the data folder",
            ));
        }
        _ => {}
    }
    if !config.data_dir.is_dir() {
        return Err(refused(format!(
            "The folder {} does not exist. Set CB_DATA_DIR to the data folder of the server",
            config.data_dir.display()
        )));
    }
    Ok(())
}

/// What the folder has of the server's own signatures.
fn checkpoints(data: &Path) -> Result<Vec<Checkpoint>, BackupError> {
    let aside = set_aside(data, SET_ASIDE_FILE).into_iter().chain([CHECKPOINT_FILE.to_owned()]);
    let read = aside.map(|name| read_checkpoint(&data.join(name)).map_err(refused));
    Ok(read.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

fn unfit(why: &Unfit) -> BackupError {
    refused(format!(
        "The vault's root key does not match the database: the database needs the key with the fingerprint {}, but {}. Put back the right key first",
        why.wanted,
        if why.tried.is_empty() {
            "there is no key".to_owned()
        } else {
            format!("there is only a key with the fingerprint {}", why.tried.join(", "))
        }
    ))
}

/// The words of the settings that name the destination.
fn named(why: OpenError) -> BackupError {
    why.of("--to", "CB_DB_PASSWORD_NEW").into()
}

/// The destination is filled, and is not what it should be.
fn spoilt(why: &BackupError) -> BackupError {
    refused(format!(
        "Do not use the database of --to: {why}. Delete that database. The source was not changed"
    ))
}

async fn into_postgres(
    store: &Store,
    source: &Store,
    audit: Audit<'_>,
    stop: &CancellationToken,
) -> Result<Moved, BackupError> {
    let failed = |why| match why {
        Error::OutcomeUnknown(_) => refused(
            "PostgreSQL did not confirm that it saved the data, so the database of --to is either empty or complete. Delete it, create an empty one, and run this command again",
        ),
        Error::Unavailable(why) | Error::StorageFull(why) => {
            refused(format!("Nothing was copied: {why} Check both databases, and run this command again"))
        }
        other => other.into(),
    };
    let filled = async { store.move_from(source, audit).await.map_err(failed) };
    let filled = unless_stopped(stop, filled).await?.ok_or_else(|| {
        refused(
            "The database of --to is already in use, and a copy does not replace anything. Create an empty database (CREATE DATABASE) and name it in --to",
        )
    })?;
    // Whoever stopped now would not know whether there is a copy.
    filled.keep().await.map_err(failed)
}

async fn into_sqlite(
    store: &Store,
    source: &Store,
    audit: Audit<'_>,
    data: &Path,
) -> Result<Moved, BackupError> {
    let failed = |why| match why {
        Error::StorageFull(_) => refused(format!(
            "The disk of {} has no room for a copy of the database. Free some space there. Nothing was copied",
            data.display()
        )),
        Error::Unavailable(why) => refused(format!(
            "Nothing was copied: {why} Check the database of CB_DB_URL and the disk of {}, and run this command again",
            data.display()
        )),
        other => other.into(),
    };
    let filled = store.move_from(source, audit).await.map_err(failed)?;
    filled.ok_or_else(|| Error::Internal("a new database is in use".to_owned()))?.keep().await.map_err(failed)
}

/// Makes a database in a folder of its own, and moves it into its place when `work` is content with it.
async fn beside_and_moved<T>(
    data: &Path,
    entropy: &dyn Entropy,
    stop: &CancellationToken,
    work: impl AsyncFnOnce(&Store) -> Result<T, BackupError>,
) -> Result<T, BackupError> {
    let file = data.join(DATABASE_FILE);
    must_be_free(&file)?;
    let scratch = Scratch::make(data, entropy)?;
    let store = unless_stopped(stop, Store::open_sqlite(&scratch.folder)).await?;
    let filled = unless_stopped(stop, work(&store)).await;
    let closed = store.close().await;
    let filled = filled?;
    closed?;
    keep_one_file(&scratch.folder).await?;
    let fresh = scratch.folder.join(DATABASE_FILE);
    let failed = |e: std::io::Error| unwritable(&file, &e);
    File::open(&fresh).and_then(|open| open.sync_all()).map_err(failed)?;
    must_be_free(&file)?;
    std::fs::rename(&fresh, &file).and_then(|()| files::sync_folder(data)).map_err(failed)?;
    Ok(filled)
}

/// A log without its database would be written into the one that takes its place.
fn must_be_free(file: &Path) -> Result<(), BackupError> {
    let beside = |ending: &str| PathBuf::from(format!("{}{ending}", file.display()));
    let there = ["", "-wal", "-shm", "-journal"]
        .iter()
        .map(|ending| beside(ending))
        .find(|path| path.symlink_metadata().is_ok());
    there.map_or(Ok(()), |there| {
        Err(refused(format!(
            "{} already exists, and a copy does not replace anything. If you do not need it, move it and the files beside it away, for example with `mkdir {2}.old && mv {1}* {2}.old`",
            there.display(),
            file.display(),
            file.parent().unwrap_or(file).display()
        )))
    })
}
