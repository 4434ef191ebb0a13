//! The steps of a job between its making and its end. Each is one statement, so that it works behind a pooler of connections, and many
//! jobs go through one together. Times are those of the clock that all servers share ([`crate::clock`]); `now` is only SQLite's.
//!
//! A worker claims a job until some time, renews that, and ends it. Another may claim it again only after [`Store::take_back_jobs`] has
//! found its lease over. Each claim raises the fence: a worker that was late holds an old one, and can neither renew, end nor write.

use cb_core::Result;
use cb_core::clock::{SKEW, Time};
use chrono::TimeDelta;
use sea_orm::sea_query::{
    self, CommonTableExpression, Expr, ExprTrait as _, Func, LockBehavior, LockType, Query, SelectStatement,
    SimpleExpr, UpdateStatement, WithClause,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, QueryResult, QuerySelect as _,
};
use serde_json::json;
use uuid::Uuid;

use crate::clock;
use crate::entities::job::{Column, Entity, Model};
use crate::fault::db;
use crate::open::Store;
use crate::queue::{
    ANY_TIME, DEAD, DONE, Duty, Hold, Order, RUNNING, WAITING, bury, can_be_read, dead_jobs, is,
    is_unreadable, shortened,
};

/// Holds that one statement names. SQLite takes no deeper expression than 1,000.
const TOGETHER: usize = 200;
/// Dead letters removed at a time.
const SWEPT: u64 = 500;
const UNREADABLE: &str = "The server could not read this job. Another version may have written it";
/// Most jobs may begin at any time, so at least since they were made.
const DUE_SINCE: &str = "CASE WHEN not_before > created_at THEN not_before ELSE created_at END";

/// How many jobs of a kind are in which state.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct JobCount {
    pub kind: String,
    /// As it is stored; [`JobCount::waiting`] and the like know the words.
    state: String,
    pub count: i64,
    /// The earliest time from which one of them may begin, of those whose times can be read.
    pub due_since: Option<Time>,
}

impl JobCount {
    pub fn is_waiting(&self) -> bool {
        self.state == WAITING
    }

    pub fn is_running(&self) -> bool {
        self.state == RUNNING
    }

    pub fn is_dead(&self) -> bool {
        self.state == DEAD
    }
}

/// When there is something to do for a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JobsAhead {
    /// After this time the first job that waits may begin. Nothing waits if absent.
    pub due_in: Option<TimeDelta>,
    /// A lease is over.
    pub over: bool,
}

