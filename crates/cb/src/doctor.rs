//! `cb doctor`: what is wrong with this installation, beside a running server or without one. It changes nothing.

use std::process::ExitCode;
use std::sync::Arc;

use cb_app::reach::{self, Reached};
use cb_app::{App, Around, folder};
use cb_core::OsEntropy;
use cb_core::clock::SystemClock;
use cb_core::config::{Config, ServerRole};

use crate::{check, output, own_files};

/// What one look has found.
enum Found {
    Well(String),
    /// To be known, and as it may be.
    Note(String),
    /// Nothing is broken, and something should be done.
    Weak(String),
    Broken(String),
}

/// Prints a line for each finding; the exit code is 0 when nothing is wrong, 1 when something is, 2 when that cannot be told.
pub async fn run() -> ExitCode {
    let found = look().await;
    for line in &found {
        let (word, text) = match line {
            Found::Well(text) => ("ok", text),
            Found::Note(text) => ("note", text),
            Found::Weak(text) => ("weak", text),
            Found::Broken(text) => ("broken", text),
        };
        if let Err(error) = output::line(&format!("{word:<7} {}", text.replace('\n', " "))) {
            output::complain(&output::words(&error));
            return ExitCode::from(2);
        }
    }
    let wrong = found.iter().any(|f| matches!(f, Found::Weak(_) | Found::Broken(_)));
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn look() -> Vec<Found> {
    let config = match own_files::settings() {
        Ok(config) => config,
        Err(error) => return vec![Found::Broken(format!("settings: {error}"))],
    };
    let mut found: Vec<Found> =
        config.warnings.iter().map(|warning| Found::Weak(format!("settings: {warning}"))).collect();
    if found.is_empty() {
        found.push(Found::Well("settings: they are valid".to_owned()));
    }
    found.extend(data_folder(&config));
    found.push(Found::Well(format!("role: {}", does(config.role))));
    found.extend(database(&config).await);
    found.extend(redis_and_nats(&config).await);
    found.push(match check::alive().await {
        Ok(()) if config.role.serves() => Found::Well(format!("server: it answers on {}", config.http_addr)),
        Ok(()) => Found::Well("server: the worker notes in the database that it runs".to_owned()),
        Err(error) => Found::Note(format!("server: {error:#}")),
    });
    found
}

fn data_folder(config: &Config) -> Vec<Found> {
    let shown = config.data_dir.display();
    match folder::open_to_others(&config.data_dir) {
        Ok(open) if open.is_empty() => {
            vec![Found::Well(format!("data folder: only its owner can use {shown}"))]
        }
        Ok(open) => open
            .iter()
            .map(|o| Found::Weak(format!("data folder: {}. Run: {}", o.told(), o.mend())))
            .collect(),
        Err(error) => vec![Found::Broken(format!(
            "data folder: {shown} cannot be read ({error}). Run this command as the user that runs the server. If no server has run yet, start one: cb serve"
        ))],
    }
}

fn does(role: ServerRole) -> &'static str {
    match role {
        ServerRole::All => "all, so this server does everything",
        ServerRole::Api => {
            "api, so this server answers requests, and leaves scans, deliveries and periodic work to workers"
        }
        ServerRole::Worker => {
            "worker, so this server scans, delivers and does the periodic work, and opens no port"
        }
    }
}

/// A server does all of its work without them, more slowly.
async fn redis_and_nats(config: &Config) -> Vec<Found> {
    let reached = reach::redis_and_nats(config, Arc::new(SystemClock), Arc::new(OsEntropy)).await;
    let reached = match reached {
        Ok(reached) => reached,
        Err(error) => return vec![Found::Broken(format!("settings: {error}"))],
    };
    let say = |Reached { name, setting, trouble }| match trouble {
        None => Found::Well(format!("{name}: this machine reaches it, and may use it")),
        Some(why) if why.starts_with("Nothing listens") || why.ends_with("does not answer.") => Found::Weak(
            format!("{name}: {why} Start it if it is stopped; otherwise correct {setting} where you set it"),
        ),
        Some(why) => {
            Found::Weak(format!("{name}: {why} If {setting} is the cause, correct it where you set it"))
        }
    };
    reached.into_iter().map(say).collect()
}

