//! Copies of the whole database, and how a database stands before anybody uses it.
//!
//! A copy is always a SQLite database, also of a PostgreSQL: so it is verified by opening it, and restored into either of
//! the two. SQLite writes it itself (`VACUUM INTO`, one reading transaction); from and to PostgreSQL the tables are copied
//! row by row, out of one snapshot and in one transaction. To add a table: its line in `tables.rs`; a test misses it.
//! What a copy leaves out stands there too.

mod look;
mod tables;

use std::path::Path;

use cb_core::{Error, Result};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};

pub use self::look::{
    Standing, foreign_schema, look_postgres, look_settled_postgres, look_sqlite, newest_schema,
};
use crate::fault::db;
pub use crate::open::DATABASE_FILE;
use crate::open::Store;
use crate::pool;
use crate::write::Until;

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
        // A failure to fold the log in is only a warning to `close`. Whoever takes the file alone needs to know.
        pool::keep_no_log(&file).await.map_err(db)
    }

    /// Puts everything that `copy` holds into this database, in one transaction. One that anybody has used is refused: the
    /// answer is false, and nothing was changed.
    pub async fn fill_from(&self, copy: &Self) -> Result<bool> {
        let snapshot = copy.snapshot().await?;
        // The lock of every writer: who begins to use the database now waits, and then finds it full.
        let tx = self.begin_alone(Until::Committed).await?;
        let head = crate::audit::lock_head(&tx).await?;
        if head.seq != 0 {
            return Ok(false);
        }
        tables::fill(&snapshot, &tx).await?;
        tx.commit_patiently().await?;
        Ok(true)
    }

    /// A row that refers to one that is not there, if there is any. For a copy: PostgreSQL keeps its references itself.
    pub async fn dangling(&self) -> Result<Option<String>> {
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
