//! `cb audit-log`: reads the database itself, so it works beside a running server and without one.

use std::process::ExitCode;

use cb_core::config::Config;
use cb_store::Store;

use crate::output;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Recompute the chain from the first entry to the last; exit 1 when it is broken
    Verify,
}

pub async fn run(command: Command) -> ExitCode {
    let Command::Verify = command;
    match verify().await {
        Ok(code) => code,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

async fn verify() -> anyhow::Result<ExitCode> {
    let config = Config::load()?;
    let store = match &config.db_url {
        Some(url) => Store::read_postgres(url).await?,
        None => Store::read_sqlite(&config.data_dir).await?,
    };
    let verdict = store.verify_audit().await?;
    Ok(match verdict.broken {
        None => {
            output::line(&format!("The chain is whole: {} entries, head {}", verdict.entries, verdict.head));
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
