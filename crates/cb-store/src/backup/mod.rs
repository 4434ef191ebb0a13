//! Copies of the whole database, and how a database stands before anybody uses it.
//!
//! A copy is always a SQLite database, also of a PostgreSQL: so it is verified by opening it, and restored into either of
//! the two. SQLite writes it itself (`VACUUM INTO`, one reading transaction); from and to PostgreSQL the tables are copied
//! row by row, out of one snapshot and in one transaction. `move_from` does the same between any two databases, and compares them
//! before it commits. To add a table: its line in `tables.rs`; a test misses it.
//! What a copy leaves out stands there too.

mod look;
mod tables;

use std::path::Path;
use std::time::{Duration, Instant};

use cb_core::{Error, Result, Secret};
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, Statement};

pub use self::look::{
    Standing, foreign_schema, look_postgres, look_settled_postgres, look_sqlite, newest_schema,
};
pub use self::tables::Sum;
pub(crate) use self::tables::is_copied;
use crate::bookkeeping::{Sign, Watch, Working, working};
use crate::bounded::{Bounded, Connections, Signals};
use crate::fault::db;
use crate::locks::Until;
pub use crate::open::DATABASE_FILE;
use crate::open::Store;
use crate::open_error::OpenError;
use crate::pool::{self, Use};
use crate::write::{Audit, Tx};

/// What was moved into another database.
#[derive(Debug)]
pub struct Moved {
    /// The same on both sides.
    pub tables: Vec<Sum>,
    /// The entry that says so, and its hash.
    pub head: (i64, String),
}

/// A database that was filled and compared, in a transaction that is still open. Dropped, nothing of it is kept.
pub struct Filled {
    tx: Tx,
    moved: Moved,
}

impl Filled {
    /// Keeps it. Whoever gives this up before the answer does not know whether it was kept.
    pub async fn keep(self) -> Result<Moved> {
        self.tx.commit_patiently().await?;
        Ok(self.moved)
    }
}

/// Makes the SQLite database in `folder`, which nobody has open, one file.
pub async fn keep_one_file(folder: &Path) -> Result<()> {
    // A failure to fold the log in is only a warning to `close`. Whoever takes the file alone needs to know.
    crate::journal::keep_no_log(&folder.join(DATABASE_FILE)).await.map_err(db)
}