async fn database(config: &Config) -> Vec<Found> {
    let broken = |error: &dyn std::fmt::Display| Found::Broken(format!("database: {error}"));
    let app = match App::beside(config, Arc::new(SystemClock), Arc::new(OsEntropy)).await {
        Ok(app) => app,
        Err(error) => return vec![broken(&error)],
    };
    let around = if config.db_url.is_some() { Some(app.around().await) } else { None };
    let kind = if config.db_url.is_some() { "PostgreSQL" } else { "SQLite" };
    let mut found = vec![match app.close().await {
        Ok(()) => Found::Well(format!("database: {kind}, of this version, and the keys match")),
        Err(error) => broken(&error),
    }];
    match around {
        Some(Ok(around)) => found.extend(servers(config, &around)),
        Some(Err(error)) => found.push(broken(&error)),
        None => {}
    }
    found
}

/// What servers of one PostgreSQL share, and who they are. The audit key was compared when the database was opened.
fn servers(config: &Config, around: &Around) -> Vec<Found> {
    const MOST: usize = 20;
    let file = config.data_dir.join("jwt-secret");
    let has_jwt = config.jwt_secret.is_some() || file.exists();
    let secrets = match around.jwt_fits {
        None => Found::Note("shared secrets: no server has started with this database yet".to_owned()),
        Some(true) => Found::Well(
            "shared secrets: the vault key, the audit key and the JWT secret are those of this database"
                .to_owned(),
        ),
        Some(false) if has_jwt => Found::Broken(format!(
            "shared secrets: {} is not the JWT secret of the servers of this database. Set it to the same value on every server. To change it, stop every server, and start them again with the new one",
            if config.jwt_secret.is_some() { "CB_JWT_SECRET".to_owned() } else { file.display().to_string() }
        )),
        Some(false) => Found::Note(format!(
            "shared secrets: CB_JWT_SECRET is not set, and {} does not exist. A server that is to start here needs the same JWT secret as the others",
            file.display()
        )),
    };
    let names = around.servers.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
    let servers = match around.servers.len() {
        0 => Found::Note("servers: none was seen within half a minute".to_owned()),
        _ if !around.works => Found::Weak(format!(
            "servers: no worker runs, so scans and messages wait: {names}. Start a server with CB_ROLE=worker or CB_ROLE=all"
        )),
        1 => Found::Well(format!("servers: one runs: {names}")),
        count if config.cluster.is_none() => Found::Weak(format!(
            "servers: {count} run, without Redis and NATS, so each counts rates and failed sign-ins by itself, and hears of the others' changes late: {names}. Set CB_REDIS_URL and CB_NATS_URL on each"
        )),
        count if !around.without_engines.is_empty() => {
            let without =
                around.without_engines.iter().take(MOST).map(String::as_str).collect::<Vec<_>>().join(", ");
            Found::Weak(format!(
                "servers: {count} run, but some without Redis and NATS: {without}. They count rates and failed sign-ins by themselves, and hear of the others' changes late. Set CB_REDIS_URL and CB_NATS_URL on them"
            ))
        }
        count => Found::Well(format!("servers: {count} run: {names}")),
    };
    let left = around.left_sites.iter().take(MOST).map(|(site, count)| {
        let scans = if *count == 1 { "1 scan waits".to_owned() } else { format!("{count} scans wait") };
        Found::Weak(format!(
            "sites: {scans} for a worker of the site {site}, and none runs. Start one there, with CB_SITE={site}, or stop its scans on the page Discovery"
        ))
    });
    let same_id = around.same_id.iter().take(MOST).map(|host| {
        Found::Weak(format!(
            "servers: two processes have the same server-id, one of them on {host}: a data folder was copied. Stop one of the two servers, delete the file server-id in its data folder, and start it again"
        ))
    });
    let refuses = around.refuses_writes.as_ref().map(|why| Found::Broken(format!("database: {why}")));
    let room = around.small_room.as_ref().map(|room| Found::Weak(format!("connections: {room}")));
    refuses.into_iter().chain([secrets, servers]).chain(same_id).chain(left).chain(room).collect()
}
