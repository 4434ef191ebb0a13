//! Reading and verifying the audit log; and forgetting, in order and signed, what has outlived its retention.

mod beside;
mod export;
mod names;
mod retention;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

pub(crate) use beside::{
    Beside, CHECKPOINT_FILE, DAMAGED_FILE, SET_ASIDE_FILE, damage, read_checkpoint, set_aside,
};
pub use beside::{StandingOut, standing};
pub use cb_core::audit::Action;
use cb_core::audit::{Checkpoint, Claim};
use cb_core::{Error, Permission, Result};
use cb_store::entities::audit_entry;
use cb_store::sea_orm::sea_query::{Expr, Order};
use cb_store::sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};
use cb_store::{Store, db};
pub use cb_vault::checkpoint::{CheckpointKey, PublicKey};
pub use export::{Export, export};
use names::Names;
pub(crate) use retention::keep_to_retention;
pub use retention::prune;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::ctx::Ctx;
use crate::page::{self, List, Page, contains};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct EntryOut {
    pub seq: i64,
    /// RFC 3339, UTC.
    pub at: String,
    pub actor: ActorOut,
    #[schema(value_type = Action, example = "asset_updated")]
    pub action: String,
    #[schema(required)]
    pub entity_kind: Option<String>,
    #[schema(required)]
    pub entity_id: Option<String>,
    /// The current name of the thing, or its former name if it no longer exists; null if it has no name.
    #[schema(required)]
    pub entity_name: Option<String>,
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    pub detail: serde_json::Value,
    #[schema(required)]
    pub request_id: Option<String>,
    /// Where the request came from.
    #[schema(required)]
    pub address: Option<String>,
    /// The name of the client (`User-Agent`).
    #[schema(required)]
    pub agent: Option<String>,
    pub hash: String,
    pub prev_hash: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ActorOut {
    pub kind: ActorKind,
    #[schema(required)]
    pub id: Option<String>,
    pub name: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    User,
    Operator,
    System,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Verification {
    pub ok: bool,
    /// The number of entries that were recomputed.
    pub entries: i64,
    /// The log begins after this entry. This entry and all before it were deleted because of their age, as the settings
    /// say; null if nothing was deleted.
    #[schema(required)]
    pub pruned_through: Option<i64>,
    /// The number of signed checkpoints that were compared with the log.
    pub checkpoints: usize,
    /// The hash of the last entry. If you write it down, you can detect whether the whole log is rewritten later.
    pub head: String,
    /// The first entry that was changed; null if there is none, or if the problem is not in an entry.
    #[schema(required)]
    pub broken_at: Option<i64>,
    /// What is wrong; null if everything is right.
    #[schema(required)]
    pub reason: Option<String>,
}

/// What the log can be narrowed to.
#[derive(Debug, Default)]
pub struct EntryFilter {
    pub action: Option<Action>,
    pub entity_id: Option<Uuid>,
}

/// In the order of the log, the newest first unless `sort` is `seq`; the cursor is the last entry's number.
pub async fn list(ctx: &Ctx, list: &List, filter: &EntryFilter) -> Result<Page<EntryOut>> {
    use audit_entry::Column as C;
    let conn = ctx.read(Permission::AuditRead)?;
    let limit = list.limit.unwrap_or(50);
    if !(1..=500).contains(&limit) {
        return Err(Error::invalid("limit", "Use a number from 1 to 500."));
    }
    let oldest_first = match list.sort.as_deref() {
        None | Some("" | "-seq") => false,
        Some("seq") => true,
        Some(_) => return Err(Error::invalid("sort", "Use seq or -seq.")),
    };
    let mut select = narrowed(list.q.as_deref(), filter)?;
    let behind = match list.cursor.as_deref().filter(|c| !c.is_empty()) {
        None => None,
        Some(text) => Some(text.parse::<i64>().map_err(|_| {
            Error::invalid("cursor", "This cursor does not belong to this list. Start without a cursor.")
        })?),
    };
    let total = match behind {
        None => Some(select.clone().count(conn).await.map_err(db)?),
        Some(_) => None,
    };
    if let Some(seq) = behind {
        select = select.filter(if oldest_first { C::Seq.gt(seq) } else { C::Seq.lt(seq) });
    }
    let order = if oldest_first { Order::Asc } else { Order::Desc };
    let mut rows = select.order_by(C::Seq, order).limit(limit + 1).all(conn).await.map_err(db)?;
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        rows.pop();
    }
    let next_cursor = rows.last().filter(|_| more).map(|r| r.seq.to_string());
    let names = Names::of(conn, &rows).await?;
    Ok(Page { items: rows.into_iter().map(|row| out(row, &names)).collect(), next_cursor, total })
}

/// The entries that `q` and `filter` leave.
fn narrowed(q: Option<&str>, filter: &EntryFilter) -> Result<Select<audit_entry::Entity>> {
    use audit_entry::Column as C;
    let mut select = audit_entry::Entity::find();
    if let Some(action) = filter.action {
        select = select.filter(C::Action.eq(action.as_str()));
    }
    if let Some(id) = filter.entity_id {
        select = select.filter(C::EntityId.eq(id.to_string()));
    }
    for word in page::patterns(q)? {
        let any = [C::Action, C::ActorName, C::EntityKind, C::EntityId, C::Detail, C::Address, C::Agent]
            .into_iter()
            .fold(Condition::any(), |any, column| any.add(contains(Expr::col(column), &word)));
        select = select.filter(any);
    }
    Ok(select)
}

/// The public key and the newest checkpoints, at most 10,000. Keep them elsewhere.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Checkpoints {
    /// Ed25519, URL-safe base64.
    pub public_key: String,
    pub items: Vec<Checkpoint>,
}

