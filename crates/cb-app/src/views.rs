//! Saved views: what a user wants a table to show, under a name. A view belongs to one user. To everybody else, an administrator
//! included, it does not exist.
//!
//! The server keeps the words and does not judge them: a column or a filter word may disappear in a later version, and the client then
//! opens of the view what it still knows.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::ViewId;
use cb_core::{Error, Principal, Result};
use cb_store::entities::view;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    PaginatorTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use cb_store::{db, taken};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::active;
use crate::ctx::Ctx;
use crate::input;
use crate::order::name_key;

/// Views that one user can have, over all tables.
pub const VIEWS_MOST: u64 = 50;
pub(crate) const FILTER_MOST: usize = 500;
pub(crate) const COLUMNS_MOST: usize = 50;
pub(crate) const NARROWED_MOST: usize = 8;

/// A table that has views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ViewList)]
pub enum List {
    Inventory,
    Networks,
    Findings,
    AuditLog,
    Users,
    Credentials,
    Webhooks,
    Channels,
    Hooks,
    Providers,
}

impl List {
    pub const ALL: [Self; 10] = [
        Self::Inventory,
        Self::Networks,
        Self::Findings,
        Self::AuditLog,
        Self::Users,
        Self::Credentials,
        Self::Webhooks,
        Self::Channels,
        Self::Hooks,
        Self::Providers,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inventory => "inventory",
            Self::Networks => "networks",
            Self::Findings => "findings",
            Self::AuditLog => "audit_log",
            Self::Users => "users",
            Self::Credentials => "credentials",
            Self::Webhooks => "webhooks",
            Self::Channels => "channels",
            Self::Hooks => "hooks",
            Self::Providers => "providers",
        }
    }
}

/// A column of the view; their order is the order in the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewColumn {
    #[schema(example = "vendor")]
    pub id: String,
    pub shown: bool,
}

/// A filter in addition to the text, such as one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewNarrowing {
    /// The name of the parameter in the URL of the page.
    #[schema(example = "group")]
    pub name: String,
    #[schema(example = "network")]
    pub value: String,
}

/// What the table shows; the part of a view that is stored as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Shows {
    q: String,
    sort: String,
    narrowed: Vec<ViewNarrowing>,
    columns: Vec<ViewColumn>,
    dense: bool,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = View)]
