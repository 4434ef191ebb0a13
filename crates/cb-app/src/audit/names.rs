//! What the things that entries are about are called. Their rows say it. For what was deleted, the entry of the deletion says it.

use std::collections::{HashMap, HashSet};

use cb_core::Result;
use cb_core::audit::Action;
use cb_store::entities::{
    address, asset, audit_entry, channel, credential, finding, hook, interface, network, oidc_provider,
    passkey, scan, tag, token, user, view, webhook,
};
use cb_store::sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QuerySelect as _,
};
use cb_store::{among, db};
use serde_json::Value;
use uuid::Uuid;

use crate::page::MOST;

/// Under which fields an entry's detail has the name, the first that is there.
const FIELDS: &[&str] = &["name", "username", "title", "ip", "slug", "passkey"];

/// The names of what a page of entries is about: one query for each kind of thing, and one for all that are gone.
pub(super) struct Names(HashMap<Uuid, String>);

impl Names {
    pub async fn of(conn: &impl ConnectionTrait, rows: &[audit_entry::Model]) -> Result<Self> {
        let mut asked: HashMap<&str, HashSet<Uuid>> = HashMap::new();
        for row in rows {
            if let (Some(kind), Some(id)) = (&row.entity_kind, id_of(row)) {
                asked.entry(kind).or_default().insert(id);
            }
        }
        let mut found = HashMap::new();
        let mut gone = Vec::new();
        for (kind, ids) in asked {
            let named = named(conn, kind, ids.clone()).await?;
            found.extend(named);
            gone.extend(ids.into_iter().filter(|id| !found.contains_key(id)).map(|id| id.to_string()));
        }
        found.extend(deleted(conn, gone).await?);
        Ok(Self(found))
    }

    /// The name it has today, or had last; else the name that the entry tells.
    pub fn find(&self, row: &audit_entry::Model, detail: &Value) -> Option<String> {
        id_of(row).and_then(|id| self.0.get(&id).cloned()).or_else(|| told(detail))
    }
}

fn told(detail: &Value) -> Option<String> {
    FIELDS.iter().find_map(|field| text(&detail[*field]))
}

/// What was deleted, as the entries of the deletions name it.
async fn deleted(conn: &impl ConnectionTrait, ids: Vec<String>) -> Result<Vec<(Uuid, String)>> {
    use audit_entry::Column as C;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let deletions =
        Action::ALL.iter().map(|action| action.as_str()).filter(|word| word.ends_with("_deleted"));
    let rows = audit_entry::Entity::find()
        .filter(C::EntityId.is_in(ids))
        .filter(C::Action.is_in(deletions))
        .limit(MOST)
        .all(conn)
        .await
        .map_err(db)?;
    let named = |row: &audit_entry::Model| {
        let detail = serde_json::from_str(&row.detail).ok()?;
        id_of(row).zip(told(&detail))
    };
    Ok(rows.iter().filter_map(named).collect())
}

fn id_of(row: &audit_entry::Model) -> Option<Uuid> {
    row.entity_id.as_deref().and_then(|id| id.parse().ok())
}

/// A text, or what it was changed to.
fn text(value: &Value) -> Option<String> {
    let text = value.as_str().or_else(|| value["to"].as_str())?;
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

async fn named(conn: &impl ConnectionTrait, kind: &str, ids: HashSet<Uuid>) -> Result<Vec<(Uuid, String)>> {
    macro_rules! column {
        ($entity:ident, $column:ident) => {
            $entity::Entity::find()
                .select_only()
                .columns([$entity::Column::Id, $entity::Column::$column])
                .filter(among(conn, $entity::Column::Id, ids.into_iter().collect()))
                .into_tuple()
                .all(conn)
                .await
                .map_err(db)
        };
    }
    match kind {
        "address" => column!(address, Ip),
        "asset" => column!(asset, Name),
        "channel" => column!(channel, Name),
        "credential" => column!(credential, Name),
        "finding" => column!(finding, Title),
        "hook" => column!(hook, Name),
        "interface" => column!(interface, Name),
        "network" => column!(network, Name),
        "oidc_provider" => column!(oidc_provider, Name),
        "passkey" => column!(passkey, Name),
        "scan" => {
            let scans: Vec<(Uuid, Value)> = column!(scan, Targets)?;
            Ok(scans.into_iter().map(|(id, targets)| (id, listed(&targets))).collect())
        }
        "tag" => column!(tag, Name),
        "token" => column!(token, Name),
        "user" => column!(user, Username),
        "view" => column!(view, Name),
        "webhook" => column!(webhook, Name),
        // The others have no name of their own.
        _ => Ok(Vec::new()),
    }
}

/// `["10.0.0.0/24", "10.0.1.0/24"]` as words.
fn listed(targets: &Value) -> String {
    let all: Vec<&str> = targets.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    all.join(", ")
}
