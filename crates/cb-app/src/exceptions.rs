//! What the operator has let out by a setting goes into the audit log: `CB_OUTBOUND_ALLOW` and `CB_SCAN_ALLOW`, each time
//! that they are not what they were.

use cb_core::audit::Action;
use cb_core::config::Config;
use cb_core::{Principal, Result};
use cb_store::db;
use cb_store::entities::audit_entry;
use cb_store::sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use serde_json::{Value, json};

use crate::app::App;

const ACTION: Action = Action::OutboundExceptionsSet;

/// When the server starts.
pub(crate) async fn record(app: &App, config: &Config) -> Result<()> {
    let texts = |all: &mut dyn Iterator<Item = String>| all.collect::<Vec<_>>();
    let now = json!({
        "outbound_allow": texts(&mut config.outbound_allow.iter().map(ToString::to_string)),
        "scan_allow": texts(&mut config.scan_allow.iter().map(ToString::to_string)),
    });
    let newest = audit_entry::Entity::find()
        .filter(audit_entry::Column::Action.eq(ACTION.as_str()))
        .order_by_desc(audit_entry::Column::Seq)
        .one(app.store().reader())
        .await
        .map_err(db)?;
    let before = newest.and_then(|entry| serde_json::from_str::<Value>(&entry.detail).ok());
    let none = config.outbound_allow.is_empty() && config.scan_allow.is_empty();
    if before.as_ref() == Some(&now) || (before.is_none() && none) {
        return Ok(());
    }
    let ctx = app.own_ctx(Principal::Server);
    ctx.record(ACTION, async |tx| {
        tx.detail(now);
        Ok(())
    })
    .await
}
