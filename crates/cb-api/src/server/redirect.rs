//! Plain HTTP: a 301 to HTTPS for every path and method, but for exactly `GET` and `HEAD` of
//! `/api/v1/health`, which says that the server is alive.

use std::sync::{Arc, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use cb_app::App;
use http::{HeaderValue, Method, StatusCode, header};
use url::Url;

use crate::edge::{Place, host_name};
use crate::headers::{self, Nonce};
use crate::problem::Problem;

/// Where HTTPS is.
#[derive(Debug, Clone)]
pub struct Target {
    /// What the operator says people should use.
    pub public: Option<Url>,
    /// The port of our own HTTPS listener.
    pub port: u16,
}

#[derive(Clone)]
struct Entry {
    app: App,
    place: Arc<Place>,
    target: Target,
}

const HEALTH: &str = "/api/v1/health";

#[expect(clippy::disallowed_methods, reason = "no routes: every request gets the one answer")]
pub(super) fn service(app: App, place: Arc<Place>, target: Target) -> Router {
    Router::new().fallback(answer).with_state(Entry { app, place, target })
}

async fn answer(State(entry): State<Entry>, request: Request) -> Response {
    let nonce = Nonce::new(entry.app.entropy());
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    // The raw text, query and all: what is merely equivalent is redirected like anything else.
    let raw = request.uri().path_and_query().map_or("", |p| p.as_str());
    let mut response = if reads && raw == HEALTH && request.uri().authority().is_none() {
        axum::Json(serde_json::json!({ "status": "ok" })).into_response()
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

fn redirect(entry: &Entry, request: &Request, raw: &str) -> Response {
    let origin = match &entry.target.public {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("https://{}:{}", own_name(&entry.place, request), entry.target.port),
    };
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

/// The name that was asked for if it is one of ours, else the first that we have.
fn own_name(place: &Place, request: &Request) -> String {
    let names = place.names.read().unwrap_or_else(PoisonError::into_inner);
    let asked = request.headers().get(header::HOST).and_then(|v| v.to_str().ok()).and_then(host_name);
    let asked = asked.filter(|host| match host.parse() {
        Ok(ip) => names.contains_address(ip),
        Err(_) => names.contains_name(host),
    });
    let name = asked.or_else(|| names.dns.first().cloned()).unwrap_or_else(|| "localhost".to_owned());
    if name.contains(':') { format!("[{name}]") } else { name }
}
