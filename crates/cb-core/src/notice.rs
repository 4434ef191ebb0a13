//! What is told to whoever subscribed: a notice. It is written in the transaction that makes it true, and sent afterwards.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::clock::Time;

/// What a notice is about. A webhook or a channel lists the kinds that it wants to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
pub enum NoticeKind {
    #[serde(rename = "scan.finished")]
    ScanFinished,
    #[serde(rename = "finding.created")]
    FindingCreated,
    #[serde(rename = "asset.created")]
    AssetCreated,
    #[serde(rename = "asset.removed")]
    AssetRemoved,
    #[serde(rename = "vault.rotated")]
    VaultRotated,
    #[serde(rename = "vault.rotation_failed")]
    VaultRotationFailed,
    #[serde(rename = "audit.contradicted")]
    AuditContradicted,
    #[serde(rename = "hook.received")]
    HookReceived,
    #[serde(rename = "subscriber.disabled")]
    SubscriberDisabled,
    /// Asked for by a person who wants to see whether it arrives; nobody subscribes to it.
    #[serde(rename = "test")]
    Test,
}

impl NoticeKind {
    /// Those that can be subscribed to.
    pub const ALL: [NoticeKind; 9] = [
        NoticeKind::ScanFinished,
        NoticeKind::FindingCreated,
        NoticeKind::AssetCreated,
        NoticeKind::AssetRemoved,
        NoticeKind::VaultRotated,
        NoticeKind::VaultRotationFailed,
        NoticeKind::AuditContradicted,
        NoticeKind::HookReceived,
        NoticeKind::SubscriberDisabled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            NoticeKind::ScanFinished => "scan.finished",
            NoticeKind::FindingCreated => "finding.created",
            NoticeKind::AssetCreated => "asset.created",
            NoticeKind::AssetRemoved => "asset.removed",
            NoticeKind::VaultRotated => "vault.rotated",
            NoticeKind::VaultRotationFailed => "vault.rotation_failed",
            NoticeKind::AuditContradicted => "audit.contradicted",
            NoticeKind::HookReceived => "hook.received",
            NoticeKind::SubscriberDisabled => "subscriber.disabled",
            NoticeKind::Test => "test",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().chain([NoticeKind::Test]).find(|kind| kind.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

impl Severity {
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == text)
    }
}

/// One thing that happened, for people (`title`, `text`) and for programs (`data`).
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    pub id: Uuid,
    pub kind: NoticeKind,
    pub at: Time,
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// A few lines; may be empty. Plain text: every channel escapes it as its service wants.
    pub text: String,
    /// A page of ours, such as `/discovery?scan=…`.
    pub path: Option<String>,
    pub data: Value,
}

#[cfg(test)]
mod tests {
    use super::{NoticeKind, Severity};

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for kind in NoticeKind::ALL.into_iter().chain([NoticeKind::Test]) {
            assert_eq!(NoticeKind::parse(kind.as_str()), Some(kind));
            assert_eq!(serde_json::to_value(kind).expect("a word"), kind.as_str());
        }
        for severity in Severity::ALL {
            assert_eq!(Severity::parse(severity.as_str()), Some(severity));
        }
        assert_eq!(NoticeKind::parse("scan"), None);
    }
}
