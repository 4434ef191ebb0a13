//! The only place that commits and rolls back what writes; and the audit entry that a write cannot do without.
//!
//! A begun transaction is the outermost one: SQLite refuses BEGIN IMMEDIATE within another, and a connection with one open never
//! comes out of the pool (`pool.rs`). A connection whose COMMIT or ROLLBACK failed is never used again. When a COMMIT has no answer,
//! the audit entry tells whether it was kept; when that cannot be asked either, the caller hears that nobody knows.

use cb_core::audit::Action;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

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
use crate::entities::{audit_entry, audit_head};
use crate::fault::{Fault, certainly_lost, db, is_unanswered, unanswered};
use crate::open::{HeadHeld, Store};
use crate::outbox::Audience;
use crate::pool::Condemned;
use crate::storage::Storage;
use crate::transaction::{Kind, Transaction, begin};

/// A connection, the beginning of its transaction and the other writes together take no longer.
const BEGIN: Duration = Duration::from_millis(2_500);
/// A COMMIT on PostgreSQL is waited for so long, and so is the flush behind it. After that nobody knows how it ends.
pub(crate) const COMMIT: Duration = Duration::from_secs(2);
/// Whoever has waited longer for the other writes waits less for the locks behind them.
const BRIEF: Duration = Duration::from_millis(300);

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

/// When what a transaction did is on the disk of PostgreSQL.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// When its COMMIT is answered, as for any other transaction.
    Committed,
    /// Only after a flush, which whoever commits must wait for ([`Store::is_durable`]).
    Flushed,
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
}

/// Why a transaction was not kept, or whether anybody knows.
enum NotKept {
    Certainly(DbErr),
    Perhaps(DbErr),
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

