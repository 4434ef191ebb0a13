//! Interfaces: where an asset meets a network. A MAC is evidence, never the identity of an asset.

use cb_core::audit::Action;
use cb_core::error::Violations;
use cb_core::ids::{AssetId, InterfaceId};
use cb_core::{Error, Event, Patch, Permission, Result};
use cb_store::entities::interface;
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::sea_query::Expr;
use cb_store::sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, ModelTrait as _,
    QueryFilter as _,
};
use cb_store::{Row, db};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::assets;
use crate::auth::active;
use crate::ctx::Ctx;
use crate::input::{self, NAME_MAX};
use crate::page::{self, List, Page, Sort, contains};

#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Interface)]
pub struct InterfaceOut {
    pub id: InterfaceId,
    pub asset_id: AssetId,
    pub name: String,
    /// In lower case, with colons.
    #[schema(required)]
    pub mac: Option<String>,
    /// The company to which the block of the MAC address is registered.
    #[schema(required)]
    pub vendor: Option<String>,
    pub version: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InterfaceIn {
    pub asset_id: AssetId,
    #[schema(example = "eth0")]
    pub name: String,
    #[schema(example = "00:11:32:aa:bb:cc")]
    pub mac: Option<String>,
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InterfacePatch {
    #[serde(default)]
    pub asset_id: Option<AssetId>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub mac: Patch<String>,
}

pub async fn list(ctx: &Ctx, list: &List, asset: Option<AssetId>) -> Result<Page<InterfaceOut>> {
    let conn = ctx.read(Permission::InventoryRead)?;
    let mut select = interface::Entity::find();
    if let Some(asset) = asset {
        select = select.filter(interface::Column::AssetId.eq(asset.0));
    }
    for word in list.patterns()? {
        let any = [interface::Column::Name, interface::Column::Mac, interface::Column::Vendor]
            .into_iter()
            .fold(Condition::any(), |any, column| any.add(contains(Expr::col(column), &word)));
        select = select.filter(any);
    }
    let sorts = [
        ("name", Sort::text(interface::Column::Name)),
        ("mac", Sort::text(interface::Column::Mac)),
        ("created_at", Sort::time(interface::Column::CreatedAt)),
    ];
    Ok(page::page(conn, select, list, interface::Column::Id, &sorts, "name").await?.map(Into::into))
}

pub async fn get(ctx: &Ctx, id: InterfaceId) -> Result<InterfaceOut> {
    Ok(find(ctx.read(Permission::InventoryRead)?, id).await?.into())
}

pub async fn create(ctx: &Ctx, input: InterfaceIn) -> Result<InterfaceOut> {
    let mut wrong = Violations::new();
    let name = input::line(&mut wrong, "name", &input.name, NAME_MAX).unwrap_or_default();
    let mac = mac(&mut wrong, input.mac);
    wrong.into_result()?;
    ctx.write_rows(
        Permission::InventoryWrite,
        Action::InterfaceCreated,
        &[Row::AssetStays(input.asset_id.0)],
        async |tx| {
            let owner = assets::named(tx.conn(), "asset_id", input.asset_id).await?;
            let row = new_row(ctx, owner.id, name, mac);
            interface::Entity::insert(active(row.clone())).exec(tx.conn()).await.map_err(db)?;
            tx.about("interface", row.id);
            tx.detail(json!({ "asset": owner.name, "name": row.name, "mac": row.mac }));
            tx.emit(Event::AssetChanged { id: row.asset_id.into() });
            Ok(row.into())
        },
    )
    .await
}

pub async fn update(
    ctx: &Ctx,
    id: InterfaceId,
    patch: InterfacePatch,
    version: Option<i64>,
) -> Result<InterfaceOut> {
    let mut wrong = Violations::new();
    let name = patch.name.and_then(|n| input::line(&mut wrong, "name", &n, NAME_MAX));
    let mac = patch.mac.change().map(|m| mac(&mut wrong, m));
    wrong.into_result()?;
    ctx.write(Permission::InventoryWrite, Action::InterfaceUpdated, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        let before = json!({ "name": row.name, "mac": row.mac, "asset_id": row.asset_id });
        tx.emit(Event::AssetChanged { id: row.asset_id.into() });
        let next = row.version + 1;
        let mut change: interface::ActiveModel = row.into();
        if let Some(asset) = patch.asset_id {
            change.asset_id = Set(assets::named(tx.conn(), "asset_id", asset).await?.id);
        }
        if let Some(name) = name {
            change.name = Set(name);
        }
        if let Some(mac) = mac {
            change.vendor = Set(mac.as_deref().and_then(vendor));
            change.mac = Set(mac);
        }
        change.version = Set(next);
        change.updated_at = Set(ctx.now());
        let row = change.update(tx.conn()).await.map_err(db)?;
        tx.about("interface", row.id);
        tx.detail(
            json!({ "from": before, "to": { "name": row.name, "mac": row.mac, "asset_id": row.asset_id } }),
        );
        tx.emit(Event::AssetChanged { id: row.asset_id.into() });
        Ok(row.into())
    })
    .await
}

pub async fn delete(ctx: &Ctx, id: InterfaceId, version: Option<i64>) -> Result<()> {
    ctx.write(Permission::InventoryWrite, Action::InterfaceDeleted, async |tx| {
        let row = find(tx.conn(), id).await?;
        input::expect_version(row.version, version)?;
        tx.about("interface", row.id);
        tx.detail(json!({ "name": row.name, "mac": row.mac, "asset_id": row.asset_id }));
        tx.emit(Event::AssetChanged { id: row.asset_id.into() });
        row.delete(tx.conn()).await.map_err(db)?;
        Ok(())
    })
    .await
}

pub(crate) fn new_row(
    ctx: &Ctx,
    asset_id: uuid::Uuid,
    name: String,
    mac: Option<String>,
) -> interface::Model {
    let now = ctx.now();
    interface::Model {
        id: ctx.new_id(),
        asset_id,
        name,
        vendor: mac.as_deref().and_then(vendor),
        mac,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

fn vendor(mac: &str) -> Option<String> {
    cb_collect::vendor::lookup(mac)
}

fn mac(wrong: &mut Violations, text: Option<String>) -> Option<String> {
    match input::mac(&text.filter(|t| !t.trim().is_empty())?) {
        Ok(mac) => Some(mac),
        Err(reason) => {
            wrong.add("mac", reason);
            None
        }
    }
}

pub(crate) async fn find(conn: &impl ConnectionTrait, id: InterfaceId) -> Result<interface::Model> {
    interface::Entity::find_by_id(id.0).one(conn).await.map_err(db)?.ok_or(Error::NotFound)
}

impl From<interface::Model> for InterfaceOut {
    fn from(row: interface::Model) -> Self {
        Self {
            id: row.id.into(),
            asset_id: row.asset_id.into(),
            name: row.name,
            mac: row.mac,
            vendor: row.vendor,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
