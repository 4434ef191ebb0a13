//! What each server tells the others of itself with its sign of life: what it counts, and whether it reaches Redis and NATS. A worker opens
//! no port, so the servers that answer requests show its figures.
//!
//! To add a figure: a field of [`Told`], set in [`Told::now`], and its place in a `counted` function of the table of sources. Servers of
//! the version before do not tell it, and servers of the next one may tell words that this program does not know; these are left out.

use std::collections::BTreeMap;

use cb_core::Result;
use cb_core::audit::Checkpoint;
use cb_core::clock::Time;
use cb_core::meter::Counters;
use cb_fabric::{FabricState, Link};
use cb_store::entities::server;
use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app::App;
use crate::replicas;

/// A link that is down for a shorter time may only be about to be up: a server has just started, or Redis has.
const SETTLED: u64 = 5;

/// Checkpoints that a server tells.
const SIGNED_MOST: usize = 2;

/// As it is in the database: small, because each server writes it every ten seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Told {
    /// The process that counts: what another one has left is not its own.
    run: String,
    pub scans_ended: BTreeMap<String, u64>,
    pub delivery_attempts: BTreeMap<String, u64>,
    /// By what its process is known in Redis and NATS.
    pub fabric: Option<Uuid>,
    /// `redis` and `nats`; none in the mode embedded.
    pub links: BTreeMap<String, LinkTold>,
    /// The periodic work that this server does for itself and that failed when it was last done, and why.
    pub failing: BTreeMap<String, String>,
    /// Tells whether it has the same `CB_API_TOKEN` as others: a fingerprint that says nothing of the token; empty without one.
    pub operator_fingerprint: Option<String>,
    /// The checkpoints of the audit log that it has signed and holds in its data folder. They are signed, so the database is not
    /// believed when it brings them to the others.
    pub signed: Vec<Checkpoint>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkTold {
    pub up: bool,
    /// For how long it has been so, which needs no clock that servers share.
    pub for_seconds: u64,
}

impl LinkTold {
    /// Since when the link is down, of a server that was seen at `seen_at`.
    pub fn lost_since(self, seen_at: Time) -> Option<Time> {
        let lost = !self.up && self.for_seconds >= SETTLED;
        let length = TimeDelta::try_seconds(i64::try_from(self.for_seconds).ok()?)?;
        if lost { seen_at.checked_sub_signed(length) } else { None }
    }
}

impl Told {
    /// What this server tells now.
    pub fn now(app: &App) -> Self {
        fn all<const N: usize>(counters: &Counters<N>) -> BTreeMap<String, u64> {
            counters.iter().map(|(word, count)| (word.to_owned(), count)).collect()
        }
        let link = |name: &str, link: &Link| {
            let length = (app.now() - link.since).num_seconds();
            let told = LinkTold { up: link.up, for_seconds: u64::try_from(length).unwrap_or_default() };
            (name.to_owned(), told)
        };
        let links = match app.fabric_state() {
            FabricState::Embedded => BTreeMap::new(),
            FabricState::Cluster { redis, nats } => {
                BTreeMap::from([link("redis", &redis), link("nats", &nats)])
            }
        };
        Self {
            run: app.own_row().run.clone(),
            scans_ended: all(&app.counts().scans_ended),
            delivery_attempts: all(&app.counts().delivery_attempts),
            fabric: app.fabric().id(),
            links,
            failing: app.works_done().failing(),
            operator_fingerprint: Some(
                app.api_token().map_or_else(String::new, |token| {
                    app.checkpoint_key().fingerprint_of("api-token", token)
                }),
            ),
            signed: app.held_checkpoints(SIGNED_MOST),
        }
    }

    /// Whether its settings name a Redis and a NATS.
    pub fn joins(&self) -> bool {
        !self.links.is_empty()
    }

    /// What the server of this row has told, if it tells anything.
    pub fn of(row: &server::Model) -> Option<Self> {
        let told: Self = serde_json::from_value(row.told.clone()?).ok()?;
        (told.run == row.run).then_some(told)
    }
}

/// A live server and what it has told. The server that answers is among them, as it is at the moment.
pub(crate) struct ServerFigures {
    pub id: Uuid,
    pub told: Told,
}

impl ServerFigures {
    pub fn own(app: &App) -> Self {
        Self { id: Uuid::parse_str(app.server()).unwrap_or_default(), told: Told::now(app) }
    }

    /// The others. One whose ID is no UUID was given it by somebody, and is left out: its ID would be a label.
    pub async fn others(app: &App) -> Result<Vec<Self>> {
        let rows = replicas::all(app).await?;
        let others = rows.into_iter().filter(|(row, live)| *live && row.id != app.server());
        let figures_of =
            |row: server::Model| Some(Self { id: Uuid::parse_str(&row.id).ok()?, told: Told::of(&row)? });
        Ok(others.filter_map(|(row, _)| figures_of(row)).collect())
    }
}

#[cfg(test)]
mod tests {
    use cb_core::config::ServerRole;
    use chrono::DateTime;
    use serde_json::json;

    use super::{LinkTold, Told, server};
    use crate::replicas;

    #[test]
    fn what_another_version_or_another_run_has_told_does_no_harm() {
        let told = |told: serde_json::Value| {
            let row = replicas::row("w", "w/2", ServerRole::Worker, None, DateTime::UNIX_EPOCH);
            Told::of(&server::Model { told: Some(told), ..row })
        };
        let of_then = told(json!({ "run": "w/2" })).expect("told");
        assert!(of_then.links.is_empty() && of_then.scans_ended.is_empty());
        let of_later =
            json!({ "run": "w/2", "scans_ended": { "completed": 3, "postponed": 1 }, "dreams": [] });
        assert_eq!(told(of_later).expect("told").scans_ended["completed"], 3);
        for wrong in [json!({ "run": "w/1" }), json!({}), json!([]), json!({ "run": "w/2", "links": 7 })] {
            assert_eq!(told(wrong.clone()), None, "{wrong}");
        }
    }

    #[test]
    fn a_link_is_lost_when_it_stays_down() {
        let seen = DateTime::UNIX_EPOCH;
        let link = |up, for_seconds| LinkTold { up, for_seconds }.lost_since(seen);
        assert_eq!(link(true, 60), None);
        assert_eq!(link(false, 4), None);
        assert_eq!(link(false, 60).map(|since| (seen - since).num_seconds()), Some(60));
        assert_eq!(link(false, u64::MAX), None, "nobody has been away for so long");
    }
}
