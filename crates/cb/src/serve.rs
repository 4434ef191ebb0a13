//! `cb serve`: opens everything, listens, and closes in order when told to.

use std::net::IpAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use cb_api::place::Place;
use cb_api::server;
use cb_app::App;
use cb_core::clock::built;
use cb_core::config::{Config, ServerRole};
use cb_core::{Clock as _, OsEntropy, Secret, SystemClock};
use cb_net::names::Names;
use cb_net::tls::{Identity, Refreshed};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::log::Log;
use crate::signals::Stop;
use crate::{output, own_files};

/// Names, addresses and certificates are looked at again so often.
const REFRESH: Duration = Duration::from_mins(1);
/// A clock that was not set is looked at so often, and told so often.
const CLOCK_ASKED: Duration = Duration::from_millis(500);
const CLOCK_TOLD: Duration = Duration::from_mins(1);

#[derive(clap::Args)]
pub struct ServeArgs {
    /// What this server does: all, api (pages, API and streams) or worker (scans, deliveries and periodic work). Takes precedence over CB_ROLE
    #[arg(long, value_name = "ROLE")]
    role: Option<ServerRole>,
}

pub async fn run(args: ServeArgs) -> ExitCode {
    let log = match Log::open() {
        Ok(log) => log,
        Err(error) => return output::fail(&format!("the log cannot be written: {error}")),
    };
    let code = match start(&log, args.role).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log.line(&output::trouble(&output::words(&error)));
            ExitCode::FAILURE
        }
    };
    log.drain(output::PATIENCE);
    code
}

async fn start(log: &Log, role: Option<ServerRole>) -> anyhow::Result<()> {
    let config = Config::load_as(role)?;
    own_files::require_owner(&config)?;
    log.install(filter(&config)?)?;
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let mut signals = Stop::listen()?;
    tokio::select! {
        () = clock_is_set() => {}
        signal = signals.asked() => {
            tracing::info!(signal, "stopping before the server was ready");
            return Ok(());
        }
    }
    let app = tokio::select! {
        app = App::open(&config, Arc::new(SystemClock), Arc::new(OsEntropy)) => app?,
        // Whatever was under way is undone, as after a crash. It may be a PostgreSQL that is waited for.
        signal = signals.asked() => {
            tracing::info!(signal, "stopping before the server was ready");
            return Ok(());
        }
    };
    let served = if config.role.serves() {
        serve(&config, &app, &mut signals).await
    } else {
        work(&app, &mut signals).await
    };
    app.close().await.context("the database did not close cleanly")?;
    served
}

/// A machine without a battery starts in 1970 and gets to know the time a little later. Until then nothing is made: keys,
/// certificates and entries of the log would have a date that is wrong for good.
async fn clock_is_set() {
    let mut told: Option<Instant> = None;
    loop {
        let now = SystemClock.now();
        if now >= built() {
            if told.is_some() {
                tracing::info!("the clock was set to {}; starting", now.format("%F %R"));
            }
            return;
        }
        if told.is_none_or(|at| at.elapsed() >= CLOCK_TOLD) {
            tracing::warn!(
                "The clock shows {}, but this version was built later ({}). The server waits until a time server sets the clock. To set it yourself: timedatectl set-ntp true, or date -s",
                now.format("%F %R"),
                built().format("%F %R")
            );
            told = Some(Instant::now());
        }
        tokio::time::sleep(CLOCK_ASKED).await;
    }
}

async fn serve(config: &Config, app: &App, signals: &mut Stop) -> anyhow::Result<()> {
    // Both before anything is printed: an address that is not ours must not be announced.
    let https = server::bind("CB_HTTPS_ADDR", config.https_addr)?;
    let http = server::bind("CB_HTTP_ADDR", config.http_addr)?;
    let names = Names::of_this_machine(&Place::given(config));
    let identity = Arc::new(Identity::open(&config.data_dir, config.tls.as_ref(), &names, app.now())?);
    let port = https.local_addr()?.port();
    let place = Arc::new(Place::new(config, names, port, identity.root()));
    announce(config, app, &https, &place)?;

    let stop = CancellationToken::new();
    let served = server::serve(app.clone(), https, http, identity.clone(), place.clone(), stop.clone());
    tokio::pin!(served);
    let mut refresh = tokio::time::interval(REFRESH);
    let ended = loop {
        tokio::select! {
            done = &mut served => return done.context("TLS cannot be set up"),
            ended = asked_to_stop(app, signals) => break ended,
            _ = refresh.tick() => look_again(config, &identity, &place).await,
        }
    };
    stop.cancel();
    served.await.context("TLS cannot be set up")?;
    ended
}

