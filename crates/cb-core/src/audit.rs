//! The arithmetic of the tamper-evident audit log.
//!
//! Each entry's hash is SHA-256 over the previous entry's hash and the entry's canonical JSON
//! (RFC 8785 in the shapes we use: sorted keys, no white space, no floating point). Whoever changes,
//! removes or inserts an entry must recompute every later hash, the head included; whoever noted a
//! head earlier sees that. The first entry follows 64 zeros.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The hash that the first entry follows.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// What the hash covers. Fields are in canonical (sorted) order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry<'a> {
    pub action: &'a str,
    pub actor_id: Option<&'a str>,
    pub actor_kind: &'a str,
    pub actor_name: &'a str,
    /// Where the request came from. Entries from before the log knew have no such field, and their hash none either.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<&'a str>,
    /// The name of the client (`User-Agent`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<&'a str>,
    /// RFC 3339, UTC, six digits.
    pub at: &'a str,
    /// Canonical JSON text, stored and hashed as it is.
    pub detail: &'a str,
    pub entity_id: Option<&'a str>,
    pub entity_kind: Option<&'a str>,
    pub request_id: Option<&'a str>,
    pub seq: i64,
}

impl Entry<'_> {
    /// Lower-case hex of SHA-256(previous hash ‖ canonical JSON).
    pub fn hash(&self, previous: &str) -> String {
        let mut digest = Sha256::new();
        digest.update(previous.as_bytes());
        digest.update(serde_json::to_vec(self).expect("an entry of texts and numbers is JSON"));
        crate::hex(&digest.finalize())
    }

    /// The canonical JSON up to the number, which comes last: with the number and `}` behind it, it is what is hashed.
    pub fn without_number(&self) -> String {
        let mut text = serde_json::to_string(self).expect("an entry of texts and numbers is JSON");
        text.truncate(text.rfind(':').map_or(0, |at| at + 1));
        text
    }
}

/// What a signature is about. The words differ, so that no checkpoint passes for leave to forget what is before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The entry was the last and had this hash.
    Checkpoint,
    /// The log begins behind this entry: what was before, and the entry itself, was removed for its age.
    Anchor,
}

/// A signed statement about one entry at one time: the last entry of the log, or the entry after which the log begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Checkpoint {
    /// The entry's number.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
    /// RFC 3339, UTC.
    pub at: String,
    /// The ID of the key that signed it.
    pub key_id: String,
    /// Ed25519 over the statement, URL-safe base64.
    pub signature: String,
}

impl Checkpoint {
    /// What is signed.
    pub fn statement(&self, claim: Claim) -> String {
        let what = match claim {
            Claim::Checkpoint => "checkpoint",
            Claim::Anchor => "anchor",
        };
        format!("circuit-breaker audit {what} 1\n{}\n{}\n{}\n", self.seq, self.hash, self.at)
    }
}

/// `serde_json`'s maps are sorted, so its text of a value is canonical.
pub fn canonical(value: &serde_json::Value) -> String {
    value.to_string()
}

#[cfg(test)]
mod tests {
    use super::{Entry, GENESIS, canonical};

    fn entry() -> Entry<'static> {
        Entry {
            action: "asset_created",
            actor_id: None,
            actor_kind: "user",
            actor_name: "ada",
            address: None,
            agent: None,
            at: "2026-01-01T00:00:00.000000Z",
            detail: "{}",
            entity_id: None,
            entity_kind: None,
            request_id: None,
            seq: 1,
        }
    }

    /// Computed apart from this code:
    /// `printf '%s%s' "$(printf 0%.0s $(seq 64))" '{"action":…}' | sha256sum`.
    #[test]
    fn the_hash_is_sha256_over_previous_and_canonical_json() {
        let json = serde_json::to_string(&entry()).expect("json");
        assert_eq!(
            json,
            r#"{"action":"asset_created","actor_id":null,"actor_kind":"user","actor_name":"ada","at":"2026-01-01T00:00:00.000000Z","detail":"{}","entity_id":null,"entity_kind":null,"request_id":null,"seq":1}"#
        );
        assert_eq!(entry().hash(GENESIS), "fdee830fa577ad285d07a3600d2dbec02d986ac459ede674686737136812a2ba");
    }

    #[test]
    fn the_number_comes_last() {
        let json = serde_json::to_string(&entry()).expect("json");
        assert_eq!(format!("{}1}}", entry().without_number()), json);
    }

    #[test]
    fn any_change_changes_the_hash() {
        let original = entry().hash(GENESIS);
        assert_ne!(Entry { actor_name: "eve", ..entry() }.hash(GENESIS), original);
        assert_ne!(Entry { address: Some("192.0.2.1"), ..entry() }.hash(GENESIS), original);
        assert_ne!(Entry { agent: Some(""), ..entry() }.hash(GENESIS), original);
        assert_ne!(Entry { seq: 2, ..entry() }.hash(GENESIS), original);
        assert_ne!(entry().hash(&original), original);
    }

    #[test]
    fn keys_are_sorted() {
        assert_eq!(
            canonical(&serde_json::json!({"b": 1, "a": {"d": 2, "c": 3}})),
            r#"{"a":{"c":3,"d":2},"b":1}"#
        );
    }
}

macro_rules! actions {
    ($($action:ident $word:literal)*) => {
        /// The action, as the log records it. No value is ever removed from this list, because old entries keep theirs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[schema(as = AuditAction)]
        pub enum Action {
            $($action,)*
        }

        impl Action {
            pub const ALL: &[Self] = &[$(Self::$action,)*];

            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$action => $word,)*
                }
            }
        }
    };
}

