//! How a database stands, before anything is made or migrated in it, and whatever its version.

use std::io::ErrorKind;
use std::path::Path;

use cb_core::audit::Checkpoint;
use cb_core::{Error, Result, Secret};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use sea_orm_migration::MigratorTrait as _;

use super::DATABASE_FILE;
use crate::entities::{audit_entry, audit_head, setting};
use crate::fault::db;
use crate::migrations::{self, Migrator};
use crate::open::Store;
use crate::open_error::OpenError;
use crate::pool;

/// A database that has our tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Setup was completed.
    pub set_up: bool,
    /// The number of the audit log's last entry.
    pub head: i64,
    /// The first entry that is kept.
    pub first: Option<i64>,
    /// The hash of the entry that was asked for, if it is there.
    pub hash: Option<String>,
}

impl Standing {
    /// Whether the log contradicts `signed`, whose entry was asked for. An entry that was removed for its age contradicts nothing.
    pub fn contradicts(&self, signed: &Checkpoint) -> bool {
        let pruned = self.hash.is_none() && self.first.is_some_and(|first| first > signed.seq);
        self.hash.as_ref() != Some(&signed.hash) && !pruned
    }
}

/// What `data_dir` holds, with the hash of the entry `seq`; none where there is no database, or an empty one.
pub async fn look_sqlite(data_dir: &Path, seq: i64) -> Result<Option<Standing>, OpenError> {
    match std::fs::metadata(data_dir.join(DATABASE_FILE)) {
        Ok(about) if about.len() == 0 => return Ok(None),
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
        // Whoever reads it says why it cannot be reached.
        _ => {}
    }
    let store = Store::read_sqlite(data_dir).await?;
    let standing = look(&store, seq).await.map_err(|e| OpenError::sqlite(&data_dir.join(DATABASE_FILE), &e));
    let _ = store.close().await;
    standing
}

/// The same of what `url` holds.
pub async fn look_postgres(url: &Secret, seq: i64) -> Result<Option<Standing>, OpenError> {
    pool::wait_for(url, pool::OPENING).await.map_err(OpenError::postgres)?;
    let store = Store::read_postgres(url).await?;
    let standing = look(&store, seq).await.map_err(OpenError::postgres);
    let _ = store.close().await;
    standing
}

/// The same when no restore into `url` is under way any more: a COMMIT whose client has gone may still be running.
pub async fn look_settled_postgres(url: &Secret, seq: i64) -> Result<Option<Standing>, OpenError> {
    let store = Store::read_postgres(url).await?;
    let standing = async {
        if look(&store, seq).await?.is_none() {
            return Ok(None);
        }
        let waiting = store.snapshot().await.map_err(|e| DbErr::Custom(e.to_string()))?;
        // A restore turns the triggers of this table off, which no other session may share.
        for sql in ["SET LOCAL lock_timeout = 2000", "LOCK TABLE audit_head IN ROW EXCLUSIVE MODE"] {
            waiting.execute_unprepared(sql).await?;
        }
        drop(waiting);
        look(&store, seq).await
    };
    let standing = standing.await.map_err(OpenError::postgres);
    let _ = store.close().await;
    standing
}

async fn look(store: &Store, seq: i64) -> Result<Option<Standing>, DbErr> {
    let conn = store.reader();
    for table in ["settings", "audit_head", "audit_log"] {
        if !migrations::has_table(conn, table).await? {
            return Ok(None);
        }
    }
    // Of the first schema's columns only: the others may not be there yet.
    let set_up: Option<bool> = setting::Entity::find()
        .select_only()
        .column(setting::Column::AuthEnabled)
        .into_tuple()
        .one(conn)
        .await?;
    let head: Option<i64> = audit_head::Entity::find()
        .select_only()
        .column(audit_head::Column::Seq)
        .into_tuple()
        .one(conn)
        .await?;
    let entries = audit_entry::Entity::find().select_only();
    let first: Option<Option<i64>> =
        entries.clone().column_as(audit_entry::Column::Seq.min(), "first").into_tuple().one(conn).await?;
    let hash: Option<String> = entries
        .column(audit_entry::Column::Hash)
        .filter(audit_entry::Column::Seq.eq(seq))
        .into_tuple()
        .one(conn)
        .await?;
    Ok(Some(Standing {
        set_up: set_up.unwrap_or(false),
        head: head.unwrap_or(0),
        first: first.flatten(),
        hash,
    }))
}

/// The newest schema that this program knows.
pub fn newest_schema() -> String {
    Migrator::migrations().last().map_or_else(String::new, |last| last.name().to_owned())
}

impl Store {
    /// How this database stands, with the hash of the entry `seq`.
    pub async fn standing(&self, seq: i64) -> Result<Standing> {
        let standing = look(self, seq).await.map_err(db)?;
        standing.ok_or_else(|| Error::Internal("the database has lost its tables".to_owned()))
    }

    /// The schema of the database: its newest migration.
    pub async fn schema(&self) -> Result<String> {
        Ok(migrations::applied(self.reader()).await.map_err(db)?.pop().unwrap_or_default())
    }
}

/// The migration of the copy in `folder` that this program does not know, if there is one; and the copy's schema.
pub async fn foreign_schema(folder: &Path) -> Result<(String, Option<String>), OpenError> {
    let store = Store::read_sqlite(folder).await?;
    let found = migrations::applied(store.reader()).await;
    let _ = store.close().await;
    let found = found.map_err(|e| OpenError::sqlite(&folder.join(DATABASE_FILE), &e))?;
    let foreign = migrations::foreign(&found);
    Ok((found.last().cloned().unwrap_or_default(), foreign))
}
