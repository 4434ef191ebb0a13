//! The only place that commits and rolls back what writes; and the audit entry that a write cannot do without.
//!
//! A begun transaction is the outermost one: SQLite refuses BEGIN IMMEDIATE within another, and a connection with one open never
//! comes out of the pool (`pool.rs`, `transaction.rs`). A connection whose COMMIT or ROLLBACK failed is never used again. When a
//! COMMIT has no answer, the audit entry tells whether it was kept; when that cannot be asked either, the caller hears that nobody knows.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cb_core::audit::Action;
use cb_core::clock::Time;
use cb_core::ids::RequestId;
use cb_core::{Error, Event, Principal, Result};
use sea_orm::prelude::async_trait::async_trait;
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, ExecResult, QueryResult, Statement,
};
use serde_json::Value;
use uuid::Uuid;

use crate::bounded::{ANSWER, Bounded, Connections, Snapshot, in_time};
use crate::durable::Flushes;
use crate::entities::{audit_entry, audit_head};
use crate::fault::{Fault, certainly_lost, db, has_code, is_unanswered, unanswered};
use crate::locks::{self, Row, Until};
use crate::open::{HeadHeld, Store};
use crate::outbox::Audience;
use crate::pool::Condemned;
use crate::storage::Storage;
use crate::transaction::{Kind, Transaction, begin};

/// A connection, the beginning of its transaction and the other writes together take no longer.
const BEGIN: Duration = Duration::from_millis(2_500);
/// A COMMIT on PostgreSQL is waited for so long, and so is the flush behind it. After that nobody knows how it ends.
pub(crate) const COMMIT: Duration = Duration::from_secs(2);
/// Whoever has waited longer for one lock waits less for the next ones, so that all of them together end as [`BEGIN`] says.
const BRIEF: Duration = Duration::from_millis(400);
/// A lock of PostgreSQL is waited for so long, as the sessions of the pool are told.
const LOCK: Duration = Duration::from_secs(2);
/// The work of a write beside others waits so long for a lock that it did not take at its beginning: of a reference, or of a
/// name that another write takes at the same moment. It holds the lock of all writes meanwhile.
const WITHIN: Duration = Duration::from_millis(50);
/// A write that met a locked row begins again after about this time, and each time later, up to ...
const AGAIN: Duration = Duration::from_millis(4);
/// ... this.
const AGAIN_MOST: Duration = Duration::from_millis(120);

/// What the entry says besides what the closure adds.
pub struct Audit<'a> {
    pub action: Action,
    pub actor: &'a Principal,
    pub at: Time,
    /// None when no request asked for it.
    pub origin: Option<Origin>,
}

/// The request behind a write, and where it came from.
#[derive(Debug, Clone)]
pub struct Origin {
    pub request_id: RequestId,
    pub address: IpAddr,
    pub agent: String,
}

/// A transaction. Dropped, it is rolled back.
pub(crate) struct Tx {
    inner: Bounded<Transaction>,
    /// Its pool, should nobody know what became of it.
    condemned: Condemned,
    store: Store,
    /// Why nothing of it can be kept any more.
    broken: Mutex<Option<DbErr>>,
    head: Option<HeadHeld>,
    patience: Patience,
}

/// What ends a transaction's waits for locks. PostgreSQL bounds each wait, but a transaction has several, and so has a single statement:
/// for a row that others wait for too it waits for its turn and then for the row, each as long as one wait may last.
#[derive(Debug, Clone, Copy)]
enum Patience {
    /// The pool alone decides, for each wait.
    Each,
    /// At this time, together; any one statement may do much else.
    Locks(Instant),
    /// At this time, together; each statement does little, so it is ended as a whole.
    Statements(Instant),
}

/// Why a transaction was not kept, or whether anybody knows.
enum NotKept {
    Certainly(DbErr),
    Perhaps(DbErr),
}

/// Why a write was not kept.
enum Ended {
    /// It met a lock of another, and holds nothing any more: it may begin again.
    AtLock(DbErr),
    Otherwise(Error),
}

impl Ended {
    async fn at_lock(tx: Tx, error: DbErr) -> Self {
        // Without an answer the connection is closed, and with it what it has locked.
        let _ = tx.rollback().await;
        Self::AtLock(error)
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Otherwise(error)
    }
}

impl From<Ended> for Error {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::AtLock(error) => db(error),
            Ended::Otherwise(error) => error,
        }
    }
}

