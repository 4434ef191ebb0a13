//! Taking a message at a hook. In this order: how often, who, when, what it says, whether it is new; and only then is anything
//! written.
//!
//! Invariants: a signed message is told once, whoever sends it again (the database keeps that). One with a token has no id: the same
//! words again within [`COPIES`] are a copy, later they are news, and a test is always told. Whoever proves nothing hears one answer,
//! whether there is such a hook or not, and only who has shown a token may send more than [`SIGNED_MOST`].

use cb_core::audit::Action;
use std::net::IpAddr;
use std::num::NonZeroU32;

use cb_core::clock::Time;
use cb_core::ids::{HookEventId, HookId};
use cb_core::notice::{Notice, NoticeKind};
use cb_core::{Error, Event, FieldError, Principal, Result, Secret};
use cb_fabric::{Fabric, SharedRate};
use cb_notify::incoming::{Format, Told, Verification};
use cb_store::entities::{hook, hook_event};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::sea_query::{Expr, ExprTrait as _};
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use cb_store::sealed::{HOOK_PREVIOUS_SECRET, HOOK_SECRET};
use cb_store::{WriteTx, conflict, db};
use cb_vault::webhook::{Key, verify};
use chrono::{DateTime, TimeDelta};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::hooks::{find, format, previous_counts};
use crate::app::App;
use crate::auth::active;
use crate::ctx::RequestMeta;

/// What the sender's clock may differ by (Standard Webhooks).
const TOLERANCE: TimeDelta = TimeDelta::minutes(5);
/// Messages of one hook that are remembered, the newest …
const KEPT: u64 = 1_000;
/// … and all of the time in which one could be sent again.
const REMEMBERED: TimeDelta = TimeDelta::minutes(15);
/// The same words again within this time are a copy: a retry, or the other one of two Alertmanagers. A reminder comes later.
const COPIES: TimeDelta = TimeDelta::minutes(5);
/// Characters of a message's id.
const ID_MOST: usize = 200;
/// Bytes of a message that is signed: it is read before anybody knows who sends it.
const SIGNED_MOST: usize = 1 << 20;
/// Bytes of one whose sender has shown a token; a report of the backups of many guests has some MiB.
const SHOWN_MOST: usize = 8 << 20;

/// How often: requests of one address, whatever they are, and messages of one hook that prove themselves.
pub(crate) struct Rates {
    address: SharedRate,
    hook: SharedRate,
}

impl Rates {
    pub(crate) fn new(fabric: &Fabric) -> Self {
        const ADDRESS: NonZeroU32 = NonZeroU32::new(120).expect("not zero");
        const HOOK: NonZeroU32 = NonZeroU32::new(60).expect("not zero");
        Self { address: fabric.rate("hook-address", ADDRESS), hook: fabric.rate("hook", HOOK) }
    }
}

/// What a request shows of where it comes from; empty where it shows nothing.
#[derive(Clone, Copy, Default)]
pub struct Shown<'a> {
    /// `webhook-id`
    pub id: &'a [u8],
    /// `webhook-timestamp`
    pub timestamp: &'a [u8],
    /// `webhook-signature`
    pub signature: &'a [u8],
    /// `authorization`
    pub authorization: &'a [u8],
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HookAnswer)]
pub struct Taken {
    pub id: HookEventId,
    /// The message was already received; nothing was reported again.
    pub repeated: bool,
}

/// A message that is proved to be from whom the hook knows.
struct Proved {
    known_by: KnownBy,
    sent_at: Time,
    verification: Verification,
}

/// How a message is known again.
enum KnownBy {
    /// The id that its sender has given and signed.
    Id(String),
    /// The hash of what it says.
    Words(String),
    /// Not at all.
    Nothing,
}

/// What a request carries.
#[derive(Clone, Copy)]
pub enum Carried<'a> {
    Whole(&'a [u8]),
    /// More than [`Pending::most`].
    TooLarge,
}

/// Why a message is not taken.
#[derive(Debug)]
pub enum NotTaken {
    Error(Error),
    /// It is not said to be JSON; what to change at its sender.
    NotJson(&'static str),
    /// It has more than so many bytes, and nobody knows who sends it.
    TooLarge(usize),
}

impl From<Error> for NotTaken {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

/// A request at a hook that is there, before its body is read.
pub struct Pending {
    row: hook::Model,
    format: Format,
    /// Of a sender that has shown a token; a signature covers the body.
    shown: bool,
}

/// Looks at how often, which hook and, where a token says it, who.
pub async fn open(app: &App, ip: IpAddr, id: HookId, shown: Shown<'_>) -> Result<Pending> {
    app.hook_rates().address.enter(&neighborhood(ip)).await?;
    let Some(row) = open_hook(app.store().reader(), id).await? else { return Err(unproved()) };
    let format = format(&row)?;
    let token = format.verification() == Verification::Bearer;
    if token {
        if let Err(reason) = bearer(&row, shown, app.now()) {
            refuse(app, row.id, reason).await?;
            return Err(unproved());
        }
        app.hook_rates().hook.enter(&row.id.to_string()).await?;
    }
    Ok(Pending { row, format, shown: token })
}

impl Pending {
    /// Bytes of a body that are read.
    pub fn most(&self) -> usize {
        if self.shown { SHOWN_MOST } else { SIGNED_MOST }
    }

