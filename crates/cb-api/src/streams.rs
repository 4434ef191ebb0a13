//! WebSocket streams (RFC 6455): what changed, as it changes.
//!
//! The session or token is checked before the upgrade, and so is the `Origin`. `{"type":"hello","quiet_ms":n}` comes
//! first: whoever has read something within that time has missed nothing. Then `{type, at, data}`.
//! A stream is closed with 4401 within a second of its session's end and
//! with 4429 when the client reads too slowly. Nothing that a client sends is listened to.
//!
//! A stream reads nothing from the database: [`live`] has one teller for each topic, and its session's end is told by
//! [`App::hold`](cb_app::App::hold). It only copies what was rendered once for all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse as _, Response};
use cb_app::Ctx;
use cb_app::auth::{Held, Over};
use cb_app::live::{self, Line, Told, Topic};
use cb_app::metrics::Page;
use cb_core::{Error, Principal};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::auth::{Reader, same_origin};
use crate::problem::Problem;

const SESSION_ENDED: u16 = 4401;
const TOO_SLOW: u16 = 4429;
const GOING_AWAY: u16 = 1001;
/// Streams that one session or token may have open.
const STREAMS_MOST: usize = 16;
const PING: Duration = Duration::from_secs(20);
/// A client that has not answered a ping for so long is gone.
const SILENCE: Duration = Duration::from_mins(1);
/// A client that does not take a message for so long is too slow; short, so that the end of its session is
/// noticed in time all the same.
const SEND: Duration = Duration::from_millis(700);
/// For the reason of the end.
const LAST_WORD: Duration = Duration::from_millis(300);
const INCOMING_MOST: usize = 4096;
/// Clients send pongs, and an idle stream keeps this room; the library takes 128 KiB by itself.
const READ_BUFFER: usize = 512;

/// Sends the newest entry of the audit log (`{"type":"entry","data":{"seq":…}}`) when entries are written. One message can
/// report several entries.
#[utoipa::path(get, path = "/audit-log/stream", operation_id = "get_audit_log_stream", tag = "streams",
    responses((status = 101, description = "WebSocket")))]
pub(crate) async fn audit(
    reader: Reader,
    parts: Parts,
    sockets: Extension<Sockets>,
    Socket(upgrade): Socket,
) -> Result<Response, Problem> {
    open(Topic::Audit, &reader.0, &parts, &sockets, upgrade)
}

/// Sends scans and findings when they change.
#[utoipa::path(get, path = "/discovery/stream", operation_id = "get_discovery_stream", tag = "streams",
    responses((status = 101, description = "WebSocket")))]
pub(crate) async fn discovery(
    reader: Reader,
    parts: Parts,
    sockets: Extension<Sockets>,
    Socket(upgrade): Socket,
) -> Result<Response, Problem> {
    open(Topic::Discovery, &reader.0, &parts, &sockets, upgrade)
}

/// Reports each webhook or channel (`subscriber`) and each hook (`hook`) that was changed, that was sent a message or that
/// received a message: `{"type":"subscriber","data":{"id":…}}`.
#[utoipa::path(get, path = "/notifications/stream", operation_id = "get_notifications_stream", tag = "streams",
    responses((status = 101, description = "WebSocket")))]
pub(crate) async fn notifications(
    reader: Reader,
    parts: Parts,
    sockets: Extension<Sockets>,
    Socket(upgrade): Socket,
) -> Result<Response, Problem> {
    open(Topic::Notifications, &reader.0, &parts, &sockets, upgrade)
}

/// Sends nodes, links, groups and positions when they change.
#[utoipa::path(get, path = "/topology/stream", operation_id = "get_topology_stream", tag = "streams",
    responses((status = 101, description = "WebSocket")))]
pub(crate) async fn topology(
    reader: Reader,
    parts: Parts,
    sockets: Extension<Sockets>,
    Socket(upgrade): Socket,
) -> Result<Response, Problem> {
    open(Topic::Topology, &reader.0, &parts, &sockets, upgrade)
}

/// The other side wants a WebSocket.
pub(crate) struct Socket(WebSocketUpgrade);

impl<S: Send + Sync> FromRequestParts<S> for Socket {
    type Rejection = Response;

    /// RFC 9110, section 15.5.22: 426 says what to ask for.
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        WebSocketUpgrade::from_request_parts(parts, state).await.map(Self).map_err(|_| {
            let why = "This path is a WebSocket. Request it with the headers of RFC 6455 (Connection, Upgrade, Sec-WebSocket-Key and Sec-WebSocket-Version: 13). A proxy in front of the server must pass them on; nginx: proxy_http_version 1.1; proxy_set_header \
                       Upgrade $http_upgrade; proxy_set_header Connection \"upgrade\";";
            let refused = Problem::new(StatusCode::UPGRADE_REQUIRED, "websocket_needed", why);
            let mut response = refused.into_response();
            response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            response
        })
    }
}

