//! `/ca.crt`: the local CA's root.

use std::sync::Arc;

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::header;

use crate::place::Place;
use crate::problem::Problem;

/// The local CA's root, PEM, to be trusted by the user's devices; 404 with a mounted certificate.
#[utoipa::path(get, path = "/ca.crt", operation_id = "get_ca", tag = "server",
    responses((status = 200, body = String, content_type = "application/x-x509-ca-cert")))]
pub(crate) async fn get(Extension(place): Extension<Arc<Place>>) -> Result<Response, Problem> {
    let pem = place.root.clone().ok_or_else(Problem::not_found)?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-x509-ca-cert"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"circuit-breaker-ca.crt\""),
    ];
    Ok((headers, pem).into_response())
}
