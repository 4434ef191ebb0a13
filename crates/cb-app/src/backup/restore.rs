//! Restores an archive into an empty place: verifies all of it first, then moves it there, whole or not at all.

use cb_core::audit::Action;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cb_core::audit::Checkpoint;
use cb_core::config::Config;
use cb_core::{Clock, Entropy, Error, Principal};
use cb_store::backup::{DATABASE_FILE, foreign_schema, look_postgres, newest_schema};
use cb_store::entities::{auth_step, session, token, user};
use cb_store::sea_orm::sea_query::{Expr, ExprTrait as _};
use cb_store::sea_orm::{EntityTrait as _, PaginatorTrait as _};
use cb_store::{Store, WriteTx, db};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::archive::{self, Head, Manifest};
use super::cipher::Keys;
use super::examine::{Examined, examine, signing_key};
use super::files::{self, AUDIT_KEY};
use super::place::{Place, Ready, committed};
use super::{BackupError, Until, blocking, refused, unless_stopped};
use crate::app::App;
use crate::audit::{CHECKPOINT_FILE, read_checkpoint};
use crate::vault::Unfit;

/// The archive to restore, and how.
pub struct Source {
    pub file: PathBuf,
    pub keys: Keys,
    /// Also where the audit log or a stored secret does not verify.
    pub damaged: bool,
}

impl Source {
    fn open(&self) -> Result<File, BackupError> {
        let shown = self.file.display();
        let open = File::open(&self.file).map_err(|e| {
            refused(format!(
                "The archive {shown} cannot be read ({e}). Give the name of the file that cb backup wrote"
            ))
        })?;
        if open.metadata().is_ok_and(|meta| meta.is_dir()) {
            return Err(refused(format!(
                "{shown} is a folder. Give the name of the file that cb backup wrote"
            )));
        }
        Ok(open)
    }
}

/// How a restore ended.
pub enum Outcome {
    Restored(Box<Restored>),
    /// An earlier restore had been cut short when everything was verified: it is complete now, and nothing else was done.
    Completed,
}

/// A backup that was restored.
pub struct Restored {
    pub manifest: Manifest,
    /// The archive was encrypted.
    pub encrypted: bool,
    /// The database had an older schema, and was brought to this program's.
    pub upgraded: bool,
    /// The entry that says so.
    pub head: Head,
    pub sessions_ended: u64,
    /// API tokens, which are valid as they were.
    pub tokens: u64,
    pub flaws: Vec<String>,
}

/// Restores into the place that `config` names. When `stop` is cancelled the place stays empty; once the restore is ready, it is
/// completed now or by the next process.
pub async fn restore(
    config: &Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    source: Source,
    stop: &CancellationToken,
) -> Result<Outcome, BackupError> {
    let open = source.open()?;
    let mut place = Place::take(config)?;
    if let Some(ready) = place.ready()?
        && unless_stopped(stop, committed(config, &ready)).await?
    {
        place.move_in(&ready)?;
        return Ok(Outcome::Completed);
    }
    if let Some(url) = &config.db_url
        && let looked = unless_stopped(stop, look_postgres(url, 0)).await.map_err(nothing_restored)?
        && looked.is_some_and(|standing| standing.head > 0)
    {
        return Err(in_use());
    }
    let staging = place.begin()?;
    let (keys, into) = (source.keys, staging.clone());
    // The work holds the place: nobody else gets its lock while files are written there.
    let extracted = blocking(stop, move |stop| {
        let (manifest, encrypted) = extract(open, &keys, &into, stop)?;
        Ok((place, manifest, encrypted))
    });
    let (mut place, manifest, encrypted) = extracted.await?;
    let made = make_ready(config, clock, entropy, &staging, manifest, encrypted, source.damaged);
    let made = unless_stopped(stop, made).await?;
    let ready = Ready { head: made.head.clone(), postgres: config.db_url.is_some() };
    place.make_ready(&ready)?;
    if let Some(url) = &config.db_url {
        // Stopped, it is dropped, perhaps in the middle of its COMMIT.
        let filled = match stop.run_until_cancelled(Box::pin(fill(url, &staging))).await {
            Some(Err(BackupError::Failed(Error::OutcomeUnknown(_)))) => {
                unless_stopped(stop, committed(config, &ready)).await.unwrap_or(false).then_some(true)
            }
            Some(Ok(filled)) => Some(filled),
            Some(Err(nothing_was_kept)) => {
                place.give_up();
                return Err(nothing_restored(nothing_was_kept));
            }
            None => None,
        };
        match filled {
            Some(true) => {}
            Some(false) => {
                place.give_up();
                return Err(in_use());
            }
            None => return Err(undecided(&staging)),
        }
    }
    place.move_in(&ready)?;
    Ok(Outcome::Restored(Box::new(made)))
}

