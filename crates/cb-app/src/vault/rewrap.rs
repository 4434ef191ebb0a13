//! Changing the root key: every data key is wrapped anew in one transaction; nothing that is sealed changes.

use cb_core::audit::Action;
use std::path::PathBuf;
use std::sync::Arc;

use cb_core::{Error, Permission, Result};
use cb_store::db;
use cb_store::entities::vault_key;
use cb_store::sea_orm::ActiveModelTrait as _;
use cb_store::sea_orm::ActiveValue::Set;
use serde_json::json;

use super::root::Next;
use super::{current, keys, no_current_key, probe, reseal, ring};
use crate::ctx::Ctx;

/// What a change of the root key has done.
#[derive(Debug)]
pub struct Rewrapped {
    /// Fingerprints.
    pub from: String,
    pub to: String,
    pub keys: usize,
    /// Where the new key stands already; none: the operator keeps it, and changes the setting.
    pub file: Option<PathBuf>,
}

/// Wraps the data keys with another root key: the operator's of `CB_VAULT_KEY_NEW`, or, where the key stands in a file, one
/// that is made. A process that dies on the way leaves a key that fits: the file of the new one is there before the commit, and
/// takes the old one's place behind it.
pub async fn rewrap(ctx: &Ctx) -> Result<Rewrapped> {
    ctx.authorize(Permission::VaultWrite)?;
    ctx.require_proof()?;
    let (app, store) = (ctx.app(), ctx.store());
    let vault = app.vault();
    let next = vault.source.next(store, app.entropy()).await?;
    let done = change(ctx, &next).await;
    // Also where the commit's answer was lost: the database says which of the two keys fits.
    let settled = vault.source.finish(store, &next).await;
    let done = done?;
    settled?;
    vault.swap(vault.load(store.reader()).await?);
    Ok(done)
}

async fn change(ctx: &Ctx, next: &Next) -> Result<Rewrapped> {
    let (app, now) = (ctx.app(), ctx.now());
    let vault = app.vault();
    ctx.record(Action::VaultRootChanged, async |tx| {
        let old = Arc::new(vault.load(tx.conn()).await?);
        let (from, to) = (old.root().fingerprint(), next.key.fingerprint());
        if from == to {
            return Err(Error::Conflict(format!(
                "the vault already uses the new root key (fingerprint {to})"
            )));
        }
        let beside = app.store().snapshot().await?;
        probe(&beside, &old).await?;
        vault.source.stage(next)?;
        let rows = keys(tx.conn()).await?;
        let (mut rewrapped, mut unreadable) = (Vec::new(), Vec::new());
        for row in rows {
            // What the old root key does not open was lost before, and nothing that is stored needs it.
            let Some(wrapped) = old.root().rewrap(&next.key, &row.id, &row.wrapped, now, app.entropy()) else {
                unreadable.push(row.id);
                continue;
            };
            let mut change: vault_key::ActiveModel = row.into();
            change.wrapped = Set(wrapped);
            change.root_fingerprint = Set(to.clone());
            rewrapped.push(change.update(tx.conn()).await.map_err(db)?);
        }
        let new = Arc::new(ring(&next.key, &rewrapped).ok_or_else(no_current_key)?);
        // The old root key may have sealed it itself, before there were data keys.
        let direct = |text: &str| cb_vault::seal::key_of(text).is_none();
        let resealed = reseal(&beside, tx, &old, &new, direct, now, app.shared_entropy()).await?;
        let key = current(&rewrapped).ok_or_else(no_current_key)?.id;
        tx.about("vault_key", key);
        tx.detail(json!({ "from": from, "to": to, "keys": rewrapped.len(), "resealed": resealed, "unreadable_keys": unreadable }));
        let file = vault.source.file().map(Into::into);
        Ok(Rewrapped { from, to, keys: rewrapped.len(), file })
    })
    .await
}
