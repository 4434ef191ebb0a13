//! Requests that may be sent again: a `POST` with an `Idempotency-Key` is carried out once, however often it comes.
//!
//! Invariants: the key is taken before anything is done, and of simultaneous requests one takes it. A key belongs to one asker and one
//! request: an asker is a user's sessions, a token or the operator, with what they may do. What was refused gives its key back, also when
//! the database was away; what nobody knows the end of keeps it for a day, and is never carried out again under it. An answer that shows a secret is not kept, so that a secret
//! is shown once. Keys live a day, at most [`MOST`] for one asker, and go into no backup.

use std::time::Duration;

use cb_core::clock::Time;
use cb_core::{Error, Principal, Result};
use cb_store::entities::kept_answer;
use cb_vault::token;
use chrono::TimeDelta;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::app::App;

const LIVES: TimeDelta = TimeDelta::hours(24);
/// Of one asker.
const MOST: u64 = 1_000;
/// Longer answers are not kept.
const BODY_MOST: usize = 64 * 1024;
/// A key that could not be given back is tried again so often …
const AGAIN: Duration = Duration::from_secs(1);
/// … and so long.
const GIVEN_BACK: Duration = Duration::from_mins(5);
/// Longest key.
pub const KEY_MOST: usize = 255;

/// An answer as it was.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Option<String>,
    pub etag: Option<String>,
}

/// What is to be done with a request.
#[derive(Debug)]
pub enum Turn {
    /// It is the first with its key: carry it out, and say how it ended.
    First(Uuid),
    /// It was carried out before.
    Again(Answer),
}

/// Who sends a request, and what they may do. An answer is given again only to the same asker with the same rights.
#[derive(Debug)]
pub struct Asker {
    id: Uuid,
    may: String,
}

impl Asker {
    /// None for those whose requests are not kept.
    pub fn of(principal: &Principal) -> Option<Self> {
        match principal {
            Principal::User { id, role, .. } => Some(Self { id: id.0, may: role.as_str().to_owned() }),
            Principal::Token { id, role, scopes, .. } => {
                let scopes: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
                Some(Self { id: id.0, may: format!("{} {}", role.as_str(), scopes.join(" ")) })
            }
            Principal::Operator => Some(Self { id: Uuid::nil(), may: "all".to_owned() }),
            _ => None,
        }
    }
}

/// Takes the key for this request.
pub async fn begin(app: &App, asker: &Asker, key: &[u8], request: &[u8]) -> Result<Turn> {
    if key.is_empty() || key.len() > KEY_MOST || !key.iter().all(u8::is_ascii_graphic) {
        let reason =
            format!("Use 1 to {KEY_MOST} printable ASCII characters without spaces, such as a UUID.");
        return Err(Error::invalid("Idempotency-Key", reason));
    }
    let row = kept_answer::Model {
        id: app.new_id(),
        principal_id: asker.id,
        key_hash: token::hash_bytes(key),
        fingerprint: app.signer().fingerprint(&[asker.may.as_bytes(), b"\n", request].concat()),
        status: None,
        body: None,
        etag: None,
        created_at: app.now(),
    };
    let (id, fingerprint) = (row.id, row.fingerprint.clone());
    // Nothing is old while the clock may be wrong.
    let expired = row.created_at - LIVES;
    let expired = if app.removals_held() { Time::UNIX_EPOCH } else { expired };
    let Some(before) = app.store().claim_answer(row, expired).await? else {
        if app.store().forget_surplus_answers(asker.id, MOST).await? {
            return Ok(Turn::First(id));
        }
        app.store().release_answer(id).await?;
        return Err(Error::Unavailable(format!(
            "{MOST} requests with an Idempotency-Key of yours are being carried out or were cut short. Send this one without the header, or \
             wait until they are a day old"
        )));
    };
    if before.fingerprint != fingerprint {
        let reason = "This key was already used for another request. Create a new key for each request.";
        return Err(Error::invalid("Idempotency-Key", reason));
    }
    let Some(status) = before.status.and_then(|status| u16::try_from(status).ok()) else {
        return Err(Error::Conflict(
            "A request with this Idempotency-Key is still running, or was interrupted. Wait a moment and send it again. If the answer is the same, check whether the change was made, and use a new key if it was not"
                .to_owned(),
        ));
    };
    if status != 204 && before.body.is_none() {
        return Err(Error::Conflict(
            "The first request with this key succeeded. The server does not send its answer again, because the answer contains a secret that is shown only once, or is very long. Read the result, or replace the secret"
                .to_owned(),
        ));
    }
    Ok(Turn::Again(Answer { status, body: before.body, etag: before.etag }))
}

/// It was done; `body` is none where the answer shows a secret.
pub async fn done(app: &App, id: Uuid, answer: Answer) -> Result<()> {
    let body = answer.body.filter(|body| body.len() <= BODY_MOST);
    app.store().keep_answer(id, i32::from(answer.status), body, answer.etag).await
}

/// Forgets what is older than a day; nothing while the clock may be wrong.
pub(crate) async fn sweep(app: &App, now: Time) -> Result<()> {
    app.store().forget_answers(now - LIVES).await.map(drop)
}

/// It was refused, and nothing was done. While the database is away, the key is given back later.
pub async fn refused(app: &App, id: Uuid) {
    if app.store().release_answer(id).await.is_ok() {
        return;
    }
    let task = app.clone();
    app.spawn(async move {
        let until = Instant::now() + GIVEN_BACK;
        while Instant::now() < until {
            tokio::select! {
                () = sleep(AGAIN) => {}
                () = task.stopping().cancelled() => return,
            }
            if task.store().release_answer(id).await.is_ok() {
                return;
            }
        }
        tracing::warn!(%id, "the key of a refused request could not be given back; sent again with this key, the request is answered 409 for a day");
    });
}
