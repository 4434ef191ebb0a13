//! The outermost layer: what is done for every request and every response, whatever the route.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{DefaultBodyLimit, Extension, Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use cb_app::{App, RequestMeta};
use cb_core::Error;
use cb_core::ids::RequestId;
use futures_util::FutureExt as _;
use http::{HeaderValue, Method, StatusCode, header};
use tokio::time::Instant;

use crate::headers::{self, Nonce};
use crate::meters::Requests;
use crate::place::{Place, host_name};
use crate::problem::{Answered, Problem};
use crate::{auth, compression, routes, spa};

/// A request that takes longer than this is given up.
const DEADLINE: Duration = Duration::from_secs(30);
/// All header lines together, and their number; what is beyond the listener's own bounds never gets here.
const HEADER_BYTES: usize = 16 * 1024;
const HEADER_LINES: usize = 100;
const URI_BYTES: usize = 8 * 1024;
/// What decides who calls, from where and to whom. Two of one are one too many: which of them would count? The session
/// cookie is looked at by the guard, for HTTP/2 may send cookies in several lines.
const ONCE: [header::HeaderName; 7] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    header::HOST,
    crate::idempotency::HEADER,
    header::ORIGIN,
    header::HeaderName::from_static("sec-fetch-site"),
    header::HeaderName::from_static(auth::CSRF_HEADER),
];
/// Names under which people put a secret into an address, without case and punctuation.
const SECRETS: [&str; 27] = [
    "accesstoken",
    "apikey",
    "apitoken",
    "auth",
    "authorization",
    "authtoken",
    "bearer",
    "bearertoken",
    "cbpat",
    "cbsession",
    "cookie",
    "csrf",
    "csrftoken",
    "hostcbsession",
    "idtoken",
    "jwt",
    "mfatoken",
    "passwd",
    "password",
    "pat",
    "refreshtoken",
    "secret",
    "session",
    "sessionid",
    "sid",
    "token",
    "xcsrftoken",
];
/// So much of a foreign name is repeated in a refusal.
const NAME_SHOWN: usize = 100;
/// Largest body of a request.
pub(crate) const BODY_BYTES: usize = 1024 * 1024;

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

#[derive(Clone)]
struct Edge {
    app: App,
    place: Arc<Place>,
    requests: Arc<Requests>,
}

/// Everything that is served over HTTPS. The guard comes after all routes, so that none stands outside of it.
#[expect(clippy::disallowed_methods, reason = "what no route has is the page")]
pub fn service(app: App, place: Arc<Place>) -> Router {
    let requests = Arc::<Requests>::default();
    let edge = Edge { app: app.clone(), place, requests: requests.clone() };
    routes::router(app.clone())
        .fallback(page)
        .layer(from_fn(compression::mark))
        .layer(compression::layer())
        .layer(from_fn_with_state(app, auth::guard))
        .layer(Extension(requests))
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(from_fn_with_state(edge, around))
}

async fn page(Extension(nonce): Extension<Nonce>, request: Request) -> Response {
    spa::serve(request.method(), request.uri().path(), request.headers(), &nonce)
}

/// Request id, client address, limits, host, deadline and panics; then the problem's body, the headers and
/// the line in the log.
async fn around(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |p| p.0.ip());
    edge.place.look(peer, request.headers(), edge.app.now());
    let id = RequestId(edge.app.new_id());
    let nonce = Nonce::new(edge.app.entropy());
    let meta = RequestMeta {
        request_id: id,
        ip: edge.place.client(peer, request.headers()),
        user_agent: request
            .headers()
            .get(header::USER_AGENT)
            .map(|v| String::from_utf8_lossy(v.as_bytes()).chars().take(300).collect())
            .unwrap_or_default(),
        devices: crate::auth::devices(request.headers()),
    };
    let route = edge.requests.route(request.method(), auth::route(request.extensions(), request.uri()));
    let (method, path, client) = (request.method().clone(), request.uri().path().to_owned(), meta.ip);
    request.extensions_mut().insert(meta);
    request.extensions_mut().insert(nonce.clone());
    request.extensions_mut().insert(edge.place.clone());

    let changes = !method.is_safe();
    let answer = async {
        match judge(&edge.place, request) {
            Ok(request) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    };
    let request_id = id.to_string();
    let span = tracing::info_span!("request", %request_id);
    let answer = tracing::Instrument::instrument(tokio::time::timeout(DEADLINE, answer), span);
    let response = match AssertUnwindSafe(answer).catch_unwind().await {
        Ok(Ok(response)) => response,
        // What is ended from outside may have been carried out.
        Ok(Err(_)) if changes => Problem::from(Error::OutcomeUnknown(
            "The server took too long. The change may or may not have been made; check before you try again"
                .to_owned(),
        ))
        .into_response(),
        Ok(Err(_)) => {
            let why = "The server took too long. Try again in a moment, or request less at once.";
            Problem::from(Error::Unavailable(why.to_owned())).into_response()
        }
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied();
            let text =
                text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("(no text)");
            Problem::from(Error::Internal(format!("panic in {request_id}: {text}"))).into_response()
        }
    };
    let mut response = finished(response, &request_id);
    if method == Method::HEAD {
        response = without_body(response);
    }
    headers::put(response.headers_mut(), &nonce, Some(edge.place.hsts));
    if let Ok(value) = HeaderValue::try_from(request_id.as_str()) {
        response.headers_mut().insert("x-request-id", value);
    }
    route.answered(response.status(), began.elapsed());
    log(&method, &path, response.status(), began.elapsed(), &request_id, client);
    response
}