/// The place stays as it is, because PostgreSQL may have the data.
fn undecided(staging: &Path) -> BackupError {
    refused(format!(
        "PostgreSQL did not confirm that it saved the data. Keep {}, because it contains the keys. Run the same command again; it completes the restore or starts it again",
        staging.display()
    ))
}

/// PostgreSQL has certainly kept nothing, and the folder is as it was.
fn nothing_restored(why: BackupError) -> BackupError {
    match why {
        BackupError::Stopped => BackupError::Stopped,
        BackupError::Failed(Error::Unavailable(why) | Error::StorageFull(why)) => refused(format!(
            "Nothing was restored into the database of CB_DB_URL: {}. Check that PostgreSQL is running, and run the same command again",
            why.trim_end_matches('.')
        )),
        other => refused(format!("Nothing was restored. {other}")),
    }
}

fn in_use() -> BackupError {
    refused(
        "The database of CB_DB_URL is already in use, and a restore does not replace anything. Create an empty database (CREATE DATABASE) and set CB_DB_URL to it",
    )
}

fn extract(
    open: File,
    keys: &Keys,
    staging: &Path,
    stop: &CancellationToken,
) -> Result<(Manifest, bool), BackupError> {
    const BUFFER: usize = 256 * 1024;
    let (mut inside, encrypted) = keys.open(Until { inner: BufReader::with_capacity(BUFFER, open), stop })?;
    Ok((archive::read(&mut inside, Some(staging))?, encrypted))
}

/// Verifies what was extracted, and turns it into what the server will use.
async fn make_ready(
    config: &Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    staging: &Path,
    manifest: Manifest,
    encrypted: bool,
    damaged: bool,
) -> Result<Restored, BackupError> {
    if !manifest.files.iter().any(|file| file.name == DATABASE_FILE) {
        return Err(refused("The archive does not contain a database. Use another backup"));
    }
    let unusable = |e: BackupError| {
        e.of_database(|reason| {
            format!("The database in the archive cannot be used: {reason}. Use another backup")
        })
    };
    let (schema, foreign) = foreign_schema(staging).await.map_err(|e| unusable(e.into()))?;
    if let Some(foreign) = foreign {
        return Err(refused(format!(
            "The backup is newer than this program: version {} wrote it, and its database has the schema {foreign}, which this program ({}, schema {}) does not know. Restore it with version {} of cb or a later version",
            manifest.program,
            env!("CARGO_PKG_VERSION"),
            newest_schema(),
            manifest.program
        )));
    }
    let staged = Config { data_dir: staging.to_path_buf(), db_url: None, ..config.clone() };
    let key = files::read(&staging.join(AUDIT_KEY))?.ok_or_else(|| {
        refused(format!(
            "The archive does not contain the file {AUDIT_KEY}, so it cannot be verified. Use another backup"
        ))
    })?;
    let key = signing_key(&key)?;
    let checkpoint: Option<Checkpoint> = read_checkpoint(&staging.join(CHECKPOINT_FILE)).map_err(refused)?;
    let fingerprint = manifest.root_key_fingerprint.clone();
    let unfit = |why: Unfit| unfit(config, &fingerprint, &why);
    let examined = examine(staging, &staged, &key, checkpoint.as_slice(), unfit).await;
    let Examined { head, flaws, .. } = examined.map_err(unusable)?;
    if head != manifest.head {
        return Err(refused(format!(
            "The database in the archive does not match its manifest: its audit log ends at entry {} instead of entry {}. Use another backup",
            head.seq, manifest.head.seq
        )));
    }
    if !flaws.is_empty() && !damaged {
        return Err(refused(format!(
            "Nothing was restored, because the data in the archive could not be verified: {}. Use another backup. To restore the data as it is, run this command again with --damaged",
            flaws.join("; ")
        )));
    }
    let app = App::beside_as_it_is(&staged, clock, entropy).await?;
    let begun = begin_again(&app, &manifest, &flaws).await;
    app.close().await?;
    let (head, sessions_ended, tokens) = begun?;
    Ok(Restored {
        upgraded: schema != newest_schema(),
        manifest,
        encrypted,
        head,
        sessions_ended,
        tokens,
        flaws,
    })
}

