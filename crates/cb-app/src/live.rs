//! What the streams say. An event names a thing; it is read afresh and shown as it is now, so a stream
//! can be late but never wrong. Several events are answered together: a burst is one read per kind, for all who listen
//! ([`teller`]).

mod teller;

use std::collections::BTreeSet;

use cb_core::{Event, Permission, Result};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::app::App;
use crate::ctx::Ctx;
use crate::{findings, map, scans, storage};

pub(crate) use teller::Tellers;
pub use teller::{Line, Told, tune_in};

/// One message of a stream: `{type, at, data}`.
#[derive(Debug, Clone, Serialize)]
pub struct Message {
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub at: chrono::DateTime<chrono::Utc>,
    pub data: Value,
}

/// Which stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    Audit,
    Discovery,
    Notifications,
    Topology,
}

impl Topic {
    pub const ALL: [Topic; 4] = [Topic::Audit, Topic::Discovery, Topic::Notifications, Topic::Topology];

    /// What a listener must be permitted.
    pub fn permission(self) -> Permission {
        match self {
            Topic::Audit => Permission::AuditRead,
            Topic::Discovery => Permission::DiscoveryRead,
            Topic::Notifications => Permission::NotificationsRead,
            Topic::Topology => Permission::InventoryRead,
        }
    }
}

/// "Read everything again": after events were missed, or when more changed than is worth naming.
pub(crate) fn resync(app: &App) -> Message {
    Message { kind: "resync", at: app.now(), data: json!({}) }
}

/// The messages for a burst of events, in an order that a client can apply.
pub async fn messages(ctx: &Ctx, topic: Topic, events: &[Event]) -> Result<Vec<Message>> {
    ctx.authorize(topic.permission())?;
    let mut out = Vec::new();
    if events.contains(&Event::StorageChanged) {
        out.push(message(ctx, "storage", json!(storage::state(ctx))));
    }
    out.extend(match topic {
        Topic::Audit => audit(ctx, events),
        Topic::Discovery => discovery(ctx, events).await?,
        Topic::Notifications => notifications(ctx, events),
        Topic::Topology => topology(ctx, events).await?,
    });
    Ok(out)
}

/// The newest entry stands for those of the same burst: they are read as one list.
fn audit(ctx: &Ctx, events: &[Event]) -> Vec<Message> {
    let newest = events
        .iter()
        .filter_map(|e| if let Event::EntryAppended { seq } = e { Some(*seq) } else { None })
        .max();
    newest.map(|seq| message(ctx, "entry", json!({ "seq": seq }))).into_iter().collect()
}

/// Which of those who are told, and of those who tell, have changed; what became of them is read where it is shown.
fn notifications(ctx: &Ctx, events: &[Event]) -> Vec<Message> {
    let (mut subscribers, mut hooks) = (BTreeSet::new(), BTreeSet::new());
    for event in events {
        match event {
            Event::DeliveriesWaiting { to } => subscribers.extend(to.iter().copied()),
            Event::SubscriberChanged { id } => {
                subscribers.insert(*id);
            }
            Event::HookChanged { id } => {
                hooks.insert(*id);
            }
            _ => {}
        }
    }
    let subscribers = subscribers.into_iter().map(|id| message(ctx, "subscriber", json!({ "id": id })));
    let hooks = hooks.into_iter().map(|id| message(ctx, "hook", json!({ "id": id })));
    subscribers.chain(hooks).collect()
}

/// Findings of one burst that are told one by one; a review of more is read as a list.
const FINDINGS_MOST: usize = 100;

async fn discovery(ctx: &Ctx, events: &[Event]) -> Result<Vec<Message>> {
    let mut out = Vec::new();
    let findings: BTreeSet<_> = events
        .iter()
        .filter_map(|e| if let Event::FindingChanged { id } = e { Some(*id) } else { None })
        .collect();
    let scans: BTreeSet<_> = events
        .iter()
        .filter_map(|e| if let Event::ScanChanged { id } = e { Some(*id) } else { None })
        .collect();
    if findings.len() > FINDINGS_MOST {
        out.push(resync(ctx.app()));
    } else {
        let read = findings::of(ctx, &findings).await?;
        out.extend(read.into_iter().map(|finding| message(ctx, "finding", json!(finding))));
    }
    for id in scans {
        if let Some(scan) = there(scans::get(ctx, id).await)? {
            out.push(message(ctx, "scan", json!(scan)));
        }
    }
    Ok(out)
}

async fn topology(ctx: &Ctx, events: &[Event]) -> Result<Vec<Message>> {
    let conn = ctx.read(Permission::InventoryRead)?;
    let pick = |wanted: fn(&Event) -> Option<Uuid>| {
        events.iter().filter_map(wanted).collect::<BTreeSet<Uuid>>().into_iter().collect::<Vec<Uuid>>()
    };
    let set = |ids: &[Uuid]| ids.iter().copied().collect::<BTreeSet<Uuid>>();
    let mut out = Vec::new();
    if events.contains(&Event::TopologyChanged) {
        out.push(resync(ctx.app()));
        return Ok(out);
    }
    // Whether something is there is read, whatever was said of it.
    let groups = pick(|e| match e {
        Event::NetworkChanged { id } | Event::NetworkRemoved { id } => Some(id.0),
        _ => None,
    });
    let nodes = pick(|e| match e {
        Event::AssetChanged { id } | Event::AssetRemoved { id } => Some(id.0),
        _ => None,
    });
    let links = pick(|e| match e {
        Event::LinkChanged { id } | Event::LinkRemoved { id } => Some(id.0),
        _ => None,
    });
    let (mut lost_groups, mut lost_nodes, mut lost_links) = (set(&groups), set(&nodes), set(&links));
    for group in map::groups_of(conn, &groups).await? {
        lost_groups.remove(&group.id.0);
        out.push(message(ctx, "group", json!(group)));
    }
    for node in map::nodes_of(conn, &nodes).await? {
        lost_nodes.remove(&node.id.0);
        out.push(message(ctx, "node", json!(node)));
    }
    for link in map::links_of(conn, &links).await? {
        lost_links.remove(&link.id.0);
        out.push(message(ctx, "link", json!(link)));
    }
    for (kind, lost) in
        [("link_removed", lost_links), ("node_removed", lost_nodes), ("group_removed", lost_groups)]
    {
        out.extend(lost.into_iter().map(|id| message(ctx, kind, json!({ "id": id }))));
    }
    let mut moved = BTreeSet::new();
    for event in events {
        if let Event::PositionsChanged { ids } = event {
            moved.extend(ids.iter().map(|id| id.0));
        }
    }
    if !moved.is_empty() {
        let moved: Vec<Uuid> = moved.into_iter().collect();
        for places in map::places_of(conn, &moved).await?.chunks(PLACES_MOST) {
            out.push(message(ctx, "positions", json!({ "positions": places })));
        }
    }
    Ok(out)
}

/// Places of one message. Each stream keeps the room of the longest message that it has sent.
const PLACES_MOST: usize = 100;

/// What was removed meanwhile has an event of its own.
fn there<T>(found: Result<T>) -> Result<Option<T>> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(cb_core::Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

fn message(ctx: &Ctx, kind: &'static str, data: Value) -> Message {
    Message { kind, at: ctx.now(), data }
}