/// What is refused before the route is looked at.
fn judge(place: &Place, request: Request) -> Result<Request, Problem> {
    let bytes: usize = request.headers().iter().map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
    if bytes > HEADER_BYTES || request.headers().len() > HEADER_LINES {
        return Err(Problem::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            format!(
                "A request can have at most {HEADER_LINES} header lines with {HEADER_BYTES} bytes in total."
            ),
        ));
    }
    if request.uri().path_and_query().is_some_and(|p| p.as_str().len() > URI_BYTES) {
        return Err(Problem::new(
            StatusCode::URI_TOO_LONG,
            "uri_too_long",
            format!("The path and the query together can have at most {URI_BYTES} bytes."),
        ));
    }
    // PostgreSQL's text has no room for it, and nothing here is called so.
    if request.uri().path_and_query().is_some_and(|p| p.as_str().contains("%00")) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "nul",
            "The address contains the character U+0000. Remove it.",
        ));
    }
    if let Some(twice) = ONCE.iter().find(|name| request.headers().get_all(*name).iter().nth(1).is_some()) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "repeated_header",
            format!("The request contains the header {twice} more than once. Send it once."),
        ));
    }
    if let Some(name) = secret_in(request.uri().query().unwrap_or_default()) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "secret_in_address",
            format!(
                "The address contains a secret in the parameter {name}. Browsers and proxies log addresses, so an address must not contain a secret. Send a token in the header Authorization: Bearer …; if this secret was real, replace it"
            ),
        ));
    }
    // A host that is not ours is another site's name pointed at this address (DNS rebinding).
    let asked = asked(&request);
    if !asked.as_ref().is_some_and(|host| place.knows(host)) {
        return Err(misdirected(asked.as_deref()));
    }
    let length = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok()?.parse().ok());
    let judged_later = routes::hooks::is_message(request.method(), request.uri().path());
    if !judged_later && length.is_some_and(|n: u64| n > BODY_BYTES as u64) {
        return Err(Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "The body can have at most 1 MiB.",
        ));
    }
    Ok(request)
}

fn misdirected(asked: Option<&str>) -> Problem {
    let detail = match asked {
        None => {
            "The request contains no host, or two different hosts. Send one Host header with the name of this server"
                .to_owned()
        }
        Some(name) => {
            let name: String = name.chars().take(NAME_SHOWN).collect();
            format!(
                "“{name}” is not a name or address of this server. If people use it, set CB_NAMES={name} and restart the server. \
                 If a proxy sent it, configure the proxy to pass on the name that the browser used; nginx: proxy_set_header Host $http_host;"
            )
        }
    };
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "misdirected", detail)
}

/// The name of a parameter that is there to carry a secret, as our own list has it: nothing of the address is repeated.
fn secret_in(query: &str) -> Option<&'static str> {
    url::form_urlencoded::parse(query.as_bytes()).find_map(|(name, _)| {
        let bare: String =
            name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
        SECRETS.into_iter().find(|known| *known == bare || bare.strip_prefix('x') == Some(known))
    })
}

/// The name that the request was sent to; none when there is none, or when two are given that differ.
fn asked(request: &Request) -> Option<String> {
    let authority = request.uri().authority().map(|a| host_name(a.as_str()));
    let host = request.headers().get(header::HOST).map(|v| v.to_str().ok().and_then(host_name));
    match (authority, host) {
        (Some(a), Some(b)) if a != b => None,
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => None,
    }
}

/// The problem that the response carries, written out; every error that carries none becomes one.
fn finished(mut response: Response, request_id: &str) -> Response {
    if response.extensions_mut().remove::<Answered>().is_some() {
        return response;
    }
    let status = response.status();
    let carried = response.extensions_mut().remove::<Problem>();
    let problem = carried.or_else(|| {
        let wanted = status.is_client_error() || status.is_server_error();
        wanted.then(|| Problem::new(status, "http", "The server cannot answer this request; see the status"))
    });
    let Some(problem) = problem else { return response };
    let (mut parts, _) = response.into_parts();
    let body = problem.body(request_id);
    parts.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    Response::from_parts(parts, Body::from(body))
}

/// RFC 9110, section 9.3.2: the same headers as for `GET`.
fn without_body(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.entry(header::CONTENT_LENGTH).or_insert(HeaderValue::from(length));
    }
    Response::from_parts(parts, Body::empty())
}

/// What programs ask every few seconds.
const ASKED_OFTEN: [&str; 2] = ["/api/v1/health", "/api/v1/ready"];

/// The path without its query, which may hold anything; pages and files at a lower level.
fn log(method: &Method, path: &str, status: StatusCode, took: Duration, request_id: &str, client: IpAddr) {
    let (status, ms) = (status.as_u16(), took.as_millis());
    if path.starts_with("/api/") && !ASKED_OFTEN.contains(&path) {
        tracing::info!(%method, path, status, ms, %client, request_id, "request");
    } else {
        tracing::debug!(%method, path, status, ms, %client, request_id, "request");
    }
}

#[cfg(test)]
mod tests {
    use super::secret_in;

    #[test]
    fn a_parameter_for_a_secret_is_known_in_any_spelling() {
        for query in [
            "access_token=x",
            "a=b&Api-Key=x",
            "%74oken=x",
            "ACCESS%5FTOKEN",
            "token[]=x",
            "x-api-key=x",
            "__Host-cb_session=x",
            "tok%65n",
        ] {
            assert!(secret_in(query).is_some(), "{query}");
        }
        for query in [
            "",
            "q=token",
            "q=password%3Dx",
            "limit=5&cursor=abc",
            "code=1&state=2",
            "tokens=1",
            "entity_id=5",
        ] {
            assert_eq!(secret_in(query), None, "{query}");
        }
    }
}
