//! The steps of a job between its making and its end. Each is one statement, so that it works behind a pooler of connections, and many
//! jobs go through one together.
//!
//! A worker claims a job until some time, renews that, and ends it. Another may claim it again only after [`Store::take_back_jobs`] has
//! found its lease over. Each claim raises the fence: a worker that was late holds an old one, and can neither renew, end nor write.

use cb_core::Result;
use cb_core::clock::{SKEW, Time};
use chrono::TimeDelta;
use sea_orm::sea_query::{
    CommonTableExpression, Expr, ExprTrait as _, Func, LockBehavior, LockType, Order, Query, SelectStatement,
    SimpleExpr, UpdateStatement, WithClause,
};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};
use uuid::Uuid;

use crate::entities::job::{Column, Entity, Model};
use crate::fault::db;
use crate::open::Store;
use crate::queue::{DEAD, DONE, Hold, RUNNING, WAITING, bury, dead_jobs, is, shortened};

/// Holds that one statement names. SQLite takes no deeper expression than 1,000.
const TOGETHER: usize = 200;
/// Dead letters removed at a time.
const SWEPT: u64 = 500;

/// How many jobs of a kind are in which state.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct JobCount {
    pub kind: String,
    /// As it is stored; [`JobCount::waiting`] and the like know the words.
    state: String,
    pub count: i64,
    /// The earliest time from which one of them may begin.
    pub not_before: Time,
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
    /// The first job that waits may begin then.
    pub due_at: Option<Time>,
    /// A lease is over.
    pub over: bool,
}

impl Store {
    /// Takes up to `most` jobs of `kind` that may begin now, in the order of their priority and time.
    pub async fn claim_jobs(
        &self,
        kind: &str,
        owner: &str,
        now: Time,
        until: Time,
        most: u64,
    ) -> Result<Vec<Model>> {
        let mut found = Query::select();
        found
            .column(Column::Id)
            .from(Entity)
            .and_where(Column::Kind.eq(kind))
            .and_where(is(WAITING))
            .and_where(Column::NotBefore.lte(now))
            .order_by(Column::Priority, Order::Desc)
            .order_by(Column::NotBefore, Order::Asc)
            .order_by(Column::Id, Order::Asc)
            .limit(most);
        let mut update = Query::update();
        update
            .table(Entity)
            .value(Column::State, RUNNING)
            .value(Column::LeaseOwner, owner)
            .value(Column::LeaseUntil, until)
            .value(Column::Attempts, Expr::col(Column::Attempts).add(1))
            .value(Column::Fence, Expr::col(Column::Fence).add(1))
            .returning_all();
        let rows = self.writer().query_all(&of_those(found, update)).await.map_err(db)?;
        let rows = rows.iter().map(|row| Model::from_query_result(row, ""));
        let mut rows = rows.collect::<Result<Vec<_>, _>>().map_err(db)?;
        // No database answers an UPDATE in an order.
        rows.sort_by_key(|row| (std::cmp::Reverse(row.priority), row.not_before, row.id));
        Ok(rows)
    }

    /// Lets jobs wait again whose worker has let its lease run out. A lease that ends later than `lease` from now was taken before the
    /// clock was set back: it is over too.
    pub async fn take_back_jobs(&self, kind: &str, now: Time, lease: TimeDelta) -> Result<u64> {
        let mut found = Query::select();
        found.column(Column::Id).from(Entity).and_where(over(kind, now, lease));
        let taken = of_those(found, wait_again());
        Ok(self.writer().execute(&taken).await.map_err(db)?.rows_affected())
    }

    /// Only reads.
    pub async fn jobs_ahead(&self, kind: &str, now: Time, lease: TimeDelta) -> Result<JobsAhead> {
        let first: Option<(Option<Time>,)> = Entity::find()
            .select_only()
            .column_as(Column::NotBefore.min(), "due_at")
            .filter(Column::Kind.eq(kind))
            .filter(is(WAITING))
            .into_tuple()
            .one(self.reader())
            .await
            .map_err(db)?;
        let late = Entity::find().filter(over(kind, now, lease)).one(self.reader()).await.map_err(db)?;
        Ok(JobsAhead { due_at: first.and_then(|(at,)| at), over: late.is_some() })
    }