pub struct ViewOut {
    pub id: ViewId,
    pub list: List,
    pub name: String,
    /// The text of the filter.
    pub q: String,
    /// The column by which the table is sorted; a leading `-` sorts in descending order. Empty for the default order.
    pub sort: String,
    pub narrowed: Vec<ViewNarrowing>,
    /// Columns that are not listed are shown after these.
    pub columns: Vec<ViewColumn>,
    /// Whether rows are compact.
    pub dense: bool,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewIn {
    pub list: List,
    /// Unique among the user's views of this table, regardless of upper and lower case.
    #[schema(example = "NAS without a tag")]
    pub name: String,
    /// The text of the filter.
    #[serde(default)]
    #[schema(example = "kind:storage")]
    pub q: String,
    #[serde(default)]
    #[schema(example = "-last_seen_at")]
    pub sort: String,
    #[serde(default)]
    pub narrowed: Vec<ViewNarrowing>,
    #[serde(default)]
    pub columns: Vec<ViewColumn>,
    #[serde(default)]
    pub dense: bool,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ViewPatch {
    pub name: Option<String>,
    pub q: Option<String>,
    pub sort: Option<String>,
    pub narrowed: Option<Vec<ViewNarrowing>>,
    pub columns: Option<Vec<ViewColumn>>,
    pub dense: Option<bool>,
}

/// The user's own views, of one table or of all, by name.
pub async fn list(ctx: &Ctx, of: Option<List>) -> Result<Vec<ViewOut>> {
    let mut select = view::Entity::find().filter(view::Column::UserId.eq(owner(ctx)?));
    if let Some(list) = of {
        select = select.filter(view::Column::List.eq(list.as_str()));
    }
    let rows = select
        .order_by_asc(view::Column::NameKey)
        .order_by_asc(view::Column::Id)
        .limit(VIEWS_MOST)
        .all(ctx.store().reader())
        .await
        .map_err(db)?;
    rows.into_iter().map(out).collect()
}

pub async fn get(ctx: &Ctx, id: ViewId) -> Result<ViewOut> {
    out(find(ctx.store().reader(), ctx, id).await?)
}

pub async fn create(ctx: &Ctx, given: ViewIn) -> Result<ViewOut> {
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "name", &given.name, input::SHORT_MAX).unwrap_or_default();
    let ViewIn { list, name: _, q, sort, narrowed, columns, dense } = given;
    let shows = judged(&mut wrong, Shows { q, sort, narrowed, columns, dense });
    wrong.into_result()?;
    ctx.record(Action::ViewCreated, async |tx| {
        let user_id = owner(ctx)?;
        let own = view::Entity::find().filter(view::Column::UserId.eq(user_id));
        if own.count(tx.conn()).await.map_err(db)? >= VIEWS_MOST {
            return Err(Error::Conflict(format!(
                "You already have {VIEWS_MOST} views, which is the limit. Delete one first."
            )));
        }
        let now = ctx.now();
        let row = view::Model {
            id: ctx.new_id(),
            user_id,
            list: list.as_str().to_owned(),
            name_key: name_key(&name),
            name,
            shows: json!(shows),
            version: 1,
            created_at: now,
            updated_at: now,
        };
        view::Entity::insert(active(row.clone())).exec(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        tx.about("view", row.id);
        tx.detail(json!({ "name": row.name, "list": row.list }));
        out(row)
    })
    .await
}

pub async fn update(ctx: &Ctx, id: ViewId, patch: ViewPatch, version: Option<i64>) -> Result<ViewOut> {
    let mut wrong = Violations::new();
    let name = patch.name.and_then(|name| input::line(&mut wrong, "name", &name, input::SHORT_MAX));
    ctx.record(Action::ViewUpdated, async |tx| {
        let mut row = find(tx.conn(), ctx, id).await?;
        input::expect_version(row.version, version)?;
        let before = row.name.clone();
        let old = stored(&row)?;
        let next = Shows {
            q: patch.q.unwrap_or_else(|| old.q.clone()),
            sort: patch.sort.unwrap_or_else(|| old.sort.clone()),
            narrowed: patch.narrowed.unwrap_or_else(|| old.narrowed.clone()),
            columns: patch.columns.unwrap_or_else(|| old.columns.clone()),
            dense: patch.dense.unwrap_or(old.dense),
        };
        let shows = judged(&mut wrong, next);
        wrong.into_result()?;
        if let Some(name) = name {
            row.name_key = name_key(&name);
            row.name = name;
        }
        tx.about("view", row.id);
        // What the user filters by is nobody else's business.
        tx.detail(json!({
            "list": row.list, "name": { "from": before, "to": row.name }, "content_changed": shows != old,
        }));
        row.shows = json!(shows);
        row.version += 1;
        row.updated_at = ctx.now();
        let change: view::ActiveModel = active(row);
        out(change.update(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?)
    })
    .await
}

pub async fn delete(ctx: &Ctx, id: ViewId, version: Option<i64>) -> Result<()> {
    ctx.record(Action::ViewDeleted, async |tx| {
        let row = find(tx.conn(), ctx, id).await?;
        input::expect_version(row.version, version)?;
        tx.about("view", row.id);
        tx.detail(json!({ "name": row.name, "list": row.list }));
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

const TAKEN: (&str, &str) = ("name", "You already have a view with this name for this table.");

/// An API token is no person at a screen: it has no views, although its owner has.
fn owner(ctx: &Ctx) -> Result<Uuid> {
    let Principal::User { id, .. } = ctx.principal() else { return Err(Error::NotFound) };
    Ok(id.0)
}

async fn find(conn: &impl ConnectionTrait, ctx: &Ctx, id: ViewId) -> Result<view::Model> {
    view::Entity::find_by_id(id.0)
        .filter(view::Column::UserId.eq(owner(ctx)?))
        .one(conn)
        .await
        .map_err(db)?
        .ok_or(Error::NotFound)
}

fn judged(wrong: &mut Violations, given: Shows) -> Shows {
    let q = input::optional_line(wrong, "q", Some(&given.q), FILTER_MOST).unwrap_or_default();
    wrong.require(
        given.sort.is_empty() || is_word(given.sort.strip_prefix('-').unwrap_or(&given.sort)),
        "sort",
        "Use the name of a column. A - in front sorts in descending order.",
    );
    for (field, count, most) in
        [("narrowed", given.narrowed.len(), NARROWED_MOST), ("columns", given.columns.len(), COLUMNS_MOST)]
    {
        if count > most {
            wrong.add(field, format!("Use at most {most} entries."));
        }
    }
    for (at, one) in given.narrowed.iter().enumerate().take(NARROWED_MOST) {
        wrong.require(is_word(&one.name), &format!("narrowed[{at}].name"), NO_WORD);
        input::line(wrong, &format!("narrowed[{at}].value"), &one.value, input::LABEL_MAX);
    }
    for (at, one) in given.columns.iter().enumerate().take(COLUMNS_MOST) {
        wrong.require(is_word(&one.id), &format!("columns[{at}].id"), NO_WORD);
    }
    Shows { q, ..given }
}

const NO_WORD: &str = "Use 1 to 64 characters: lowercase letters, digits and underscores.";

/// As `WORD` of the description has it.
fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

fn stored(row: &view::Model) -> Result<Shows> {
    serde_json::from_value(row.shows.clone()).map_err(Error::internal)
}

fn out(row: view::Model) -> Result<ViewOut> {
    let Shows { q, sort, narrowed, columns, dense } = stored(&row)?;
    let list = List::ALL.into_iter().find(|list| list.as_str() == row.list);
    Ok(ViewOut {
        id: row.id.into(),
        list: list.ok_or_else(|| Error::Internal(format!("a view of an unknown table: {}", row.list)))?,
        name: row.name,
        q,
        sort,
        narrowed,
        columns,
        dense,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}
