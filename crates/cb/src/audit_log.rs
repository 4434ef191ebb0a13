//! `cb audit-log`: reads the database itself, so it works beside a running server and without one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use cb_app::audit::{self, CheckpointKey, Checkpoints, PublicKey};
use cb_app::backup;
use cb_core::clock::SystemClock;
use cb_core::config::Config;
use cb_core::{OsEntropy, Secret};
use cb_store::Store;

use crate::output;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Recompute the chain from the first entry that is kept to the last; exit 1 when it is broken
    Verify {
        /// Checkpoints that were kept elsewhere (the answer of GET /audit-log/checkpoints)
        #[arg(long, value_name = "FILE")]
        checkpoints: Option<PathBuf>,
    },
    /// Take the older database that is there for the one that you want; no server may be running
    AcceptRestore,
}

pub async fn run(command: Command) -> ExitCode {
    // The exit code 1 of `verify` says that the chain is broken.
    let (done, failed) = match command {
        Command::Verify { checkpoints } => (verify(checkpoints).await, ExitCode::from(2)),
        Command::AcceptRestore => (accept_restore().await, ExitCode::FAILURE),
    };
    done.unwrap_or_else(|error| {
        output::complain(&format!("{error:#}"));
        failed
    })
}

async fn accept_restore() -> anyhow::Result<ExitCode> {
    let config = Config::load()?;
    let done = backup::accept(&config, Arc::new(SystemClock), Arc::new(OsEntropy)).await?;
    output::line(&match &done.signed {
        Some(signed) => format!(
            "Accepted: entry {} of the audit log records that entry {}, signed on {}, and all later entries are lost.\nSessions that have ended: {}.",
            done.head.seq, signed.seq, signed.at, done.sessions_ended
        ),
        None => format!(
            "Accepted: entry {} of the audit log records that a checkpoint in the data folder could not be used.",
            done.head.seq
        ),
    })?;
    output::line(&format!(
        "What was there is kept as {}. Start the server: cb serve",
        done.aside.join(", ")
    ))?;
    Ok(ExitCode::SUCCESS)
}

async fn verify(file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let config = Config::load()?;
    let store = match &config.db_url {
        Some(url) => Store::read_postgres(url).await?,
        None => Store::read_sqlite(&config.data_dir).await?,
    };
    let folder = &config.data_dir;
    let (key, kept, beside) = match file {
        Some(file) => {
            let text = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
            let kept: Checkpoints = cb_core::objects::from_slice(&text).with_context(|| {
                format!("{} is not the answer of GET /audit-log/checkpoints", file.display())
            })?;
            let key = PublicKey::parse(&kept.public_key).context("its public key is not one")?;
            (Some(key), kept.items, None)
        }
        None => (own_key(&folder.join("audit-key"))?, Vec::new(), Some(folder.clone())),
    };
    let found = audit::examine(&store, key.as_ref(), &kept, beside.as_deref()).await.context(
        "the log cannot be read; if the database is of an older version, start the server of this one once",
    )?;
    let Some(why) = found.reason else {
        if let Some(through) = found.pruned_through {
            output::line(&format!(
                "Entries up to {through} were removed for their age; the server has signed that"
            ))?;
        }
        output::line(&format!(
            "The chain is whole: {} entries, {} signed checkpoints hold, head {}",
            found.entries, found.checkpoints, found.head
        ))?;
        if key.is_none() {
            output::line(&format!(
                "No checkpoint could be held against it: there is no audit-key in {}; give --checkpoints",
                folder.display()
            ))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    output::line(&match found.broken_at {
        Some(seq) => format!(
            "The chain is broken at entry {seq}: {why}. {} entries from its beginning are whole",
            found.entries
        ),
        None => format!("The {} entries follow each other, but {why}", found.entries),
    })?;
    Ok(ExitCode::FAILURE)
}

/// The server's own key; none where there is no file.
fn own_key(file: &Path) -> anyhow::Result<Option<PublicKey>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).with_context(|| format!("{} cannot be read", file.display())),
    };
    let key = CheckpointKey::parse(&Secret::new(text)).with_context(|| {
        format!("{} is not a signing key; put back the one that was there", file.display())
    })?;
    Ok(Some(key.public()))
}