    /// Holds jobs until `until`; answers which are still their worker's.
    pub async fn renew_jobs(&self, holds: &[Hold], until: Time) -> Result<Vec<Uuid>> {
        let mut kept = Vec::new();
        for some in holds.chunks(TOGETHER) {
            let mut update = Query::update();
            update.table(Entity).value(Column::LeaseUntil, until).and_where(any(some));
            update.returning(Query::returning().column(Column::Id));
            for row in self.writer().query_all(&update).await.map_err(db)? {
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

    /// Gives back jobs that have not begun, or whose worker stops: the attempt does not count.
    pub async fn give_back_jobs(&self, holds: &[Hold]) -> Result<u64> {
        let mut back = 0;
        for some in holds.chunks(TOGETHER) {
            let mut update = wait_again();
            update.value(Column::Attempts, Expr::col(Column::Attempts).sub(1)).and_where(any(some));
            back += self.writer().execute(&update).await.map_err(db)?.rows_affected();
        }
        Ok(back)
    }

    /// Lets a job wait until `not_before` for its next attempt.
    pub async fn retry_job(&self, hold: &Hold, not_before: Time, reason: &str) -> Result<bool> {
        let mut update = wait_again();
        update
            .value(Column::NotBefore, not_before)
            .value(Column::LastError, shortened(reason))
            .and_where(hold.row());
        Ok(self.writer().execute(&update).await.map_err(db)?.rows_affected() == 1)
    }

    /// Makes a job a dead letter.
    pub async fn fail_job(&self, hold: &Hold, at: Time, reason: &str) -> Result<bool> {
        let mut update = bury(at, reason);
        update.and_where(hold.row());
        Ok(self.writer().execute(&update).await.map_err(db)?.rows_affected() == 1)
    }

    /// Whether the job is still its worker's, at this moment.
    pub async fn is_held(&self, hold: &Hold) -> Result<bool> {
        Ok(Entity::find().filter(hold.row()).one(self.reader()).await.map_err(db)?.is_some())
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

    /// Removes dead letters from before `before`, those behind the newest `keep`, and what the version before has left when it was
    /// done; at most some hundreds, the next call takes the rest.
    pub async fn sweep_jobs(&self, before: Time, keep: u64) -> Result<u64> {
        let surplus: Option<Option<Time>> = dead_jobs()
            .select_only()
            .column(Column::FinishedAt)
            .order_by_desc(Column::FinishedAt)
            .offset(keep)
            .limit(1)
            .into_tuple()
            .one(self.reader())
            .await
            .map_err(db)?;
        let before = surplus.flatten().map_or(before, |at| Ord::max(at, before));
        let old: Vec<Uuid> = Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(is(DONE).or(is(DEAD).and(Column::FinishedAt.lte(before))))
            .limit(SWEPT)
            .into_tuple()
            .all(self.reader())
            .await
            .map_err(db)?;
        if old.is_empty() {
            return Ok(0);
        }
        // Somebody may have let one wait again since.
        let gone = Entity::delete_many()
            .filter(Column::Id.is_in(old))
            .filter(is(DONE).or(is(DEAD)))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(gone.rows_affected)
    }

    /// How many there are of each kind in each state.
    pub async fn job_counts(&self) -> Result<Vec<JobCount>> {
        Entity::find()
            .select_only()
            .column(Column::Kind)
            .column(Column::State)
            .column_as(Expr::expr(Func::count(Column::Id.into_expr())), "count")
            .column_as(Column::NotBefore.min(), "not_before")
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

fn over(kind: &str, now: Time, lease: TimeDelta) -> SimpleExpr {
    let until = Column::LeaseUntil;
    Column::Kind
        .eq(kind)
        .and(is(RUNNING))
        .and(until.is_null().or(until.lt(now)).or(until.gt(now + lease + SKEW)))
}

fn any(holds: &[Hold]) -> SimpleExpr {
    holds.iter().map(Hold::row).reduce(SimpleExpr::or).unwrap_or_else(|| Expr::val(false))
}
