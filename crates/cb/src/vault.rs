//! `cb vault`: the keys that seal stored secrets. Works on the database itself, beside a running server and without one.

use std::sync::Arc;

use cb_app::vault::{self, Rewrapped, VaultLookResult, VaultOut};
use cb_app::{App, Ctx};
use cb_core::clock::{self, SystemClock};
use cb_core::config::Config;
use cb_core::{OsEntropy, Principal};

use crate::{output, own_files};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Show the current vault key, its age and the date of the next rotation
    Status,
    /// Encrypt every stored secret with a new vault key now; either all change or none
    Rotate,
    /// Replace the root key; the stored secrets do not change
    ///
    /// If the file DATA/vault-key contains the root key, cb creates a new key and replaces the file; running servers notice this.
    /// If CB_VAULT_KEY contains it, cb reads the new key from CB_VAULT_KEY_NEW (or from the file that CB_VAULT_KEY_NEW_FILE names).
    #[command(verbatim_doc_comment)]
    Rewrap,
}

enum Done {
    Told(VaultOut),
    Rewrapped(Rewrapped),
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    let config = own_files::settings()?;
    let app = App::beside(&config, Arc::new(SystemClock), Arc::new(OsEntropy)).await?;
    let ctx = app.own_ctx(Principal::Cli);
    let done = act(&ctx, command).await;
    drop(ctx);
    app.close().await?;
    match done? {
        Done::Told(vault) => show(&vault),
        Done::Rewrapped(done) => say(&config, &done),
    }
}

async fn act(ctx: &Ctx, command: Command) -> anyhow::Result<Done> {
    Ok(match command {
        Command::Status => Done::Told(vault::status(ctx).await?),
        Command::Rotate => Done::Told(vault::rotate(ctx).await?),
        Command::Rewrap => Done::Rewrapped(vault::rewrap(ctx).await?),
    })
}

/// What was done, and what is left to do.
fn say(config: &Config, done: &Rewrapped) -> anyhow::Result<()> {
    output::line(&format!("Root key           fingerprint {} (it was {})", done.to, done.from))?;
    output::line(&format!("Keys re-encrypted  {}", done.keys))?;
    output::line("")?;
    if let Some(file) = &done.file {
        let file = file.display();
        output::line(&format!(
            "The new root key is in {file}. Copy it to the place where you keep the old key."
        ))?;
        if config.db_url.is_some() {
            output::line(
                "Every other server of this database needs a copy of this file before its next start.",
            )?;
        }
        output::line("The server that runs on this folder uses it automatically.")?;
    } else {
        output::line(
            "Now set CB_VAULT_KEY to the value of CB_VAULT_KEY_NEW wherever it is set (the compose file,",
        )?;
        output::line(
            "the unit, or the file that CB_VAULT_KEY_FILE names), remove CB_VAULT_KEY_NEW, and start every",
        )?;
        output::line("server again. A server that has both settings uses the key that matches.")?;
    }
    output::line("Older backups still need the old root key. If others may know the old key, run:")?;
    output::line("cb vault rotate")
}

fn show(vault: &VaultOut) -> anyhow::Result<()> {
    let next = vault.next_rotation_at.map_or_else(|| "not scheduled".to_owned(), clock::to_second);
    output::line(&format!("Encrypted secrets  {}", vault.sealed))?;
    output::line(&format!("Current key        {}", vault.current_key_id))?;
    output::line(&format!("  since            {}", clock::to_second(vault.created_at)))?;
    output::line(&format!("Next rotation      {next}"))?;
    output::line(&format!("Retired keys       {}", vault.keys.len().saturating_sub(1)))?;
    if let Some(at) = vault.looked_at {
        let result = match (vault.look_result, &vault.look_error) {
            (Some(VaultLookResult::Rotated), _) => "rotated".to_owned(),
            (Some(VaultLookResult::NotDue), _) => "not due yet".to_owned(),
            (_, error) => format!("failed: {}", error.as_deref().unwrap_or("the reason is unknown")),
        };
        output::line(&format!("Last daily check   {}, {result}", clock::to_second(at)))?;
    }
    output::line(&format!("Root key           fingerprint {}", vault.root_fingerprint))
}