actions! {
    AccessWithdrawn "access_withdrawn"
    AddressCreated "address_created"
    AddressDeleted "address_deleted"
    AddressUpdated "address_updated"
    AssetCreated "asset_created"
    AssetDeleted "asset_deleted"
    AssetUpdated "asset_updated"
    AssetsDeleted "assets_deleted"
    AssetsTagged "assets_tagged"
    AuditLogPruned "audit_log_pruned"
    BackupRestored "backup_restored"
    ChannelCreated "channel_created"
    ChannelDeleted "channel_deleted"
    ChannelDisabled "channel_disabled"
    ChannelRedelivered "channel_redelivered"
    ChannelTested "channel_tested"
    ChannelUpdated "channel_updated"
    CheckpointContradicted "checkpoint_contradicted"
    CheckpointDamaged "checkpoint_damaged"
    CredentialCreated "credential_created"
    CredentialDeleted "credential_deleted"
    CredentialTested "credential_tested"
    CredentialUpdated "credential_updated"
    FindingAccepted "finding_accepted"
    FindingIgnored "finding_ignored"
    FindingReopened "finding_reopened"
    FindingsAccepted "findings_accepted"
    FindingsIgnored "findings_ignored"
    FindingsProposed "findings_proposed"
    FindingsRecorded "findings_recorded"
    FindingsReopened "findings_reopened"
    FindingsReviewUndone "findings_review_undone"
    FindingsTagged "findings_tagged"
    HookCreated "hook_created"
    HookDeleted "hook_deleted"
    HookReceived "hook_received"
    HookSecretRotated "hook_secret_rotated"
    HookUpdated "hook_updated"
    IdentityLinkFailed "identity_link_failed"
    IdentityLinked "identity_linked"
    IdentityProofFailed "identity_proof_failed"
    IdentityProved "identity_proved"
    IdentityUnlinked "identity_unlinked"
    InterfaceCreated "interface_created"
    InterfaceDeleted "interface_deleted"
    InterfaceUpdated "interface_updated"
    InviteAccepted "invite_accepted"
    InviteFailed "invite_failed"
    InviteMade "invite_made"
    InviteWithdrawn "invite_withdrawn"
    JobRemoved "job_removed"
    JobRetried "job_retried"
    LinkCreated "link_created"
    LinkDeleted "link_deleted"
    LinkUpdated "link_updated"
    Login "login"
    LoginFailed "login_failed"
    Logout "logout"
    MapPlaced "map_placed"
    MapReleased "map_released"
    NetworkCreated "network_created"
    NetworkDeleted "network_deleted"
    NetworkUpdated "network_updated"
    OidcProviderCreated "oidc_provider_created"
    OidcProviderDeleted "oidc_provider_deleted"
    OidcProviderTested "oidc_provider_tested"
    OidcProviderUpdated "oidc_provider_updated"
    OutboundExceptionsSet "outbound_exceptions_set"
    PasskeyAdded "passkey_added"
    PasskeyRemoved "passkey_removed"
    PasskeyRenamed "passkey_renamed"
    PasswordChangeFailed "password_change_failed"
    PasswordChanged "password_changed"
    PasswordReset "password_reset"
    PasswordResetFailed "password_reset_failed"
    RecoveryCodesRenewed "recovery_codes_renewed"
    ResetLinkMade "reset_link_made"
    ResetLinkMailed "reset_link_mailed"
    ResetMailAsked "reset_mail_asked"
    RoleChanged "role_changed"
    RollbackAccepted "rollback_accepted"
    ScanCancelled "scan_cancelled"
    ScanFinished "scan_finished"
    ScanRequested "scan_requested"
    SecondFactorAsked "second_factor_asked"
    SecondFactorCleared "second_factor_cleared"
    SessionEnded "session_ended"
    SessionsEnded "sessions_ended"
    SettingsUpdated "settings_updated"
    SetupCompleted "setup_completed"
    SetupFailed "setup_failed"
    StoreCopied "store_copied"
    TagCreated "tag_created"
    TagDeleted "tag_deleted"
    TagUpdated "tag_updated"
    TokenCreated "token_created"
    TokenDeleted "token_deleted"
    TokenRefused "token_refused"
    TotpDisabled "totp_disabled"
    TotpEnabled "totp_enabled"
    TotpEnrolmentBegun "totp_enrolment_begun"
    UserCreated "user_created"
    UserDeleted "user_deleted"
    UserDisabled "user_disabled"
    UserEnabled "user_enabled"
    UserUpdated "user_updated"
    VaultKeyCreated "vault_key_created"
    VaultKeyRotated "vault_key_rotated"
    VaultKeysRemoved "vault_keys_removed"
    VaultRootChanged "vault_root_changed"
    VaultRootReplaced "vault_root_replaced"
    VaultRotationFailed "vault_rotation_failed"
    ViewCreated "view_created"
    ViewDeleted "view_deleted"
    ViewUpdated "view_updated"
    WebhookCreated "webhook_created"
    WebhookDeleted "webhook_deleted"
    WebhookDisabled "webhook_disabled"
    WebhookRedelivered "webhook_redelivered"
    WebhookSecretRotated "webhook_secret_rotated"
    WebhookTested "webhook_tested"
    WebhookUpdated "webhook_updated"
}
