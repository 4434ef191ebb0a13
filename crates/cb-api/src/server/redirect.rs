//! Plain HTTP: a 301 to HTTPS for every path and method, but for exactly `GET` and `HEAD` of
//! `/api/v1/health`, which says that the server is alive. A trusted proxy whose client came over HTTPS gets a page that says how to
//! set it up, for a redirect would have no end.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use cb_app::App;
use http::{HeaderValue, Method, StatusCode, header};

use crate::edge::Peer;
use crate::headers::{self, Nonce};
use crate::place::{Place, host_name};
use crate::problem::Problem;

#[derive(Clone)]
struct Entry {
    app: App,
    place: Arc<Place>,
}

const HEALTH: &str = "/api/v1/health";

#[expect(clippy::disallowed_methods, reason = "no routes: every request gets the one answer")]
pub(super) fn service(app: App, place: Arc<Place>) -> Router {
    Router::new().fallback(answer).with_state(Entry { app, place })
}

async fn answer(State(entry): State<Entry>, request: Request) -> Response {
    let nonce = Nonce::new(entry.app.entropy());
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    // The raw text, query and all: what is merely equivalent is redirected like anything else.
    let raw = request.uri().path_and_query().map_or("", |p| p.as_str());
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |p| p.0.ip());
    entry.place.look(peer, request.headers(), entry.app.now());
    let mut response = if reads && raw == HEALTH && request.uri().authority().is_none() {
        axum::Json(serde_json::json!({ "status": "ok" })).into_response()
    } else if entry.place.came_by_https(peer, request.headers()) {
        explain(&entry.place, &nonce, request.uri().path().starts_with("/api/"))
    } else {
        redirect(&entry, &request, raw)
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The body of the request is not read, so the connection is of no further use.
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers::put(headers, &nonce, None);
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    response
}

/// A redirect would lead the browser to where it is, without end.
fn explain(place: &Place, nonce: &Nonce, api: bool) -> Response {
    const PAGE: &str = include_str!("plain_proxy.html");
    let status = StatusCode::MISDIRECTED_REQUEST;
    let (kind, body) = if api {
        let problem = Problem::new(
            status,
            "plain_proxy",
            format!(
                "The client used HTTPS and the proxy speaks plain HTTP to the server. Let the proxy connect to https:// at port {}",
                place.port
            ),
        );
        ("application/problem+json", problem.body(""))
    } else {
        let page = PAGE.replace("__NONCE__", &nonce.0).replace("__PORT__", &place.port.to_string());
        ("text/html; charset=utf-8", page.into_bytes())
    };
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

/// To the name that was asked for, if it is one of ours.
fn redirect(entry: &Entry, request: &Request, raw: &str) -> Response {
    let asked = request.headers().get(header::HOST).and_then(|v| v.to_str().ok()).and_then(host_name);
    let called = entry.place.called();
    let origin = called.origins.for_plain(asked.as_deref());
    // `//host` would read as another host, and a fragment of one's own cannot be sent at all.
    let path = format!("/{}", raw.trim_start_matches('/'));
    let Ok(location) = HeaderValue::try_from(format!("{origin}{path}")) else {
        let problem = Problem::new(StatusCode::BAD_REQUEST, "malformed", "The path cannot be redirected");
        let body = problem.body("");
        let mut response = problem.into_response();
        *response.body_mut() = Body::from(body);
        return response;
    };
    let mut response = StatusCode::MOVED_PERMANENTLY.into_response();
    response.headers_mut().insert(header::LOCATION, location);
    response
}
