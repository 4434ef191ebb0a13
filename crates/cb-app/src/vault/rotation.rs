//! The rotation: a new data key, and everything sealed with it in one transaction.

use cb_core::audit::Action;
use std::sync::Arc;

use cb_core::{Error, Permission, Principal, Result};
use cb_store::db;
use cb_store::entities::{setting, vault_key};
use cb_store::sea_orm::ActiveValue::Set;
use cb_store::sea_orm::{ActiveModelTrait as _, EntityTrait as _};
use serde_json::json;

use super::schedule::due;
use super::status::{VaultOut, due_at, status};
use super::{current, keys, new_key, no_current_key, probe, reseal, ring, settings};
use crate::app::App;
use crate::auth::active;
use crate::ctx::Ctx;
use crate::notify::news;

/// A new data key, and everything sealed with it, in one transaction; or nothing, when a single text does not open.
pub async fn rotate(ctx: &Ctx) -> Result<VaultOut> {
    ctx.authorize(Permission::VaultWrite)?;
    ctx.require_proof()?;
    turn(ctx, false).await?;
    status(ctx).await
}

/// Rotates if the calendar says so; answers whether it did. Looked at again under the lock: of two processes one rotates.
pub async fn rotate_if_due(app: &App) -> Result<bool> {
    if !due(app).await? {
        return Ok(false);
    }
    turn(&app.own_ctx(Principal::Server), true).await
}

/// Answers false when it is only to be done if due, and another process has done it.
async fn turn(ctx: &Ctx, if_due: bool) -> Result<bool> {
    let (app, now) = (ctx.app(), ctx.now());
    let vault = app.vault();
    let turned = ctx
        .record(Action::VaultKeyRotated, async |tx| {
            let rows = keys(tx.conn()).await?;
            let settings = settings(tx.conn()).await?;
            let before = current(&rows).ok_or_else(no_current_key)?;
            if if_due && due_at(&settings, before, now).is_none_or(|at| at > now) {
                return Err(Error::Stale);
            }
            // As the database has it now, not as this process remembers it.
            let old = Arc::new(vault.load(tx.conn()).await?);
            let beside = app.store().snapshot().await?;
            probe(&beside, &old).await?;
            let mut retired: vault_key::ActiveModel = before.clone().into();
            retired.retired_at = Set(Some(now));
            retired.update(tx.conn()).await.map_err(db)?;
            let fresh = new_key(old.root(), ctx.new_id(), now, app.entropy());
            vault_key::Entity::insert(active(fresh.clone())).exec(tx.conn()).await.map_err(db)?;
            let new = Arc::new(ring(old.root(), &keys(tx.conn()).await?).ok_or_else(no_current_key)?);
            let resealed = reseal(&beside, tx, &old, &new, |_| true, now, app.shared_entropy()).await?;
            let mut change: setting::ActiveModel = settings.into();
            change.vault_key_rotated_at = Set(Some(now));
            change.vault_future_since = Set(None);
            change.update(tx.conn()).await.map_err(db)?;
            tx.about("vault_key", fresh.id);
            tx.detail(json!({ "from": before.id, "to": fresh.id, "resealed": resealed }));
            news::vault_rotated(ctx, tx, before.id, fresh.id, resealed).await?;
            Ok(new)
        })
        .await;
    match turned {
        Ok(new) => {
            vault.swap(new);
            Ok(true)
        }
        Err(Error::Stale) if if_due => Ok(false),
        Err(error) => Err(error),
    }
}