/// Makes a checkpoint of this moment and gives all of them.
pub async fn checkpoints(ctx: &Ctx) -> Result<Checkpoints> {
    ctx.authorize(Permission::AuditRead)?;
    ctx.app().checkpoint().await?;
    Ok(Checkpoints {
        public_key: ctx.app().checkpoint_key().public().to_string(),
        items: ctx.store().checkpoints().await?,
    })
}

impl App {
    /// A checkpoint that can also wait for the next hour.
    pub(crate) async fn checkpoint_now(&self) {
        if let Err(error) = self.checkpoint().await {
            tracing::warn!(%error, "the audit log has no new checkpoint; the server tries again in an hour");
        }
    }
}

/// Whose word counts when the log is verified: checkpoints that `key` has signed. A bad signature under its name is an answer of
/// its own.
fn witnesses(key: &PublicKey, checkpoints: &[Checkpoint]) -> (Witnesses, Option<(i64, String)>) {
    let mut good = BTreeMap::new();
    let mut bad = None;
    for checkpoint in checkpoints.iter().filter(|c| c.key_id == key.id()) {
        if !key.verifies(Claim::Checkpoint, checkpoint) {
            bad = bad.or(Some((checkpoint.seq, "the checkpoint of this entry was altered".to_owned())));
        } else if good.insert(checkpoint.seq, checkpoint.hash.clone()).is_some_and(|h| h != checkpoint.hash) {
            bad = bad.or(Some((checkpoint.seq, "two signed checkpoints of this entry differ".to_owned())));
        }
    }
    (good, bad)
}

/// A reason names so many machines.
const HOSTS_NAMED: usize = 5;

pub async fn verify(ctx: &Ctx) -> Result<Verification> {
    ctx.authorize(Permission::AuditRead)?;
    let app = ctx.app();
    let key = app.checkpoint_key().public();
    let others = app.checkpoints_of_others().await?;
    let (hosts, held): (BTreeSet<_>, Vec<_>) = others.into_iter().unzip();
    let folder = app.beside_database().folder();
    let found = Box::pin(examine(ctx.store(), Some(&key), &held, Some(folder))).await?;
    if found.ok || held.is_empty() {
        return Ok(found);
    }
    // Whose word is it?
    let own = Box::pin(examine(ctx.store(), Some(&key), &[], Some(folder))).await?;
    if !own.ok {
        return Ok(own);
    }
    let hosts = hosts.into_iter().take(HOSTS_NAMED).collect::<Vec<_>>().join(", ");
    let reason = found.reason.unwrap_or_default();
    let reason = format!(
        "{reason}; this server holds nothing that contradicts the log, but another one does (on {hosts}). If you have restored an older database on purpose, run cb audit-log accept-restore with the data folder of each server"
    );
    Ok(Verification { reason: Some(reason), ..found })
}

/// Recomputes the chain and holds it against the checkpoints that `key` has signed: those in the database, those `kept`
/// elsewhere, and those in the data folder `beside` the database.
pub async fn examine(
    store: &Store,
    key: Option<&PublicKey>,
    kept: &[Checkpoint],
    beside: Option<&Path>,
) -> Result<Verification> {
    let (witnesses, bad, damage) = testimony(store, key, kept, beside).await?;
    let verdict = store.verify_audit(key, &witnesses).await?;
    let (broken_at, mut reason) = verdict.broken.or(bad).unzip();
    if let (Some(why), Some(folder)) = (&mut reason, beside)
        && let Some(mend) = beside::mend(store, folder).await?
    {
        *why = format!("{why}; {mend}");
    }
    let reason = reason.or(damage);
    let first = verdict.pruned_through.unwrap_or(0);
    Ok(Verification {
        ok: reason.is_none(),
        entries: verdict.entries,
        pruned_through: verdict.pruned_through,
        checkpoints: witnesses.range(first..).count(),
        head: verdict.head,
        broken_at,
        reason,
    })
}

type Witnesses = BTreeMap<i64, String>;

/// What the checkpoints say that can be had; the first whose signature is bad; and what is wrong with a file.
async fn testimony(
    store: &Store,
    key: Option<&PublicKey>,
    kept: &[Checkpoint],
    beside: Option<&Path>,
) -> Result<(Witnesses, Option<(i64, String)>, Option<String>)> {
    let mut known = store.checkpoints().await?;
    known.extend_from_slice(kept);
    let (found, mut damage) = beside.map(beside::all).unwrap_or_default();
    for (file, one) in found {
        if key.is_some_and(|key| key.id() != one.key_id) {
            damage = Some(beside::damaged(&file, "it was not signed with the key of this server"));
        } else {
            known.push(one);
        }
    }
    let (witnesses, bad) = key.map(|key| witnesses(key, &known)).unwrap_or_default();
    Ok((witnesses, bad, damage))
}

fn out(row: audit_entry::Model, names: &Names) -> EntryOut {
    // A detail that was tampered with is shown as it is; `verify` says what it means.
    let detail =
        serde_json::from_str(&row.detail).unwrap_or_else(|_| serde_json::json!({ "raw": row.detail }));
    EntryOut {
        entity_name: names.find(&row, &detail),
        actor: ActorOut {
            kind: match row.actor_kind.as_str() {
                "user" => ActorKind::User,
                "operator" => ActorKind::Operator,
                _ => ActorKind::System,
            },
            id: row.actor_id,
            name: row.actor_name,
        },
        detail,
        seq: row.seq,
        at: row.at,
        action: row.action,
        entity_kind: row.entity_kind,
        entity_id: row.entity_id,
        request_id: row.request_id,
        address: row.address,
        agent: row.agent,
        hash: row.hash,
        prev_hash: row.prev_hash,
    }
}
