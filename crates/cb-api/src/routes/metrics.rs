//! `/metrics`: what this server counts, for Prometheus.

use std::sync::Arc;

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::header;

use crate::auth::Reader;
use crate::meters::Requests;
use crate::problem::Problem;
use crate::streams::Sockets;

/// The metrics of this server in the text format of Prometheus. The manual (docs/operations.md) explains each of them.
#[utoipa::path(get, path = "/metrics", operation_id = "get_metrics", tag = "server",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub(crate) async fn get(
    Reader(ctx): Reader,
    Extension(requests): Extension<Arc<Requests>>,
    Extension(sockets): Extension<Sockets>,
) -> Result<Response, Problem> {
    let mut page = cb_app::metrics::page(&ctx).await?;
    requests.tell(&mut page);
    sockets.tell(&mut page);
    let kind = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    Ok(([kind], page.into_text()).into_response())
}
