//! The queue of jobs, as a writing transaction sees it: a job is there if and only if its cause was kept, and what a job does is kept
//! only as long as its worker holds it.

use cb_core::clock::Time;
use cb_core::{Error, Result};
use chrono::{DateTime, TimeDelta};
use sea_orm::sea_query::{Expr, ExprTrait as _, LockType, OnConflict, Query, SimpleExpr};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, IdenStatic as _,
    IntoActiveModel as _, QueryFilter as _, QuerySelect as _, Select,
};
use serde_json::Value;
use uuid::Uuid;

use crate::clock;
use crate::entities::job::{self, Column, Entity};
use crate::fault::{conflict, db};
use crate::write::WriteTx;

/// Bytes of a payload. What is larger belongs into a table, and its id into the payload.
pub const PAYLOAD_MOST: usize = 4_096;
/// Characters of a key, and of a reason.
const TEXT_MOST: usize = 1_000;

/// Whoever wants to write for a job shows it. It is good until the job is claimed again, given back or ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub id: Uuid,
    pub owner: String,
    pub fence: i64,
}

impl Hold {
    /// The row while it is held. An earlier version claims without raising the fence, but puts down its name.
    pub(crate) fn row(&self) -> SimpleExpr {
        Column::Id
            .eq(self.id)
            .and(Column::Fence.eq(self.fence))
            .and(Column::LeaseOwner.eq(self.owner.as_str()))
            .and(is(RUNNING))
    }

    /// The same as a condition of a change elsewhere. The row is locked until the change is kept, so that nobody claims it meanwhile.
    pub(crate) fn stands(&self) -> SimpleExpr {
        let mut row = Query::select();
        row.expr(Expr::val(1)).from(Entity).and_where(self.row()).lock(LockType::Update);
        Expr::exists(row)
    }
}

/// What becomes a job.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub id: Uuid,
    pub kind: &'static str,
    /// No second job with this key waits or runs.
    pub key: Option<String>,
    pub payload: Value,
    /// The higher, the sooner.
    pub priority: i32,
    /// It begins no sooner.
    pub after: TimeDelta,
    /// Whose workers do it. Empty: those of the main site. None: any worker.
    pub place: Option<String>,
    pub created_at: Time,
}

/// Which jobs a worker does: those of a kind that any worker does, and those of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duty<'a> {
    pub kind: &'a str,
    /// Empty for the main site.
    pub place: &'a str,
}

