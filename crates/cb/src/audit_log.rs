//! `cb audit-log`: reads the database itself, so it works beside a running server and without one.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use cb_app::audit::{self, CheckpointKey, Checkpoints, PublicKey};
use cb_core::Secret;
use cb_core::config::Config;
use cb_store::Store;

use crate::output;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Recompute the chain from the first entry to the last; exit 1 when it is broken
    Verify {
        /// Checkpoints that were kept elsewhere (the answer of GET /audit-log/checkpoints)
        #[arg(long, value_name = "FILE")]
        checkpoints: Option<PathBuf>,
    },
}

pub async fn run(command: Command) -> ExitCode {
    let Command::Verify { checkpoints } = command;
    match verify(checkpoints).await {
        Ok(code) => code,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

async fn verify(file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let config = Config::load()?;
    let store = match &config.db_url {
        Some(url) => Store::read_postgres(url).await?,
        None => Store::read_sqlite(&config.data_dir).await?,
    };
    let mut known = store.checkpoints().await?;
    let key = if let Some(file) = file {
        let text = std::fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        let kept: Checkpoints = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not the answer of GET /audit-log/checkpoints", file.display()))?;
        known.extend(kept.items);
        Some(PublicKey::parse(&kept.public_key).context("its public key is not one")?)
    } else {
        let text = std::fs::read_to_string(config.data_dir.join("audit-key")).ok();
        let beside = std::fs::read(config.data_dir.join("audit-checkpoint.json")).ok();
        known.extend(beside.and_then(|text| serde_json::from_slice(&text).ok()));
        text.and_then(|t| CheckpointKey::parse(&Secret::new(t))).map(|key| key.public())
    };
    let (witnesses, bad) = key.map(|key| audit::witnesses(&key, &known)).unwrap_or_default();
    let mut verdict = store.verify_audit(&witnesses).await?;
    verdict.broken = verdict.broken.or(bad);
    Ok(match verdict.broken {
        None => {
            output::line(&format!(
                "The chain is whole: {} entries, {} signed checkpoints hold, head {}",
                verdict.entries,
                witnesses.len(),
                verdict.head
            ));
            ExitCode::SUCCESS
        }
        Some((seq, why)) => {
            output::line(&format!(
                "The chain is broken at entry {seq}: {why}. {} entries before it are whole",
                verdict.entries
            ));
            ExitCode::FAILURE
        }
    })
}
