//! `cb store`: where the data is. `copy` moves it from SQLite into PostgreSQL, and back, while no server runs.

use std::sync::Arc;

use cb_app::backup::{self, Copied, To};
use cb_core::clock::SystemClock;
use cb_core::config::Config;
use cb_core::{Clock, OsEntropy};

use crate::backup::stoppable;
use crate::{output, own_files};

#[derive(clap::Subcommand)]
pub enum Command {
    /// Copy all data into an empty database of the other kind; the data folder stays, and the old database does not change
    ///
    /// Stop every server first. From the SQLite database in CB_DATA_DIR:  cb store copy --to postgres://user@host/database
    /// From the PostgreSQL database of CB_DB_URL into CB_DATA_DIR:  cb store copy --to sqlite
    /// The password for --to comes from CB_DB_PASSWORD_NEW, or from the file that CB_DB_PASSWORD_NEW_FILE names.
    #[command(verbatim_doc_comment)]
    Copy {
        /// sqlite, or postgres://user@host/database without the password
        #[arg(long, value_name = "DATABASE")]
        to: String,
    },
}

pub async fn run(command: Command) -> anyhow::Result<()> {
    let Command::Copy { to } = command;
    let config = own_files::settings()?;
    let to = To::read(&to, &config)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let copied = stoppable("nothing was copied", async |stop| {
        Box::pin(backup::copy(&config, &clock, &OsEntropy, &to, stop)).await
    });
    say(&config, &to, &copied.await?)
}

fn say(config: &Config, to: &To, copied: &Copied) -> anyhow::Result<()> {
    let data = config.data_dir.display();
    let (from, there) = match to {
        To::Sqlite => ("PostgreSQL", "SQLite"),
        To::Postgres { .. } => ("SQLite", "PostgreSQL"),
    };
    output::line(&format!(
        "Copied from {from} to {there}: {} rows of {} tables in {:.1} s. Each table has the same content on both sides.",
        copied.rows,
        copied.tables,
        copied.took.as_secs_f64()
    ))?;
    output::line(&format!(
        "Verified in {there}: the audit log up to entry {}, which records the copy; signed checkpoints: {}; stored secrets decrypted: {}, root key {}.",
        copied.head.seq, copied.checkpoints, copied.sealed, copied.fingerprint
    ))?;
    let given: Vec<_> = [("CB_VAULT_KEY", &config.vault_key), ("CB_JWT_SECRET", &config.jwt_secret)]
        .into_iter()
        .filter_map(|(name, given)| given.as_ref().map(|_| name))
        .collect();
    let settings = match given.as_slice() {
        [] => String::new(),
        [name] => format!(" Keep {name} too, as it is set now."),
        names => format!(" Keep {} too, as they are set now.", names.join(" and ")),
    };
    output::line(&format!(
        "Keep the data folder {data}: the server still needs it, with the keys, the checkpoint and the certificates in it.{settings}"
    ))?;
    match to {
        To::Sqlite => {
            output::line(
                "The PostgreSQL database did not change. Delete it when you no longer need it; do not start a server with it again.",
            )?;
            output::line(&format!(
                "Start one server without CB_DB_URL, CB_REDIS_URL, CB_NATS_URL and CB_ROLE: CB_DATA_DIR={data} cb serve"
            ))
        }
        To::Postgres { shown, .. } => {
            output::line(&format!(
                "{data}/circuit-breaker.db did not change. Delete it when you no longer need it; do not start a server with it again."
            ))?;
            let password = if config.db_password_new.is_some() {
                "the same password in CB_DB_PASSWORD or CB_DB_PASSWORD_FILE"
            } else {
                "no password"
            };
            output::line(&format!(
                "Start the server with {password}: CB_DATA_DIR={data} CB_DB_URL={shown} cb serve"
            ))
        }
    }
}
