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
    let mut out = Vec::new();
    if events.contains(&Event::TopologyChanged) {
        out.push(resync(ctx.app()));
        return Ok(out);
    }
    let groups = pick(|e| if let Event::NetworkChanged { id } = e { Some(id.0) } else { None });
    for group in map::groups_of(conn, &groups).await? {
        out.push(message(ctx, "group", json!(group)));
    }
    let nodes = pick(|e| if let Event::AssetChanged { id } = e { Some(id.0) } else { None });
    for node in map::nodes_of(conn, &nodes).await? {
        out.push(message(ctx, "node", json!(node)));
    }
    let links = pick(|e| if let Event::LinkChanged { id } = e { Some(id.0) } else { None });
    for link in map::links_of(conn, &links).await? {
        out.push(message(ctx, "link", json!(link)));
    }
    let mut moved = BTreeSet::new();
    for event in events {
        match event {
            Event::PositionsChanged { ids } => moved.extend(ids.iter().map(|id| id.0)),
            Event::LinkRemoved { id } => out.push(message(ctx, "link_removed", json!({ "id": id }))),
            Event::AssetRemoved { id } => out.push(message(ctx, "node_removed", json!({ "id": id }))),
            Event::NetworkRemoved { id } => out.push(message(ctx, "group_removed", json!({ "id": id }))),
            _ => {}
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
