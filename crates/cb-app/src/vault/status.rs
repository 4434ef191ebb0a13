//! What may be told of the vault; never a key.

use cb_core::clock::Time;
use cb_core::{Error, Permission, Result};
use cb_store::entities::{setting, vault_key};
use cb_store::sealed;
use chrono::{DateTime, Local, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::schedule::{RETIRED_KEPT, next_slot};
use super::{current, keys, settings};
use crate::ctx::Ctx;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VaultKey)]
pub struct KeyOut {
    pub id: Uuid,
    pub created_at: DateTime<Utc>,
    /// Null if it is the current key.
    #[schema(required)]
    pub retired_at: Option<DateTime<Utc>>,
    /// The number of stored secrets that it encrypts.
    pub secrets: i64,
    /// When a retired key that encrypts nothing can be deleted; the first check after this time deletes it. Null if it is in use.
    #[schema(required)]
    pub kept_until: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum VaultLookResult {
    Rotated,
    NotDue,
    Failed,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Vault)]
pub struct VaultOut {
    pub current_key_id: Uuid,
    /// When the current key was created.
    pub created_at: DateTime<Utc>,
    #[schema(required)]
    pub rotated_at: Option<DateTime<Utc>>,
    /// Null if rotation is not scheduled.
    #[schema(required)]
    pub rotation_days: Option<i32>,
    /// The first daily check after this time rotates the key.
    #[schema(required)]
    pub next_rotation_at: Option<DateTime<Utc>>,
    /// The next daily check, at 04:30 in the time zone of the server.
    pub next_look_at: DateTime<Utc>,
    /// The last check by any server; null if there was none yet.
    #[schema(required)]
    pub looked_at: Option<DateTime<Utc>>,
    #[schema(required)]
    pub look_result: Option<VaultLookResult>,
    /// Why the last check failed.
    #[schema(required)]
    pub look_error: Option<String>,
    /// Newest first.
    pub keys: Vec<KeyOut>,
    /// The number of stored secrets.
    pub sealed: i64,
    /// Distinguishes root keys and reveals nothing about them.
    pub root_fingerprint: String,
    /// This server has an older root key. It can decrypt and encrypt, but cannot rotate until it is started with the new
    /// root key.
    pub root_is_stale: bool,
    /// The source of the root key: `CB_VAULT_KEY` or a file.
    pub root_source: String,
}

/// When the key is to be rotated by itself; none: never. A rotation that lies in the future is of a clock that was wrong, then
/// or now: it counts as if it were of the day on which that was noticed, so that the next is neither at once nor in years.
pub(super) fn due_at(settings: &setting::Model, current: &vault_key::Model, now: Time) -> Option<Time> {
    let since = settings.vault_key_rotated_at.unwrap_or(current.created_at);
    let noticed = settings.vault_future_since.filter(|noticed| *noticed <= now).unwrap_or(now);
    let since = if since <= now { since } else { noticed };
    since.checked_add_signed(TimeDelta::days(settings.vault_key_rotation_days?.into()))
}

pub async fn status(ctx: &Ctx) -> Result<VaultOut> {
    ctx.authorize(Permission::VaultRead)?;
    let conn = ctx.store().snapshot().await?;
    let rows = keys(&conn).await?;
    let settings = settings(&conn).await?;
    let uses = sealed::uses(&conn).await?;
    let vault = ctx.app().vault();
    let current = current(&rows).ok_or(Error::NotFound)?;
    Ok(VaultOut {
        current_key_id: current.id,
        created_at: current.created_at,
        rotated_at: settings.vault_key_rotated_at,
        rotation_days: settings.vault_key_rotation_days,
        next_rotation_at: due_at(&settings, current, ctx.now()),
        next_look_at: next_slot(ctx.now(), &Local),
        looked_at: settings.vault_looked_at,
        look_result: settings.vault_look_result.as_deref().and_then(|result| match result {
            "rotated" => Some(VaultLookResult::Rotated),
            "not_due" => Some(VaultLookResult::NotDue),
            "failed" => Some(VaultLookResult::Failed),
            _ => None,
        }),
        look_error: settings.vault_look_error,
        sealed: uses.values().sum(),
        root_fingerprint: current.root_fingerprint.clone(),
        root_is_stale: vault.ring().root().fingerprint() != current.root_fingerprint
            && vault.load(&conn).await.is_err(),
        root_source: vault.source.name(),
        keys: rows
            .iter()
            .map(|row| {
                let secrets = uses.get(&Some(row.id)).copied().unwrap_or(0);
                let kept_until = row.retired_at.filter(|_| secrets == 0).map(|at| at + RETIRED_KEPT);
                KeyOut {
                    id: row.id,
                    created_at: row.created_at,
                    retired_at: row.retired_at,
                    secrets,
                    kept_until,
                }
            })
            .collect(),
    })
}
