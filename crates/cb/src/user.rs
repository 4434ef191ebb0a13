//! `cb user`: for whoever is locked out. Works on the database itself, beside a running server and without one; what it does
//! is in the audit log as done by the command line.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use cb_app::users::{self, LinkOut, UserIn, UserPatch};
use cb_app::{App, Ctx, List};
use cb_core::clock::{self, SystemClock};
use cb_core::config::Config;
use cb_core::{Error, OsEntropy, Principal, Role, Secret};

use crate::{output, own_files};

#[derive(clap::Subcommand)]
pub enum Command {
    /// List all users with role and status
    List,
    /// Create a user and print a link with which they choose a password
    Create {
        username: String,
        /// viewer, editor or admin
        #[arg(long, default_value = "viewer")]
        role: String,
    },
    /// Print a link with which the user chooses a new password
    ResetPassword {
        username: String,
        /// Also remove the second factor, for someone who has lost it
        #[arg(long)]
        clear_second_factor: bool,
    },
    /// Disable a user and end their sessions and API tokens
    Disable { username: String },
    /// Allow a disabled user to sign in again
    Enable { username: String },
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    let config = own_files::settings()?;
    let app = App::beside(&config, Arc::new(SystemClock), Arc::new(OsEntropy)).await?;
    if app.setup_required().await? {
        bail!(
            "setup has not been completed, so there are no users yet; open the address that `cb serve` prints"
        );
    }
    let ctx = app.own_ctx(Principal::Cli);
    let done = act(&ctx, &config, command).await;
    drop(ctx);
    app.close().await?;
    done
}

async fn act(ctx: &Ctx, config: &Config, command: Command) -> anyhow::Result<()> {
    match command {
        Command::List => list(ctx).await,
        Command::Create { username, role } => {
            let role = Role::parse(&role)
                .with_context(|| format!("{role:?} is not a role; use viewer, editor or admin"))?;
            // Nobody knows this password; the link sets the first one that somebody does.
            let password = Secret::new(ctx.app().entropy().token());
            let user =
                users::create(ctx, UserIn { username, email: None, role, password }).await.map_err(said)?;
            show(config, &users::reset_link(ctx, user.id).await.map_err(said)?)
        }
        Command::ResetPassword { username, clear_second_factor } => {
            let user = users::by_name(ctx, &username).await.map_err(said)?;
            if clear_second_factor {
                users::clear_second_factor(ctx, user.id).await.map_err(said)?;
                output::line("The second factor was removed and the sessions have ended.")?;
            }
            show(config, &users::reset_link(ctx, user.id).await.map_err(said)?)
        }
        Command::Disable { username } => set_disabled(ctx, &username, true).await,
        Command::Enable { username } => set_disabled(ctx, &username, false).await,
    }
}

async fn list(ctx: &Ctx) -> anyhow::Result<()> {
    let mut list = List { limit: Some(500), ..List::default() };
    loop {
        let page = users::list(ctx, &list).await.map_err(said)?;
        for user in page.items {
            let seen = user.last_login_at.map_or_else(|| "never signed in".to_owned(), clock::to_second);
            let state = if user.disabled { "disabled" } else { "active" };
            let factor = if user.second_factor { "two factors" } else { "password" };
            output::line(&format!(
                "{:<24} {:<7} {state:<9} {factor:<12} {seen}",
                user.username,
                user.role.as_str()
            ))?;
        }
        list.cursor = page.next_cursor;
        if list.cursor.is_none() {
            return Ok(());
        }
    }
}

async fn set_disabled(ctx: &Ctx, username: &str, disabled: bool) -> anyhow::Result<()> {
    let user = users::by_name(ctx, username).await.map_err(said)?;
    let patch = UserPatch { disabled: Some(disabled), ..UserPatch::default() };
    users::update(ctx, user.id, patch).await.map_err(said)?;
    output::line(&format!(
        "{username} is {}.",
        if disabled { "disabled; their sessions and API tokens have ended" } else { "enabled" }
    ))
}

fn show(config: &Config, link: &LinkOut) -> anyhow::Result<()> {
    let origin = config.public_url.as_ref().map_or_else(
        || format!("https://localhost:{}", config.https_addr.port()),
        |url| url.as_str().trim_end_matches('/').to_owned(),
    );
    output::line(&format!(
        "This link works once, until {}: {origin}{}",
        clock::to_second(link.expires_at),
        link.path
    ))
}

fn said(error: Error) -> anyhow::Error {
    match error {
        Error::NotFound => anyhow::anyhow!("there is no such user; to see all users, run: cb user list"),
        other => anyhow::anyhow!(other.plain()),
    }
}
