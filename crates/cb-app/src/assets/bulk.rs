//! What is done to many assets at once: those with the given ids, or all that fit a filter. One transaction and one entry
//! in the audit log for each call.

use std::collections::BTreeSet;

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::{AssetId, TagId};
use cb_core::{Error, Event, Permission, Result};
use cb_store::db;
use cb_store::entities::{asset, asset_tag, tag};
use cb_store::sea_orm::sea_query::{Expr, ExprTrait as _, OnConflict};
use cb_store::sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::search::{AssetFilter, narrowed};
use super::{TAGS_MOST, tag_set};
use crate::auth::active;
use crate::ctx::Ctx;
use crate::notify::news;

/// Assets in one call.
pub(crate) const MOST: usize = 10_000;
/// Rows in one statement: each database has a bound for the values of a statement.
const AT_ONCE: usize = 500;
/// Assets that the entry in the audit log names. It always has their number.
const NAMED: usize = 500;

/// The assets: either `ids` or `filter`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetsIn {
    /// 1 to 10,000. Assets that no longer exist are skipped.
    #[serde(default)]
    pub ids: Option<Vec<AssetId>>,
    /// All assets that match.
    #[serde(default)]
    pub filter: Option<AssetFilter>,
    /// With `filter`: the number of matches that the caller saw. If the number is different now, nothing is changed.
    #[serde(default)]
    pub count: Option<u64>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssetsTagIn {
    /// The assets.
    pub assets: AssetsIn,
    /// IDs of tags to add. Existing tags stay.
    pub tags: Vec<TagId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AssetsDone {
    /// How many assets were changed.
    pub count: u64,
}

/// Removes them.
pub async fn delete_many(ctx: &Ctx, input: AssetsIn) -> Result<AssetsDone> {
    let which = Which::of(input, "")?;
    ctx.write(Permission::InventoryWrite, Action::AssetsDeleted, async |tx| {
        let rows = which.rows(tx.conn()).await?;
        for row in &rows {
            tx.emit(Event::AssetRemoved { id: row.id.into() });
            news::asset_removed(ctx, tx, row).await?;
        }
        for part in rows.chunks(AT_ONCE) {
            let ids = part.iter().map(|row| row.id);
            asset::Entity::delete_many()
                .filter(asset::Column::Id.is_in(ids))
                .exec(tx.conn())
                .await
                .map_err(db)?;
        }
        tx.detail(named(&rows));
        Ok(AssetsDone { count: rows.len() as u64 })
    })
    .await
}

/// Gives them tags.
pub async fn tag_many(ctx: &Ctx, input: AssetsTagIn) -> Result<AssetsDone> {
    let mut wrong = Violations::new();
    wrong.require(!input.tags.is_empty(), "tags", &format!("Choose 1 to {TAGS_MOST} tags."));
    let tags = tag_set(&mut wrong, Some(input.tags)).unwrap_or_default();
    wrong.into_result()?;
    let which = Which::of(input.assets, "assets.")?;
    ctx.write(Permission::InventoryWrite, Action::AssetsTagged, async |tx| {
        let known =
            tag::Entity::find().filter(tag::Column::Id.is_in(tags.iter().copied())).all(tx.conn()).await;
        let known = known.map_err(db)?;
        if known.len() != tags.len() {
            return Err(Error::invalid("tags", "One of these tags does not exist."));
        }
        let rows = which.rows(tx.conn()).await?;
        let mut changed = Vec::new();
        for part in rows.chunks(AT_ONCE) {
            let lacking = lacking(tx.conn(), part, &tags).await?;
            for pairs in lacking.chunks(AT_ONCE) {
                let pairs = pairs.iter().map(|(asset, tag)| {
                    active::<_, asset_tag::ActiveModel>(asset_tag::Model { asset_id: *asset, tag_id: *tag })
                });
                asset_tag::Entity::insert_many(pairs)
                    .on_conflict(OnConflict::new().do_nothing().to_owned())
                    .exec_without_returning(tx.conn())
                    .await
                    .map_err(db)?;
            }
            let ids: BTreeSet<Uuid> = lacking.into_iter().map(|(asset, _)| asset).collect();
            asset::Entity::update_many()
                .col_expr(asset::Column::Version, Expr::col(asset::Column::Version).add(1))
                .col_expr(asset::Column::UpdatedAt, Expr::value(ctx.now()))
                .filter(asset::Column::Id.is_in(ids.iter().copied()))
                .exec(tx.conn())
                .await
                .map_err(db)?;
            changed.extend(part.iter().filter(|row| ids.contains(&row.id)).cloned());
        }
        for row in &changed {
            tx.emit(Event::AssetChanged { id: row.id.into() });
        }
        let mut detail = named(&changed);
        detail["tags"] = known.iter().map(|tag| tag.name.as_str()).collect();
        tx.detail(detail);
        Ok(AssetsDone { count: changed.len() as u64 })
    })
    .await
}

/// The pairs of an asset and a tag that it does not have.
async fn lacking(
    conn: &impl ConnectionTrait,
    rows: &[asset::Model],
    tags: &BTreeSet<Uuid>,
) -> Result<Vec<(Uuid, Uuid)>> {
    let ids = rows.iter().map(|row| row.id);
    let has = asset_tag::Entity::find()
        .filter(asset_tag::Column::AssetId.is_in(ids))
        .filter(asset_tag::Column::TagId.is_in(tags.iter().copied()))
        .all(conn)
        .await
        .map_err(db)?;
    let has: BTreeSet<(Uuid, Uuid)> = has.into_iter().map(|row| (row.asset_id, row.tag_id)).collect();
    let all = rows.iter().flat_map(|row| tags.iter().map(|tag| (row.id, *tag)));
    Ok(all.filter(|pair| !has.contains(pair)).collect())
}

/// For the audit log: how many, and the first of them by name.
fn named(rows: &[asset::Model]) -> Value {
    let first: Vec<Value> =
        rows.iter().take(NAMED).map(|row| json!({ "asset_id": row.id, "name": row.name })).collect();
    json!({ "count": rows.len(), "assets": first })
}

enum Which {
    Ids(BTreeSet<Uuid>),
    Filter(AssetFilter, u64),
}

impl Which {
    /// `at` is the path of `input` in the body, for errors.
    fn of(input: AssetsIn, at: &str) -> Result<Self> {
        let wrong = |field: &str, reason: &str| Err(Error::invalid(format!("{at}{field}"), reason));
        match (input.ids, input.filter, input.count) {
            (Some(ids), ..) if !(1..=MOST).contains(&ids.len()) => {
                wrong("ids", &format!("Choose 1 to {MOST} assets."))
            }
            (Some(ids), None, None) => Ok(Self::Ids(ids.into_iter().map(|id| id.0).collect())),
            (Some(_), Some(_), _) => wrong("filter", "Send either ids or a filter, but not both."),
            (_, None, Some(_)) => wrong("count", "Send a count only with a filter."),
            (None, Some(filter), Some(count)) => Ok(Self::Filter(filter, count)),
            (None, Some(_), None) => {
                wrong("count", "Send the `total` of the list that you saw, because you send a filter.")
            }
            (None, None, None) => wrong("ids", "Send ids or a filter."),
        }
    }

    /// By name, so that the entry in the audit log is the same on both databases.
    async fn rows(&self, conn: &impl ConnectionTrait) -> Result<Vec<asset::Model>> {
        match self {
            Self::Ids(ids) => {
                let ids: Vec<Uuid> = ids.iter().copied().collect();
                let mut rows = Vec::new();
                for part in ids.chunks(AT_ONCE) {
                    let some = asset::Entity::find().filter(asset::Column::Id.is_in(part.iter().copied()));
                    rows.extend(some.lock_exclusive().all(conn).await.map_err(db)?);
                }
                rows.sort_by(|a, b| a.name_key.cmp(&b.name_key));
                Ok(rows)
            }
            Self::Filter(filter, count) => {
                let rows = narrowed(filter, None)?
                    .order_by_asc(asset::Column::NameKey)
                    .limit(MOST as u64 + 1)
                    .lock_exclusive()
                    .all(conn)
                    .await
                    .map_err(db)?;
                if rows.len() > MOST {
                    return Err(Error::invalid(
                        "filter",
                        format!("The filter matches more than {MOST} assets. Narrow it."),
                    ));
                }
                if rows.len() as u64 != *count {
                    return Err(Error::Conflict(format!(
                        "The filter now matches {} assets instead of {count}. Check the list again.",
                        rows.len()
                    )));
                }
                Ok(rows)
            }
        }
    }
}
