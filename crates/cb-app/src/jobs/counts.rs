//! How many jobs there are.

use std::collections::BTreeMap;

use cb_core::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// How many jobs of a kind there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct JobCount {
    pub kind: String,
    pub waiting: i64,
    pub running: i64,
    /// Dead letters.
    pub dead: i64,
    /// Since when the first of those that wait could have begun; null if none waits. A time ahead: none may begin yet.
    #[schema(required)]
    pub due_since: Option<DateTime<Utc>>,
}

/// Of each kind that this server knows or that there are jobs of, by name.
pub async fn counts(app: &App) -> Result<Vec<JobCount>> {
    let none = |kind: String| JobCount { kind, waiting: 0, running: 0, dead: 0, due_since: None };
    let known = super::kinds().into_iter().map(|kind| kind.name().to_owned());
    let mut all: BTreeMap<String, JobCount> = known.map(|kind| (kind.clone(), none(kind))).collect();
    for row in app.store().job_counts().await? {
        let of = all.entry(row.kind.clone()).or_insert_with(|| none(row.kind.clone()));
        if row.is_waiting() {
            (of.waiting, of.due_since) = (row.count, Some(row.due_since));
        } else if row.is_running() {
            of.running = row.count;
        } else if row.is_dead() {
            of.dead = row.count;
        }
    }
    Ok(all.into_values().collect())
}