/// How long a lock is waited for, where that is less than for any lock.
fn shorter(left: Duration) -> Option<Duration> {
    (left < LOCK).then_some(left)
}

/// PostgreSQL's code for a lock that was not to be had in time.
const NO_LOCK: &str = "55P03";

/// Between half of it and all: those who met the same lock do not come back together.
fn somewhat_less(most: Duration) -> Duration {
    let random = RandomState::new().build_hasher().finish() % 1_000;
    most.mul_f64(0.5 + f64::from(u32::try_from(random).unwrap_or_default()) / 2_000.0)
}

impl Tx {
    /// Keeps what was done. What fails here and leaves the outcome open is [`Error::OutcomeUnknown`].
    pub async fn commit(self) -> Result<()> {
        self.commit_within(COMMIT).await
    }

    /// The same for a transaction that is large.
    pub async fn commit_patiently(self) -> Result<()> {
        self.commit_within(ANSWER).await
    }

    async fn commit_within(self, most: Duration) -> Result<()> {
        let store = self.store.clone();
        self.end(most).await.map_err(|why| {
            let told = match why {
                NotKept::Certainly(error) => db(error),
                NotKept::Perhaps(error) => unknown(&error),
            };
            store.met(&told);
            told
        })
    }

    async fn end(self, most: Duration) -> Result<(), NotKept> {
        if let Some(error) = self.broken() {
            return Err(NotKept::Certainly(error));
        }
        let (backend, signals) = (self.store.backend(), self.inner.signals().clone());
        let condemn = || self.condemned.now();
        let commit = self.inner.into_inner().commit();
        let Err(error) = in_time(backend, most, &signals, commit, condemn).await else {
            return Ok(());
        };
        condemn();
        Err(if certainly_lost(&error) { NotKept::Certainly(error) } else { NotKept::Perhaps(error) })
    }

    pub async fn rollback(self) -> Result<()> {
        let (backend, signals) = (self.store.backend(), self.inner.signals().clone());
        let condemn = || self.condemned.now();
        let rollback = self.inner.into_inner().rollback();
        let back = in_time(backend, COMMIT, &signals, rollback, condemn).await;
        back.inspect_err(|_| condemn()).map_err(db)
    }

    /// What another transaction has locked ended this one.
    fn met_lock(&self) -> Option<DbErr> {
        self.broken().filter(|error| has_code(error, &[NO_LOCK]))
    }

    fn broken(&self) -> Option<DbErr> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An error after which the database has ended the transaction ends it here too, whatever becomes of the error: SQLite would
    /// keep each further statement by itself, and PostgreSQL answer the COMMIT with ROLLBACK and no error.
    async fn ran<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        if let Some(error) = self.broken() {
            return Err(error);
        }
        let began = Instant::now();
        let mut done = statement.await;
        if done.is_ok() && began.elapsed() > BRIEF {
            done = self.hurry().await.and(done);
        }
        if let Err(error) = &done
            && (!self.store.is_sqlite() || Fault::of(error) != Fault::Query)
        {
            *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        done
    }

    /// How long the head of the log may be waited for, where this differs from other locks of the transaction.
    fn head_wait(&self) -> Option<Duration> {
        let Patience::Statements(until) = self.patience else { return None };
        Some(until.saturating_duration_since(Instant::now()).clamp(BRIEF, LOCK))
    }

