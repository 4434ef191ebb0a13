//! The audit log's rows: appended within a write, listed, verified, and removed in order when they have outlived the
//! retention. Never changed: triggers refuse it.

use std::collections::BTreeMap;
use std::time::Duration;

use cb_core::audit::{Action, Checkpoint, Claim, Entry, GENESIS, canonical};
use cb_core::clock::{Time, fixed_width};
use cb_core::{Error, Result};
use cb_vault::checkpoint::PublicKey;
use sea_orm::sea_query::{OnConflict, SimpleExpr};
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, Statement,
};
use serde_json::Value;
use uuid::Uuid;

use crate::entities::{audit_anchor, audit_checkpoint, audit_entry, audit_head};
use crate::fault::db;
use crate::locks;
use crate::open::Store;
use crate::write::{Audit, WriteTx};

/// The head of a transaction that has locked it: SQLite locks the whole database when a transaction begins, PostgreSQL what
/// [`locks::head`] says.
pub(crate) async fn locked_head(tx: &impl ConnectionTrait) -> Result<audit_head::Model> {
    let head = audit_head::Entity::find_by_id(1).one(tx).await.map_err(db)?;
    head.ok_or_else(|| Error::Internal("the audit log has lost its head row".to_owned()))
}

/// Appends an entry behind the last one; answers its number and hash. From here to the end of its COMMIT a write keeps every other
/// from appending: this is the last thing that it does. PostgreSQL waits for the head as long as for any lock of the transaction, or
/// `head_wait`.
pub(crate) async fn append(
    tx: &impl ConnectionTrait,
    audit: &Audit<'_>,
    entity: Option<(&'static str, Uuid)>,
    detail: &Value,
    head_wait: Option<Duration>,
) -> Result<(i64, String)> {
    let row = audit_entry::Model {
        seq: 0,
        at: fixed_width(audit.at),
        actor_kind: audit.actor.kind().to_owned(),
        actor_id: audit.actor.id().map(|id| id.to_string()),
        actor_name: audit.actor.name(),
        action: audit.action.as_str().to_owned(),
        entity_kind: entity.map(|e| e.0.to_owned()),
        entity_id: entity.map(|e| e.1.to_string()),
        detail: canonical(detail),
        request_id: audit.origin.as_ref().map(|o| o.request_id.to_string()),
        address: audit.origin.as_ref().map(|o| o.address.to_string()),
        agent: audit.origin.as_ref().map(|o| printable(&o.agent)).filter(|a| !a.is_empty()),
        prev_hash: String::new(),
        hash: String::new(),
    };
    if tx.get_database_backend() == DbBackend::Postgres {
        return append_at_once(tx, row, head_wait).await;
    }
    let head = locked_head(tx).await?;
    let row = audit_entry::Model { seq: head.seq + 1, prev_hash: head.hash, ..row };
    let (seq, hash) = (row.seq, entry(&row).hash(&row.prev_hash));
    let row = audit_entry::Model { hash: hash.clone(), ..row };
    audit_entry::Entity::insert(audit_entry::ActiveModel::from(row).reset_all())
        .exec(tx)
        .await
        .map_err(db)?;
    let moved = audit_head::ActiveModel { id: Set(1), seq: Set(seq), hash: Set(hash.clone()) };
    audit_head::Entity::update(moved).exec(tx).await.map_err(db)?;
    Ok((seq, hash))
}

/// PostgreSQL computes the hash, which `verify_audit` computes again here: the head is locked for one exchange in place of three.
async fn append_at_once(
    tx: &impl ConnectionTrait,
    row: audit_entry::Model,
    head_wait: Option<Duration>,
) -> Result<(i64, String)> {
    let hashed = entry(&row).without_number();
    let values: [sea_orm::Value; 11] = [
        hashed.into(),
        row.at.into(),
        row.actor_kind.into(),
        row.actor_id.into(),
        row.actor_name.into(),
        row.action.into(),
        row.entity_kind.into(),
        row.entity_id.into(),
        row.detail.into(),
        row.request_id.into(),
        row.address.into(),
    ];
    let head_wait = head_wait.map(|most| most.as_millis().to_string());
    let values = values.into_iter().chain([row.agent.into(), head_wait.into(), locks::HEAD.into()]);
    let append = Statement::from_sql_and_values(DbBackend::Postgres, APPEND, values);
    let answer = tx.query_one_raw(append).await.map_err(db)?;
    let answer = answer.ok_or_else(|| Error::Internal("the audit log has lost its head row".to_owned()))?;
    Ok((answer.try_get_by_index(0).map_err(db)?, answer.try_get_by_index(1).map_err(db)?))
}

/// The row is locked first, so that the entry follows the newest head, not the one of the moment at which the statement began. How long
/// that may take is set in the same exchange: PostgreSQL reads `lock_timeout` when a wait begins.
const APPEND: &str = "
    WITH patience AS MATERIALIZED (SELECT CASE WHEN $13::text IS NULL THEN '' ELSE set_config('lock_timeout', $13, true) END AS wait),
    turn AS MATERIALIZED (SELECT pg_advisory_xact_lock($14)::text AS turn FROM patience WHERE wait IS NOT NULL),
    head AS MATERIALIZED (
        SELECT seq + 1 AS seq, hash FROM audit_head WHERE id = 1 AND (SELECT turn FROM turn) IS NOT NULL FOR UPDATE),
    entry AS (
        INSERT INTO audit_log (seq, at, actor_kind, actor_id, actor_name, action, entity_kind, entity_id, detail, request_id, address, agent, prev_hash, hash)
        SELECT seq, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, hash,
            encode(sha256(convert_to(hash || $1 || seq || '}', 'UTF8')), 'hex')
        FROM head
        RETURNING seq, hash)
    UPDATE audit_head SET seq = entry.seq, hash = entry.hash FROM entry WHERE id = 1 RETURNING audit_head.seq, audit_head.hash";

/// What a client says of itself may be anything, and long.
fn printable(agent: &str) -> String {
    agent.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn entry(row: &audit_entry::Model) -> Entry<'_> {
    Entry {
        action: &row.action,
        actor_id: row.actor_id.as_deref(),
        actor_kind: &row.actor_kind,
        actor_name: &row.actor_name,
        address: row.address.as_deref(),
        agent: row.agent.as_deref(),
        at: &row.at,
        detail: &row.detail,
        entity_id: row.entity_id.as_deref(),
        entity_kind: row.entity_kind.as_deref(),
        request_id: row.request_id.as_deref(),
        seq: row.seq,
    }
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The entry that the log begins behind, when older ones were removed.
    pub pruned_through: Option<i64>,
    /// How many entries, from the first, are as they were written.
    pub entries: i64,
    /// The head's hash: note it, and a later rewrite of the whole chain shows.
    pub head: String,
    /// The first entry that is not as it was written, and why.
    pub broken: Option<(i64, String)>,
}

/// What is to be removed in one transaction: the entries behind `after` up to `through`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    after: i64,
    pub through: i64,
    /// Of the entry `through`.
    pub hash: String,
}

