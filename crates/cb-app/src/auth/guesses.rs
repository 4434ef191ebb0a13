//! Wrong guesses leave a trace in the audit log, and nobody can flood the log with them.
//!
//! Guesses of one kind at one account from one place within a minute are a series. Its first guess is an entry at once. The others
//! are one more entry, with their count, when the minute is over. Beyond [`SERIES_MOST`] series at a time, all further guesses of
//! one kind share a series.

use cb_core::audit::Action;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cb_core::clock::{Time, fixed_width};
use cb_core::{Principal, Result};
use serde_json::{Value, json};
use uuid::Uuid;

use super::place;
use crate::app::App;
use crate::ctx::RequestMeta;

const SERIES: Duration = Duration::from_mins(1);
/// Series that are open at a time.
const SERIES_MOST: usize = 200;

/// A wrong guess, as the log tells it.
#[derive(Debug, Clone)]
pub(crate) struct Guess {
    pub action: Action,
    pub actor: Principal,
    /// The user that it was a guess at, where there is one.
    pub user: Option<Uuid>,
    /// What tells the account from others; empty where nobody knows which one is meant.
    pub account: String,
    pub detail: Value,
}

impl Guess {
    /// A guess that does not say whose secret it was meant for.
    pub fn at_nobody(action: Action, actor: Principal) -> Self {
        Self { action, actor, user: None, account: String::new(), detail: json!({}) }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    action: Action,
    account: String,
    place: String,
}

impl Key {
    fn of(guess: &Guess, meta: &RequestMeta) -> Self {
        Self { action: guess.action, account: guess.account.clone(), place: place(meta.ip) }
    }
}

struct Series {
    guess: Guess,
    meta: RequestMeta,
    first_at: Time,
    /// By the steady clock.
    ends: Duration,
    /// Behind the first.
    more: u32,
}

/// The series that are open.
#[derive(Default)]
pub(crate) struct Guesses(Mutex<HashMap<Key, Series>>);

impl Guesses {
    fn open(&self) -> MutexGuard<'_, HashMap<Key, Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a guess. Answers its series, whether it is the first of it, and the series that it follows.
    fn count(
        &self,
        now: Duration,
        at: Time,
        guess: &Guess,
        meta: &RequestMeta,
    ) -> (Key, bool, Option<Series>) {
        let key = Key::of(guess, meta);
        let shared = Key { account: String::new(), place: String::new(), ..key.clone() };
        let mut open = self.open();
        let full = open.len() >= SERIES_MOST && !open.contains_key(&key);
        let mut guess = guess.clone();
        let key = if full { shared } else { key };
        if full {
            guess.user = None;
            guess.detail = json!({ "many": true });
        }
        if let Some(series) = open.get_mut(&key).filter(|s| s.ends > now) {
            series.more = series.more.saturating_add(1);
            return (key, false, None);
        }
        let series = Series { guess, meta: meta.clone(), first_at: at, ends: now + SERIES, more: 0 };
        let before = open.insert(key.clone(), series);
        (key, true, before)
    }

    /// Guesses that could not be written are told with the others.
    fn are_untold(&self, key: &Key, many: u32) {
        if let Some(series) = self.open().get_mut(key) {
            series.more = series.more.saturating_add(many);
        }
    }

    /// Keeps a series that could not be written, unless another one has begun in its place.
    fn put_back(&self, key: Key, series: Series) {
        self.open().entry(key).or_insert(series);
    }

    fn over(&self, now: Duration) -> Vec<(Key, Series)> {
        self.open().extract_if(|_, series| series.ends <= now).collect()
    }
}

impl App {
    /// Leaves a trace of a wrong guess. The answer to the guess does not depend on it: what cannot be written now is written when
    /// the series is over.
    pub(crate) async fn guessed(&self, meta: &RequestMeta, guess: Guess) {
        let (key, first, before) = self.guesses().count(self.steady(), self.now(), &guess, meta);
        let (mut told, mut untold) = (Ok(()), 1);
        if let Some(before) = before {
            told = self.tell_rest(&before).await;
            untold += if told.is_ok() { 0 } else { before.more };
        }
        if first && told.is_ok() {
            let mut detail = guess.detail.clone();
            detail["count"] = json!(1);
            told = self.tell(meta.clone(), guess.clone(), detail).await;
        }
        if let Err(error) = told {
            tracing::warn!(%error, action = guess.action.as_str(), "a wrong guess could not be written to the audit log");
            self.guesses().are_untold(&key, untold);
        }
    }

    async fn tell_rest(&self, series: &Series) -> Result<()> {
        if series.more == 0 {
            return Ok(());
        }
        let mut detail = series.guess.detail.clone();
        detail["count"] = json!(series.more);
        detail["since"] = json!(fixed_width(series.first_at));
        self.tell(series.meta.clone(), series.guess.clone(), detail).await
    }

    async fn tell(&self, meta: RequestMeta, guess: Guess, detail: Value) -> Result<()> {
        let ctx = self.ctx(guess.actor, meta);
        ctx.record_past(guess.action, async |tx| {
            if let Some(user) = guess.user {
                tx.about("user", user);
            }
            tx.detail(detail);
            Ok(())
        })
        .await
    }
}

/// Writes what is known of the series that are over; with `all`, of the others too.
pub async fn close(app: &App, all: bool) -> Result<()> {
    let now = if all { Duration::MAX } else { app.steady() };
    let mut untold = Ok(());
    for (key, series) in app.guesses().over(now) {
        if let Err(error) = app.tell_rest(&series).await {
            app.guesses().put_back(key, series);
            untold = Err(error);
        }
    }
    untold
}
