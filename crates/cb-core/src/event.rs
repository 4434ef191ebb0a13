//! What happened, told to whoever listens after the transaction that made it true has committed.
//! An event names things by id; a listener reads them afresh, so it can never show stale rows.

use serde::{Deserialize, Serialize};

use uuid::Uuid;

use crate::ids::{AssetId, FindingId, HookId, LinkId, NetworkId, ScanId, SessionId, TokenId, UserId};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    AssetChanged {
        id: AssetId,
    },
    AssetRemoved {
        id: AssetId,
    },
    LinkChanged {
        id: LinkId,
    },
    LinkRemoved {
        id: LinkId,
    },
    NetworkChanged {
        id: NetworkId,
    },
    NetworkRemoved {
        id: NetworkId,
    },
    PositionsChanged {
        ids: Vec<AssetId>,
    },
    /// Tags, or more at once than is worth naming: read the map again.
    TopologyChanged,
    ScanChanged {
        id: ScanId,
    },
    ScanCancelRequested {
        id: ScanId,
    },
    FindingChanged {
        id: FindingId,
    },
    SessionEnded {
        id: SessionId,
    },
    TokenEnded {
        id: TokenId,
    },
    /// The database keeps what it is given again, or has ceased to.
    StorageChanged,
    /// The audit log has a new entry, which every write brings about.
    EntryAppended {
        seq: i64,
    },
    /// Somebody is to be told something.
    DeliveriesWaiting {
        /// Webhooks and channels.
        to: Vec<Uuid>,
    },
    /// A webhook or a channel: what it is, or how its deliveries have gone.
    SubscriberChanged {
        id: Uuid,
    },
    /// What it is, or what has come in.
    HookChanged {
        id: HookId,
    },
    /// Every session of this user ended.
    UserSessionsEnded {
        id: UserId,
    },
}