    /// `json`: its `Content-Type` says so.
    pub async fn take(
        self,
        app: &App,
        meta: RequestMeta,
        shown: Shown<'_>,
        carried: Carried<'_>,
        json: bool,
    ) -> Result<Taken, NotTaken> {
        let (now, most) = (app.now(), self.most());
        let Self { row, format, shown: by_token } = self;
        let proved = match carried {
            Carried::TooLarge if !by_token => {
                let reason = format!("it is larger than {} MiB, the limit for a signed message", most >> 20);
                refuse(app, row.id, &reason).await?;
                return Err(NotTaken::TooLarge(most));
            }
            // Nobody knows what it says; one within a while is enough.
            Carried::TooLarge => Proved::shown(b"too large", now),
            Carried::Whole(body) if by_token => Proved::shown(body, now),
            Carried::Whole(body) => {
                let proved = match signed(app, &row, shown, body, now).await? {
                    Ok(proved) => proved,
                    Err(refusal) => {
                        refuse(app, row.id, &refusal.reason).await?;
                        return Err(refusal.answer.into());
                    }
                };
                app.hook_rates().hook.enter(&row.id.to_string()).await?;
                proved
            }
        };
        if !json {
            let change = format.sends_json();
            refuse(app, row.id, &format!("The message is not sent as JSON: {change}.")).await?;
            return Err(NotTaken::NotJson(change));
        }
        let told = match carried {
            Carried::TooLarge => Told::too_large(most),
            Carried::Whole(body) => match format.read(body) {
                Ok(told) => told,
                Err(FieldError { field, reason }) => {
                    let said =
                        format!("The message does not have the format of this hook. {field}: {reason}");
                    refuse(app, row.id, &said.chars().take(300).collect::<String>()).await?;
                    return Err(Error::invalid(field, reason).into());
                }
            },
        };
        let taken = keep(app, meta, &row, &proved.unless_test(&told), &told).await;
        if let Err(Error::Conflict(reason)) = &taken {
            refuse(app, row.id, reason).await?;
        }
        Ok(taken?)
    }
}

impl Proved {
    /// Who cannot sign gives no id either: the same words are the same message.
    fn shown(body: &[u8], now: Time) -> Self {
        let known_by = KnownBy::Words(cb_vault::token::hash_bytes(body));
        Self { known_by, sent_at: now, verification: Verification::Bearer }
    }