    fn broken(&self) -> Option<DbErr> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// An error after which the database has ended the transaction ends it here too, whatever becomes of the error: SQLite would
    /// keep each further statement by itself, and PostgreSQL answer the COMMIT with ROLLBACK and no error.
    async fn ran<T>(&self, statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
        if let Some(error) = self.broken() {
            return Err(error);
        }
        let done = statement.await;
        if let Err(error) = &done
            && (!self.store.is_sqlite() || Fault::of(error) != Fault::Query)
        {
            *self.broken.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
        }
        done
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

/// An open writing transaction. It cannot be committed from outside.
pub struct WriteTx {
    tx: Tx,
    action: Action,
    entity: Option<(&'static str, Uuid)>,
    detail: Value,
    more: Vec<Told>,
    events: Vec<Event>,
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
        self.events.push(event);
    }

    pub fn conn(&self) -> &impl ConnectionTrait {
        &self.tx
    }
}

impl Store {
    pub(crate) async fn begin_write(&self) -> Result<Tx> {
        self.look_for_file()?;
        self.begin_on(self.writer()).await.map_err(|error| {
            let error = db(error);
            self.met(&error);
            error
        })
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

    async fn begin_on(&self, pool: &Connections) -> Result<Tx, DbErr> {
        let begun = tokio::time::timeout(BEGIN, begin(pool, Kind::Write)).await;
        let begun = begun.unwrap_or_else(|_| Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)));
        let condemned = pool.inner().condemned().clone();
        Ok(Tx { inner: begun?, condemned, store: self.clone(), broken: Mutex::default(), head: None })
    }

    /// A beginning that waits for every write that is under way and holds up the next. It locks the head of the log too, for those
    /// who wait behind a commit ([`Self::begin_at_head`]).
    pub(crate) async fn begin_alone(&self, until: Until) -> Result<Tx> {
        self.begin_behind(async |tx| {
            if !self.is_sqlite() {
                tx.execute_unprepared(&gate(until, ALONE)).await.map_err(db)?;
            }
            tx.head = Some(self.holds_head());
            Ok(())
        })
        .await
    }

    /// A beginning that excludes writes that need everything, and those that need one of `rows`.
    async fn begin_with(&self, rows: &[Row]) -> Result<Tx> {
        if self.is_sqlite() {
            // It has one writer.
            return self.begin_alone(Until::Flushed).await;
        }
        self.begin_behind(async |tx| {
            tx.execute_unprepared(&gate(Until::Flushed, &lock_rows(rows))).await.map_err(db)?;
            Ok(())
        })
        .await
    }

    /// A beginning behind every commit that is under way: on PostgreSQL the head is locked until a commit has ended, whoever waits
    /// for it.
    pub(crate) async fn begin_at_head(&self) -> Result<(Tx, audit_head::Model)> {
        let mut head = None;
        let tx = self.begin_behind(async |tx| {
            head = Some(crate::audit::lock_head(tx).await?);
            tx.head = Some(self.holds_head());
            Ok(())
        });
        let tx = tx.await?;
        Ok((tx, head.ok_or_else(|| Error::Internal("no head".to_owned()))?))
    }

    async fn begin_behind(&self, others: impl AsyncFnOnce(&mut Tx) -> Result<()>) -> Result<Tx> {
        let began = Instant::now();
        let both = async {
            let mut tx = self.begin_write().await?;
            others(&mut tx).await?;
            if !self.is_sqlite() && began.elapsed() > BRIEF {
                let left = BEGIN.saturating_sub(began.elapsed()).max(BRIEF).as_millis();
                let sql = format!("SET LOCAL lock_timeout = {left}");
                tx.execute_unprepared(&sql).await.map_err(db)?;
            }
            Ok(tx)
        };
        tokio::time::timeout(BEGIN, both).await.unwrap_or_else(|_| {
            let error = db(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
            self.met(&error);
            Err(error)
        })
    }

    /// A reading transaction that sees one moment, however long it takes.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        begin(self.reader(), Kind::Snapshot).await.map_err(db)
    }

    /// Runs `work` and appends the audit entry in one transaction; gives back what `work` gave and the
    /// events to tell. Nothing is kept if either fails. No other write runs meanwhile.
    pub async fn write<T>(
        &self,
        audit: Audit<'_>,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T>,
    ) -> Result<(T, Vec<Event>)> {
        self.write_in(Box::pin(self.begin_alone(Until::Flushed)), audit, work).await
    }

    /// The same beside other such writes. `work` decides on nothing but `rows`, which are locked before it begins, on what only a
    /// write of its own kind changes, and on what the database itself keeps (a unique index, a reference).
    pub async fn write_rows<T>(
        &self,
        rows: &[Row],
        audit: Audit<'_>,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T>,
    ) -> Result<(T, Vec<Event>)> {
        self.write_in(Box::pin(self.begin_with(rows)), audit, work).await
    }

    async fn write_in<T>(
        &self,
        begin: Pin<Box<impl Future<Output = Result<Tx>>>>,
        audit: Audit<'_>,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T>,
    ) -> Result<(T, Vec<Event>)> {
        let done = self.try_write(begin, audit, work).await;
        if done.is_ok() && self.lost_file().is_some() {
            self.signals().doubt();
            // It is in the file that lost its name, which may come back.
            return Err(Error::OutcomeUnknown(
                "The database was removed or replaced while this was being saved. The change may or may not have been saved; check before you try again"
                    .to_owned(),
            ));
        }
        match &done {
            Ok(_) => self.watched().kept(),
            Err(error) => self.met(error),
        }
        done
    }

    async fn try_write<T>(
        &self,
        begin: Pin<Box<impl Future<Output = Result<Tx>>>>,
        audit: Audit<'_>,
        work: impl AsyncFnOnce(&mut WriteTx) -> Result<T>,
    ) -> Result<(T, Vec<Event>)> {
        let mut write = WriteTx {
            tx: begin.await?,
            action: audit.action,
            entity: None,
            detail: Value::Object(serde_json::Map::new()),
            more: Vec::new(),
            events: Vec::new(),
            audience: None,
        };
        // Dropping the transaction rolls it back, here and when the request is cancelled.
        let out = work(&mut write).await?;
        let WriteTx { tx, action, entity, detail, more, mut events, audience: _ } = write;
        let mut audit = Audit { action, ..audit };
        let (mut seq, mut hash) = crate::audit::append(&tx, &audit, entity, &detail).await?;
        events.push(Event::EntryAppended { seq });
        for told in more {
            audit.action = told.action;
            (seq, hash) = crate::audit::append(&tx, &audit, Some(told.entity), &told.detail).await?;
            events.push(Event::EntryAppended { seq });
        }
        // Counted however the commit ends: one that nobody has waited for may have happened.
        let counted = self.count_write();
        let ended = match tx.end(COMMIT).await {
            Ok(()) => Box::pin(self.is_durable(seq, &hash)).await.map_err(NotKept::Perhaps).and_then(there),
            ended => ended,
        };
        match ended {
            Ok(()) => {}
            Err(NotKept::Perhaps(error)) if Box::pin(self.was_kept(seq, &hash, &error)).await? => {}
            Err(NotKept::Perhaps(error) | NotKept::Certainly(error)) => return Err(db(error)),
        }
        drop(counted);
        Ok((out, events))
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

    /// Writes next to nothing, to see whether it is kept.
    pub(crate) async fn pulse(&self) -> Result<(), DbErr> {
        let tx = self.begin_on(self.lookout()).await?;
        if self.is_sqlite() {
            tx.execute_unprepared(PULSE).await?;
        } else {
            // As every write does before it ends.
            tx.execute_unprepared("SELECT seq FROM audit_head FOR UPDATE").await?;
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

/// The audited writes of a database, of whatever server: each holds this lock until it has ended, alone or with others. A number of
/// our own; the lock is one of the transaction, so it holds behind a pooler of connections too.
const ALONE: &str = "SELECT pg_advisory_xact_lock(4836519251); SELECT seq FROM audit_head FOR UPDATE";
const BESIDE: &str = "SELECT pg_advisory_xact_lock_shared(4836519251)";

/// In one exchange: the lock, and a COMMIT that does not wait for the disk. `is_durable` does, when the locks are free.
fn gate(until: Until, lock: &str) -> String {
    match until {
        Until::Flushed => format!("SET LOCAL synchronous_commit = off; {lock}"),
        Until::Committed => lock.to_owned(),
    }
}

/// A row that a write decides on. It is locked before the write's work begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// An asset that the write reads and changes or removes.
    Asset(Uuid),
    /// An asset that the write refers to: nobody changes or removes it meanwhile, and others may refer to it too.
    AssetStays(Uuid),
    Tag(Uuid),
}

impl Row {
    fn lock(self) -> (&'static str, &'static str, Uuid) {
        match self {
            Self::Asset(id) => ("assets", "UPDATE", id),
            Self::AssetStays(id) => ("assets", "KEY SHARE", id),
            Self::Tag(id) => ("tags", "UPDATE", id),
        }
    }
}

/// In the order of the ids, whoever asks: two writes never wait for each other in a circle. A row that is not there locks nothing.
fn lock_rows(rows: &[Row]) -> String {
    let mut kinds: BTreeMap<(&str, &str), BTreeSet<Uuid>> = BTreeMap::new();
    for (table, strength, id) in rows.iter().map(|row| row.lock()) {
        kinds.entry((table, strength)).or_default().insert(id);
    }
    let locks = kinds.into_iter().map(|((table, strength), ids)| {
        let ids = ids.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(",");
        format!("; SELECT id FROM {table} WHERE id IN ({ids}) ORDER BY id FOR {strength}")
    });
    std::iter::once(BESIDE.to_owned()).chain(locks).collect()
}

/// Changes nothing that anybody reads, and is written to the disk all the same.
const PULSE: &str = "PRAGMA user_version = 1";

fn unknown(error: &DbErr) -> Error {
    tracing::warn!(%error, "the database did not confirm a write");
    Error::OutcomeUnknown(
        "The database could not confirm that this was saved. The change may or may not have been saved; check before you try again".to_owned(),
    )
}
