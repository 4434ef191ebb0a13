//! Which servers work on this database, and the secrets that they must share.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cb_core::Result;
use cb_core::clock::Time;
use sea_orm::sea_query::{Expr, OnConflict};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _,
    FromQueryResult, Iterable as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};

use crate::clock;
use crate::entities::{audit_anchor, audit_checkpoint, server, shared_secret};
use crate::fault::db;
use crate::locks::Until;
use crate::migrations;
use crate::open::Store;
use crate::open_error::READ_ONLY;
use crate::write::Tx;

/// A server that was not seen for so long does not work any more.
pub const LIVE: Duration = Duration::from_secs(30);
/// A row of one that was killed is forgotten after this time.
const FORGOTTEN: Duration = Duration::from_hours(1);
/// Rows that are read at most.
const MOST: u64 = 1_000;

/// What a row says of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It has renewed the row.
    Runs,
    /// Nobody knows yet.
    Unclear,
    /// Nobody has renewed it for [`LIVE`] while we watched.
    Gone,
}

/// Tells the servers that were killed from those that were only cut off. The age of a row does not: after an outage of the database every
/// row is old, and those who wrote them come back. So whoever decides something because nobody runs watches the rows first.
#[derive(Debug, Default)]
pub struct Watch {
    rows: HashMap<String, Watched>,
    has_looked: bool,
}

#[derive(Debug)]
struct Watched {
    seen_at: Time,
    since: Instant,
    renewed: bool,
}

impl Watch {
    /// Looks again at the rows, which are runs of servers and when they were seen. One that was not there at the first look has come
    /// since, so it runs.
    pub fn look<'a>(&mut self, rows: impl IntoIterator<Item = (&'a str, Time)>) -> Vec<Sign> {
        let now = Instant::now();
        let renewed = std::mem::replace(&mut self.has_looked, true);
        let one = |(run, seen_at): (&str, Time)| {
            let known = self.rows.entry(run.to_owned()).or_insert(Watched { seen_at, since: now, renewed });
            if known.seen_at != seen_at {
                *known = Watched { seen_at, since: now, renewed: true };
            }
            match (now.duration_since(known.since) >= LIVE, known.renewed) {
                (true, _) => Sign::Gone,
                (false, true) => Sign::Runs,
                (false, false) => Sign::Unclear,
            }
        };
        rows.into_iter().map(one).collect()
    }
}

/// A server that is about to join the others. Nobody else joins, and the vault does not rotate, until it has.
pub struct Joining {
    tx: Tx,
    pub shared: Vec<shared_secret::Model>,
    /// Those that run, without this process; where none surely does, those that may. One that was killed is among these until [`Watch`]
    /// knows it, also under this server's own id.
    pub others: Vec<server::Model>,
    /// Whether none of them surely runs: nobody has renewed a row since this server looks.
    pub unclear: bool,
}

impl Joining {
    pub fn conn(&self) -> &impl ConnectionTrait {
        &self.tx
    }

    /// The ID of the key that has signed the newest checkpoint of the audit log, or else where the log begins.
    pub async fn signer(&self) -> Result<Option<String>> {
        let newest = audit_checkpoint::Entity::find().order_by_desc(audit_checkpoint::Column::Seq);
        if let Some(row) = newest.one(&self.tx).await.map_err(db)? {
            return Ok(Some(row.key_id));
        }
        let anchor = audit_anchor::Entity::find().one(&self.tx).await.map_err(db)?;
        Ok(anchor.map(|row| row.key_id))
    }

    /// From now on this is what every server must have.
    pub async fn share(&self, row: shared_secret::Model) -> Result<()> {
        let mut replace = OnConflict::column(shared_secret::Column::Name);
        replace.update_columns([
            shared_secret::Column::Fingerprint,
            shared_secret::Column::Sealed,
            shared_secret::Column::Since,
        ]);
        shared_secret::Entity::insert(shared_secret::ActiveModel::from(row).reset_all())
            .on_conflict(replace)
            .exec_without_returning(&self.tx)
            .await
            .map_err(db)?;
        Ok(())
    }
}

