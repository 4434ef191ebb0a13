//! Requests that may be sent again: a `POST` with an `Idempotency-Key` is carried out once, however often it comes.
//!
//! Invariants: the key is taken before anything is done, and of simultaneous requests one takes it. A key belongs to one principal and one
//! request. What was refused gives its key back; what nobody knows the end of keeps it, and is never carried out again under it. An answer
//! that shows a secret is not kept, so that a secret is shown once. Keys live a day, at most [`MOST`] for one principal.

use cb_core::{Error, Result};
use cb_store::entities::kept_answer;
use cb_vault::token;
use chrono::TimeDelta;
use uuid::Uuid;

use crate::app::App;

const LIVES: TimeDelta = TimeDelta::hours(24);
/// Of one principal.
const MOST: u64 = 1_000;
/// Longer answers are not kept.
const BODY_MOST: usize = 64 * 1024;
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

/// Takes the key for this request.
pub async fn begin(app: &App, principal: Uuid, key: &[u8], request: &[u8]) -> Result<Turn> {
    if key.is_empty() || key.len() > KEY_MOST || !key.iter().all(u8::is_ascii_graphic) {
        let reason = format!(
            "must have 1 to {KEY_MOST} printable ASCII characters and no spaces; a UUID is a good one"
        );
        return Err(Error::invalid("Idempotency-Key", reason));
    }
    let now = app.now();
    if !app.removals_held() {
        app.store().forget_answers(now - LIVES, principal, MOST - 1).await?;
    }
    let row = kept_answer::Model {
        id: app.new_id(),
        principal_id: principal,
        key_hash: token::hash_bytes(key),
        fingerprint: token::hash_bytes(request),
        status: None,
        body: None,
        etag: None,
        created_at: now,
    };
    let (id, fingerprint) = (row.id, row.fingerprint.clone());
    let Some(before) = app.store().claim_answer(row).await? else { return Ok(Turn::First(id)) };
    if before.fingerprint != fingerprint {
        let reason = "was used for another request; make a new one for each";
        return Err(Error::invalid("Idempotency-Key", reason));
    }
    let Some(status) = before.status.and_then(|status| u16::try_from(status).ok()) else {
        return Err(Error::Conflict(
            "A request with this Idempotency-Key is being carried out, or was cut short. Wait a moment and send it again; if this answer \
             stays, look whether it was done, and use a new key if it was not"
                .to_owned(),
        ));
    };
    if status != 204 && before.body.is_none() {
        return Err(Error::Conflict(
            "This was done when it was first asked for. Its answer is not given again, because it shows a secret once or is very long; \
             read or renew what was made"
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

/// It was refused, and nothing was done.
pub async fn refused(app: &App, id: Uuid) -> Result<()> {
    app.store().release_answer(id).await
}