impl Batch {
    pub fn entries(&self) -> i64 {
        self.through - self.after
    }
}

/// So many of the newest entries are kept whatever their age: a clock that is wrong must not empty the log. Entries about deletions do
/// not count; otherwise each deletion would push out one more entry.
const KEPT: u64 = 1000;

/// Checkpoints that are read at most; the older ones stay.
const CHECKPOINTS_MOST: u64 = 10_000;

/// Rows read at a time, and removed in one transaction.
const PAGE: u64 = 2000;

/// How far a verification has come.
struct Walk {
    previous: String,
    seen: i64,
    witnesses: BTreeMap<i64, String>,
}

impl Walk {
    /// From the first entry, or from behind the anchor.
    fn behind(anchor: Option<&Checkpoint>, witnesses: &BTreeMap<i64, String>) -> Self {
        let (previous, seen) = anchor.map_or((GENESIS.to_owned(), 0), |a| (a.hash.clone(), a.seq));
        Self { previous, seen, witnesses: witnesses.clone() }
    }

    /// The first of `rows` that is not as it was written, and why.
    fn over(&mut self, rows: &[audit_entry::Model]) -> Option<(i64, &'static str)> {
        for row in rows {
            if row.seq != self.seen + 1 {
                return Some((self.seen + 1, "this entry is missing"));
            }
            if row.prev_hash != self.previous {
                return Some((row.seq, "it does not follow the entry before it"));
            }
            if entry(row).hash(&self.previous) != row.hash {
                return Some((row.seq, "its content was changed"));
            }
            if self.witnesses.get(&row.seq).is_some_and(|hash| *hash != row.hash) {
                return Some((row.seq, "it does not match a signed checkpoint"));
            }
            self.previous.clone_from(&row.hash);
            self.seen = row.seq;
        }
        None
    }
}