fn unfit(config: &Config, wanted: &str, why: &Unfit) -> BackupError {
    let wanted = if why.wanted == "unknown" { wanted } else { &why.wanted };
    let tried = why.tried.join(", ");
    refused(if config.vault_key.is_some() {
        format!(
            "The root key does not match: CB_VAULT_KEY has the fingerprint {tried}, but the vault of the backup needs the root key with the fingerprint {wanted}. Set CB_VAULT_KEY to the key that was in use at the time of the backup, or leave it out if the archive contains the key"
        )
    } else if tried.is_empty() {
        format!(
            "The archive does not contain the vault's root key, because the server read that key from CB_VAULT_KEY. Set CB_VAULT_KEY to the key with the fingerprint {wanted}"
        )
    } else {
        format!(
            "The root key in the archive has the fingerprint {tried}, but its vault needs the root key with the fingerprint {wanted}. Set CB_VAULT_KEY to that key"
        )
    })
}

/// Writes into the log what has happened, and ends what must not come back to life.
async fn begin_again(
    app: &App,
    manifest: &Manifest,
    flaws: &[String],
) -> Result<(Head, u64, u64), BackupError> {
    let ctx = app.own_ctx(Principal::Cli);
    let sessions = ctx
        .record(Action::BackupRestored, async |tx| {
            let sessions = end_sessions(tx).await?;
            tx.detail(json!({
                "backup_of": manifest.created_at,
                "head": manifest.head,
                "engine": manifest.engine,
                "program": manifest.program,
                "sessions_ended": sessions,
                "flaws": flaws,
            }));
            Ok(sessions)
        })
        .await?;
    app.checkpoint().await?;
    let (seq, hash) = app
        .store()
        .audit_head()
        .await?
        .ok_or_else(|| Error::Internal("the restored log is empty".to_owned()))?;
    let tokens = token::Entity::find().count(app.store().reader()).await.map_err(db)?;
    Ok((Head { seq, hash }, sessions, tokens))
}

/// Ends every session, because one that was ended since the backup would be open again. Half-finished sign-ins and links to set a
/// password end too.
pub(super) async fn end_sessions(tx: &mut WriteTx) -> Result<u64, Error> {
    user::Entity::update_many()
        .col_expr(user::Column::AuthEpoch, Expr::col(user::Column::AuthEpoch).add(1))
        .exec(tx.conn())
        .await
        .map_err(db)?;
    auth_step::Entity::delete_many().exec(tx.conn()).await.map_err(db)?;
    let ended = session::Entity::delete_many().exec(tx.conn()).await.map_err(db)?;
    Ok(ended.rows_affected)
}

/// Puts the database that is ready into PostgreSQL, in one transaction; false where that database is in use. After any error but
/// [`Error::OutcomeUnknown`] it has certainly kept nothing.
async fn fill(url: &cb_core::Secret, staging: &Path) -> Result<bool, BackupError> {
    let copy = Store::read_sqlite(staging).await?;
    let store = Store::open_postgres(url).await?;
    let filled = store.fill_from(&copy).await;
    // Behind the COMMIT an error changes nothing.
    let _ = store.close().await;
    let _ = copy.close().await;
    Ok(filled?)
}