/// What became of a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Noted,
    /// Another process has this server's id.
    Taken,
}

impl Store {
    /// Why PostgreSQL saves nothing here, where it says so itself, and what to do.
    pub async fn refuses_writes(&self) -> Result<Option<String>> {
        if self.is_sqlite() {
            return Ok(None);
        }
        let asked = "SELECT current_setting('transaction_read_only')";
        let row = self
            .writer()
            .query_one_raw(Statement::from_string(DbBackend::Postgres, asked))
            .await
            .map_err(db)?;
        let answer: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose().map_err(db)?;
        Ok((answer.as_deref() == Some("on")).then(|| format!("PostgreSQL permits only to read. {READ_ONLY}")))
    }

    /// What all servers of this database must have.
    pub async fn shared_secrets(&self) -> Result<Vec<shared_secret::Model>> {
        shared_secret::Entity::find().all(self.reader()).await.map_err(db)
    }

    /// Lets `agree` compare this server's secrets with those of the others, and notes that it is there. When `agree` refuses, nothing
    /// is kept.
    pub async fn join<E>(
        &self,
        me: server::Model,
        watch: &mut Watch,
        agree: impl AsyncFnOnce(&Joining) -> Result<Result<(), E>>,
    ) -> Result<Result<(), E>> {
        let tx = self.begin_alone(Until::Committed).await?;
        let now = clock::read(&tx, me.seen_at).await?;
        let shared = shared_secret::Entity::find().all(&tx).await.map_err(db)?;
        let rows: Vec<_> = rows(&tx).await?.into_iter().filter(|row| row.run != me.run).collect();
        let signs = watch.look(rows.iter().map(|row| (row.run.as_str(), row.seen_at)));
        let (mut running, mut perhaps) = (Vec::new(), Vec::new());
        for (row, sign) in rows.into_iter().zip(signs) {
            match sign {
                Sign::Gone => {}
                Sign::Unclear => perhaps.push(row),
                Sign::Runs => running.push(row),
            }
        }
        let unclear = running.is_empty();
        let others = if unclear { perhaps } else { running };
        let joining = Joining { tx, shared, others, unclear };
        if let Err(refused) = agree(&joining).await? {
            joining.tx.rollback().await?;
            return Ok(Err(refused));
        }
        insert(&joining.tx, server::Model { seen_at: now, ..me }).await?;
        joining.tx.commit().await?;
        Ok(Ok(()))
    }

    /// The time by the clock that all servers of this database share.
    pub async fn time(&self, here: Time) -> Result<Time> {
        clock::read(self.reader(), here).await
    }

    /// Notes that this server is there.
    pub async fn server_seen(&self, me: server::Model) -> Result<Seen> {
        let now = clock::read(self.writer(), me.seen_at).await?;
        let noted = server::Entity::update_many()
            .col_expr(server::Column::SeenAt, Expr::value(now))
            .col_expr(server::Column::MemoryBytes, Expr::value(me.memory_bytes))
            .col_expr(server::Column::Sight, Expr::value(me.sight.clone()))
            .col_expr(server::Column::Told, Expr::value(me.told.clone()))
            .filter(server::Column::Id.eq(&me.id))
            .filter(server::Column::Run.eq(&me.run))
            .exec(self.writer())
            .await
            .map_err(db)?;
        server::Entity::delete_many()
            .filter(server::Column::SeenAt.lt(now - FORGOTTEN))
            .exec(self.writer())
            .await
            .map_err(db)?;
        if noted.rows_affected > 0 {
            return Ok(Seen::Noted);
        }
        let before = server::Entity::find_by_id(&me.id).one(self.reader()).await.map_err(db)?;
        let me = server::Model { seen_at: now, ..me };
        // This process has taken the row when it joined: whoever has it now came later, and is another process. Over SQLite nobody joins:
        // one process has the file, so the row is of one that was killed.
        let taken = !self.is_sqlite() && before.is_some_and(|row| is_live(&row, now));
        if taken {
            // The other one does not know of this process.
            server::Entity::update_many()
                .col_expr(server::Column::TwinAt, Expr::value(now))
                .filter(server::Column::Id.eq(&me.id))
                .exec(self.writer())
                .await
                .map_err(db)?;
        } else {
            insert(self.writer(), me).await?;
        }
        Ok(if taken { Seen::Taken } else { Seen::Noted })
    }