impl Store {
    /// What the archive's manifest calls this kind of database.
    pub fn engine(&self) -> &'static str {
        match self.reader().get_database_backend() {
            DbBackend::Postgres => "postgresql",
            _ => "sqlite",
        }
    }

    /// Writes what is committed at this moment into `folder`, as a SQLite database that is one file. No writer waits for it.
    pub async fn copy_to(&self, folder: &Path) -> Result<()> {
        let file = folder.join(DATABASE_FILE);
        if self.reader().get_database_backend() == DbBackend::Sqlite {
            let target = file.to_str().ok_or_else(|| {
                Error::Internal(format!("{} is not UTF-8, which SQLite needs", file.display()))
            })?;
            let copy = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [target.into()]);
            self.writer().execute_raw(copy).await.map_err(db)?;
            return pool::empty(&file, tables::LEFT_OUT).await.map_err(db);
        }
        let copy = Self::open_sqlite(folder).await.map_err(|error| {
            let told = if error.is_full() { Error::StorageFull } else { Error::Unavailable };
            told(error.to_string())
        })?;
        let snapshot = self.snapshot().await?;
        let filled = async {
            let tx = copy.begin_write().await?;
            tables::fill(&snapshot, &tx).await?;
            tx.commit().await
        };
        let filled = filled.await;
        drop(snapshot);
        copy.close().await?;
        filled?;
        keep_one_file(folder).await
    }

    /// Puts everything that `copy` holds into this database, in one transaction. One that anybody has used is refused: the
    /// answer is false, and nothing was changed.
    pub async fn fill_from(&self, copy: &Self) -> Result<bool> {
        let snapshot = copy.snapshot().await?;
        // The lock of every writer: who begins to use the database now waits, and then finds it full.
        let tx = self.begin_alone(Until::Committed).await?;
        let head = crate::audit::locked_head(&tx).await?;
        if head.seq != 0 {
            return Ok(false);
        }
        tables::fill(&snapshot, &tx).await?;
        tx.commit_patiently().await?;
        Ok(true)
    }

    /// Puts everything that `source` holds into this database, in one transaction that compares both sides, table by table, and
    /// writes `audit` behind the last entry. [`Filled::keep`] commits it. None where anybody has used this database.
    pub async fn move_from(&self, source: &Self, audit: Audit<'_>) -> Result<Option<Filled>> {
        let from = source.snapshot().await?;
        let tx = self.begin_alone(Until::Committed).await?;
        if crate::audit::locked_head(&tx).await?.seq != 0 {
            return Ok(None);
        }
        let read = tables::fill(&from, &tx).await?;
        drop(from);
        let written = tables::sums(&tx).await?;
        if let Some((from, to)) = read.iter().zip(&written).find(|(from, to)| from != to) {
            return Err(Error::Internal(format!("after the copy the tables differ: {from:?} and {to:?}")));
        }
        let head = crate::audit::locked_head(&tx).await?;
        if source.audit_head().await?.is_none_or(|(seq, _)| seq != head.seq) {
            return Err(Error::Conflict(
                "The database was changed while it was copied, so nothing was copied. Stop every server and every cb command that uses it, and run this command again".to_owned(),
            ));
        }
        // For readers of the log.
        let name = |store: &Self| if store.is_sqlite() { "SQLite" } else { "PostgreSQL" };
        let detail = serde_json::json!({ "from": name(source), "to": name(self) });
        let (seq, hash) = crate::audit::append(&tx, &audit, None, &detail, None).await?;
        Ok(Some(Filled { tx, moved: Moved { tables: read, head: (seq, hash) } }))
    }

    /// Whether a server works on this PostgreSQL, as far as it can be seen. Asked before this process has connections of its own: it
    /// waits until those of a program that has just ended are gone, and until the row of a server that was killed counts no more.
    pub async fn has_servers(url: &Secret) -> std::result::Result<bool, OpenError> {
        const PATIENCE: Duration = Duration::from_secs(8);
        const BETWEEN: Duration = Duration::from_millis(250);
        // One connection: a second one of ours would be taken for a server's.
        let pool = pool::postgres(url, 1, Use::Look).await.map_err(OpenError::postgres)?;
        let pool = Bounded::new(pool, Signals::default());
        let began = Instant::now();
        let (mut watch, mut told) = (Watch::default(), false);
        let asked = loop {
            match look_for_servers(&pool).await {
                Ok((connections, _)) if connections > 0 && began.elapsed() > PATIENCE => break Ok(true),
                // A row that is renewed is a server's, behind a pooler or a network that is slow.
                Ok((connections, rows)) => {
                    let signs = watch.look(rows.iter().map(|row| (row.run.as_str(), row.seen_at)));
                    if signs.contains(&Sign::Runs) {
                        break Ok(true);
                    }
                    if connections == 0 && signs.iter().all(|sign| *sign == Sign::Gone) {
                        break Ok(false);
                    }
                    if !signs.is_empty() && !std::mem::replace(&mut told, true) {
                        tracing::info!(
                            "servers of this database did not stop properly; this takes half a minute, until it is clear that they do not run any more"
                        );
                    }
                }
                Err(error) => break Err(OpenError::postgres(error)),
            }
            tokio::time::sleep(BETWEEN).await;
        };
        let _ = pool.inner().now().close().await;
        asked
    }

    /// A row that refers to one that is not there, if there is any. PostgreSQL keeps its references itself.
    pub async fn dangling(&self) -> Result<Option<String>> {
        if !self.is_sqlite() {
            return Ok(None);
        }
        let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA foreign_key_check");
        let row = self.reader().query_one_raw(check).await.map_err(db)?;
        row.map(|row| {
            let (table, to): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(2)?);
            Ok(format!("a row of {table} refers to a row of {to} that does not exist"))
        })
        .transpose()
        .map_err(db)
    }
}

/// The connections of programs like this one that are in use, and the rows of servers.
async fn look_for_servers(pool: &Connections) -> std::result::Result<(i64, Vec<Working>), DbErr> {
    // A server looks at the database every second. A pooler keeps the connections of one that has ended, and nothing happens on them.
    const CONNECTIONS: &str = "
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = $1 AND pid <> pg_backend_pid()
            AND (state IS DISTINCT FROM 'idle' OR state_change > now() - interval '5 seconds')";
    let ask = Statement::from_sql_and_values(DbBackend::Postgres, CONNECTIONS, [pool::OURS.into()]);
    let row = pool.query_one_raw(ask).await?;
    let connections = row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0))?;
    Ok((connections, working(pool).await?))
}
