//! A database that is older than the folder it lies in, or not there at all.
//!
//! The folder remembers in `audit-checkpoint.json`, which is written when setup is completed, every hour and at each stop,
//! that it is in use and how far its log had come. The database is always at least as far; where it is not, it was replaced,
//! lost or copied in half, and the server does not start over it. Above all it does not offer setup.

use cb_core::audit::Action;
use std::path::Path;
use std::sync::Arc;

use cb_core::audit::{Checkpoint, Claim};
use cb_core::config::{Config, ConfigError};
use cb_core::{Clock, Entropy, Error, Principal};
use cb_store::backup::{DATABASE_FILE, Standing, look_postgres, look_sqlite};
use cb_store::db;
use cb_store::entities::server;
use cb_store::sea_orm::EntityTrait as _;
use cb_store::sea_orm::sea_query::Expr;
use serde_json::json;

use super::archive::Head;
use super::files::{self, AUDIT_KEY};
use super::restore::end_sessions;
use super::{BackupError, place, refused};
use crate::app::App;
use crate::audit::{CHECKPOINT_FILE, DAMAGED_FILE, SET_ASIDE_FILE, read_checkpoint, set_aside};
use crate::kept::open_data_dir;
use crate::start_error::StartError;

const RESTORE: &str = "move the folder away and restore a backup into an empty one: cb restore FILE";

/// What a folder remembers.
enum Memory {
    /// It was never used, as far as it knows.
    None,
    /// It was used: its files say so, but not how far its log had come.
    Used,
    /// Those that were set aside come first.
    Signed(Vec<Checkpoint>),
}

fn memory(data: &Path) -> Memory {
    // A damaged one is told by `cb audit-log verify`.
    let aside = set_aside(data, SET_ASIDE_FILE);
    let aside = aside.iter().filter_map(|name| read_checkpoint(&data.join(name)).unwrap_or_default());
    let aside: Vec<_> = aside.collect();
    match read_checkpoint(&data.join(CHECKPOINT_FILE)) {
        Ok(Some(newest)) => Memory::Signed(aside.into_iter().chain([newest]).collect()),
        _ if !aside.is_empty() => Memory::Signed(aside),
        Err(_) => Memory::Used,
        // The key is made behind the first migration. While the setup code is there, nobody has used it.
        Ok(None) if data.join(AUDIT_KEY).exists() && !data.join("setup-code").exists() => Memory::Used,
        Ok(None) => Memory::None,
    }
}

async fn standing(config: &Config, seq: i64) -> Result<Option<Standing>, StartError> {
    Ok(match &config.db_url {
        Some(url) => look_postgres(url, seq).await?,
        None => look_sqlite(&config.data_dir, seq).await?,
    })
}

/// What keeps the database from being used with its folder.
enum Wrong {
    /// There is none, or an empty one.
    Missing(Option<Checkpoint>),
    /// It is there, and the log does not come as far as the checkpoint.
    Behind { signed: Checkpoint, head: i64, set_up: bool },
    /// It has another entry there: the log went another way from an older state.
    Other(Checkpoint),
}

async fn compare(config: &Config) -> Result<Option<Wrong>, StartError> {
    let signed = match memory(&config.data_dir) {
        Memory::None => return Ok(None),
        Memory::Used => {
            let gone = standing(config, 0).await?.is_none();
            return Ok(gone.then_some(Wrong::Missing(None)));
        }
        Memory::Signed(signed) => signed,
    };
    for signed in signed {
        if let Some(wrong) = held_against(config, signed).await? {
            return Ok(Some(wrong));
        }
    }
    Ok(None)
}