/// What is wrong with the anchor: whoever can put one where they like can make the log forget.
fn misplaced(
    anchor: &Checkpoint,
    key: Option<&PublicKey>,
    witnesses: &BTreeMap<i64, String>,
) -> Option<&'static str> {
    let Some(key) = key else {
        return Some(
            "the log begins after it, and without the key it is unknown whether the server deleted the earlier entries",
        );
    };
    if key.id() != anchor.key_id || !key.verifies(Claim::Anchor, anchor) {
        Some("the log begins after it, but the server did not sign the deletion of the earlier entries")
    } else if witnesses.get(&anchor.seq).is_some_and(|hash| *hash != anchor.hash) {
        Some("the log begins after it, but it does not match a signed checkpoint")
    } else {
        None
    }
}

async fn anchor(conn: &impl ConnectionTrait) -> Result<Option<Checkpoint>> {
    let row = audit_anchor::Entity::find_by_id(1).one(conn).await.map_err(db)?;
    Ok(row.map(|a| Checkpoint {
        seq: a.seq,
        hash: a.hash,
        at: a.at,
        key_id: a.key_id,
        signature: a.signature,
    }))
}

impl Store {
    /// Recomputes the chain from its first entry, or from the anchor, to the head. One snapshot is read, so that writers may
    /// go on meanwhile. `key` is the server's; `witnesses` are hashes that entries are known to have had, out of checkpoints
    /// whose signatures were found good.
    pub async fn verify_audit(
        &self,
        key: Option<&PublicKey>,
        witnesses: &BTreeMap<i64, String>,
    ) -> Result<Verdict> {
        let snapshot = self.snapshot().await?;
        let anchor = anchor(&snapshot).await?;
        let start = anchor.as_ref().map_or(0, |a| a.seq);
        let pruned_through = anchor.as_ref().map(|a| a.seq);
        let head = audit_head::Entity::find_by_id(1).one(&snapshot).await.map_err(db)?;
        let Some(head) = head else {
            let broken = Some((0, "the head row is missing".to_owned()));
            return Ok(Verdict { pruned_through, entries: 0, head: String::new(), broken });
        };
        let last = head.seq;
        let page = async |after: i64| {
            audit_entry::Entity::find()
                .filter(audit_entry::Column::Seq.gt(after))
                .filter(audit_entry::Column::Seq.lte(last))
                .order_by_asc(audit_entry::Column::Seq)
                .limit(PAGE)
                .all(&snapshot)
                .await
                .map_err(db)
        };
        let mut walk = Walk::behind(anchor.as_ref(), witnesses);
        let mut rows = page(start).await?;
        let mut broken = None;
        while let Some(after) = rows.last().map(|row| row.seq) {
            // The next page is read while this one is hashed.
            let work = tokio::task::spawn_blocking(move || {
                let broken = walk.over(&rows);
                (walk, broken)
            });
            let (done, next) = tokio::join!(work, page(after));
            (walk, broken) = done.map_err(Error::internal)?;
            if broken.is_some() {
                break;
            }
            rows = next?;
        }
        let outside = async |where_: SimpleExpr| {
            let found = audit_entry::Entity::find().filter(where_).order_by_asc(audit_entry::Column::Seq);
            let found = found.one(&snapshot).await.map_err(db)?;
            Ok::<_, Error>(found.map(|row| row.seq))
        };
        let before = outside(audit_entry::Column::Seq.lte(start)).await?;
        let beyond = outside(audit_entry::Column::Seq.gt(last)).await?;
        let misplaced = anchor.as_ref().and_then(|a| Some((a.seq, misplaced(a, key, witnesses)?)));
        let Walk { previous, seen, .. } = walk;
        let broken = misplaced
            .or(before.map(|seq| (seq, "it comes before the first entry")))
            .or(broken)
            .or_else(|| {
                if seen < last {
                    Some((seen + 1, "entries are missing before the head"))
                } else if previous != head.hash {
                    Some((seen, "the head is not the last entry"))
                } else if let Some(seq) = beyond {
                    Some((seq, "it comes after the head"))
                } else if witnesses.last_key_value().is_some_and(|(seq, _)| *seq > seen) {
                    Some((
                        seen + 1,
                        "it is missing with all entries after it, although a signed checkpoint proves that there were later entries",
                    ))
                } else {
                    None
                }
            });
        Ok(Verdict {
            pruned_through,
            entries: seen - start,
            head: head.hash,
            broken: broken.map(|(seq, why)| (seq, why.to_owned())),
        })
    }