/// How many streams each session or token has open.
#[derive(Clone, Default)]
pub(crate) struct Sockets(Arc<Mutex<HashMap<Uuid, usize>>>);

/// One open stream; counted until it is dropped.
struct Seat(Sockets, Uuid);

impl Sockets {
    fn take(&self, owner: Uuid) -> Option<Seat> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(owner).or_default();
        (*count < STREAMS_MOST).then(|| {
            *count += 1;
            Seat(self.clone(), owner)
        })
    }

    pub fn tell(&self, page: &mut Page) {
        let open: usize = self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum();
        page.gauge("cb_streams_open", "Open streams (WebSockets).").value(&[], open);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.1);
            }
        }
    }
}

fn open(
    topic: Topic,
    ctx: &Ctx,
    parts: &Parts,
    sockets: &Sockets,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    ctx.authorize(topic.permission())?;
    let has_session = ctx.principal().session().is_some();
    // A browser always says where a page comes from; who does not and brings a cookie is no page of ours.
    if has_session && !parts.headers.contains_key(header::ORIGIN) {
        return Err(Error::Denied("A stream with a session needs the Origin header.".to_owned()).into());
    }
    same_origin(parts)?;
    let owner = match ctx.principal() {
        Principal::Token { id, .. } => id.0,
        principal => principal.session().map_or(Uuid::nil(), |s| s.0),
    };
    let seat = sockets.take(owner).ok_or_else(|| {
        Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_streams",
            format!("This session has {STREAMS_MOST} streams open; close one"),
        )
    })?;
    // Listened to from here on, so that nothing is lost between the upgrade and the first read.
    let line = live::tune_in(ctx, topic)?;
    let held = ctx.app().hold(ctx.principal(), topic.permission());
    let stream = Stream { line, held, stop: ctx.app().stopping().clone() };
    Ok(upgrade
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(INCOMING_MOST)
        .max_frame_size(INCOMING_MOST)
        .on_upgrade(async move |socket| {
            stream.run(socket).await;
            drop(seat);
        }))
}

/// What an open stream needs. Small: there are thousands of them.
struct Stream {
    line: Line,
    held: Held,
    stop: CancellationToken,
}

/// Why a stream ends.
enum End {
    Close(u16, &'static str),
    Gone,
}

impl Stream {
    async fn run(mut self, mut socket: WebSocket) {
        if let End::Close(code, reason) = self.serve(&mut socket).await {
            let frame = CloseFrame { code, reason: reason.into() };
            // Somebody who does not read cannot be told why.
            let _ = tokio::time::timeout(LAST_WORD, socket.send(Message::Close(Some(frame)))).await;
        }
    }

    async fn serve(&mut self, socket: &mut WebSocket) -> End {
        let hello = format!(r#"{{"type":"hello","quiet_ms":{}}}"#, self.line.quiet().as_millis());
        if let Some(end) = send(socket, Message::text(hello)).await {
            return end;
        }
        let mut ping = tokio::time::interval(PING);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard_from = Instant::now();
        loop {
            let end = tokio::select! {
                () = self.stop.cancelled() => Some(STOPS),
                over = self.held.over() => Some(over.into()),
                told = self.line.hear() => match told {
                    Told::Messages(messages) => say(socket, &messages, &mut self.held).await,
                    Told::Broken => Some(BROKEN),
                    Told::Closed => Some(if self.stop.is_cancelled() { STOPS } else { BROKEN }),
                },
                _ = ping.tick() => {
                    if heard_from.elapsed() > SILENCE { Some(End::Gone) } else { send(socket, Message::Ping(Bytes::new())).await }
                }
                incoming = socket.recv() => match incoming {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Some(End::Gone),
                    Some(Ok(_)) => {
                        heard_from = Instant::now();
                        None
                    }
                },
            };
            if let Some(end) = end {
                return end;
            }
        }
    }
}

const STOPS: End = End::Close(GOING_AWAY, "the server stops");
const BROKEN: End = End::Close(1011, "the server could not read what changed");

impl From<Over> for End {
    fn from(over: Over) -> Self {
        match over {
            Over::Ended => End::Close(SESSION_ENDED, "the session has ended"),
            Over::Unknown => BROKEN,
        }
    }
}

/// The texts are shared with the other listeners. Somebody who reads slowly hears no more of them than the session lasts.
async fn say(socket: &mut WebSocket, messages: &[Bytes], held: &mut Held) -> Option<End> {
    for message in messages {
        let text = Utf8Bytes::try_from(message.clone()).expect("JSON is UTF-8");
        let end = tokio::select! {
            biased;
            over = held.over() => Some(over.into()),
            end = send(socket, Message::Text(text)) => end,
        };
        if end.is_some() {
            return end;
        }
    }
    None
}

async fn send(socket: &mut WebSocket, message: Message) -> Option<End> {
    match tokio::time::timeout(SEND, socket.send(message)).await {
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some(End::Gone),
        Err(_) => Some(End::Close(TOO_SLOW, "too slow")),
    }
}