async fn held_against(config: &Config, signed: Checkpoint) -> Result<Option<Wrong>, StartError> {
    let Some(found) = standing(config, signed.seq).await? else {
        return Ok(Some(Wrong::Missing(Some(signed))));
    };
    if found.hash.as_ref() == Some(&signed.hash) {
        return Ok(None);
    }
    if !found.set_up {
        return Ok(Some(Wrong::Behind { signed, head: found.head, set_up: false }));
    }
    // A checkpoint that is not the server's own says nothing; `cb audit-log verify` says that it is not.
    if !is_own(&config.data_dir, &signed) {
        tracing::error!(
            "a checkpoint in the data folder is not signed by this server's key; run: cb audit-log verify"
        );
        return Ok(None);
    }
    if !found.contradicts(&signed) {
        return Ok(None);
    }
    Ok(Some(if found.head < signed.seq {
        Wrong::Behind { signed, head: found.head, set_up: true }
    } else {
        Wrong::Other(signed)
    }))
}

fn is_own(data: &Path, signed: &Checkpoint) -> bool {
    let key = files::read(&data.join(AUDIT_KEY)).ok().flatten();
    let key = key.and_then(|text| super::examine::signing_key(&text).ok());
    key.is_some_and(|key| {
        key.public().id() == signed.key_id && key.public().verifies(Claim::Checkpoint, signed)
    })
}

/// Refuses a database that is not the one of this folder, or an older one. Nothing is made before it.
pub(crate) async fn guard(config: &Config) -> Result<(), StartError> {
    if place::is_cut_short(&config.data_dir) {
        return Err(place::cut_short(&config.data_dir).into());
    }
    match compare(config).await? {
        None => Ok(()),
        Some(wrong) => Err(refusal(config, &wrong).into()),
    }
}

fn refusal(config: &Config, wrong: &Wrong) -> ConfigError {
    const ACCEPT: &str = "To keep this older state, run: cb audit-log accept-restore";
    let data = config.data_dir.display();
    let (name, database) = match &config.db_url {
        Some(_) => ("CB_DB_URL", "the database of CB_DB_URL".to_owned()),
        None => ("CB_DATA_DIR", format!("the database {}", config.data_dir.join(DATABASE_FILE).display())),
    };
    // Without the setting a server looks for a file, also one whose data has moved to PostgreSQL.
    let put_back = |database: &str| match &config.db_url {
        Some(_) => format!("Put the {database} back"),
        None => format!("If the server uses PostgreSQL, set CB_DB_URL. Otherwise put the {database} back"),
    };
    let (reason, mend) = match wrong {
        Wrong::Missing(signed) => {
            let since = signed.as_ref().map_or_else(String::new, |signed| {
                format!(": entry {} of its audit log was signed on {}", signed.seq, signed.at)
            });
            (
                format!("{database} is missing or empty, but the folder {data} was already in use{since}"),
                format!(
                    "{}. If it is lost, {RESTORE}. To start with an empty instance, move the folder away",
                    put_back("database")
                ),
            )
        }
        Wrong::Behind { signed, head, set_up } => {
            let state = if *set_up { "" } else { "setup was not completed in it, " };
            let accept =
                if *set_up { ACCEPT } else { "To start with an empty instance, move the folder away" };
            (
                format!(
                    "{database} is older than the folder {data}: {state}its audit log ends at entry {head}, but the server signed entry {} on {}",
                    signed.seq, signed.at
                ),
                format!("{}. If it is lost, {RESTORE}. {accept}", put_back("newer database")),
            )
        }
        Wrong::Other(signed) => (
            format!(
                "{database} does not belong to the folder {data}: its entry {} is not the entry that the server signed on {}. It is the database of another server, or someone restored an older state and the server has written other entries since then",
                signed.seq, signed.at
            ),
            format!("{}. If it is lost, {RESTORE}. {ACCEPT}", put_back("right database")),
        ),
    };
    ConfigError::new(name, reason, mend)
}

/// What somebody has taken for what it is.
pub struct Accepted {
    /// What the folder remembered and the database does not have; none when only a checkpoint could not be used.
    pub signed: Option<Checkpoint>,
    /// The entry that says so.
    pub head: Head,
    pub sessions_ended: u64,
    /// Where the old checkpoints are kept.
    pub aside: Vec<String>,
}

