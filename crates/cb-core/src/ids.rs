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
    /// The account of a user at an OpenID Connect provider.
    IdentityId,
    CredentialId,
    /// One use of a credential.
    CredentialUseId,
    WebhookId,
    ChannelId,
    /// A notice on its way to one subscriber.
    DeliveryId,
    HookId,
    /// A message that a hook accepted.
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
    /// A step of a review, which can cover many findings.
    ReviewId,
    JobId,
    /// One request as it passes through middleware, handler, use case, audit entry and log.
    RequestId,
}
