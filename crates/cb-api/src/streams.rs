//! WebSocket streams (RFC 6455): what changed, as it changes.
//!
//! The session or token is checked before the upgrade, and so is the `Origin`. `{"type":"hello"}` comes
//! first; then `{type, at, data}`. A stream is closed with 4401 within a second of its session's end and
//! with 4429 when the client reads too slowly. Nothing that a client sends is listened to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Extension;
use axum::extract::FromRequestParts;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::response::{IntoResponse as _, Response};
use cb_app::live::{self, Topic};
use cb_app::{Ctx, Heard, Listener};
use cb_core::{Error, Event, Principal};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use tokio::time::{Instant, MissedTickBehavior};
use uuid::Uuid;

use crate::auth::{Reader, same_origin};
use crate::problem::Problem;

const SESSION_ENDED: u16 = 4401;
const TOO_SLOW: u16 = 4429;
const GOING_AWAY: u16 = 1001;
/// Streams that one session or token may have open.
const STREAMS_MOST: usize = 16;
/// Events of one burst are answered together.
const BURST: Duration = Duration::from_millis(40);
const BURST_MOST: usize = 512;
/// A session that ended without an event (expiry, another replica), or a token cut to less, is noticed so soon.
const CHECK: Duration = Duration::from_millis(500);
const PING: Duration = Duration::from_secs(20);
/// A client that has not answered a ping for so long is gone.
const SILENCE: Duration = Duration::from_mins(1);
/// A client that does not take a message for so long is too slow; short, so that the end of its session is
/// noticed in time all the same.
const SEND: Duration = Duration::from_millis(700);
const INCOMING_MOST: usize = 4096;

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
    open(Topic::Audit, reader.0, &parts, &sockets, upgrade)
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
    open(Topic::Discovery, reader.0, &parts, &sockets, upgrade)
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
    open(Topic::Notifications, reader.0, &parts, &sockets, upgrade)
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
    open(Topic::Topology, reader.0, &parts, &sockets, upgrade)
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
    ctx: Ctx,
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
    let listener = ctx.app().listen();
    Ok(upgrade.max_message_size(INCOMING_MOST).max_frame_size(INCOMING_MOST).on_upgrade(
        async move |socket| {
            run(socket, topic, ctx, listener).await;
            drop(seat);
        },
    ))
}

/// Why a stream ends.
enum End {
    Close(u16, &'static str),
    Gone,
}

async fn run(mut socket: WebSocket, topic: Topic, ctx: Ctx, listener: Listener) {
    let end = serve(&mut socket, topic, &ctx, listener).await;
    if let End::Close(code, reason) = end {
        let frame = CloseFrame { code, reason: reason.into() };
        // Somebody who does not read cannot be told why.
        let _ =
            tokio::time::timeout(Duration::from_millis(300), socket.send(Message::Close(Some(frame)))).await;
    }
}

async fn serve(socket: &mut WebSocket, topic: Topic, ctx: &Ctx, mut listener: Listener) -> End {
    let stopping = ctx.app().stopping().clone();
    if let Some(end) = send(socket, Message::text(r#"{"type":"hello"}"#)).await {
        return end;
    }
    let mut check = tokio::time::interval(CHECK);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ping = tokio::time::interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard_from = Instant::now();
    loop {
        let end = tokio::select! {
            () = stopping.cancelled() => Some(End::Close(GOING_AWAY, "the server stops")),
            heard = listener.hear() => match heard {
                Heard::Closed => Some(End::Close(GOING_AWAY, "the server stops")),
                Heard::Missed(_) => say(socket, &[live::resync(ctx)]).await,
                Heard::Event(first) => match gather(&mut listener, first).await {
                    None => say(socket, &[live::resync(ctx)]).await,
                    Some(events) if events.iter().any(|e| ends(e, ctx.principal())) => Some(ended()),
                    Some(events) => match live::messages(ctx, topic, &events).await {
                        Ok(messages) => say(socket, &messages).await,
                        Err(error) => Some(broken(error)),
                    },
                },
            },
            _ = check.tick() => match ctx.app().still_may(ctx.principal(), topic.permission()).await {
                Ok(true) => None,
                Ok(false) => Some(ended()),
                Err(error) => Some(broken(error)),
            },
            _ = ping.tick() => {
                if heard_from.elapsed() > SILENCE { Some(End::Gone) } else { send(socket, Message::Ping("".into())).await }
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

/// What follows closely; `None` when some of it was missed.
async fn gather(listener: &mut Listener, first: Event) -> Option<Vec<Event>> {
    let mut events = vec![first];
    let until = Instant::now() + BURST;
    while events.len() < BURST_MOST {
        match tokio::time::timeout_at(until, listener.hear()).await {
            Ok(Heard::Event(event)) => events.push(event),
            Ok(Heard::Missed(_)) => return None,
            Ok(Heard::Closed) | Err(_) => break,
        }
    }
    Some(events)
}

fn ends(event: &Event, principal: &Principal) -> bool {
    match (event, principal) {
        (Event::SessionEnded { id }, Principal::User { session, .. }) => id == session,
        (Event::UserSessionsEnded { id: ended }, Principal::User { id, .. }) => ended == id,
        (Event::TokenEnded { id }, Principal::Token { id: own, .. }) => id == own,
        _ => false,
    }
}

fn ended() -> End {
    End::Close(SESSION_ENDED, "the session has ended")
}

fn broken(error: Error) -> End {
    // Logged where every internal error is.
    let _ = Problem::from(error);
    End::Close(1011, "the server could not read what changed")
}

async fn say(socket: &mut WebSocket, messages: &[live::Message]) -> Option<End> {
    for message in messages {
        let text = serde_json::to_string(message).expect("texts and JSON values are JSON");
        if let Some(end) = send(socket, Message::text(text)).await {
            return Some(end);
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
