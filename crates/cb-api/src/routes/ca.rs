//! `/ca.crt`: the local CA's root.

use std::sync::Arc;

use axum::Extension;
use axum::response::{IntoResponse as _, Response};
use http::header;

use crate::place::Place;
use crate::problem::Problem;

/// The root certificate of the server's certificate authority as PEM, for the devices that should trust it; 404 if the server
/// uses its own certificate from CB_TLS_CERT.
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
