//! How the end of a session or a token reaches what is open in its name.
//!
//! [`App::hold`] registers what is open. Only the database says that something has ended: one look at it is for all that is open, however
//! many streams share a session. The server looks at once when it hears of an end, when something was missed and when a time is up;
//! otherwise it asks every [`LOOK`] how long the audit log is, and looks when it has grown. Nothing that a person decides happens without an entry, so the last answer holds until
//! then. [`WHOLE`] is for a database that somebody has changed by hand.
//!
//! Invariant: what was registered and then ends is told within a second, with or without Redis and NATS. If the server cannot look, or
//! the database does not answer, it says so a moment later, and what is open must close.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cb_core::clock::Time;
use cb_core::ids::UserId;
use cb_core::{Error, Event, Permission, Principal, Result, Role};
use cb_fabric::{Heard, Listener};
use cb_store::entities::{session, token, user};
use cb_store::sea_orm::{EntityTrait as _, QueryFilter as _, QuerySelect as _};
use cb_store::{Store, among, db};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use uuid::Uuid;

use super::sessions::{Life, role_of};
use crate::app::App;

/// Between two questions how long the audit log is: half of the second within which an end must be known.
const LOOK: Duration = Duration::from_millis(500);
/// Between two looks at everything, whatever the log says.
const WHOLE: Duration = Duration::from_secs(5);
/// After a look that failed.
const AGAIN: Duration = Duration::from_millis(100);
/// How long looks may fail.
const PATIENCE: Duration = Duration::from_millis(400);
/// How long one look may take. A read waits for a lock as long.
const ANSWER: Duration = Duration::from_secs(1);
/// Between two looks at what was heard of: a burst is one look.
const BURST: Duration = Duration::from_millis(20);
/// Ids in one statement.
const CHUNK: usize = 512;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Credential {
    Session(Uuid),
    Token(Uuid),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// As far as is known, with this role of its owner.
    Good(Role),
    Ended,
    Unknown,
}

/// Why what is open must close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// Its session or token has ended, or no longer has the permission.
    Ended,
    /// The server cannot see whether it still stands.
    Unknown,
}

/// What is open, by credential.
#[derive(Default)]
pub(crate) struct Ends {
    open: Mutex<Open>,
    /// Something is to be looked at.
    due: Notify,
}

#[derive(Default)]
struct Open {
    by_credential: HashMap<Credential, Entry>,
    number: u64,
}

struct Entry {
    /// Tells it from a later one of the same credential.
    number: u64,
    holders: usize,
    owner: UserId,
    standing: watch::Sender<Standing>,
    /// When its time is up, unless it is used before; from the last look.
    until: Option<Time>,
    due: bool,
}

/// Something that is open in the name of `principal`, for as long as this lives.
pub struct Held {
    app: App,
    principal: Principal,
    permission: Permission,
    registered: Option<(Credential, u64, watch::Receiver<Standing>)>,
}

impl App {
    /// Registers something that stays open and needs `permission`. What is no credential of a user never ends.
    pub fn hold(&self, principal: &Principal, permission: Permission) -> Held {
        let of = match principal {
            Principal::User { session, id, role, .. } => Some((Credential::Session(session.0), *id, *role)),
            Principal::Token { id, owner, role, .. } => Some((Credential::Token(id.0), *owner, *role)),
            _ => None,
        };
        let registered = of.map(|(credential, owner, role)| self.ends().add(credential, owner, role));
        Held { app: self.clone(), principal: principal.clone(), permission, registered }
    }
}

impl Held {
    /// Returns when it must close. Nothing is lost when this is given up and called again.
    pub async fn over(&mut self) -> Over {
        let Some((_, _, standing)) = &mut self.registered else { return std::future::pending().await };
        loop {
            match *standing.borrow_and_update() {
                Standing::Good(role) if fits(&self.principal, role, self.permission) => {}
                Standing::Good(_) | Standing::Ended => return Over::Ended,
                Standing::Unknown => return Over::Unknown,
            }
            if standing.changed().await.is_err() && matches!(*standing.borrow(), Standing::Good(_)) {
                return Over::Unknown;
            }
        }
    }
}

/// Whether a credential does with this role of its owner: a session does not survive another role, a token is cut to it.
fn fits(principal: &Principal, role: Role, permission: Permission) -> bool {
    principal.permits(permission)
        && match principal {
            Principal::User { role: had, .. } => role == *had,
            _ => role.permits(permission),
        }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some((credential, number, _)) = &self.registered {
            self.app.ends().release(*credential, *number);
        }
    }
}

