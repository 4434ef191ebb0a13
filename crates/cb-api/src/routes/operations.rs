//! `/operations`: how the servers run.

use axum::Json;
use cb_app::Page;
use cb_app::jobs::dead::{self, JobKinds, JobOut, JobState};
use cb_app::operations::{self, Operations};
use cb_app::reconcile::{self, Works};
use cb_core::ids::JobId;
use http::StatusCode;

use super::list_query;
use crate::auth::{Reader, Writer};
use crate::extract::{Id, Query};
use crate::problem::Problem;

/// How the servers do: who they are, the state of the database, of Redis and of NATS, and what is degraded.
#[utoipa::path(get, path = "/operations", operation_id = "get_operations", tag = "server", responses((status = 200, body = Operations)))]
pub(crate) async fn get(Reader(ctx): Reader) -> Result<Json<Operations>, Problem> {
    Ok(Json(operations::get(&ctx).await?))
}

list_query!(JobQuery {
    /// Only jobs in this state; `dead` if absent.
    state: JobState,
});

/// What the servers do again and again without being asked: when each work ran last, how that ended, and when it runs next.
#[utoipa::path(get, path = "/operations/periodic", operation_id = "list_periodic_work", tag = "server", responses((status = 200, body = Works)))]
pub(crate) async fn periodic(Reader(ctx): Reader) -> Result<Json<Works>, Problem> {
    Ok(Json(reconcile::list(&ctx).await?))
}

/// A page of the jobs that were given up.
#[utoipa::path(get, path = "/operations/jobs", operation_id = "list_jobs", tag = "server", params(JobQuery), responses((status = 200, body = Page<JobOut>)))]
pub(crate) async fn jobs(
    Reader(ctx): Reader,
    Query(query): Query<JobQuery>,
) -> Result<Json<Page<JobOut>>, Problem> {
    let state = query.state.unwrap_or(JobState::Dead);
    Ok(Json(dead::list(&ctx, &query.list(), state).await?))
}

/// How many jobs of each kind wait, run and were given up.
#[utoipa::path(get, path = "/operations/job-kinds", operation_id = "list_job_kinds", tag = "server", responses((status = 200, body = JobKinds)))]
pub(crate) async fn job_kinds(Reader(ctx): Reader) -> Result<Json<JobKinds>, Problem> {
    Ok(Json(dead::kinds_of_jobs(&ctx).await?))
}

/// Lets a job that was given up wait again.
#[utoipa::path(post, path = "/operations/jobs/{id}/retry", operation_id = "retry_job", tag = "server", params(("id" = JobId, Path)),
    responses((status = 204)))]
pub(crate) async fn retry_job(Writer(ctx): Writer, Id(id): Id<JobId>) -> Result<StatusCode, Problem> {
    dead::retry(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Deletes a job that was given up.
#[utoipa::path(delete, path = "/operations/jobs/{id}", operation_id = "delete_job", tag = "server", params(("id" = JobId, Path)),
    responses((status = 204)))]
pub(crate) async fn delete_job(Writer(ctx): Writer, Id(id): Id<JobId>) -> Result<StatusCode, Problem> {
    dead::remove(&ctx, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
