//! `cb backup` and `cb restore`: one file that brings everything back. A backup works beside a running server and without
//! one; a restore goes into an empty place only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use cb_app::backup::{self, BackupError, Keys, Outcome, Protection, Restored, Source, Target};
use cb_core::clock::SystemClock;
use cb_core::config::{Config, judge_passphrase};
use cb_core::{Clock, OsEntropy, Secret};
use tokio_util::sync::CancellationToken;

use crate::signals::Stop;
use crate::{output, own_files};

#[derive(clap::Args)]
pub struct BackupArgs {
    /// The file to write
    file: PathBuf,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    /// Encrypt the archive with the passphrase in this file; or set CB_BACKUP_PASSPHRASE_FILE
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// Encrypt the archive for the owner of this public key (as age-keygen prints it); can be used more than once
    #[arg(long, value_name = "age1…", conflicts_with = "passphrase_file")]
    recipient: Vec<String>,
    /// Write the archive even if the audit log or a stored secret cannot be verified
    #[arg(long)]
    damaged: bool,
}

#[derive(clap::Args)]
pub struct RestoreArgs {
    /// The file that cb backup wrote
    file: PathBuf,
    /// The file with the passphrase of the archive; or set CB_BACKUP_PASSPHRASE_FILE
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The file with the private key for which the archive was encrypted, as age-keygen writes it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Restore the archive even if the audit log or a stored secret cannot be verified
    #[arg(long)]
    damaged: bool,
}

pub async fn backup(args: BackupArgs) -> anyhow::Result<()> {
    let config = own_files::settings()?;
    let protection = if args.recipient.is_empty() {
        let passphrase = passphrase(args.passphrase_file.as_deref(), &config)?;
        if let (Some(file), Some(secret)) = (&args.passphrase_file, &passphrase) {
            judge_passphrase(&file.display().to_string(), secret)?;
        }
        passphrase.map_or(Protection::Plain, Protection::Passphrase)
    } else {
        Protection::to(&args.recipient)?
    };
    let shown = args.file.display().to_string();
    let target = Target { file: args.file, force: args.force, damaged: args.damaged, protection };
    let encrypts = target.protection.encrypts();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let made = stoppable("no archive was written", async |stop| {
        Box::pin(backup::make(&config, &clock, &OsEntropy, target, stop)).await
    });
    let made = made.await?;
    let mut without = made.missing;
    without.push("the settings and cb.toml".to_owned());
    output::line(&format!(
        "{shown}: {} in {:.1} s, {}; {} assets, audit log up to entry {} ({}); not included: {}",
        bytes(made.size),
        made.took.as_secs_f64(),
        if encrypts { "encrypted" } else { "not encrypted, and it contains the keys" },
        made.assets,
        made.head.seq,
        made.head.hash,
        without.join(", "),
    ))?;
    for flaw in made.flaws {
        output::line(&format!("Backed up as it is, although it could not be verified: {flaw}"))?;
    }
    Ok(())
}

pub async fn restore(args: RestoreArgs) -> anyhow::Result<()> {
    let config = own_files::settings()?;
    let file = args.file;
    let keys =
        Keys { passphrase: passphrase(args.passphrase_file.as_deref(), &config)?, identity: args.identity };
    let expected = keys.passphrase.is_some() || keys.identity.is_some();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(OsEntropy));
    let source = Source { file: file.clone(), keys, damaged: args.damaged };
    let restored = stoppable("nothing was restored", async |stop| {
        Box::pin(backup::restore(&config, clock, entropy, source, stop)).await
    });
    match restored.await? {
        Outcome::Restored(restored) => {
            if expected && !restored.encrypted {
                output::line(&format!("{} is not encrypted, so no key was needed.", file.display()))?;
            }
            say(&config, &file, &restored)
        }
        Outcome::Completed => output::line(&format!(
            "Completed an earlier restore into {} that was interrupted after all data was verified. {} was not read. Start the server: cb serve",
            config.data_dir.display(),
            file.display()
        )),
    }
}

fn say(config: &Config, file: &Path, restored: &Restored) -> anyhow::Result<()> {
    let (manifest, head) = (&restored.manifest, &restored.head);
    let place = match &config.db_url {
        Some(_) => format!("{} and the database of CB_DB_URL", config.data_dir.display()),
        None => config.data_dir.display().to_string(),
    };
    output::line(&format!(
        "Restored {} into {place}: the state of {}, {} assets, audit log up to entry {}.",
        file.display(),
        manifest.created_at,
        manifest.assets,
        manifest.head.seq
    ))?;
    if restored.upgraded {
        output::line(&format!(
            "The database had the schema {} and was upgraded to the schema of this program.",
            manifest.schema
        ))?;
    }
    output::line(&format!(
        "Entry {} of the audit log records the restore. Checkpoints of entries after {} that you keep elsewhere no longer match: for them, `cb audit-log verify --checkpoints` reports that later entries are missing.",
        head.seq, manifest.head.seq
    ))?;
    output::line(&format!(
        "Sessions ended: {}; every user must sign in again. Reset links and invites no longer work. API tokens that are valid again, as they were at the time of the backup: {}. Delete those again that you deleted after the backup.",
        restored.sessions_ended, restored.tokens
    ))?;
    output::line("Messages that were waiting at the time of the backup are sent again.")?;
    for missing in &manifest.missing {
        output::line(&format!("Not included in the backup, but needed as it was then: {missing}."))?;
    }
    for flaw in &restored.flaws {
        output::line(&format!("Restored as it is, although it could not be verified: {flaw}."))?;
    }
    output::line("Start the server: cb serve")
}

/// From the file, or from the setting; never from the command line, where everybody on the machine reads it.
fn passphrase(file: Option<&Path>, config: &Config) -> anyhow::Result<Option<Secret>> {
    let Some(file) = file else { return Ok(config.backup_passphrase.clone()) };
    let shown = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("{shown} cannot be read"))?;
    let secret = Secret::new(text.trim_end_matches(['\r', '\n']).to_owned());
    if secret.is_empty() {
        bail!("{shown} is empty; write the passphrase into it");
    }
    Ok(Some(secret))
}

/// Runs work that a signal stops. `nothing` says what has not happened then; the work itself says so when it is not that simple.
pub async fn stoppable<T>(
    nothing: &str,
    work: impl AsyncFnOnce(&CancellationToken) -> Result<T, BackupError>,
) -> anyhow::Result<T> {
    let mut signals = Stop::listen()?;
    let stop = CancellationToken::new();
    let mut work = std::pin::pin!(work(&stop));
    let signal = tokio::select! {
        done = &mut work => return Ok(done?),
        signal = signals.asked() => signal,
    };
    stop.cancel();
    match work.await {
        // It was complete before it heard of the signal.
        Ok(done) => Ok(done),
        Err(BackupError::Stopped) => bail!("stopped by {signal}: {nothing}"),
        Err(why) => bail!("stopped by {signal}. {why}"),
    }
}

fn bytes(size: u64) -> String {
    let tenths = size / 100_000;
    if tenths == 0 { format!("{size} bytes") } else { format!("{}.{} MB", tenths / 10, tenths % 10) }
}
