//! Reading and verifying the audit log. Nothing here can change it.

use cb_core::{Error, Permission, Result};
use cb_store::db;
use cb_store::entities::audit_entry;
use cb_store::sea_orm::sea_query::Expr;
use cb_store::sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, PaginatorTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::ctx::Ctx;
use crate::page::{List, Page, contains};

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct EntryOut {
    pub seq: i64,
    /// RFC 3339, UTC.
    pub at: String,
    pub actor: ActorOut,
    #[schema(example = "asset_updated")]
    pub action: String,
    #[schema(required)]
    pub entity_kind: Option<String>,
    #[schema(required)]
    pub entity_id: Option<String>,
    #[schema(value_type = std::collections::HashMap<String, serde_json::Value>)]
    pub detail: serde_json::Value,
    #[schema(required)]
    pub request_id: Option<String>,
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
    pub entries: i64,
    /// The last entry's hash: note it down, and a later rewrite of the whole log shows.
    pub head: String,
    /// The first entry that is not as it was written.
    #[schema(required)]
    pub broken_at: Option<i64>,
    #[schema(required)]
    pub reason: Option<String>,
}

/// What the log can be narrowed to.
#[derive(Debug, Default)]
pub struct EntryFilter {
    pub action: Option<String>,
    pub entity_id: Option<Uuid>,
}

/// The newest first; the cursor is the last entry's number.
pub async fn list(ctx: &Ctx, list: &List, filter: &EntryFilter) -> Result<Page<EntryOut>> {
    use audit_entry::Column as C;
    let conn = ctx.read(Permission::AuditRead)?;
    let limit = list.limit.unwrap_or(50);
    if !(1..=500).contains(&limit) {
        return Err(Error::invalid("limit", "must be between 1 and 500"));
    }
    if list.sort.as_deref().is_some_and(|s| !s.is_empty() && s != "-seq") {
        return Err(Error::invalid("sort", "must be -seq: the log has one order"));
    }
    let mut select = audit_entry::Entity::find();
    if let Some(action) = &filter.action {
        select = select.filter(C::Action.eq(action.as_str()));
    }
    if let Some(id) = filter.entity_id {
        select = select.filter(C::EntityId.eq(id.to_string()));
    }
    for word in list.patterns()? {
        let any = [C::Action, C::ActorName, C::EntityKind, C::EntityId, C::Detail]
            .into_iter()
            .fold(Condition::any(), |any, column| any.add(contains(Expr::col(column), &word)));
        select = select.filter(any);
    }
    let before = match list.cursor.as_deref().filter(|c| !c.is_empty()) {
        None => None,
        Some(text) => {
            Some(text.parse::<i64>().map_err(|_| Error::invalid("cursor", "is not one of this list"))?)
        }
    };
    let total = match before {
        None => Some(select.clone().count(conn).await.map_err(db)?),
        Some(_) => None,
    };
    if let Some(before) = before {
        select = select.filter(C::Seq.lt(before));
    }
    let mut rows = select.order_by_desc(C::Seq).limit(limit + 1).all(conn).await.map_err(db)?;
    let more = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
    if more {
        rows.pop();
    }
    let next_cursor = rows.last().filter(|_| more).map(|r| r.seq.to_string());
    Ok(Page { items: rows.into_iter().map(Into::into).collect(), next_cursor, total })
}

pub async fn verify(ctx: &Ctx) -> Result<Verification> {
    ctx.authorize(Permission::AuditRead)?;
    let verdict = ctx.store().verify_audit().await?;
    let (broken_at, reason) = verdict.broken.unzip();
    Ok(Verification {
        ok: broken_at.is_none(),
        entries: verdict.entries,
        head: verdict.head,
        broken_at,
        reason,
    })
}

impl From<audit_entry::Model> for EntryOut {
    fn from(row: audit_entry::Model) -> Self {
        Self {
            actor: ActorOut {
                kind: match row.actor_kind.as_str() {
                    "user" => ActorKind::User,
                    "operator" => ActorKind::Operator,
                    _ => ActorKind::System,
                },
                id: row.actor_id,
                name: row.actor_name,
            },
            // A detail that was tampered with is shown as it is; `verify` says what it means.
            detail: serde_json::from_str(&row.detail)
                .unwrap_or_else(|_| serde_json::json!({ "raw": row.detail })),
            seq: row.seq,
            at: row.at,
            action: row.action,
            entity_kind: row.entity_kind,
            entity_id: row.entity_id,
            request_id: row.request_id,
            hash: row.hash,
            prev_hash: row.prev_hash,
        }
    }
}