    /// The next entries that are older than `oldest` and may go: as many as one transaction takes, in order, and none of
    /// the newest. They are verified first, for what was tampered with is evidence and stays.
    pub async fn outlived(
        &self,
        key: &PublicKey,
        witnesses: &BTreeMap<i64, String>,
        oldest: Time,
    ) -> Result<Option<Batch>> {
        let snapshot = self.snapshot().await?;
        let anchor = anchor(&snapshot).await?;
        let after = anchor.as_ref().map_or(0, |a| a.seq);
        let stays = |(seq, why): (i64, &str)| {
            Error::Conflict(format!(
                "no entry of the audit log is deleted, because entry {seq} shows that the log was changed: {why}"
            ))
        };
        if let Some(why) = anchor.as_ref().and_then(|a| misplaced(a, Some(key), witnesses)) {
            return Err(stays((after, why)));
        }
        let first_kept = audit_entry::Entity::find()
            .select_only()
            .column(audit_entry::Column::Seq)
            .filter(audit_entry::Column::Action.ne(Action::AuditLogPruned.as_str()))
            .order_by_desc(audit_entry::Column::Seq)
            .offset(KEPT - 1)
            .limit(1)
            .into_tuple::<i64>()
            .one(&snapshot)
            .await
            .map_err(db)?;
        let Some(first_kept) = first_kept else { return Ok(None) };
        let rows = audit_entry::Entity::find()
            .filter(audit_entry::Column::Seq.gt(after))
            .filter(audit_entry::Column::Seq.lt(first_kept))
            .order_by_asc(audit_entry::Column::Seq)
            .limit(PAGE)
            .all(&snapshot)
            .await
            .map_err(db)?;
        drop(snapshot);
        // The times are of one width, and so in the order of their texts.
        let oldest = fixed_width(oldest);
        let rows: Vec<_> = rows.into_iter().take_while(|row| row.at < oldest).collect();
        let mut walk = Walk::behind(anchor.as_ref(), witnesses);
        let work = tokio::task::spawn_blocking(move || (walk.over(&rows), walk));
        let (broken, walk) = work.await.map_err(Error::internal)?;
        if let Some(broken) = broken {
            return Err(stays(broken));
        }
        Ok((walk.seen > after).then_some(Batch { after, through: walk.seen, hash: walk.previous }))
    }

    /// The last entry's number and hash; none before the first.
    pub async fn audit_head(&self) -> Result<Option<(i64, String)>> {
        let head = audit_head::Entity::find_by_id(1).one(self.reader()).await.map_err(db)?;
        Ok(head.filter(|h| h.seq > 0).map(|h| (h.seq, h.hash)))
    }

