//! Tags: words that people put on assets. The shortest example of a resource.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::TagId;
use cb_core::{Error, Event, Permission, Result};
use cb_store::entities::{asset_tag, tag};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    QueryFilter as _, QuerySelect as _,
};
use cb_store::{Row, among, db, taken};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::HashMap;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::active;
use crate::ctx::Ctx;
use crate::input;
use crate::order::name_key;
use crate::page::{self, List, Page, Sort, contains};

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Tag)]
pub struct TagOut {
    pub id: TagId,
    pub name: String,
    /// `#rrggbb`
    pub color: String,
    /// The number of assets with this tag.
    pub asset_count: u64,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagIn {
    #[schema(example = "critical")]
    pub name: String,
    #[schema(example = "#d97706")]
    pub color: String,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TagPatch {
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub color: Option<String>,
}

pub async fn list(ctx: &Ctx, list: &List) -> Result<Page<TagOut>> {
    let conn = ctx.read(Permission::InventoryRead)?;
    let mut select = tag::Entity::find();
    for word in list.patterns()? {
        select = select.filter(contains(sea_col(tag::Column::Name), &word));
    }
    let sorts =
        [("name", Sort::text(tag::Column::NameKey)), ("created_at", Sort::time(tag::Column::CreatedAt))];
    let page = page::page(conn, select, list, tag::Column::Id, &sorts, "name").await?;
    let counts = counts(conn, page.items.iter().map(|t| t.id).collect()).await?;
    Ok(page.map(|row| {
        let count = counts.get(&row.id).copied().unwrap_or(0);
        out(row, count)
    }))
}

pub async fn get(ctx: &Ctx, id: TagId) -> Result<TagOut> {
    let conn = ctx.read(Permission::InventoryRead)?;
    counted(conn, find(conn, id).await?).await
}

pub async fn create(ctx: &Ctx, input: TagIn) -> Result<TagOut> {
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "name", &input.name, input::TAG_MAX).unwrap_or_default();
    let color = color(&mut wrong, &input.color);
    wrong.into_result()?;
    ctx.write_rows(Permission::InventoryWrite, Action::TagCreated, &[], async |tx| {
        let now = ctx.now();
        let row = tag::Model {
            id: ctx.new_id(),
            name_key: name_key(&name),
            name,
            color,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        tag::Entity::insert(active(row.clone())).exec(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        tx.about("tag", row.id);
        tx.detail(json!({ "name": row.name, "color": row.color }));
        tx.emit(Event::TopologyChanged);
        Ok(out(row, 0))
    })
    .await
}

pub async fn update(ctx: &Ctx, id: TagId, patch: TagPatch, version: Option<i64>) -> Result<TagOut> {
    let mut wrong = Violations::new();
    let name = patch.name.and_then(|n| input::line(&mut wrong, "name", &n, input::TAG_MAX));
    let color = patch.color.map(|c| color(&mut wrong, &c));
    wrong.into_result()?;
    ctx.write_rows(Permission::InventoryWrite, Action::TagUpdated, &[Row::Tag(id.0)], async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        let before = json!({ "name": row.name, "color": row.color });
        let next = row.version + 1;
        let mut change: tag::ActiveModel = row.into();
        if let Some(name) = name {
            change.name_key = Set(name_key(&name));
            change.name = Set(name);
        }
        if let Some(color) = color {
            change.color = Set(color);
        }
        change.version = Set(next);
        change.updated_at = Set(ctx.now());
        let row = change.update(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        tx.about("tag", row.id);
        tx.detail(json!({ "from": before, "to": { "name": row.name, "color": row.color } }));
        tx.emit(Event::TopologyChanged);
        counted(tx.conn(), row).await
    })
    .await
}

pub async fn delete(ctx: &Ctx, id: TagId, version: Option<i64>) -> Result<()> {
    ctx.write(Permission::InventoryWrite, Action::TagDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        tx.about("tag", row.id);
        tx.detail(json!({ "name": row.name, "color": row.color }));
        tx.emit(Event::TopologyChanged);
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

const TAKEN: (&str, &str) = ("name", "A tag with this name already exists.");

fn sea_col(column: tag::Column) -> cb_store::sea_orm::sea_query::Expr {
    cb_store::sea_orm::sea_query::Expr::col((tag::Entity, column))
}

fn color(wrong: &mut Violations, text: &str) -> String {
    let hex =
        text.strip_prefix('#').is_some_and(|h| h.len() == 6 && h.bytes().all(|b| b.is_ascii_hexdigit()));
    wrong.require(hex, "color", "Enter a color in the form #rrggbb.");
    text.to_ascii_lowercase()
}

async fn find(conn: &impl ConnectionTrait, id: TagId) -> Result<tag::Model> {
    tag::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

async fn counts(conn: &impl ConnectionTrait, ids: Vec<Uuid>) -> Result<HashMap<Uuid, u64>> {
    let rows: Vec<(Uuid, i64)> = asset_tag::Entity::find()
        .select_only()
        .column(asset_tag::Column::TagId)
        .column_as(asset_tag::Column::AssetId.count(), "uses")
        .filter(among(conn, asset_tag::Column::TagId, ids))
        .group_by(asset_tag::Column::TagId)
        .into_tuple()
        .all(conn)
        .await
        .map_err(db)?;
    Ok(rows.into_iter().map(|(id, n)| (id, u64::try_from(n).unwrap_or(0))).collect())
}

async fn counted(conn: &impl ConnectionTrait, row: tag::Model) -> Result<TagOut> {
    let count = counts(conn, vec![row.id]).await?.get(&row.id).copied().unwrap_or(0);
    Ok(out(row, count))
}

fn out(row: tag::Model, asset_count: u64) -> TagOut {
    TagOut {
        id: row.id.into(),
        name: row.name,
        color: row.color,
        asset_count,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

#[cfg(test)]
mod tests {
    /// A handler's future must be `Send`; this does not compile when a write's is not.
    #[test]
    fn a_write_can_run_on_any_thread() {
        fn send<T: Send>(_: impl FnOnce(&'static crate::Ctx) -> T) {}
        send(|ctx| super::create(ctx, super::TagIn { name: String::new(), color: String::new() }));
        send(|ctx| super::delete(ctx, uuid::Uuid::nil().into(), None));
    }
}
