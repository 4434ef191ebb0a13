//! How many jobs there are.

use std::collections::BTreeMap;

use cb_core::Result;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::metrics::Page;

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
            (of.waiting, of.due_since) = (row.count, row.due_since);
        } else if row.is_running() {
            of.running = row.count;
        } else if row.is_dead() {
            of.dead = row.count;
        }
    }
    Ok(all.into_values().collect())
}

/// Of the kinds that this program knows: another version may have others, and a name from the database does not become a label.
pub(crate) async fn metrics(app: &App, page: &mut Page) -> Result<()> {
    let all = counts(app).await?;
    let mut jobs = page.gauge("cb_jobs", "Jobs that wait or run, and dead letters, by kind.");
    for kind in super::kinds() {
        let Some(of) = all.iter().find(|of| of.kind == kind.name()) else { continue };
        for (state, count) in [("waiting", of.waiting), ("running", of.running), ("dead", of.dead)] {
            let labels = [("kind", kind.name()), ("state", state)];
            jobs.value(&labels, u64::try_from(count).unwrap_or_default());
        }
    }
    let mut due =
        page.gauge("cb_jobs_due_age_seconds", "How long the first job that waits could have begun, by kind.");
    for kind in super::kinds() {
        let since = all.iter().find(|of| of.kind == kind.name()).and_then(|of| of.due_since);
        let age = since.and_then(|since| (app.now() - since).to_std().ok());
        due.value(&[("kind", kind.name())], age.unwrap_or_default().as_secs());
    }
    Ok(())
}