impl Ends {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new one is looked at before long: it may have ended between the request's own look and now.
    fn add(
        &self,
        credential: Credential,
        owner: UserId,
        role: Role,
    ) -> (Credential, u64, watch::Receiver<Standing>) {
        let mut open = self.open();
        open.number += 1;
        let number = open.number;
        let entry = open.by_credential.entry(credential).or_insert_with(|| {
            self.due.notify_one();
            let standing = watch::Sender::new(Standing::Good(role));
            Entry { number, holders: 0, owner, standing, until: None, due: true }
        });
        entry.holders += 1;
        (credential, entry.number, entry.standing.subscribe())
    }

    fn release(&self, credential: Credential, number: u64) {
        let mut open = self.open();
        if let Some(entry) = open.by_credential.get_mut(&credential).filter(|entry| entry.number == number) {
            entry.holders -= 1;
            if entry.holders == 0 {
                open.by_credential.remove(&credential);
            }
        }
    }

    /// Tells all holders, for good, that nobody knows.
    fn lose_sight(&self) {
        for (_, entry) in self.open().by_credential.drain() {
            entry.standing.send_replace(Standing::Unknown);
        }
    }

    fn look_at(&self, which: impl Fn(&Credential, &Entry) -> bool) {
        let mut any = false;
        for (credential, entry) in &mut self.open().by_credential {
            let named = which(credential, entry);
            entry.due |= named;
            any |= named;
        }
        if any {
            self.due.notify_one();
        }
    }

    fn is_empty(&self) -> bool {
        self.open().by_credential.is_empty()
    }

    /// What is to be looked at, also because its time is up.
    fn take_due(&self, now: Time) -> Vec<(Credential, u64)> {
        let mut open = self.open();
        let due = open.by_credential.iter_mut().filter_map(|(credential, entry)| {
            let is_due = std::mem::take(&mut entry.due) || entry.until.is_some_and(|until| until <= now);
            is_due.then_some((*credential, entry.number))
        });
        due.collect()
    }

    /// What a look has found; what is missing in it has ended.
    fn learn(&self, looked: &[(Credential, u64)], found: &HashMap<Credential, (Role, Option<Time>)>) {
        let mut open = self.open();
        for (credential, number) in looked {
            let Some(entry) = open.by_credential.get_mut(credential).filter(|e| e.number == *number) else {
                continue;
            };
            if let Some((role, until)) = found.get(credential) {
                entry.until = *until;
                entry.standing.send_if_modified(|standing| {
                    let news = *standing != Standing::Good(*role);
                    *standing = Standing::Good(*role);
                    news
                });
            } else {
                entry.standing.send_replace(Standing::Ended);
                open.by_credential.remove(credential);
            }
        }
    }
}

/// Starts both tasks: one hears of ends, the other looks. A look that hangs keeps nobody from hearing.
pub(crate) fn start(app: &App) {
    app.spawn(hear(app.clone(), app.listen()));
    app.spawn(look(app.clone()));
}

async fn hear(app: App, mut listener: Listener) {
    let ends = app.ends();
    loop {
        let heard = tokio::select! {
            () = app.stopping().cancelled() => return,
            heard = listener.hear() => heard,
        };
        match heard {
            Heard::Closed => return,
            Heard::Missed(_) => {
                app.recent_sessions().forget_all();
                ends.look_at(|_, _| true);
            }
            Heard::Event(Event::SessionEnded { id }) => {
                app.recent_sessions().forget_all();
                ends.look_at(|credential, _| *credential == Credential::Session(id.0));
            }
            Heard::Event(Event::TokenEnded { id }) => {
                ends.look_at(|credential, _| *credential == Credential::Token(id.0));
            }
            Heard::Event(Event::UserSessionsEnded { id }) => {
                app.recent_sessions().forget_all();
                // The owner's tokens go on, perhaps with less.
                ends.look_at(|_, entry| entry.owner == id);
            }
            Heard::Event(_) => {}
        }
    }
}

