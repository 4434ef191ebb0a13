//! What other programs do in the same PostgreSQL that keeps this one waiting.

use std::time::Duration;

use cb_core::Result;
use sea_orm::{ConnectionTrait as _, DbBackend, QueryResult, Statement};

use crate::db;
use crate::open::Store;
use crate::pool::OURS;

/// Sessions that are told of.
const MOST: usize = 5;

/// A transaction of another program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// The process of PostgreSQL that serves it.
    pub pid: i32,
    pub user: String,
    /// What the program calls itself; may be empty.
    pub program: String,
    /// Absent where PostgreSQL does not tell our user.
    pub open_for: Option<Duration>,
    /// Tables of ours in which nothing can be written, or not even read, before it ends.
    pub locks: Vec<String>,
}

impl Store {
    /// Transactions of other programs that have locked a table of ours, or have been open for `long`.
    pub async fn foreign_transactions(&self, long: Duration) -> Result<Vec<Foreign>> {
        // Locks that stand in the way of INSERT, UPDATE and DELETE: https://www.postgresql.org/docs/15/explicit-locking.html
        const ASK: &str = "
            WITH locked AS (
                SELECT l.pid, string_agg(DISTINCT c.relname::text, ',' ORDER BY c.relname::text) AS tables
                FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
                WHERE l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                    AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
                    AND c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
                GROUP BY l.pid
            )
            SELECT a.pid, a.usename::text, coalesce(a.application_name, ''), locked.tables,
                extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds
            FROM pg_stat_activity a LEFT JOIN locked USING (pid)
            WHERE a.datname = current_database() AND a.usename IS NOT NULL AND a.application_name IS DISTINCT FROM $1
                AND (locked.pid IS NOT NULL OR a.xact_start < clock_timestamp() - make_interval(secs => $2))
            ORDER BY locked.pid IS NULL, seconds DESC NULLS LAST, a.pid LIMIT $3";
        if self.is_sqlite() {
            return Ok(Vec::new());
        }
        let most = i64::try_from(MOST).unwrap_or(i64::MAX);
        let values = [OURS.into(), long.as_secs_f64().into(), most.into()];
        let ask = Statement::from_sql_and_values(DbBackend::Postgres, ASK, values);
        let rows = self.reader().query_all_raw(ask).await.map_err(db)?;
        rows.iter().map(read).collect::<std::result::Result<_, _>>().map_err(db)
    }
}

fn read(row: &QueryResult) -> std::result::Result<Foreign, sea_orm::DbErr> {
    let locks: Option<String> = row.try_get_by_index(3)?;
    let seconds: Option<f64> = row.try_get_by_index(4)?;
    Ok(Foreign {
        pid: row.try_get_by_index(0)?,
        user: row.try_get_by_index(1)?,
        program: row.try_get_by_index(2)?,
        open_for: seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        locks: locks.iter().flat_map(|tables| tables.split(',')).map(str::to_owned).collect(),
    })
}

#[cfg(test)]
mod tests {
    use cb_core::Secret;
    use cb_testkit::Postgres;
    use sea_orm::{ConnectOptions, ConnectionTrait as _, Database};

    use super::*;

    #[tokio::test]
    async fn transactions_of_others_that_lock_a_table_or_stay_open_are_found() {
        let postgres = Postgres::start();
        let store = Store::open_postgres(&Secret::new(postgres.url().to_owned())).await.expect("opens");
        let mut one = ConnectOptions::new(postgres.url());
        one.max_connections(1);
        let other = Database::connect(one).await.expect("connects");
        let long = Duration::from_mins(5);
        let found = async |long| store.foreign_transactions(long).await.expect("read");
        // One that only writes is in nobody's way.
        for sql in ["BEGIN", "UPDATE tags SET name = name"] {
            other.execute_unprepared(sql).await.expect("done");
        }
        assert_eq!(found(long).await, []);
        let open = found(Duration::ZERO).await;
        assert_eq!(open.len(), 1, "never one of ours: {open:?}");
        assert!(open[0].locks.is_empty() && open[0].open_for.is_some() && open[0].pid > 0);
        for sql in ["LOCK TABLE tags IN SHARE MODE", "LOCK TABLE assets IN ACCESS EXCLUSIVE MODE"] {
            other.execute_unprepared(sql).await.expect("locked");
        }
        let locked = found(long).await;
        assert_eq!(locked.len(), 1, "{locked:?}");
        assert_eq!(locked[0].locks, ["assets", "tags"]);
        assert_eq!(locked[0].pid, open[0].pid);
        other.execute_unprepared("ROLLBACK").await.expect("ended");
        assert_eq!(found(long).await, []);
    }
}