    /// Notes that this server has stopped.
    pub async fn server_left(&self, id: &str, run: &str) -> Result<()> {
        server::Entity::delete_many()
            .filter(server::Column::Id.eq(id))
            .filter(server::Column::Run.eq(run))
            .exec(self.writer())
            .await
            .map_err(db)?;
        Ok(())
    }

    /// Those that were seen within an hour, each with whether it still works.
    pub async fn servers(&self, now: Time) -> Result<Vec<(server::Model, bool)>> {
        let now = clock::read(self.reader(), now).await?;
        let all = rows(self.reader()).await?.into_iter().filter(|row| row.seen_at > now - FORGOTTEN);
        Ok(all.map(|row| (is_live(&row, now), row)).map(|(live, row)| (row, live)).collect())
    }
}

/// What is asked of servers before a database is used, whatever its version: columns that `servers` has had from its beginning.
#[derive(Debug, PartialEq, FromQueryResult)]
pub(crate) struct Working {
    pub run: String,
    pub host: String,
    /// The newest migration that its program knows.
    pub schema: String,
    pub seen_at: Time,
    /// Whether it was seen within [`LIVE`].
    pub lately: bool,
}

/// The servers of a PostgreSQL that have not stopped, the killed ones too; none where there is no such table.
pub(crate) async fn working(conn: &impl ConnectionTrait) -> std::result::Result<Vec<Working>, DbErr> {
    if !migrations::has_table(conn, "servers").await? {
        return Ok(Vec::new());
    }
    let all = format!(
        "SELECT run, host, schema, seen_at, seen_at > clock_timestamp() - interval '{} seconds' AS lately FROM servers ORDER BY seen_at DESC, host, run LIMIT {MOST}",
        LIVE.as_secs()
    );
    Working::find_by_statement(Statement::from_string(DbBackend::Postgres, all)).all(conn).await
}

/// One that is seen in the future was seen by a clock that was set back since.
fn is_live(row: &server::Model, now: Time) -> bool {
    (now - row.seen_at).abs().to_std().is_ok_and(|age| age <= LIVE)
}

async fn rows(conn: &impl ConnectionTrait) -> Result<Vec<server::Model>> {
    let newest = server::Entity::find().order_by_desc(server::Column::SeenAt).limit(MOST);
    let mut rows = newest.all(conn).await.map_err(db)?;
    rows.sort_by(|a, b| (&a.role, &a.host, &a.id).cmp(&(&b.role, &b.host, &b.id)));
    Ok(rows)
}

async fn insert(conn: &impl ConnectionTrait, me: server::Model) -> Result<()> {
    let mut replace = OnConflict::column(server::Column::Id);
    replace.update_columns(server::Column::iter());
    server::Entity::insert(server::ActiveModel::from(me).reset_all())
        .on_conflict(replace)
        .exec_without_returning(conn)
        .await
        .map_err(db)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta};

    use super::{Sign, Watch};

    #[test]
    fn a_row_that_changes_or_comes_while_we_watch_is_a_servers() {
        let (at, mut watch) = (DateTime::UNIX_EPOCH, Watch::default());
        assert_eq!(watch.look([("old", at), ("back", at)]), [Sign::Unclear, Sign::Unclear]);
        let later = at + TimeDelta::seconds(1);
        let signs = watch.look([("old", at), ("back", later), ("new", at)]);
        assert_eq!(signs, [Sign::Unclear, Sign::Runs, Sign::Runs]);
    }
}
