//! `cb vault`: the keys that seal stored secrets. Works on the database itself, beside a running server and without one.

use std::sync::Arc;

use cb_app::vault::{self, VaultOut};
use cb_app::{App, Ctx};
use cb_core::clock::SystemClock;
use cb_core::config::Config;
use cb_core::{OsEntropy, Principal};

use crate::output;

#[derive(clap::Subcommand)]
pub enum Command {
    /// Which key seals, since when, and when the next one does
    Status,
    /// Seal every stored secret with a new key, now; all of them or none
    Rotate,
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    let config = Config::load()?;
    let app = App::beside(&config, Arc::new(SystemClock), Arc::new(OsEntropy)).await?;
    let ctx = app.own_ctx(Principal::Cli);
    let done = act(&ctx, command).await;
    drop(ctx);
    app.close().await?;
    show(&done?);
    Ok(())
}

async fn act(ctx: &Ctx, command: Command) -> anyhow::Result<VaultOut> {
    Ok(match command {
        Command::Status => vault::status(ctx).await?,
        Command::Rotate => vault::rotate(ctx).await?,
    })
}

fn show(vault: &VaultOut) {
    let next = vault.next_rotation_at.map_or_else(|| "never by itself".to_owned(), |at| at.to_rfc3339());
    output::line(&format!("Sealed secrets     {}", vault.sealed));
    output::line(&format!("Current key        {}", vault.current_key_id));
    output::line(&format!("  since            {}", vault.created_at.to_rfc3339()));
    output::line(&format!("Next rotation      {next}"));
    output::line(&format!("Retired keys       {}", vault.keys.len().saturating_sub(1)));
    output::line(&format!("Root key           fingerprint {}", vault.root_fingerprint));
}
