//! Small questions: is a server alive, are the settings sound, what is the API.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use cb_core::config::Config;
use cb_core::{Clock as _, SystemClock};
use cb_store::Store;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::output;

#[derive(Clone, Copy, clap::Subcommand)]
pub enum ConfigCommand {
    /// Read the settings and report errors
    Check,
}

pub fn config(command: ConfigCommand) -> ExitCode {
    let ConfigCommand::Check = command;
    match Config::load() {
        Err(error) => output::fail(&error.to_string()),
        Ok(config) => {
            for warning in &config.warnings {
                output::complain(warning);
            }
            output::ended(output::line(&format!(
                "The settings are valid: data in {}, {}, {}",
                config.data_dir.display(),
                if config.role.serves() {
                    format!("HTTPS on {}, HTTP on {}", config.https_addr, config.http_addr)
                } else {
                    "a worker without a port".to_owned()
                },
                if config.db_url.is_some() { "PostgreSQL" } else { "SQLite" }
            )))
        }
    }
}

/// What a container's health check asks.
pub async fn health() -> anyhow::Result<()> {
    alive().await?;
    output::line("ok")
}

/// Asks this machine's plain-HTTP listener; or the database, when a worker was seen last, which has no listener.
pub async fn alive() -> anyhow::Result<()> {
    let config = Config::load()?;
    if config.role.serves() { answers(config.http_addr).await } else { was_seen(&config).await }
}

async fn was_seen(config: &Config) -> anyhow::Result<()> {
    let url = config.db_url.as_ref().context("CB_DB_URL is not set")?;
    let file = config.data_dir.join("server-id");
    let id = std::fs::read_to_string(&file).with_context(|| {
        format!("{} cannot be read; check that a worker has started with this data folder", file.display())
    })?;
    let store = Store::read_postgres(url).await?;
    let servers = store.servers(SystemClock.now()).await;
    store.close().await?;
    if servers?.iter().any(|(row, live)| *live && row.id == id.trim()) {
        return Ok(());
    }
    bail!(
        "the worker of {} was not seen within half a minute; check that it is running",
        config.data_dir.display()
    )
}

async fn answers(listening: SocketAddr) -> anyhow::Result<()> {
    const PATIENCE: Duration = Duration::from_secs(3);
    let address = local(listening, IpAddr::V4(Ipv4Addr::LOCALHOST));
    let ask = async {
        let mut stream = match cb_net::dial::local(address).await {
            // Every address, on a machine that has no IPv4.
            Err(_) if listening.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                cb_net::dial::local(local(listening, IpAddr::V6(Ipv6Addr::LOCALHOST))).await?
            }
            opened => opened?,
        };
        stream
            .write_all(b"GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .await?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await?;
        anyhow::Ok(answer)
    };
    let answer = tokio::time::timeout(PATIENCE, ask)
        .await
        .with_context(|| format!("no answer from {address} within 3 seconds"))?
        .with_context(|| {
            format!("no server answers on {address}; check that it is running with the same CB_HTTP_ADDR")
        })?;
    if !answer.starts_with(b"HTTP/1.1 200") {
        bail!("the program that answers on {address} is not Circuit Breaker");
    }
    Ok(())
}

/// Where a listener is reached from this machine itself.
fn local(listening: SocketAddr, loopback: IpAddr) -> SocketAddr {
    if listening.ip().is_unspecified() { SocketAddr::new(loopback, listening.port()) } else { listening }
}

pub fn openapi() -> anyhow::Result<()> {
    output::line(&serde_json::to_string_pretty(&cb_api::routes::document())?)
}
