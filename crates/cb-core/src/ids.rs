//! Identifiers: UUIDv7 behind a newtype per kind of thing, so that they cannot be mixed up.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = Uuid)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    )+};
}

ids! {
    UserId,
    SessionId,
    TokenId,
    InviteId,
    PasskeyId,
    ProviderId,
    /// Who a user is at a provider of OpenID Connect.
    IdentityId,
    CredentialId,
    /// One time that a credential was used.
    CredentialUseId,
    WebhookId,
    ChannelId,
    /// A notice on its way to one subscriber.
    DeliveryId,
    HookId,
    /// A message that a hook has taken.
    HookEventId,
    AssetId,
    InterfaceId,
    AddressId,
    NetworkId,
    LinkId,
    TagId,
    /// What a user wants a table to show, saved under a name.
    ViewId,
    ServiceId,
    ScanId,
    FindingId,
    /// A step of review, which many findings may share.
    ReviewId,
    JobId,
    /// One request as it passes through middleware, handler, use case, audit entry and log.
    RequestId,
}
