//! `cb doctor`: what is wrong with this installation, beside a running server or without one. It changes nothing.

use std::process::ExitCode;
use std::sync::Arc;

use cb_app::{App, folder};
use cb_core::OsEntropy;
use cb_core::clock::SystemClock;
use cb_core::config::Config;

use crate::{check, output};

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
            output::complain(&format!("{error:#}"));
            return ExitCode::from(2);
        }
    }
    let wrong = found.iter().any(|f| matches!(f, Found::Weak(_) | Found::Broken(_)));
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn look() -> Vec<Found> {
    let config = match Config::load() {
        Ok(config) => config,
        Err(error) => return vec![Found::Broken(format!("settings: {error}"))],
    };
    let mut found: Vec<Found> =
        config.warnings.iter().map(|warning| Found::Weak(format!("settings: {warning}"))).collect();
    if found.is_empty() {
        found.push(Found::Well("settings: they are valid".to_owned()));
    }
    found.extend(data_folder(&config));
    found.push(database(&config).await);
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

async fn database(config: &Config) -> Found {
    match App::beside(config, Arc::new(SystemClock), Arc::new(OsEntropy)).await {
        Ok(app) => {
            let closed = app.close().await;
            let kind = if config.db_url.is_some() { "PostgreSQL" } else { "SQLite" };
            match closed {
                Ok(()) => Found::Well(format!("database: {kind}, of this version, and the keys match")),
                Err(error) => Found::Broken(format!("database: {error}")),
            }
        }
        Err(error) => Found::Broken(format!("database: {error}")),
    }
}
