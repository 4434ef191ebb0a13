//! `cb audit-log`: reads the database itself, so it works beside a running server and without one.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use cb_app::audit::{self, CheckpointKey, Checkpoints, PublicKey};
use cb_app::backup;
use cb_core::clock::SystemClock;
use cb_core::{OsEntropy, Secret};
use cb_store::Store;

use crate::{output, own_files};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Check the chain of all entries; exits with 1 if it is broken
    Verify {
        /// A file with checkpoints that you keep elsewhere (the response of GET /audit-log/checkpoints)
        #[arg(long, value_name = "FILE")]
        checkpoints: Option<PathBuf>,
    },
    /// Accept that the current database is an older one; stop the server first
    AcceptRestore,
}

pub async fn run(command: Command) -> ExitCode {
    // The exit code 1 of `verify` says that the chain is broken.
    let (done, failed) = match command {
        Command::Verify { checkpoints } => (verify(checkpoints).await, ExitCode::from(2)),
        Command::AcceptRestore => (accept_restore().await, ExitCode::FAILURE),
    };
    done.unwrap_or_else(|error| {
        output::complain(&output::words(&error));
        failed
    })
}

async fn accept_restore() -> anyhow::Result<ExitCode> {
    let config = own_files::settings()?;
    let done = backup::accept(&config, Arc::new(SystemClock), Arc::new(OsEntropy)).await?;
    output::line(&match &done.signed {
        Some(signed) => format!(
            "Accepted: entry {} of the audit log records that entry {}, signed on {}, and all later entries are lost.\nSessions ended: {}.",
            done.head.seq, signed.seq, signed.at, done.sessions_ended
        ),
        None => format!(
            "Accepted: entry {} of the audit log records that a checkpoint in the data folder could not be used.",
            done.head.seq
        ),
    })?;
    output::line(&format!(
        "The earlier files are kept as {}. Start the server: cb serve",
        done.aside.join(", ")
    ))?;
    Ok(ExitCode::SUCCESS)
}

const OLDER: &str = "the audit log cannot be read; if the database is from an older version, start the server of this version once (cb serve)";

async fn verify(file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let config = own_files::settings()?;
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
            let key = PublicKey::parse(&kept.public_key).context("its public key is not valid")?;
            (Some(key), kept.items, None)
        }
        None => (own_key(&folder.join("audit-key"))?, Vec::new(), Some(folder.clone())),
    };
    if let (Some(key), Some(folder)) = (&key, &beside) {
        match cb_app::compare_audit_key(&store, folder, key).await {
            Err(cb_app::StartError::Read(error)) => return Err(error).context(OLDER),
            compared => compared?,
        }
    }
    let found = audit::examine(&store, key.as_ref(), &kept, beside.as_deref()).await.context(OLDER)?;
    let Some(why) = found.reason else {
        if let Some(through) = found.pruned_through {
            output::line(&format!(
                "Entries up to {through} were deleted because of their age, which the server confirmed with a signature"
            ))?;
        }
        output::line(&format!(
            "The chain is intact: {} entries, {} signed checkpoints match, head {}",
            found.entries, found.checkpoints, found.head
        ))?;
        if key.is_none() {
            output::line(&format!(
                "No checkpoint could be compared with it, because there is no audit-key in {}; use --checkpoints FILE",
                folder.display()
            ))?;
        }
        return Ok(ExitCode::SUCCESS);
    };
    output::line(&match found.broken_at {
        Some(seq) => format!(
            "The chain is broken at entry {seq}: {why}. The {} entries before it are intact",
            found.entries
        ),
        None => format!("The chain of {} entries is intact, but {why}", found.entries),
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
        format!("{} does not contain a signing key; put back the original file", file.display())
    })?;
    Ok(Some(key.public()))
}
