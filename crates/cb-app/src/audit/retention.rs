//! Removing what has outlived the retention, so that the rest can still be verified: the log then begins behind an entry
//! whose number and hash the server has signed. See docs/adr/0008-audit-retention.md.

use cb_core::audit::Action;

use cb_core::audit::Claim;
use cb_core::clock::fixed_width;
use cb_core::{Error, Principal, Result};
use cb_store::db;
use cb_store::entities::setting;
use cb_store::sea_orm::EntityTrait as _;
use chrono::TimeDelta;
use serde_json::json;

use super::testimony;
use crate::app::App;

/// Removes what is older than the retention, a batch at a time, each in a transaction of its own with the anchor and its
/// entry in the log; answers how many entries went. Nothing goes while something old is not as it was written, or while the
/// clock may be wrong.
pub async fn prune(app: &App) -> Result<i64> {
    let settings = setting::Entity::find_by_id(1).one(app.store().reader()).await.map_err(db)?;
    let Some(days) = settings.and_then(|s| s.audit_retention_days) else { return Ok(0) };
    let oldest = app.now() - TimeDelta::days(days.into());
    if app.removals_held() {
        return Ok(0);
    }
    let key = app.checkpoint_key();
    let public = key.public();
    let (witnesses, _, damage) =
        testimony(app.store(), Some(&public), &[], Some(app.beside_database().folder())).await?;
    if let Some(why) = damage {
        return Err(Error::Conflict(format!("no entry of the audit log is deleted: {why}")));
    }
    let ctx = app.own_ctx(Principal::Server);
    let mut gone = 0;
    while !app.stopping().is_cancelled() {
        let Some(batch) = app.store().outlived(&public, &witnesses, oldest).await? else { break };
        let anchor = key.sign(Claim::Anchor, batch.through, &batch.hash, &fixed_width(app.now()));
        ctx.record(Action::AuditLogPruned, async |tx| {
            tx.detail(json!({ "through": batch.through, "entries": batch.entries() }));
            tx.prune(&batch, &anchor).await
        })
        .await?;
        gone += batch.entries();
    }
    Ok(gone)
}

/// Deletes what is older than the settings allow.
pub(crate) async fn keep_to_retention(app: &App) -> Result<()> {
    let entries = prune(app).await?;
    if entries > 0 {
        tracing::info!(entries, "entries of the audit log were deleted because of their age");
    }
    Ok(())
}
