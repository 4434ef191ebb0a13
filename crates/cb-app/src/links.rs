//! Links: edges between two assets, each with the evidence for it.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::{AssetId, LinkId};
use cb_core::inventory::{LinkEvidence, LinkKind};
use cb_core::{Error, Event, Patch, Permission, Result};
use cb_store::entities::link;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::sea_query::Expr;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    QueryFilter as _,
};
use cb_store::{Row, db, taken};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::assets::{self, word};
use crate::auth::active;
use crate::ctx::Ctx;
use crate::input;
use crate::page::{self, List, Page, Sort, contains};

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Link)]
pub struct LinkOut {
    pub id: LinkId,
    pub a_asset_id: AssetId,
    pub b_asset_id: AssetId,
    pub kind: LinkKind,
    pub evidence: LinkEvidence,
    #[schema(required)]
    pub label: Option<String>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkIn {
    pub a_asset_id: AssetId,
    pub b_asset_id: AssetId,
    pub kind: LinkKind,
    pub label: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkPatch {
    #[serde(default)]
    pub a_asset_id: Option<AssetId>,
    #[serde(default)]
    pub b_asset_id: Option<AssetId>,
    #[serde(default)]
    pub kind: Option<LinkKind>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub label: Patch<String>,
}

pub async fn list(ctx: &Ctx, list: &List, asset: Option<AssetId>) -> Result<Page<LinkOut>> {
    let conn = ctx.read(Permission::InventoryRead)?;
    let mut select = link::Entity::find();
    if let Some(asset) = asset {
        select = select.filter(
            Condition::any().add(link::Column::AAssetId.eq(asset.0)).add(link::Column::BAssetId.eq(asset.0)),
        );
    }
    for word in list.patterns()? {
        select = select.filter(contains(Expr::col(link::Column::Label), &word));
    }
    let sorts =
        [("created_at", Sort::time(link::Column::CreatedAt)), ("label", Sort::text(link::Column::Label))];
    let page = page::page(conn, select, list, link::Column::Id, &sorts, "created_at").await?;
    let items = page.items.into_iter().map(LinkOut::try_from).collect::<Result<_>>()?;
    Ok(Page { items, next_cursor: page.next_cursor, total: page.total })
}

pub async fn get(ctx: &Ctx, id: LinkId) -> Result<LinkOut> {
    find(ctx.read(Permission::InventoryRead)?, id).await?.try_into()
}

/// Draws a link: its evidence is the person.
pub async fn create(ctx: &Ctx, input: LinkIn) -> Result<LinkOut> {
    let mut wrong = Violations::new();
    let label = input::optional_line(&mut wrong, "label", input.label.as_deref(), input::LABEL_MAX);
    wrong.require(input.a_asset_id != input.b_asset_id, "b_asset_id", SELF);
    wrong.into_result()?;
    let rows = [input.a_asset_id, input.b_asset_id].map(|end| Row::AssetStays(end.0));
    ctx.write_rows(Permission::InventoryWrite, Action::LinkCreated, &rows, async |tx| {
        let a = assets::named(tx.conn(), "a_asset_id", input.a_asset_id).await?;
        let b = assets::named(tx.conn(), "b_asset_id", input.b_asset_id).await?;
        let row = new_row(ctx, a.id, b.id, input.kind, LinkEvidence::Drawn, label);
        link::Entity::insert(active(row.clone())).exec(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        tx.about("link", row.id);
        tx.detail(json!({ "between": [a.name, b.name], "kind": row.kind, "label": row.label }));
        tx.emit(Event::LinkChanged { id: row.id.into() });
        row.try_into()
    })
    .await
}

pub async fn update(ctx: &Ctx, id: LinkId, patch: LinkPatch, version: Option<i64>) -> Result<LinkOut> {
    let mut wrong = Violations::new();
    let label = input::line_patch(&mut wrong, "label", patch.label, input::LABEL_MAX);
    wrong.into_result()?;
    ctx.write(Permission::InventoryWrite, Action::LinkUpdated, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        let before = json!({ "kind": row.kind, "label": row.label, "a": row.a_asset_id, "b": row.b_asset_id });
        let (mut a, mut b, next) = (row.a_asset_id, row.b_asset_id, row.version + 1);
        if let Some(end) = patch.a_asset_id {
            a = assets::named(tx.conn(), "a_asset_id", end).await?.id;
        }
        if let Some(end) = patch.b_asset_id {
            b = assets::named(tx.conn(), "b_asset_id", end).await?.id;
        }
        if a == b {
            return Err(Error::invalid("b_asset_id", SELF));
        }
        let mut change: link::ActiveModel = row.into();
        change.a_asset_id = Set(Ord::min(a, b));
        change.b_asset_id = Set(Ord::max(a, b));
        if let Some(kind) = patch.kind {
            change.kind = Set(kind.as_str().to_owned());
        }
        if let Some(label) = label {
            change.label = Set(label);
        }
        // Whoever edits a link vouches for it.
        change.evidence = Set(LinkEvidence::Drawn.as_str().to_owned());
        change.version = Set(next);
        change.updated_at = Set(ctx.now());
        let row = change.update(tx.conn()).await.map_err(|e| taken(&e, TAKEN))?;
        tx.about("link", row.id);
        tx.detail(json!({ "from": before, "to": { "kind": row.kind, "label": row.label, "a": row.a_asset_id, "b": row.b_asset_id } }));
        tx.emit(Event::LinkChanged { id });
        row.try_into()
    })
    .await
}

pub async fn delete(ctx: &Ctx, id: LinkId, version: Option<i64>) -> Result<()> {
    ctx.write(Permission::InventoryWrite, Action::LinkDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        tx.about("link", row.id);
        tx.detail(
            json!({ "between": [row.a_asset_id, row.b_asset_id], "kind": row.kind, "label": row.label }),
        );
        tx.emit(Event::LinkRemoved { id });
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

const SELF: &str = "Choose another asset. A link connects two assets.";
const TAKEN: (&str, &str) =
    ("kind", "These two assets already have a link of this kind. Choose another kind.");

/// The smaller id stands first, so that one pair has one row.
pub(crate) fn new_row(
    ctx: &Ctx,
    a: Uuid,
    b: Uuid,
    kind: LinkKind,
    evidence: LinkEvidence,
    label: Option<String>,
) -> link::Model {
    let now = ctx.now();
    link::Model {
        id: ctx.new_id(),
        a_asset_id: Ord::min(a, b),
        b_asset_id: Ord::max(a, b),
        kind: kind.as_str().to_owned(),
        evidence: evidence.as_str().to_owned(),
        label,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

async fn find(conn: &impl ConnectionTrait, id: LinkId) -> Result<link::Model> {
    link::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

impl TryFrom<link::Model> for LinkOut {
    type Error = Error;

    fn try_from(row: link::Model) -> Result<Self> {
        Ok(Self {
            kind: word(LinkKind::parse(&row.kind), &row.kind)?,
            evidence: word(LinkEvidence::parse(&row.evidence), &row.evidence)?,
            id: row.id.into(),
            a_asset_id: row.a_asset_id.into(),
            b_asset_id: row.b_asset_id.into(),
            label: row.label,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}
