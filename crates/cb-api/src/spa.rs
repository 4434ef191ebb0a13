//! The browser client, from inside the binary.
//!
//! `/assets/*` have their content's hash in their names, so they may be kept for ever; they come
//! compressed as the build left them. Every other path is the page, which knows what its address means: its nonce is fresh,
//! so it is never kept and has no ETag.

use std::borrow::Cow;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::headers::Nonce;
use crate::problem::Problem;

#[derive(rust_embed::RustEmbed)]
#[folder = "../../web/dist"]
#[allow_missing = true]
struct Dist;

/// What the build put where the nonce goes.
const PLACEHOLDER: &str = "__CSP_NONCE__";

/// Answers whatever no route of the API has matched.
pub fn serve(method: &Method, path: &str, headers: &HeaderMap, nonce: &Nonce) -> Response {
    if path == "/api" || path.starts_with("/api/") {
        return Problem::not_found().into_response();
    }
    if method != Method::GET && method != Method::HEAD {
        let mut response = Problem::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_allowed",
            "Pages can only be read; the API is under /api/v1",
        )
        .into_response();
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let name = path.trim_start_matches('/');
    if name.starts_with("assets/")
        && let Some(file) = asset(name, headers)
    {
        return file;
    }
    let is_file =
        name.starts_with("assets/") || name.rsplit('/').next().is_some_and(|last| last.contains('.'));
    // Whoever visits an address gets a page, which says that nothing is there. A script that is not there is not.
    if is_file && !visits(headers) { Problem::not_found().into_response() } else { page(nonce) }
}

/// Whether this is a person's browser going to an address, and not a page loading its parts.
fn visits(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    accepted.split(',').any(|one| one.split(';').next().is_some_and(|kind| kind.trim() == "text/html"))
}

fn page(nonce: &Nonce) -> Response {
    let Some(file) = Dist::get("index.html") else {
        return Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "This build does not contain the browser client",
        )
        .into_response();
    };
    let html = String::from_utf8_lossy(&file.data).replace(PLACEHOLDER, &nonce.0);
    let mut response = Response::new(Body::from(html));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn asset(name: &str, wanted: &HeaderMap) -> Option<Response> {
    let plain = Dist::get(name)?;
    let accepted = wanted.get(header::ACCEPT_ENCODING).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let takes = |coding: &str| {
        accepted.split(',').any(|one| {
            let (token, rest) = one.split_once(';').unwrap_or((one, ""));
            token.trim() == coding && !matches!(rest.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
        })
    };
    let packed = [("br", "br"), ("gzip", "gz")]
        .into_iter()
        .filter(|(coding, _)| takes(coding))
        .find_map(|(coding, ending)| Some((coding, Dist::get(&format!("{name}.{ending}"))?)));
    let mime = HeaderValue::from_str(plain.metadata.mimetype()).ok()?;
    let (coding, file) = packed.map_or((None, plain), |(coding, file)| (Some(coding), file));
    let body = match file.data {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, mime);
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
    }
    Some(response)
}
