//! `cb`: the one binary. Wires the crates together; each subcommand is a file.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod audit_log;
mod backup;
mod check;
mod doctor;
mod log;
mod migrate;
mod net;
mod output;
mod own_files;
mod own_memory;
mod scan;
mod serve;
mod signals;
mod store;
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
    Serve(serve::ServeArgs),
    /// Bring the database to the schema of this version, and exit; a server also does this when it starts
    Migrate,
    /// Scan a network once, without a server
    Scan(scan::ScanArgs),
    /// Verify the audit log, or accept a restored database
    #[command(subcommand, name = "audit-log")]
    AuditLog(audit_log::Command),
    /// Write all data into one file; also works while a server is running
    Backup(backup::BackupArgs),
    /// Restore all data from a backup into an empty data folder or database
    Restore(backup::RestoreArgs),
    /// Manage users, for example when someone is locked out; also works while a server is running
    #[command(subcommand)]
    User(user::Command),
    /// Show, rotate or replace the keys that encrypt stored secrets
    #[command(subcommand)]
    Vault(vault::Command),
    /// Move the data into the other kind of database
    #[command(subcommand)]
    Store(store::Command),
    /// Check the server's settings
    #[command(subcommand)]
    Config(check::ConfigCommand),
    /// Check which URLs the server may contact
    #[command(subcommand)]
    Net(net::Command),
    /// Check this installation for problems: settings, data folder, database, server
    Doctor,
    /// Check that a server on this machine is running
    Healthcheck,
    /// Print the OpenAPI document
    Openapi,
}

fn main() -> ExitCode {
    // The first thing: whoever opens a TLS connection later finds its cryptography in place.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        return output::fail("the cryptography provider was installed twice");
    }
    if let Err(error) = own_memory::keep() {
        return output::fail(&format!(
            "this process cannot protect its memory, which contains keys: {error}"
        ));
    }
    own_files::keep();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(said) => return output::usage(said),
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output::fail(&format!("the runtime cannot start: {error}")),
    };
    runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(args).await,
            Command::Migrate => output::ended(migrate::run().await),
            Command::Scan(args) => scan::run(args).await,
            Command::AuditLog(command) => audit_log::run(command).await,
            Command::Backup(args) => output::ended(backup::backup(args).await),
            Command::Restore(args) => output::ended(backup::restore(args).await),
            Command::User(command) => output::ended(user::run(command).await),
            Command::Vault(command) => output::ended(vault::run(command).await),
            Command::Store(command) => output::ended(store::run(command).await),
            Command::Config(command) => check::config(command),
            Command::Net(command) => net::run(command).await,
            Command::Doctor => doctor::run().await,
            Command::Healthcheck => output::ended(check::health().await),
            Command::Openapi => output::ended(check::openapi()),
        }
    })
}
