//! The listeners: HTTPS, which serves everything, and plain HTTP, which sends people there.
//!
//! Invariants: everything has a bound (connections in all and per client address, the handshake, the
//! head of a request, its body, the answer, idle time, streams of one connection); what was sent before
//! a stop is answered; after that nobody new comes in, a handshake ends, and whoever is inside has [`DRAIN`] to finish.

mod bare;
mod connections;
mod frames;
mod idle;
mod linger;
mod redirect;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use cb_app::App;
use cb_core::config::{ConfigError, Hsts};
use cb_net::capability::grant;
use cb_net::listen::Families;
use cb_net::tls::Identity;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::edge::{self, Peer};
use crate::place::Place;
use connections::{Connections, Door};
use linger::Lingering;

const HANDSHAKE: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(15);
/// A request's head: at most so many bytes and headers (431 beyond).
const HEAD_BYTES: usize = 32 * 1024;
const HEADERS: usize = 100;
/// In HTTP/2 the library ends the connection, without an answer, for a head of several times this size. So it may read more than the
/// server takes, and [`edge`] refuses it.
const H2_HEAD_BYTES: u32 = 256 * 1024;
const STREAMS: u32 = 128;
/// A silent connection is asked whether it is alive, and closed when it does not say so.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const DRAIN: Duration = Duration::from_secs(10);
/// Between a stop and the end of idle connections. What was sent before the stop arrives in this time.
const HEARD: Duration = Duration::from_millis(100);

/// Takes a listening address, or says which setting to change.
pub fn bind(setting: &str, address: SocketAddr) -> Result<TcpListener, ConfigError> {
    let (listener, families) = cb_net::listen::listen(address).map_err(|error| {
        let port = address.port();
        let mend = match error.kind() {
            std::io::ErrorKind::AddrInUse => format!(
                "See who has it with: ss -ltnp 'sport = :{port}'; or take another, such as {setting}={}",
                SocketAddr::new(address.ip(), port.checked_add(1).unwrap_or(8443))
            ),
            std::io::ErrorKind::PermissionDenied => format!(
                "Ports below 1024 need the capability cap_net_bind_service: {}; or take another, such as {setting}={}",
                grant("cap_net_bind_service"),
                SocketAddr::new(address.ip(), 8443)
            ),
            std::io::ErrorKind::AddrNotAvailable => {
                format!("This machine does not have that address; take one of its own, or {setting}=[::]:{port}")
            }
            _ => format!("Take another address, such as {setting}=[::]:{port}"),
        };
        ConfigError::new(setting, format!("cannot listen on {address} ({error})"), mend)
    })?;
    let at = listener.local_addr().map_or(address, |at| at);
    match families {
        Families::Both => tracing::info!("{setting}: listens on {at}, by IPv6 and IPv4"),
        Families::One => tracing::info!("{setting}: listens on {at}"),
        Families::OnlyV4 => {
            tracing::info!("{setting}: listens on {at}, by IPv4 only: IPv6 is off on this machine");
        }
        Families::OnlyV6 => {
            tracing::info!("{setting}: listens on {at}, by IPv6 only: IPv4 is off on this machine");
        }
    }
    Ok(listener)
}

/// Serves until `stop`, then drains.
pub async fn serve(
    app: App,
    https: TcpListener,
    http: TcpListener,
    identity: Arc<Identity>,
    place: Arc<Place>,
    stop: CancellationToken,
) -> Result<(), rustls::Error> {
    let acceptor = TlsAcceptor::from(identity.server_config()?);
    let service = edge::service(app.clone(), place.clone());
    let hsts = place.hsts;
    let doors = Connections::default();
    let drain = TaskTracker::new();
    let entry = redirect::service(app.clone(), place);
    let (closing, cut) = (CancellationToken::new(), CancellationToken::new());
    let close = async {
        stop.cancelled().await;
        app.leave();
        tokio::time::sleep(HEARD).await;
        closing.cancel();
    };
    tokio::join!(
        close,
        accept(&https, &doors, &closing, |stream, peer, door| {
            let (acceptor, service) = (acceptor.clone(), service.clone());
            let (closing, cut) = (closing.clone(), cut.clone());
            drain.spawn(async move {
                let handshake = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream));
                let Some(Ok(Ok(stream))) = closing.run_until_cancelled(handshake).await else { return };
                let h2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
                let served = connection(stream, Kind { h2, hsts: Some(hsts) }, peer, service, &closing);
                cut.run_until_cancelled(served).await;
                drop(door);
            });
        }),
        accept(&http, &doors, &closing, |stream, peer, door| {
            let (entry, closing, cut) = (entry.clone(), closing.clone(), cut.clone());
            drain.spawn(async move {
                let served = connection(stream, Kind { h2: false, hsts: None }, peer, entry, &closing);
                cut.run_until_cancelled(served).await;
                drop(door);
            });
        }),
    );
    drain.close();
    if tokio::time::timeout(DRAIN, drain.wait()).await.is_err() {
        cut.cancel();
        tracing::warn!("some requests did not end in time and were cut off");
    }
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    doors: &Connections,
    closing: &CancellationToken,
    serve: impl Fn(TcpStream, SocketAddr, Door),
) {
    loop {
        let (stream, peer) = tokio::select! {
            () = closing.cancelled() => return,
            taken = listener.accept() => match taken {
                Ok(taken) => taken,
                Err(error) => {
                    // Out of descriptors, most likely; those who are inside will leave some.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        // Closed at once, without a word: an answer would cost what we do not have.
        let Some(door) = doors.open(peer.ip()) else { continue };
        // Small answers should not wait for more; that it fails means the peer is gone already.
        let _ = stream.set_nodelay(true);
        serve(stream, peer, door);
    }
}

/// What was agreed on before the first request.
#[derive(Clone, Copy)]
struct Kind {
    h2: bool,
    /// None on plain HTTP.
    hsts: Option<Hsts>,
}

async fn connection<S>(stream: S, kind: Kind, peer: SocketAddr, service: Router, closing: &CancellationToken)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        let waits = request.headers().contains_key(http::header::EXPECT);
        service.clone().oneshot(request.map(|body| Body::new(Lingering::new(body, waits))))
    });
    // The version is what TLS agreed on, not guessed from the first bytes: a guess waits for them without end.
    let builder = Builder::new(TokioExecutor::new());
    let mut builder = if kind.h2 { builder.http2_only() } else { builder.http1_only() };
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEADERS)
        .keep_alive(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(H2_HEAD_BYTES)
        // A browser that opens another page resets all that the page before still loads, maybe before this server has looked at it. A
        // lower bound would end the connection.
        .max_pending_accept_reset_streams(STREAMS as usize)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(HANDSHAKE);
    let io = TokioIo::new(bare::Dressed::new(idle::Watched::new(stream), kind.hsts, kind.h2));
    let mut connection = pin!(builder.serve_connection_with_upgrades(io, service));
    let ended = tokio::select! {
        // The connection comes first, so that it reads a request that has arrived: told to end, HTTP/1.1 closes an idle connection without
        // reading. On a busy machine this task may not have run since the request arrived.
        biased;
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}
