//! `cb`: the one binary. Wires the crates together; each subcommand is a file.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod audit_log;
mod backup;
mod check;
mod doctor;
mod log;
mod net;
mod output;
mod own_files;
mod own_memory;
mod scan;
mod serve;
mod signals;
mod user;
mod vault;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(name = "cb", version, about = "Discovers, documents, maps and watches your network")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve,
    /// Look at a network once, without a server
    Scan(scan::ScanArgs),
    /// The tamper-evident log of who did what
    #[command(subcommand, name = "audit-log")]
    AuditLog(audit_log::Command),
    /// Write everything into one file; works beside a running server
    Backup(backup::BackupArgs),
    /// Bring everything back from a backup, into an empty place
    Restore(backup::RestoreArgs),
    /// Who may sign in; works beside a running server, for whoever is locked out
    #[command(subcommand)]
    User(user::Command),
    /// The keys that seal stored secrets
    #[command(subcommand)]
    Vault(vault::Command),
    /// The server's settings
    #[command(subcommand)]
    Config(check::ConfigCommand),
    /// Where the server's own requests may go
    #[command(subcommand)]
    Net(net::Command),
    /// Look for what is wrong with this installation: settings, data folder, database, server
    Doctor,
    /// Ask a running server on this machine whether it is alive
    Healthcheck,
    /// Print the OpenAPI document
    Openapi,
}

fn main() -> ExitCode {
    // The first thing: whoever opens a TLS connection later finds its cryptography in place.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return output::fail("the cryptography provider is installed twice");
    }
    if let Err(error) = own_memory::keep() {
        return output::fail(&format!("this process cannot shield its memory, which holds keys: {error}"));
    }
    own_files::keep();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => return output::usage(said),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&format!("the runtime does not start: {error}")),
    };
    runtime.block_on(async {
        match cli.command {
            Command::Serve => serve::run().await,
            Command::Scan(args) => scan::run(args).await,
            Command::AuditLog(command) => audit_log::run(command).await,
            Command::Backup(args) => output::ended(backup::backup(args).await),
            Command::Restore(args) => output::ended(backup::restore(args).await),
            Command::User(command) => output::ended(user::run(command).await),
            Command::Vault(command) => output::ended(vault::run(command).await),
            Command::Config(command) => check::config(command),
            Command::Net(command) => net::run(command).await,
            Command::Doctor => doctor::run().await,
            Command::Healthcheck => output::ended(check::health().await),
            Command::Openapi => output::ended(check::openapi()),
        }
    })
}