async fn look(app: App) {
    let ends = app.ends();
    let mut known = Known::default();
    let mut next = Instant::now();
    let mut calm = next;
    let mut failing: Option<Instant> = None;
    loop {
        tokio::select! {
            () = app.stopping().cancelled() => return,
            () = ends.due.notified() => tokio::time::sleep_until(calm).await,
            () = tokio::time::sleep_until(next), if !ends.is_empty() => {}
        }
        let began = Instant::now();
        calm = began + BURST;
        let looked = tokio::time::timeout(ANSWER, known.look(&app, began >= next)).await;
        let looked = looked.unwrap_or_else(|_| {
            // What it was about to look at is looked at again, with everything else.
            known.whole = None;
            Err(Error::Unavailable("The database does not answer.".to_owned()))
        });
        match looked {
            Ok(()) => {
                failing = None;
                if began >= next {
                    next = began + LOOK;
                }
            }
            Err(error) => {
                if failing.get_or_insert(began).elapsed() > PATIENCE {
                    tracing::warn!(%error, "the server cannot see which sessions have ended; it closes the streams, and their clients open them again");
                    ends.lose_sight();
                    failing = None;
                }
                next = Instant::now() + AGAIN;
            }
        }
    }
}

/// What the last question and the last look at everything have found.
#[derive(Default)]
struct Known {
    log: Option<(i64, String)>,
    whole: Option<Instant>,
}

impl Known {
    async fn look(&mut self, app: &App, ask: bool) -> Result<()> {
        let (ends, store) = (app.ends(), app.store());
        if ask {
            let began = Instant::now();
            let log = store.audit_head().await?;
            if log != self.log || self.whole.is_none_or(|at| at.elapsed() >= WHOLE) {
                for entry in ends.open().by_credential.values_mut() {
                    entry.due = true;
                }
                (self.log, self.whole) = (log, Some(began));
            }
        }
        let now = app.now();
        let due = ends.take_due(now);
        match read(store, &due, now).await {
            Ok(found) => ends.learn(&due, &found),
            Err(error) => {
                // Not `look_at`, which would not wait before the next try.
                self.whole = None;
                return Err(error);
            }
        }
        Ok(())
    }
}

/// In the order in which [`read`] asks for them.
type SessionRow = (Uuid, Time, Time, i64, i64, Option<Time>, String);

/// Those that stand, with the role of their owner and when their time is up.
async fn read(
    store: &Store,
    due: &[(Credential, u64)],
    now: Time,
) -> Result<HashMap<Credential, (Role, Option<Time>)>> {
    let mut found = HashMap::new();
    let ids = |of: fn(&Credential) -> Option<Uuid>| {
        due.iter().filter_map(|(credential, _)| of(credential)).collect::<BTreeSet<Uuid>>()
    };
    let sessions = ids(|c| if let Credential::Session(id) = c { Some(*id) } else { None });
    for chunk in chunks(sessions) {
        let rows: Vec<SessionRow> = session::Entity::find()
            .inner_join(user::Entity)
            .filter(among(store.reader(), session::Column::Id, chunk))
            .select_only()
            .columns([
                session::Column::Id,
                session::Column::ExpiresAt,
                session::Column::LastSeenAt,
                session::Column::AuthEpoch,
            ])
            .columns([user::Column::AuthEpoch, user::Column::DisabledAt, user::Column::Role])
            .into_tuple()
            .all(store.reader())
            .await
            .map_err(db)?;
        for (id, expires_at, last_seen_at, epoch, owner_epoch, disabled_at, role) in rows {
            let life = Life { expires_at, last_seen_at, current: epoch == owner_epoch, disabled_at };
            if let Some(until) = life.until(now) {
                found.insert(Credential::Session(id), (role_of(&role)?, Some(until)));
            }
        }
    }
    let tokens = ids(|c| if let Credential::Token(id) = c { Some(*id) } else { None });
    for chunk in chunks(tokens) {
        let rows: Vec<(Uuid, Option<Time>, Option<Time>, String)> = token::Entity::find()
            .inner_join(user::Entity)
            .filter(among(store.reader(), token::Column::Id, chunk))
            .select_only()
            .columns([token::Column::Id, token::Column::ExpiresAt])
            .columns([user::Column::DisabledAt, user::Column::Role])
            .into_tuple()
            .all(store.reader())
            .await
            .map_err(db)?;
        for (id, expires_at, disabled_at, role) in rows {
            if crate::tokens::stands(expires_at, disabled_at, now) {
                found.insert(Credential::Token(id), (role_of(&role)?, expires_at));
            }
        }
    }
    Ok(found)
}

/// Of few lengths, so that few statements are prepared: the last id fills a chunk up.
fn chunks(ids: BTreeSet<Uuid>) -> Vec<Vec<Uuid>> {
    let ids: Vec<Uuid> = ids.into_iter().collect();
    let fill = |chunk: &[Uuid]| {
        let mut filled = chunk.to_vec();
        filled.resize(chunk.len().next_power_of_two(), chunk[chunk.len() - 1]);
        filled
    };
    ids.chunks(CHUNK).map(fill).collect()
}