impl Store {
    /// Takes up to `most` jobs of `duty` that may begin now, those that come first in `order`, and holds them for `lease`. One that
    /// cannot be read becomes a dead letter and keeps nobody from the others.
    pub async fn claim_jobs(
        &self,
        (duty, order): (Duty<'_>, Order),
        owner: &str,
        (now, lease): (Time, TimeDelta),
        most: u64,
    ) -> Result<Vec<Model>> {
        let conn = self.writer();
        let mut found = Query::select();
        found
            .column(Column::Id)
            .from(Entity)
            .and_where(duty.fits())
            .and_where(is(WAITING))
            .and_where(Column::NotBefore.into_expr().lte(clock::now(conn, now)));
        if order == Order::Priority {
            found.order_by(Column::Priority, sea_query::Order::Desc);
        }
        // Ids are made in the order of time, to the millisecond.
        found.order_by(Column::Id, sea_query::Order::Asc).limit(most);
        let mut update = Query::update();
        update
            .table(Entity)
            .value(Column::State, RUNNING)
            .value(Column::LeaseOwner, owner)
            .value(Column::LeaseUntil, clock::later(conn, now, lease))
            .value(Column::Attempts, one_more())
            .value(Column::Fence, Expr::col(Column::Fence).add(1))
            // Where they cannot be read: a job is taken as if it had been made now.
            .value(Column::CreatedAt, readable(Column::CreatedAt, clock::now(conn, now)))
            .value(Column::NotBefore, readable(Column::NotBefore, Expr::val(ANY_TIME)))
            .value(Column::FinishedAt, None::<Time>)
            .returning_all();
        let mut rows = Vec::new();
        for row in conn.query_all(&of_those(found, update)).await.map_err(db)? {
            match Model::from_query_result(&row, "") {
                Ok(row) => rows.push(row),
                Err(error) => {
                    let kind = duty.kind;
                    tracing::error!(kind, %error, "a job could not be read; it is among the dead letters");
                    if let Err(error) = self.bury_unreadable(&row, owner, now).await {
                        tracing::error!(kind, %error, "a job that cannot be read could not be put among the dead letters");
                    }
                }
            }
        }
        // No database answers an UPDATE in an order.
        rows.sort_by_key(|row| {
            ((order == Order::Priority).then_some(std::cmp::Reverse(row.priority)), row.id)
        });
        Ok(rows)
    }

    /// With something readable in place of all that may not be, so that dead letters can be listed.
    async fn bury_unreadable(&self, row: &QueryResult, owner: &str, now: Time) -> Result<()> {
        let id: Uuid = row.try_get("", "id").map_err(db)?;
        let mut update = bury(now, UNREADABLE);
        update
            .value(Column::Payload, json!({}))
            .value(Column::DedupKey, None::<String>)
            .value(Column::Priority, 0)
            .value(Column::NotBefore, ANY_TIME)
            .value(Column::CreatedAt, now)
            .and_where(Column::Id.eq(id))
            .and_where(Column::LeaseOwner.eq(owner))
            .and_where(is(RUNNING));
        self.writer().execute(&update).await.map_err(db)?;
        Ok(())
    }

    /// Lets jobs wait again whose worker has let its lease run out. A lease that ends later than `lease` from now was taken before the
    /// clock was set back: it is over too. Never one of `mine`, which the caller works on.
    pub async fn take_back_jobs(
        &self,
        kind: &str,
        (now, lease): (Time, TimeDelta),
        mine: &[Uuid],
    ) -> Result<u64> {
        let conn = self.writer();
        let (at, furthest) = (clock::now(conn, now), clock::later(conn, now, lease + SKEW));
        let mut found = Query::select();
        found.column(Column::Id).from(Entity).and_where(over(kind, at, furthest, mine));
        let taken = of_those(found, wait_again());
        Ok(conn.execute(&taken).await.map_err(db)?.rows_affected())
    }

    /// Only reads.
    pub async fn jobs_ahead(&self, duty: Duty<'_>, (now, lease): (Time, TimeDelta)) -> Result<JobsAhead> {
        let conn = self.reader();
        let first: Option<(Option<Time>,)> = Entity::find()
            .select_only()
            .column_as(Column::NotBefore.min(), "due_at")
            .filter(duty.fits())
            .filter(is(WAITING))
            .filter(can_be_read(Column::NotBefore))
            .into_tuple()
            .one(conn)
            .await
            .map_err(db)?;
        let (at, furthest) = (clock::now(conn, now), clock::later(conn, now, lease + SKEW));
        let late: Option<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(over(duty.kind, at, furthest, &[]))
            .into_tuple()
            .one(conn)
            .await
            .map_err(db)?;
        let due_in = match first.and_then(|(at,)| at) {
            Some(at) if at > ANY_TIME => Some(at - clock::read(conn, now).await?),
            Some(_) => Some(TimeDelta::zero()),
            None => None,
        };
        Ok(JobsAhead { due_in, over: late.is_some() })
    }

    /// Holds jobs for `lease` from now; answers which are still their worker's.
    pub async fn renew_jobs(&self, holds: &[Hold], (now, lease): (Time, TimeDelta)) -> Result<Vec<Uuid>> {
        let (conn, mut kept) = (self.writer(), Vec::new());
        for some in holds.chunks(TOGETHER) {
            let mut update = Query::update();
            update
                .table(Entity)
                .value(Column::LeaseUntil, clock::later(conn, now, lease))
                .and_where(any(some));
            update.returning(Query::returning().column(Column::Id));
            for row in conn.query_all(&update).await.map_err(db)? {
                kept.push(row.try_get_by_index(0).map_err(db)?);
            }
        }
        Ok(kept)
    }

    /// Ends jobs that are done; answers how many still were their worker's.
    pub async fn finish_jobs(&self, holds: &[Hold]) -> Result<u64> {
        let mut gone = 0;
        for some in holds.chunks(TOGETHER) {
            let done = Entity::delete_many().filter(any(some)).exec(self.writer()).await.map_err(db)?;
            gone += done.rows_affected;
        }
        Ok(gone)
    }

    /// Gives back jobs that have not begun, or that their worker cannot go on with; another may begin after `wait`. The attempt does
    /// not count.
    pub async fn give_back_jobs(&self, holds: &[Hold], (now, wait): (Time, TimeDelta)) -> Result<u64> {
        let (conn, mut back) = (self.writer(), 0);
        for some in holds.chunks(TOGETHER) {
            let mut update = wait_again();
            update.value(Column::Attempts, one_less()).and_where(any(some));
            if wait > TimeDelta::zero() {
                update.value(Column::NotBefore, clock::later(conn, now, wait));
            }
            back += conn.execute(&update).await.map_err(db)?.rows_affected();
        }
        Ok(back)
    }

    /// Lets a job wait for its next attempt.
    pub async fn retry_job(&self, hold: &Hold, (now, wait): (Time, TimeDelta), reason: &str) -> Result<bool> {
        let conn = self.writer();
        let mut update = wait_again();
        update
            .value(Column::NotBefore, clock::later(conn, now, wait))
            .value(Column::LastError, shortened(reason))
            .and_where(hold.row());
        Ok(conn.execute(&update).await.map_err(db)?.rows_affected() == 1)
    }

    /// Makes a job a dead letter.
    pub async fn fail_job(&self, hold: &Hold, at: Time, reason: &str) -> Result<bool> {
        let mut update = bury(at, reason);
        update.and_where(hold.row());
        Ok(self.writer().execute(&update).await.map_err(db)?.rows_affected() == 1)
    }

    /// Whether the job is still its worker's, at this moment.
    pub async fn is_held(&self, hold: &Hold) -> Result<bool> {
        let row = Entity::find().select_only().column(Column::Id).filter(hold.row()).into_tuple::<Uuid>();
        Ok(row.one(self.reader()).await.map_err(db)?.is_some())
    }

    /// At the start of a server: what its last run had taken waits again. Without a name the server has the database to itself,
    /// and that is everything.
    pub async fn release_jobs_of(&self, server: Option<&str>) -> Result<u64> {
        let mut update = wait_again();
        update.and_where(is(RUNNING));
        if let Some(server) = server {
            update.and_where(Column::LeaseOwner.starts_with(format!("{server}/")));
        }
        Ok(self.writer().execute(&update).await.map_err(db)?.rows_affected())
    }

    /// Removes dead letters from before `before`, of each kind those behind the newest `keep`, and what the version before has left when
    /// it was done; at most some hundreds, the next call takes the rest.
    pub async fn sweep_jobs(&self, before: Time, keep: u64) -> Result<u64> {
        self.mend_times(before).await?;
        let mut old = is(DONE).or(is(DEAD).and(Column::FinishedAt.lte(before)));
        for kind in self.job_counts().await?.into_iter().filter(JobCount::is_dead) {
            let surplus: Option<Option<Time>> = dead_jobs()
                .select_only()
                .column(Column::FinishedAt)
                .filter(Column::Kind.eq(&kind.kind))
                .order_by_desc(Column::FinishedAt)
                .offset(keep)
                .limit(1)
                .into_tuple()
                .one(self.reader())
                .await
                .map_err(db)?;
            if let Some(at) = surplus.flatten() {
                old = old.or(is(DEAD).and(Column::Kind.eq(kind.kind)).and(Column::FinishedAt.lte(at)));
            }
        }
        let old: Vec<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(old)
            .limit(SWEPT)
            .into_tuple()
            .all(self.reader())
            .await
            .map_err(db)?;
        if old.is_empty() {
            return Ok(0);
        }
        // An administrator may have let one wait again since.
        let gone = Entity::delete_many()
            .filter(Column::Id.is_in(old))
            .filter(is(DONE).or(is(DEAD)))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(gone.rows_affected)
    }

    /// Times that cannot be read become readable ones: a job that waits may begin, and a dead letter is as
    /// old as this moment. Until then it stops no other job.
    async fn mend_times(&self, before: Time) -> Result<()> {
        let any =
            Entity::find().select_only().column(Column::Id).filter(is_unreadable()).into_tuple::<Uuid>();
        if any.one(self.reader()).await.map_err(db)?.is_none() {
            return Ok(());
        }
        let now = || clock::now(self.writer(), before);
        let mended = Entity::update_many()
            .col_expr(Column::CreatedAt, readable(Column::CreatedAt, now()))
            .col_expr(Column::NotBefore, readable(Column::NotBefore, Expr::val(ANY_TIME)))
            .col_expr(Column::FinishedAt, readable(Column::FinishedAt, now()))
            // One that is over: whoever holds the job renews it, and sets a time that can be read.
            .col_expr(Column::LeaseUntil, readable(Column::LeaseUntil, Expr::val(ANY_TIME)))
            .filter(is_unreadable())
            .exec(self.writer())
            .await
            .map_err(db)?
            .rows_affected;
        tracing::warn!(jobs = mended, "jobs had times that cannot be read; the server replaced them");
        Ok(())
    }

    /// How many there are of each kind in each state.
    pub async fn job_counts(&self) -> Result<Vec<JobCount>> {
        Entity::find()
            .select_only()
            .column(Column::Kind)
            .column(Column::State)
            .column_as(Expr::expr(Func::count(Column::Id.into_expr())), "count")
            .column_as(
                Expr::case(
                    can_be_read(Column::CreatedAt).and(can_be_read(Column::NotBefore)),
                    Expr::cust(DUE_SINCE),
                )
                .min(),
                "due_since",
            )
            .group_by(Column::Kind)
            .group_by(Column::State)
            .order_by_asc(Column::Kind)
            .into_model::<JobCount>()
            .all(self.reader())
            .await
            .map_err(db)
    }
}

/// `update` of the rows that `found` finds first. PostgreSQL has several writers: a row that another one is changing is passed over, so
/// that nobody waits and no two wait for each other. SQLite has one.
fn of_those(mut found: SelectStatement, mut update: UpdateStatement) -> sea_orm::sea_query::WithQuery {
    found.lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    let mut those = CommonTableExpression::new();
    those.table_name("found").column("job").query(found);
    let mut with = WithClause::new();
    with.cte(those);
    let mut ids = Query::select();
    ids.column("job").from("found");
    update.and_where(Column::Id.in_subquery(ids));
    with.query(update)
}

/// A time of a job, or `instead` where it cannot be read.
fn readable(column: Column, instead: SimpleExpr) -> SimpleExpr {
    let odd = column.is_not_null().and(can_be_read(column).not());
    Expr::case(odd, instead).finally(Expr::col(column)).into()
}

/// No number of attempts is too large to be counted on.
fn one_more() -> SimpleExpr {
    let attempts = || Expr::col(Column::Attempts);
    Expr::case(attempts().lt(i32::MAX), attempts().add(1)).finally(attempts()).into()
}

fn one_less() -> SimpleExpr {
    let attempts = || Expr::col(Column::Attempts);
    Expr::case(attempts().gt(0), attempts().sub(1)).finally(attempts()).into()
}

/// A job that is nobody's.
fn wait_again() -> UpdateStatement {
    let mut update = Query::update();
    update
        .table(Entity)
        .value(Column::State, WAITING)
        .value(Column::LeaseOwner, None::<String>)
        .value(Column::LeaseUntil, None::<Time>);
    update
}

fn over(kind: &str, now: SimpleExpr, furthest: SimpleExpr, mine: &[Uuid]) -> SimpleExpr {
    let until = || Column::LeaseUntil.into_expr();
    Column::Kind
        .eq(kind)
        .and(is(RUNNING))
        .and(Column::Id.is_not_in(mine.to_vec()))
        .and(until().is_null().or(until().lt(now)).or(until().gt(furthest)))
}

fn any(holds: &[Hold]) -> SimpleExpr {
    holds.iter().map(Hold::row).reduce(SimpleExpr::or).unwrap_or_else(|| Expr::val(false))
}
