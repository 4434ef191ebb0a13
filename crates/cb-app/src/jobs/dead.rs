//! Dead letters: jobs that were given up, for administrators to see, retry and remove.

use std::sync::Arc;

use cb_core::audit::Action;
use cb_core::ids::JobId;
use cb_core::{Error, Permission, Result};
use cb_store::dead_jobs;
use cb_store::entities::job;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{JobCount, Kind, counts, kinds};
use crate::ctx::Ctx;
use crate::page::{self, List, Page, Sort};

/// The state of the jobs in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    Dead,
}

/// A job that was given up.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Job)]
pub struct JobOut {
    pub id: JobId,
    pub kind: String,
    /// What it is about, in the words of its kind; null for those who may not see what the kind works on.
    #[schema(required)]
    pub key: Option<String>,
    pub state: JobState,
    pub attempts: i32,
    /// Why it was given up; null for those who may not see what the kind works on.
    #[schema(required)]
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
    /// When it was given up.
    #[schema(required)]
    pub since: Option<DateTime<Utc>>,
}

/// How many jobs there are of each kind; the list is short and complete.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = JobKinds)]
pub struct JobKinds {
    pub items: Vec<JobCount>,
}

pub async fn kinds_of_jobs(ctx: &Ctx) -> Result<JobKinds> {
    ctx.authorize(Permission::MetricsRead)?;
    Ok(JobKinds { items: counts(ctx.app()).await? })
}

/// The jobs in `state`, the newest first.
pub async fn list(ctx: &Ctx, list: &List, state: JobState) -> Result<Page<JobOut>> {
    let conn = ctx.read(Permission::MetricsRead)?;
    let select = match state {
        JobState::Dead => dead_jobs(),
    };
    let sorts = [("since", Sort::time(job::Column::FinishedAt))];
    let page = page::page(conn, select, list, job::Column::Id, &sorts, "-since").await?;
    Ok(page.map(|row| {
        let may_see =
            ctx.authorize(kind_of(&row).map_or(Permission::SettingsWrite, |kind| kind.access().read)).is_ok();
        let out = JobOut::from(row);
        // A scan's key is addresses, and its reason may name some: more than a reader of metrics may know.
        if may_see { out } else { JobOut { key: None, error: None, ..out } }
    }))
}

fn kind_of(row: &job::Model) -> Option<Arc<dyn Kind>> {
    kinds().into_iter().find(|kind| kind.name() == row.kind)
}

/// Lets a dead letter wait again, with all its attempts before it.
pub async fn retry(ctx: &Ctx, id: JobId) -> Result<()> {
    ctx.write(Permission::SettingsWrite, Action::JobRetried, async |tx| {
        let row = tx.dead_job(id.0).await?;
        let kind = kind_of(&row).ok_or_else(|| {
            Error::Conflict(format!(
                "This server does not know the job “{}”. Retry it when all servers have one version.",
                row.kind
            ))
        })?;
        ctx.authorize(kind.access().write)?;
        tx.retry_dead_job(&row, kind.name(), kind.limits().waiting).await?;
        kind.retried(tx, id.0).await?;
        tx.about("job", id);
        tx.detail(told(&row));
        Ok(())
    })
    .await
}

/// Removes a dead letter for good. What it was about stays as it is.
pub async fn remove(ctx: &Ctx, id: JobId) -> Result<()> {
    ctx.write(Permission::SettingsWrite, Action::JobRemoved, async |tx| {
        let row = tx.dead_job(id.0).await?;
        if let Some(kind) = kind_of(&row) {
            ctx.authorize(kind.access().write)?;
        }
        tx.remove_job(id.0).await?;
        tx.about("job", id);
        tx.detail(told(&row));
        Ok(())
    })
    .await
}

fn told(row: &job::Model) -> serde_json::Value {
    json!({ "kind": row.kind, "key": row.dedup_key, "error": row.last_error })
}

impl From<job::Model> for JobOut {
    fn from(row: job::Model) -> Self {
        let most = kind_of(&row).map_or(row.attempts, |kind| kind.limits().attempts);
        Self {
            id: row.id.into(),
            kind: row.kind,
            key: row.dedup_key,
            state: JobState::Dead,
            // It is claimed once more to be told of its end.
            attempts: row.attempts.min(most),
            error: row.last_error,
            created_at: row.created_at,
            since: row.finished_at,
        }
    }
}