    /// The same, when it cannot be lost any more: what is signed must not be gone after a crash of PostgreSQL.
    pub async fn durable_audit_head(&self) -> Result<Option<(i64, String)>> {
        let Some((seq, hash)) = self.audit_head().await? else { return Ok(None) };
        self.stays(seq, &hash).await?;
        Ok(Some((seq, hash)))
    }

    /// Refuses where an entry that was there is gone.
    pub(crate) async fn stays(&self, seq: i64, hash: &str) -> Result<()> {
        if self.is_durable(seq, hash).await.map_err(db)? {
            return Ok(());
        }
        Err(Error::Unavailable("The database has just crashed. Try again soon.".to_owned()))
    }

    /// The newest stored checkpoints, in order: a year of them at one an hour.
    pub async fn checkpoints(&self) -> Result<Vec<Checkpoint>> {
        let newest = self.newest_checkpoints(CHECKPOINTS_MOST).await?;
        Ok(newest.into_iter().rev().collect())
    }

    pub async fn last_checkpoint(&self) -> Result<Option<Checkpoint>> {
        Ok(self.newest_checkpoints(1).await?.pop())
    }

    async fn newest_checkpoints(&self, most: u64) -> Result<Vec<Checkpoint>> {
        let rows = audit_checkpoint::Entity::find()
            .order_by_desc(audit_checkpoint::Column::Seq)
            .limit(most)
            .all(self.reader())
            .await
            .map_err(db)?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// Keeps a checkpoint, unless there is one of that entry.
    pub async fn keep_checkpoint(&self, checkpoint: &Checkpoint) -> Result<()> {
        let row = audit_checkpoint::ActiveModel {
            seq: Set(checkpoint.seq),
            at: Set(checkpoint.at.clone()),
            hash: Set(checkpoint.hash.clone()),
            key_id: Set(checkpoint.key_id.clone()),
            signature: Set(checkpoint.signature.clone()),
        };
        let once = OnConflict::column(audit_checkpoint::Column::Seq).do_nothing().to_owned();
        audit_checkpoint::Entity::insert(row)
            .on_conflict(once)
            .exec_without_returning(self.writer())
            .await
            .map_err(db)?;
        Ok(())
    }
}

impl WriteTx {
    /// Removes `batch` and moves the anchor onto its last entry: both, or neither. The database refuses to remove what the
    /// anchor does not cover.
    pub async fn prune(&mut self, batch: &Batch, signed: &Checkpoint) -> Result<()> {
        let standing = anchor(self.conn()).await?.map(|a| a.seq);
        if standing.unwrap_or(0) != batch.after {
            return Err(Error::Conflict(
                "another server deleted entries of the audit log at the same time".to_owned(),
            ));
        }
        let row = audit_anchor::ActiveModel {
            id: Set(1),
            seq: Set(signed.seq),
            hash: Set(signed.hash.clone()),
            at: Set(signed.at.clone()),
            key_id: Set(signed.key_id.clone()),
            signature: Set(signed.signature.clone()),
        };
        match standing {
            Some(_) => row.update(self.conn()).await.map(drop),
            None => audit_anchor::Entity::insert(row).exec(self.conn()).await.map(drop),
        }
        .map_err(db)?;
        let gone = audit_entry::Entity::delete_many()
            .filter(audit_entry::Column::Seq.lte(batch.through))
            .exec(self.conn())
            .await
            .map_err(db)?;
        if i64::try_from(gone.rows_affected) == Ok(batch.entries()) {
            return Ok(());
        }
        Err(Error::Internal(format!(
            "{} rows of the audit log in place of {}",
            gone.rows_affected,
            batch.entries()
        )))
    }
}

impl From<audit_checkpoint::Model> for Checkpoint {
    fn from(row: audit_checkpoint::Model) -> Self {
        Self { seq: row.seq, hash: row.hash, at: row.at, key_id: row.key_id, signature: row.signature }
    }
}
