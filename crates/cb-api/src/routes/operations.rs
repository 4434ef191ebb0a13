//! `/operations`: how the servers run.

use axum::Json;
use cb_app::operations::{self, Operations};
use cb_app::reconcile::{self, Works};

use crate::auth::Reader;
use crate::problem::Problem;

/// How the servers do: who they are, the state of the database, of Redis and of NATS, and what is degraded.
#[utoipa::path(get, path = "/operations", operation_id = "get_operations", tag = "server", responses((status = 200, body = Operations)))]
pub(crate) async fn get(Reader(ctx): Reader) -> Result<Json<Operations>, Problem> {
    Ok(Json(operations::get(&ctx).await?))
}

/// What the servers do again and again without being asked: when each work ran last, how that ended, and when it runs next.
#[utoipa::path(get, path = "/operations/periodic", operation_id = "list_periodic_work", tag = "server", responses((status = 200, body = Works)))]
pub(crate) async fn periodic(Reader(ctx): Reader) -> Result<Json<Works>, Problem> {
    Ok(Json(reconcile::list(&ctx).await?))
}