    /// Whoever got one lock at the last moment would wait as long again for the next, and whoever waits for them longer still.
    async fn hurry(&self) -> Result<(), DbErr> {
        let (Patience::Locks(until) | Patience::Statements(until)) = self.patience else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now()).max(BRIEF).as_millis();
        let limit = match self.patience {
            // It waits for no lock for long, except for the head, and `append` says how long for that.
            Patience::Statements(_) => "statement_timeout",
            _ => "lock_timeout",
        };
        let sql = format!("SET LOCAL {limit} = {left}");
        self.inner.execute_unprepared(&sql).await.map(drop)
    }
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.ran(self.inner.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.ran(self.inner.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.ran(self.inner.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.ran(self.inner.query_all_raw(statement)).await
    }
}

/// One more audit entry of a write.
struct Told {
    action: Action,
    entity: (&'static str, Uuid),
    detail: Value,
}

/// What is to be told once a transaction has committed.
#[derive(Debug, Default)]
pub struct After {
    pub events: Vec<Event>,
    /// Kinds of jobs of which there are new ones.
    pub wakes: BTreeSet<&'static str>,
}

/// An open writing transaction. It cannot be committed from outside.
pub struct WriteTx {
    tx: Tx,
    action: Action,
    entity: Option<(&'static str, Uuid)>,
    detail: Value,
    more: Vec<Told>,
    after: After,
    pub(crate) audience: Option<Audience>,
}

impl WriteTx {
    /// What it turned out to be, when that is only known within.
    pub fn action(&mut self, action: Action) {
        self.action = action;
    }

    /// The thing that this write is about.
    pub fn about(&mut self, kind: &'static str, id: impl Into<Uuid>) {
        self.entity = Some((kind, id.into()));
    }

    /// What changed, for the reader of the audit log. Never a secret.
    pub fn detail(&mut self, detail: Value) {
        self.detail = detail;
    }

    /// An audit entry for one thing that this write does. If the whole write is that action, this is its entry; otherwise it is an
    /// entry of its own. Whoever looks for the action finds it, whatever caused it.
    pub fn tell(&mut self, action: Action, kind: &'static str, id: impl Into<Uuid>, detail: Value) {
        let id = id.into();
        if self.action == action && self.entity.is_none_or(|entity| entity == (kind, id)) {
            self.entity = Some((kind, id));
            self.detail = detail;
        } else {
            self.more.push(Told { action, entity: (kind, id), detail });
        }
    }

    /// To be told once the transaction has committed.
    pub fn emit(&mut self, event: Event) {
        self.after.events.push(event);
    }

    /// There are jobs of this kind for whoever does them.
    pub(crate) fn wake(&mut self, kind: &'static str) {
        self.after.wakes.insert(kind);
    }

    pub fn conn(&self) -> &impl ConnectionTrait {
        &self.tx
    }
}

impl Store {
    pub(crate) async fn begin_write(&self) -> Result<Tx> {
        Ok(self.begin_behind(Instant::now(), |_| Patience::Each, |_| String::new()).await?)
    }

    /// What was done to a file that has lost its name is gone when the server stops.
    fn look_for_file(&self) -> Result<()> {
        let Some(lost) = self.lost() else {
            if let Some(file) = self.file() {
                file.was_folded(false);
            }
            return Ok(());
        };
        if matches!(lost, Storage::LogRemoved { .. }) {
            // The next look tells what it costs.
            self.signals().doubt();
        } else {
            self.watched().set(lost);
        }
        Err(Error::Unavailable(lost.trouble().unwrap_or_default().to_owned()))
    }

    async fn begin_on(&self, pool: &Connections, first: impl FnOnce() -> String + Send) -> Result<Tx, DbErr> {
        Ok(Tx {
            inner: begin(pool, Kind::Write, first).await?,
            condemned: pool.inner().condemned().clone(),
            store: self.clone(),
            broken: Mutex::default(),
            head: None,
            patience: Patience::Each,
        })
    }

    /// A beginning that waits for every write that is under way and holds up the next. It locks the head of the log too, for those
    /// who wait behind a commit ([`Self::begin_at_head`]).
    pub(crate) async fn begin_alone(&self, until: Until) -> Result<Tx> {
        let first = |left| locks::alone(until, shorter(left));
        let mut tx = self.begin_behind(Instant::now(), Patience::Locks, first).await?;
        tx.head = Some(self.holds_head());
        Ok(tx)
    }

    /// A beginning that excludes writes that need everything, and those that need one of `rows`. Where another has locked one of
    /// these, it has ended ([`Ended::AtLock`]).
    async fn begin_with(&self, began: Instant, rows: &[Row]) -> Result<Tx, Ended> {
        self.begin_behind(began, Patience::Statements, |left| locks::beside(rows, left, WITHIN)).await
    }

    /// A beginning behind every commit that is under way: on PostgreSQL the head is locked until a commit has ended, whoever waits
    /// for it.
    pub(crate) async fn begin_at_head(&self) -> Result<(Tx, audit_head::Model)> {
        let first = |left| locks::head(shorter(left));
        let mut tx = self.begin_behind(Instant::now(), Patience::Locks, first).await?;
        tx.head = Some(self.holds_head());
        let head = crate::audit::locked_head(&tx).await?;
        Ok((tx, head))
    }

    /// A beginning with the locks of `first`, which is told how long it may take. All waits since `began` end together.
    async fn begin_behind(
        &self,
        began: Instant,
        patience: impl FnOnce(Instant) -> Patience,
        first: impl FnOnce(Duration) -> String + Send,
    ) -> Result<Tx, Ended> {
        self.look_for_file()?;
        let left = || BEGIN.saturating_sub(began.elapsed());
        let all = async {
            let mut tx = self.begin_on(self.writer(), || first(left().max(BRIEF))).await?;
            if !self.is_sqlite() {
                tx.patience = patience(began + BEGIN);
            }
            if began.elapsed() > BRIEF {
                tx.hurry().await?;
            }
            Ok(tx)
        };
        let all = tokio::time::timeout(left(), all).await;
        all.unwrap_or_else(|_| Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))).map_err(|error| {
            if has_code(&error, &[NO_LOCK]) {
                return Ended::AtLock(error);
            }
            let error = db(self.signals().no_connection(error));
            self.met(&error);
            Ended::Otherwise(error)
        })
    }

    /// A reading transaction that sees one moment, however long it takes.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        begin(self.reader(), Kind::Snapshot, String::new).await.map_err(db)
    }

    /// Runs `work` and appends the audit entry in one transaction; gives back what `work` gave and
    /// what to tell. Nothing is kept if either fails. No other write runs meanwhile.
    pub async fn write<T>(
        &self,
        audit: Audit<'_>,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T>,
    ) -> Result<(T, After)> {
        let begin = Box::pin(async { Ok(self.begin_alone(Until::Flushed).await?) });
        let written = async { self.try_write(begin, &audit, work).await.map_err(Error::from) };
        self.noted(Box::pin(written)).await
    }

    /// The same beside other such writes. `work` decides on nothing but `rows`, which are locked before it begins, on what only a
    /// write of its own kind changes, and on what the database itself keeps (a unique index, a reference). It runs again when it
    /// meets a lock of another, so it does nothing that a rollback does not take back.
    pub async fn write_rows<T>(
        &self,
        rows: &[Row],
        audit: Audit<'_>,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T> + Clone,
    ) -> Result<(T, After)> {
        if self.is_sqlite() {
            // It has one writer.
            return self.write(audit, work).await;
        }
        self.noted(Box::pin(self.write_beside(rows, &audit, work))).await
    }

    /// Whoever waits for a row holds neither the lock of all writes nor a connection: it would stop the writes that run alone, and
    /// these would stop all others.
    async fn write_beside<T>(
        &self,
        rows: &[Row],
        audit: &Audit<'_>,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T> + Clone,
    ) -> Result<(T, After)> {
        let began = Instant::now();
        let mut most = AGAIN;
        loop {
            let ended =
                match self.try_write(Box::pin(self.begin_with(began, rows)), audit, work.clone()).await {
                    Ok(done) => return Ok(done),
                    Err(ended) => ended,
                };
            let pause = somewhat_less(most);
            if matches!(ended, Ended::Otherwise(_)) || began.elapsed() + pause >= BEGIN {
                return Err(ended.into());
            }
            tokio::time::sleep(pause).await;
            most = AGAIN_MOST.min(most * 2);
        }
    }

    async fn noted<T>(&self, written: impl Future<Output = Result<(T, After)>>) -> Result<(T, After)> {
        let since = Instant::now();
        let mut done = written.await;
        if done.is_ok() && self.lost_file().is_some() {
            // It is in the file that lost its name, which may come back.
            done = Err(Error::OutcomeUnknown(
                "The database was removed or replaced while this was being saved. The change may or may not have been saved; check before you try again"
                    .to_owned(),
            ));
        }
        self.written().ended(&done, since.elapsed());
        match &done {
            Ok(_) => self.watched().kept(),
            Err(error) => self.met(error),
        }
        done
    }

    async fn try_write<T>(
        &self,
        begin: Pin<Box<impl Future<Output = Result<Tx, Ended>>>>,
        audit: &Audit<'_>,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T>,
    ) -> Result<(T, After), Ended> {
        let tx = begin.await?;
        let mut write = WriteTx {
            tx,
            action: audit.action,
            entity: None,
            detail: Value::Object(serde_json::Map::new()),
            more: Vec::new(),
            after: After::default(),
            audience: None,
        };
        // Dropping the transaction rolls it back, here and when the request is cancelled.
        let worked = work(&mut write).await;
        let WriteTx { tx, action, entity, detail, more, mut after, audience: _ } = write;
        if let Some(error) = tx.met_lock() {
            return Err(Ended::at_lock(tx, error).await);
        }
        let out = worked?;
        let mut audit = Audit { action, origin: audit.origin.clone(), ..*audit };
        let head_wait = tx.head_wait();
        let coming = self.flushes().map(Flushes::coming);
        let (mut seq, mut hash) = crate::audit::append(&tx, &audit, entity, &detail, head_wait).await?;
        after.events.push(Event::EntryAppended { seq });
        for told in more {
            audit.action = told.action;
            (seq, hash) =
                crate::audit::append(&tx, &audit, Some(told.entity), &told.detail, head_wait).await?;
            after.events.push(Event::EntryAppended { seq });
        }
        // Counted however the commit ends: one that nobody has waited for may have happened.
        let counted = self.count_write();
        let ended = match tx.end(COMMIT).await {
            Ok(()) => {
                let flush = self.flushes().map(|flushes| flushes.join(seq));
                drop(coming);
                Box::pin(self.flushed(flush, seq, &hash)).await.map_err(NotKept::Perhaps).and_then(there)
            }
            ended => ended,
        };
        match ended {
            Ok(()) => {}
            Err(NotKept::Perhaps(error)) if Box::pin(self.was_kept(seq, &hash, &error)).await? => {}
            Err(NotKept::Perhaps(error) | NotKept::Certainly(error)) => return Err(db(error).into()),
        }
        drop(counted);
        Ok((out, after))
    }

    /// Whether the entry is there, behind every commit that is still under way.
    async fn was_kept(&self, seq: i64, hash: &str, error: &DbErr) -> Result<bool> {
        if self.is_away() || is_unanswered(error) {
            return Err(unknown(error));
        }
        let ask = async {
            // On PostgreSQL the head is held by a commit that goes on without us.
            let (tx, _) = self.begin_at_head().await?;
            if self.is_sqlite() {
                // A log that could not be flushed may hold the whole transaction: this one is written over it.
                tx.execute_unprepared(PULSE).await.map_err(db)?;
            }
            let found = audit_entry::Entity::find_by_id(seq).one(&tx).await.map_err(db)?;
            if self.is_sqlite() {
                tx.commit().await?;
            } else {
                tx.rollback().await?;
            }
            Ok::<_, Error>(
                found.is_some_and(|row| row.hash == hash) && self.is_durable(seq, hash).await.map_err(db)?,
            )
        };
        ask.await.map_err(|_| unknown(error))
    }

    /// Writes next to nothing, to see whether it is kept; behind a full disk as much as some writes need, which is gone again.
    pub(crate) async fn pulse(&self, was_full: bool) -> Result<(), DbErr> {
        let begun = tokio::time::timeout(BEGIN, self.begin_on(self.lookout(), String::new)).await;
        let tx = begun.map_err(|_| DbErr::ConnectionAcquire(ConnAcquireErr::Timeout))??;
        if self.is_sqlite() {
            tx.execute_unprepared(PULSE).await?;
        } else {
            // As every write does before it ends. The head comes last: whoever has it keeps the others waiting.
            tx.execute_unprepared(locks::LOG).await?;
            if was_full {
                tx.execute_unprepared(TAKES_ROOM).await?;
            }
            tx.execute_unprepared(&locks::head(None)).await?;
            tx.execute_unprepared("UPDATE settings SET version = version WHERE id = 1").await?;
        }
        tx.end(COMMIT).await.map_err(|(NotKept::Certainly(error) | NotKept::Perhaps(error))| error)
    }
}

/// What a commit that was answered, and then flushed, has left.
fn there(there: bool) -> Result<(), NotKept> {
    let gone = || unanswered("the database has crashed before the write was on its disk".to_owned());
    there.then_some(()).ok_or_else(|| NotKept::Certainly(gone()))
}

/// Changes nothing that anybody reads, and is written to the disk all the same.
const PULSE: &str = "PRAGMA user_version = 1";

/// Takes about as much room as `ROOM` in `file.rs`, until the transaction ends. A small write proves no room: it fits into a page that is
/// there. A user of PostgreSQL who may make no temporary tables proves nothing more.
const TAKES_ROOM: &str = "
    DO $$ BEGIN
        IF has_database_privilege(current_database(), 'TEMP') THEN
            SET LOCAL temp_tablespaces = '';
            CREATE TEMP TABLE circuit_breaker_room ON COMMIT DROP AS
                SELECT repeat(md5(n::text), 60) AS filler FROM generate_series(1, 512) n;
        END IF;
    END $$";

fn unknown(error: &DbErr) -> Error {
    tracing::warn!(%error, "the database did not confirm a write");
    Error::OutcomeUnknown(
        "The database could not confirm that this was saved. The change may or may not have been saved; check before you try again".to_owned(),
    )
}