    /// Whoever presses the button twice wants to see it twice.
    fn unless_test(self, told: &Told) -> Self {
        match self.known_by {
            KnownBy::Words(_) if told.test => Self { known_by: KnownBy::Nothing, ..self },
            _ => self,
        }
    }
}

/// Counts a message that was not taken.
async fn refuse(app: &App, hook: Uuid, reason: &str) -> Result<()> {
    app.store().hook_refused(hook, app.now(), reason).await?;
    app.bus().publish([Event::HookChanged { id: hook.into() }]);
    Ok(())
}

/// One that is there and enabled.
async fn open_hook(conn: &impl ConnectionTrait, id: HookId) -> Result<Option<hook::Model>> {
    match find(conn, id).await {
        Ok(row) => Ok(Some(row).filter(|row| row.enabled)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn unproved() -> Error {
    Error::Unauthenticated(
        "This message does not prove where it comes from. The page of the hook in Circuit Breaker shows what the message must contain.".to_owned(),
    )
}

/// Why a message is not taken: what the sender hears, and what the hook's owner reads.
struct Refusal {
    answer: Error,
    reason: String,
}

impl Refusal {
    fn unproved(reason: &str) -> Self {
        Self { answer: unproved(), reason: reason.to_owned() }
    }
}

/// By whom a message is signed, and when.
async fn signed(
    app: &App,
    row: &hook::Model,
    shown: Shown<'_>,
    body: &[u8],
    now: Time,
) -> Result<Result<Proved, Refusal>> {
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
    let (id, timestamp) = (text(shown.id), text(shown.timestamp));
    if !verify(&keys(app, row, now).await?, id, timestamp, body, text(shown.signature)) {
        let reason = if shown.signature.is_empty() {
            "The message does not have the header field webhook-signature."
        } else {
            "Its signature was not made with the secret of this hook."
        };
        return Ok(Err(Refusal::unproved(reason)));
    }
    // From here on the sender is known, and hears what is wrong.
    let plain = !id.is_empty() && id.len() <= ID_MOST && id.bytes().all(|b| b.is_ascii_graphic());
    if !plain {
        let reason = format!("Use 1 to {ID_MOST} printable ASCII characters.");
        return Ok(Err(refused("webhook-id", reason)));
    }
    let sent_at = timestamp.parse().ok().and_then(|at| DateTime::from_timestamp(at, 0));
    let Some(sent_at) = sent_at else {
        return Ok(Err(refused("webhook-timestamp", "Send the time in seconds since 1970.".to_owned())));
    };
    let off = now - sent_at;
    if off.abs() > TOLERANCE {
        let reason = format!(
            "This is {} seconds {} this server's time, and the limit is {} seconds. Set the clock that is wrong.",
            off.num_seconds().abs(),
            if off > TimeDelta::zero() { "before" } else { "after" },
            TOLERANCE.num_seconds()
        );
        return Ok(Err(refused("webhook-timestamp", reason)));
    }
    Ok(Ok(Proved { known_by: KnownBy::Id(id.to_owned()), sent_at, verification: Verification::Signature }))
}

/// Whether the token of the hook is shown; why not, for the hook's owner.
fn bearer(row: &hook::Model, shown: Shown<'_>, now: Time) -> Result<(), &'static str> {
    let token = shown.authorization.get(7..).filter(|_| {
        shown.authorization.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"bearer "))
    });
    let Some(token) = token else {
        return Err("The message does not have a header field Authorization with a bearer token.");
    };
    let hash = cb_vault::token::hash_bytes(token.trim_ascii());
    let previous = row.previous_token_hash.as_ref().filter(|_| previous_counts(row, now));
    let known = |kept: &String| Secret::new(kept.clone()).matches(hash.as_bytes());
    // Both are looked at, whichever it is.
    let matches = [row.token_hash.as_ref(), previous].map(|kept| kept.is_some_and(known));
    if matches.contains(&true) { Ok(()) } else { Err("Its token is not the token of this hook.") }
}

fn refused(field: &str, reason: String) -> Refusal {
    let said = format!("{field}: {reason}");
    Refusal { answer: Error::invalid(field, reason), reason: said }
}

/// Those that it may be signed by.
async fn keys(app: &App, row: &hook::Model, now: Time) -> Result<Vec<Key>> {
    let key = |text: &Secret| {
        Key::parse(text).map_err(|reason| Error::Internal(format!("the secret of hook {}: {reason}", row.id)))
    };
    let mut keys = Vec::new();
    if let Some(secret) = &row.secret {
        keys.push(key(&app.unseal(HOOK_SECRET.place(&row.id), secret).await?)?);
    }
    if let Some(previous) = row.previous_secret.as_ref().filter(|_| previous_counts(row, now)) {
        keys.push(key(&app.unseal(HOOK_PREVIOUS_SECRET.place(&row.id), previous).await?)?);
    }
    Ok(keys)
}

/// Writes the message down and tells it, unless it was before.
async fn keep(
    app: &App,
    meta: RequestMeta,
    row: &hook::Model,
    proved: &Proved,
    told: &Told,
) -> Result<Taken> {
    let principal = Principal::Hook { id: row.id.into(), name: row.name.clone() };
    if let Some(known) = known(app.store().reader(), row.id, &proved.known_by, app.now()).await? {
        return again(app, &known, proved).await;
    }
    let address = meta.ip.to_string();
    let ctx = app.ctx(principal, meta);
    let written = ctx.record(Action::HookReceived, async |tx| {
        // It may have been switched off, or taken away, a moment ago.
        let now = ctx.now();
        let row = open_hook(tx.conn(), row.id.into()).await?.ok_or_else(unproved)?;
        // Looked at again under the write's lock: of two copies at once the other was first.
        if known(tx.conn(), row.id, &proved.known_by, now).await?.is_some() {
            return Err(Error::Conflict(TWICE.to_owned()));
        }
        let id = ctx.new_id();
        let event = hook_event::Model {
            id,
            hook_id: row.id,
            message_id: match &proved.known_by {
                KnownBy::Id(id) => id.clone(),
                KnownBy::Words(hash) => format!("{}{id}", words(hash)),
                KnownBy::Nothing => format!("test:{id}"),
            },
            sent_at: proved.sent_at,
            at: now,
            address,
            severity: told.severity.as_str().to_owned(),
            resolved: told.resolved,
            title: told.title.clone(),
            text: told.text.clone(),
            link: told.link.clone(),
        };
        hook_event::Entity::insert(active(event.clone()))
            .exec(tx.conn())
            .await
            .map_err(|e| conflict(&e, TWICE))?;
        let mut change = hook::ActiveModel::from(row.clone());
        change.received = Set(row.received + 1);
        change.last_received_at = Set(Some(now));
        change.update(tx.conn()).await.map_err(db)?;
        forget(tx, row.id, now).await?;
        tx.notify(&notice(&event, &row, told), || ctx.new_id()).await?;
        tx.about("hook", row.id);
        tx.emit(Event::HookChanged { id: row.id.into() });
        tx.detail(json!({
            "name": row.name, "title": event.title, "severity": event.severity, "resolved": event.resolved,
        }));
        Ok(Taken { id: event.id.into(), repeated: false })
    });
    match written.await {
        Err(Error::Conflict(_)) => {
            match known(app.store().reader(), row.id, &proved.known_by, ctx.now()).await? {
                Some(known) => again(app, &known, proved).await,
                None => Err(Error::Conflict(TWICE.to_owned())),
            }
        }
        other => other,
    }
}

const TWICE: &str = "This message was already received, and a message is accepted only once.";

/// What the ids of all messages with the same words begin with.
fn words(hash: &str) -> String {
    format!("sha256:{hash}:")
}

/// The message that this one is a copy of.
async fn known(
    conn: &impl ConnectionTrait,
    hook: Uuid,
    by: &KnownBy,
    now: Time,
) -> Result<Option<hook_event::Model>> {
    let select = hook_event::Entity::find().filter(hook_event::Column::HookId.eq(hook));
    let select = match by {
        KnownBy::Id(id) => select.filter(hook_event::Column::MessageId.eq(id)),
        // On both sides: the clock may have been set back since.
        KnownBy::Words(hash) => select
            .filter(hook_event::Column::MessageId.starts_with(words(hash)))
            .filter(hook_event::Column::At.between(now - COPIES, now + COPIES))
            .order_by_desc(hook_event::Column::Id),
        KnownBy::Nothing => return Ok(None),
    };
    select.one(conn).await.map_err(db)
}

/// A message that is known. Whoever signs it anew, with a later time, has only not heard our answer: that is a retry, and what is
/// answered is true of the first. The same again to the second is somebody's copy.
async fn again(app: &App, known: &hook_event::Model, proved: &Proved) -> Result<Taken> {
    let taken = Taken { id: known.id.into(), repeated: true };
    match proved.verification {
        Verification::Bearer => Ok(taken),
        Verification::Signature if app.store().hook_event_sent(known.id, proved.sent_at).await? => Ok(taken),
        Verification::Signature => Err(Error::Conflict(TWICE.to_owned())),
    }
}

/// The oldest messages, but none that could still be sent again.
async fn forget(tx: &WriteTx, hook: Uuid, now: Time) -> Result<()> {
    let oldest: Option<Uuid> = hook_event::Entity::find()
        .select_only()
        .column(hook_event::Column::Id)
        .filter(hook_event::Column::HookId.eq(hook))
        .order_by_desc(hook_event::Column::Id)
        .offset(KEPT)
        .limit(1)
        .into_tuple()
        .one(tx.conn())
        .await
        .map_err(db)?;
    if let Some(oldest) = oldest {
        hook_event::Entity::delete_many()
            .filter(hook_event::Column::HookId.eq(hook))
            .filter(hook_event::Column::Id.lte(oldest))
            .filter(Expr::col(hook_event::Column::At).lt(now - REMEMBERED))
            .exec(tx.conn())
            .await
            .map_err(db)?;
    }
    Ok(())
}

fn notice(event: &hook_event::Model, row: &hook::Model, told: &Told) -> Notice {
    Notice {
        id: event.id,
        kind: NoticeKind::HookReceived,
        at: event.at,
        severity: told.severity,
        title: told.title.clone(),
        text: told.text.clone(),
        path: Some(format!("/notifications/incoming?selected={}", row.id)),
        data: json!({
            "hook": { "id": row.id, "name": row.name, "format": row.format },
            "resolved": told.resolved,
            "at": told.at,
            "link": told.link,
            "detail": told.data,
        }),
    }
}

/// Who shares a connection: an address, of IPv6 the network of one customer.
fn neighborhood(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::")
        }
    }
}
