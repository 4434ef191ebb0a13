//! What there is to hear of, in words for whoever chooses.

use cb_core::error::Violations;
use cb_core::{NoticeKind, Permission, Result};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::ctx::Ctx;

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = NoticeKindDescription)]
pub struct NoticeKindOut {
    pub kind: NoticeKind,
    #[schema(value_type = String)]
    pub title: &'static str,
    #[schema(value_type = String)]
    pub description: &'static str,
}

/// Every kind that can be subscribed to.
pub fn list(ctx: &Ctx) -> Result<Vec<NoticeKindOut>> {
    ctx.authorize(Permission::NotificationsRead)?;
    Ok(NoticeKind::ALL.into_iter().map(described).collect())
}

fn described(kind: NoticeKind) -> NoticeKindOut {
    let (title, description) = match kind {
        NoticeKind::ScanFinished => {
            ("Scan finished", "A scan ended: completed, partly done, stopped or failed.")
        }
        NoticeKind::FindingCreated => {
            ("New findings", "A scan found something that is not in the inventory or that has changed.")
        }
        NoticeKind::AssetCreated => ("Asset added", "A person added an asset or accepted a finding."),
        NoticeKind::AssetRemoved => ("Asset removed", "An asset was deleted from the inventory."),
        NoticeKind::VaultRotated => {
            ("Vault key rotated", "The vault has a new key, which encrypts every secret.")
        }
        NoticeKind::VaultRotationFailed => {
            ("Vault key not rotated", "The vault key was due for rotation, but could not be rotated.")
        }
        NoticeKind::AuditContradicted => (
            "Audit log contradicted",
            "The database does not match the audit log that this server has signed. Someone restored an older state or changed the database.",
        ),
        NoticeKind::HookReceived => ("Hook received", "Another system sent a message to a hook."),
        NoticeKind::SubscriberDisabled => (
            "Subscriber disabled",
            "The server turned off a webhook or a channel, because deliveries failed for days or the receiver refused further messages.",
        ),
        NoticeKind::Test => ("Test", "A person requested a test. Nothing can subscribe to it."),
    };
    NoticeKindOut { kind, title, description }
}

/// The kinds that a subscriber names, each once; none: all.
pub(super) fn read(wrong: &mut Violations, field: &str, given: &[NoticeKind]) -> Vec<NoticeKind> {
    if given.contains(&NoticeKind::Test) {
        wrong.add(field, "Remove `test`. The server sends a test only when a person asks for it.");
    }
    NoticeKind::ALL.into_iter().filter(|kind| given.contains(kind)).collect()
}

pub(super) fn to_json(kinds: &[NoticeKind]) -> Value {
    json!(kinds)
}

/// As they are stored. A word that this version does not know is of another one, and nobody's wish here.
pub(super) fn stored(events: &Value) -> Vec<NoticeKind> {
    let words = events.as_array().into_iter().flatten().filter_map(Value::as_str);
    words.filter_map(NoticeKind::parse).collect()
}