impl Duty<'_> {
    pub(crate) fn fits(self) -> SimpleExpr {
        Column::Kind.eq(self.kind).and(Column::Place.is_null().or(Column::Place.eq(self.place)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    New,
    /// A job with this key waits or runs already.
    Already,
    /// As many of its kind wait at its place as may.
    Full,
}

/// How a job ends.
#[derive(Debug, Clone, Copy)]
pub enum End<'a> {
    Done,
    Dead { at: Time, reason: &'a str },
}

/// Which of the jobs that may begin comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The highest priority, and of those the one that was made first.
    Priority,
    /// The one that was made first, whatever its priority.
    Age,
}

/// The time of a job that may begin at any moment. No clock is before it, wherever the job was made.
pub(crate) const ANY_TIME: Time = DateTime::UNIX_EPOCH;

/// The words of the first schema, which the version before uses beside this one.
pub(crate) const WAITING: &str = "queued";
pub(crate) const RUNNING: &str = "running";
pub(crate) const DEAD: &str = "failed";
/// Written by the version before.
pub(crate) const DONE: &str = "done";

/// Written out: a partial index is used where its very words stand.
pub(crate) fn is(state: &'static str) -> SimpleExpr {
    Column::State.into_expr().eq(Expr::cust(format!("'{state}'")))
}

/// The times of a row of jobs. PostgreSQL also has times that are no time (`infinity`), and some that no calendar here has; somebody
/// may have written one by hand. The driver panics at them, so they are asked for nowhere.
const TIMES: [Column; 4] = [Column::CreatedAt, Column::NotBefore, Column::FinishedAt, Column::LeaseUntil];

/// Whether a time can be read. Both databases compare these words with a time.
pub(crate) fn can_be_read(column: Column) -> SimpleExpr {
    let name = column.as_str();
    Expr::cust(format!("({name} BETWEEN '0001-01-01T00:00:00+00:00' AND '9999-12-31T00:00:00+00:00')"))
}

/// Whether one of the times of a job cannot be read.
pub(crate) fn is_unreadable() -> SimpleExpr {
    TIMES
        .map(|column| column.is_not_null().and(can_be_read(column).not()))
        .into_iter()
        .reduce(SimpleExpr::or)
        .unwrap_or_else(|| Expr::val(false))
}

/// Jobs that were given up.
pub fn dead_jobs() -> Select<Entity> {
    Entity::find().filter(is(DEAD)).filter(is_unreadable().not())
}

/// A reason as it is kept: one line of bounded length.
pub(crate) fn shortened(reason: &str) -> String {
    reason.chars().map(|c| if c.is_control() { ' ' } else { c }).take(TEXT_MOST).collect()
}

impl WriteTx {
    /// Makes a job, unless its key is taken or `most` of its kind wait at its place. Transactions beside this one may overstep `most` by their own.
    pub async fn enqueue(&mut self, new: NewJob, most: u64) -> Result<Enqueued> {
        let payload = new.payload.to_string().len();
        let key = new.key.as_ref().map_or(0, |key| key.chars().count());
        if payload > PAYLOAD_MOST || key > TEXT_MOST {
            let kind = new.kind;
            return Err(Error::Internal(format!(
                "a job {kind} with {payload} bytes and a key of {key} characters"
            )));
        }
        if let Some(key) = &new.key
            && self.is_taken(key).await?
        {
            return Ok(Enqueued::Already);
        }
        if self.is_full(new.kind, new.place.as_deref(), most).await? {
            return Ok(Enqueued::Full);
        }
        let not_before = if new.after > TimeDelta::zero() {
            clock::read(self.conn(), new.created_at).await? + new.after
        } else {
            ANY_TIME
        };
        let row = job::Model {
            id: new.id,
            kind: new.kind.to_owned(),
            dedup_key: new.key,
            payload: new.payload,
            state: WAITING.to_owned(),
            attempts: 0,
            lease_owner: None,
            lease_until: None,
            last_error: None,
            created_at: new.created_at,
            finished_at: None,
            priority: new.priority,
            not_before,
            fence: 0,
            place: new.place,
        };
        // A transaction beside this one may have taken the key since: the index decides.
        let made = Entity::insert(row.into_active_model().reset_all())
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(self.conn())
            .await
            .map_err(db)?;
        if made == 0 {
            return Ok(Enqueued::Already);
        }
        self.wake(new.kind);
        Ok(Enqueued::New)
    }

    async fn is_taken(&self, key: &str) -> Result<bool> {
        let same = Entity::find().select_only().column(Column::Id).filter(Column::DedupKey.eq(key));
        let same = same.filter(is(WAITING).or(is(RUNNING))).into_tuple::<Uuid>();
        Ok(same.one(self.conn()).await.map_err(db)?.is_some())
    }

    async fn is_full(&self, kind: &str, place: Option<&str>, most: u64) -> Result<bool> {
        let Some(last) = most.checked_sub(1) else { return Ok(true) };
        let there = place.map_or_else(|| Column::Place.is_null(), |place| Column::Place.eq(place));
        let waiting: Option<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::Kind.eq(kind))
            .filter(there)
            .filter(is(WAITING))
            .offset(last)
            .limit(1)
            .into_tuple()
            .one(self.conn())
            .await
            .map_err(db)?;
        Ok(waiting.is_some())
    }

    /// Whether the job is still its worker's. If it is, nobody takes it before this transaction has ended.
    pub async fn holds(&self, hold: &Hold) -> Result<bool> {
        let row = Entity::find().select_only().column(Column::Id).filter(hold.row()).lock(LockType::Update);
        let row = row.into_tuple::<Uuid>();
        Ok(row.one(self.conn()).await.map_err(db)?.is_some())
    }

    /// Ends a job together with what it did. One that is another worker's now, or has ended, is left alone; answers whether it was
    /// this one's.
    pub async fn end_job(&mut self, hold: &Hold, end: End<'_>) -> Result<bool> {
        let rows = match end {
            End::Done => {
                Entity::delete_many().filter(hold.row()).exec(self.conn()).await.map_err(db)?.rows_affected
            }
            End::Dead { at, reason } => {
                let mut bury = bury(at, reason);
                bury.and_where(hold.row());
                self.conn().execute(&bury).await.map_err(db)?.rows_affected()
            }
        };
        Ok(rows == 1)
    }

    /// Removes a job whatever its state. A worker that holds it can write nothing for it any more.
    pub async fn remove_job(&mut self, id: Uuid) -> Result<()> {
        Entity::delete_by_id(id).exec(self.conn()).await.map_err(db)?;
        Ok(())
    }

    /// Removes a job that no worker holds; answers whether there is none any more.
    pub async fn remove_idle_job(&mut self, id: Uuid, now: Time) -> Result<bool> {
        let until = || Column::LeaseUntil.into_expr();
        let idle = is(RUNNING).not().or(until().is_null()).or(until().lte(clock::now(self.conn(), now)));
        let idle = Entity::delete_many().filter(Column::Id.eq(id)).filter(idle);
        idle.exec(self.conn()).await.map_err(db)?;
        let left = Entity::find_by_id(id).select_only().column(Column::Id).into_tuple::<Uuid>();
        Ok(left.one(self.conn()).await.map_err(db)?.is_none())
    }

    /// The dead letter of this id, for [`Self::retry_dead_job`] and [`Self::remove_job`].
    pub async fn dead_job(&self, id: Uuid) -> Result<job::Model> {
        let row = dead_jobs().filter(Column::Id.eq(id)).lock(LockType::Update);
        row.one(self.conn()).await.map_err(db)?.ok_or(Error::NotFound)
    }

    /// Lets a dead letter wait again, with all its attempts before it.
    pub async fn retry_dead_job(&mut self, row: &job::Model, kind: &'static str, most: u64) -> Result<()> {
        if self.is_full(kind, row.place.as_deref(), most).await? {
            return Err(Error::Conflict(format!(
                "{most} jobs of this kind are already waiting. Try again later."
            )));
        }
        Entity::update_many()
            .col_expr(Column::State, Expr::value(WAITING))
            .col_expr(Column::Attempts, Expr::value(0))
            .col_expr(Column::NotBefore, Expr::value(ANY_TIME))
            .col_expr(Column::LastError, Expr::value(None::<String>))
            .col_expr(Column::FinishedAt, Expr::value(None::<Time>))
            .filter(Column::Id.eq(row.id))
            .exec(self.conn())
            .await
            .map_err(|e| conflict(&e, "The same job is already waiting or running."))?;
        self.wake(kind);
        Ok(())
    }
}

/// A job becomes a dead letter.
pub(crate) fn bury(at: Time, reason: &str) -> sea_orm::sea_query::UpdateStatement {
    let mut update = Query::update();
    update
        .table(Entity)
        .value(Column::State, DEAD)
        .value(Column::LastError, shortened(reason))
        .value(Column::FinishedAt, at)
        .value(Column::LeaseOwner, None::<String>)
        .value(Column::LeaseUntil, None::<Time>);
    update
}