/// Takes an older database for what it is, with an entry in its log and the end of every session; and gives up checkpoints that cannot
/// be used.
pub async fn accept(
    config: &Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Accepted, BackupError> {
    if !config.data_dir.is_dir() {
        return Err(refused(format!(
            "The folder {} does not exist. Set CB_DATA_DIR to the data folder of the server",
            config.data_dir.display()
        )));
    }
    let _lock = open_data_dir(&config.data_dir)?;
    let unusable = unusable(&config.data_dir);
    let found = match compare(config).await? {
        None if unusable.is_empty() => {
            return Err(refused(
                "There is no rollback to accept: the database has every entry that the data folder has a record of",
            ));
        }
        None => None,
        Some(Wrong::Behind { signed, head, set_up: true }) => Some((signed, head)),
        Some(Wrong::Other(signed)) => Some((signed, 0)),
        Some(wrong) => return Err(refused(refusal(config, &wrong).to_string())),
    };
    let app = App::beside_as_it_is(config, clock, entropy).await?;
    let done = write_down(&app, config, found, &unusable).await;
    app.close().await?;
    done
}

/// The files that hold no checkpoint of this server's.
fn unusable(data: &Path) -> Vec<String> {
    let is_unusable = |name: &String| match read_checkpoint(&data.join(name)) {
        Ok(one) => one.is_some_and(|one| !is_own(data, &one)),
        Err(_) => true,
    };
    let mut names = set_aside(data, SET_ASIDE_FILE);
    names.push(CHECKPOINT_FILE.to_owned());
    names.retain(is_unusable);
    names.extend(set_aside(data, DAMAGED_FILE));
    names
}

async fn write_down(
    app: &App,
    config: &Config,
    found: Option<(Checkpoint, i64)>,
    unusable: &[String],
) -> Result<Accepted, BackupError> {
    let before = app.store().audit_head().await?.map(|head| head.0);
    let ctx = app.own_ctx(Principal::Cli);
    let sessions_ended = ctx
        .record(Action::RollbackAccepted, async |tx| {
            let mut sessions = 0;
            let mut detail = json!({ "unusable": unusable });
            if let Some((signed, head)) = &found {
                sessions = end_sessions(tx).await?;
                detail = json!({
                    "signed": { "seq": signed.seq, "hash": signed.hash, "at": signed.at },
                    "log_ended_at": before.unwrap_or(*head),
                    "sessions_ended": sessions,
                    "unusable": unusable,
                });
            }
            // Servers that run tell theirs again; what the others have told is over.
            server::Entity::update_many()
                .col_expr(server::Column::Told, Expr::value(Option::<serde_json::Value>::None))
                .exec(tx.conn())
                .await
                .map_err(db)?;
            tx.detail(detail);
            Ok(sessions)
        })
        .await?;
    let head = async || {
        let head = app.store().audit_head().await?;
        head.ok_or_else(|| Error::Internal("the log is empty".to_owned()))
    };
    // Kept: they are evidence of what was there.
    let (entry, _) = head().await?;
    let data = &config.data_dir;
    let mut aside = Vec::new();
    let mut keep = |name: &str, kept: String| {
        std::fs::rename(data.join(name), data.join(&kept))
            .and_then(|()| files::sync_folder(data))
            .map_err(|e| files::unwritable(data, &e))?;
        aside.push(kept);
        Ok::<_, BackupError>(())
    };
    for (n, name) in (1..).zip(unusable) {
        keep(name, format!("audit-checkpoint.damaged.{entry}.{n}"))?;
    }
    let mut names = set_aside(data, SET_ASIDE_FILE);
    names.push(CHECKPOINT_FILE.to_owned());
    for (n, name) in (1..).zip(&names) {
        let Ok(Some(one)) = read_checkpoint(&data.join(name)) else { continue };
        if !app.store().standing(one.seq).await?.contradicts(&one) {
            continue;
        }
        let kept = format!("audit-checkpoint.{}.json", one.seq);
        let taken = data.join(&kept).exists();
        keep(name, if taken { format!("audit-checkpoint.{}.{entry}.{n}.json", one.seq) } else { kept })?;
    }
    app.checkpoint().await?;
    let (seq, hash) = head().await?;
    Ok(Accepted { signed: found.map(|found| found.0), head: Head { seq, hash }, sessions_ended, aside })
}
