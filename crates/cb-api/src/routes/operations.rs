//! `/operations`: how the servers run.

use axum::Json;
use cb_app::reconcile::{self, Works};

use crate::auth::Reader;
use crate::problem::Problem;

/// What the servers do again and again without being asked: when each work ran last, how that ended, and when it runs next.
#[utoipa::path(get, path = "/operations/periodic", operation_id = "list_periodic_work", tag = "server", responses((status = 200, body = Works)))]
pub(crate) async fn periodic(Reader(ctx): Reader) -> Result<Json<Works>, Problem> {
    Ok(Json(reconcile::list(&ctx).await?))
}