/// Waits until the server is to stop in order: asked by a signal, or because it must not go on.
async fn asked_to_stop(app: &App, signals: &mut Stop) -> anyhow::Result<()> {
    tokio::select! {
        signal = signals.asked() => {
            tracing::info!(signal, "stopping");
            Ok(())
        }
        why = app.refused() => Err(anyhow::Error::msg(why)),
    }
}

/// A worker opens no port: what it does is started with the application.
async fn work(app: &App, signals: &mut Stop) -> anyhow::Result<()> {
    tracing::info!(
        "this server is a worker: it scans, delivers and does the periodic work, and opens no port"
    );
    asked_to_stop(app, signals).await
}

/// New addresses, a renewed or a mounted certificate: taken up without a restart.
async fn look_again(config: &Config, identity: &Arc<Identity>, place: &Arc<Place>) {
    let (given, identity, place) = (Place::given(config), identity.clone(), place.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let names = Names::of_this_machine(&given);
        let refreshed = identity.refresh(&names, SystemClock.now());
        place.rename(names);
        refreshed
    });
    match looked.await {
        Ok(Ok(Refreshed::Replaced)) => tracing::info!("the certificate was replaced"),
        Ok(Ok(Refreshed::Unchanged)) => {}
        Ok(Err(error)) => tracing::warn!(%error, "the server keeps using the old certificate"),
        Err(error) => tracing::warn!(%error, "the certificate could not be checked"),
    }
}

/// Says where the server is. Whoever does not listen keeps it from nothing.
fn announce(config: &Config, app: &App, https: &TcpListener, place: &Place) -> anyhow::Result<()> {
    let origin = if let Some(url) = &config.public_url {
        url.as_str().trim_end_matches('/').to_owned()
    } else {
        let listening = https.local_addr()?;
        format!("https://{}:{}", host(listening.ip(), place), listening.port())
    };
    let mut lines = vec![String::new()];
    match app.setup_code() {
        Some((code, file)) => {
            lines.push(format!(
                "  Circuit Breaker is ready to be set up: {origin}/setup#code={}",
                code.expose()
            ));
            lines.extend(file.map(|file| format!("  The code is also in the file {}", file.display())));
        }
        None => lines.push(format!("  Circuit Breaker is at {origin}")),
    }
    if place.root.is_some() {
        lines.push(format!(
            "  Your browser does not trust its certificate yet. The root certificate to trust: {origin}/ca.crt"
        ));
    }
    lines.push(String::new());
    let text = Secret::new(lines.join("\n"));
    // Beside everything else: standard output may be a pipe that nobody reads.
    std::thread::Builder::new().name("announce".to_owned()).spawn(move || {
        if let Err(error) = output::line(text.expose()) {
            tracing::warn!("The server runs, but its address could not be printed: {error:#}");
        }
    })?;
    Ok(())
}

/// An address under which another machine finds this one.
fn host(listening: IpAddr, place: &Place) -> String {
    let ip = if listening.is_unspecified() {
        place.called().names.main.unwrap_or(IpAddr::from([127, 0, 0, 1]))
    } else {
        listening
    };
    if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() }
}

fn filter(config: &Config) -> anyhow::Result<EnvFilter> {
    // What a stranger answers to a passkey's challenge is no error of ours; the audit log has the refusal. The fabric says itself, and
    // once, what has become of NATS. PostgreSQL notes at each start that a table which is there need not be made.
    let wanted = format!(
        "webauthn_rs=off,webauthn_rs_core=off,async_nats=off,sqlx::postgres::notice=warn,{}",
        config.log
    );
    let filter = EnvFilter::try_new(wanted).map_err(|e| {
        cb_core::config::ConfigError::new(
            "CB_LOG",
            format!("'{}' is not a log filter ({e})", config.log),
            "Set it to info, debug, or a filter such as cb_app=debug,info",
        )
    })?;
    Ok(filter)
}
