//! What may be told of the vault; never a key.

use cb_core::clock::Time;
use cb_core::{Error, Permission, Result};
use cb_store::entities::{setting, vault_key};
use cb_store::sealed;
use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{current, keys, settings};
use crate::ctx::Ctx;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VaultKey)]
pub struct KeyOut {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    /// Null: it seals.
    #[schema(required)]
    pub retired_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Vault)]
pub struct VaultOut {
    pub current_key_id: Uuid,
    /// Of the current key.
    pub created_at: DateTime<Utc>,
    #[schema(required)]
    pub rotated_at: Option<DateTime<Utc>>,
    /// Null: never by itself.
    #[schema(required)]
    pub rotation_days: Option<i32>,
    #[schema(required)]
    pub next_rotation_at: Option<DateTime<Utc>>,
    /// The newest first.
    pub keys: Vec<KeyOut>,
    /// How many secrets are stored.
    pub sealed: i64,
    /// Tells root keys apart, and nothing about them.
    pub root_fingerprint: String,
}

/// When the key is to be rotated by itself; none: never.
pub(super) fn due_at(settings: &setting::Model, current: &vault_key::Model) -> Option<Time> {
    let since = settings.vault_key_rotated_at.unwrap_or(current.created_at);
    since.checked_add_signed(TimeDelta::days(settings.vault_key_rotation_days?.into()))
}

pub async fn status(ctx: &Ctx) -> Result<VaultOut> {
    ctx.authorize(Permission::VaultRead)?;
    let conn = ctx.store().snapshot().await?;
    let rows = keys(&conn).await?;
    let settings = settings(&conn).await?;
    let current = current(&rows).ok_or(Error::NotFound)?;
    Ok(VaultOut {
        current_key_id: current.id,
        created_at: current.created_at,
        rotated_at: settings.vault_key_rotated_at,
        rotation_days: settings.vault_key_rotation_days,
        next_rotation_at: due_at(&settings, current),
        sealed: sealed::count(&conn).await?,
        root_fingerprint: current.root_fingerprint.clone(),
        keys: rows
            .iter()
            .map(|row| KeyOut { id: row.id, created_at: row.created_at, retired_at: row.retired_at })
            .collect(),
    })
}
