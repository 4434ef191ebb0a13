//! Who may come in. Everything that the server answers over HTTPS stands behind [`guard`]: it is 401 to
//! whoever is not signed in, unless it stands on [`PUBLIC`]. What would change something must also be no
//! forgery: from our own pages and with the session's CSRF token, or with a bearer token. A handler gets
//! its [`Ctx`] only through [`Reader`], [`Writer`], [`SessionReader`] or [`SessionWriter`], which only the guard can fill; one that
//! takes none of them has nobody to act for.

use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use cb_app::auth::{Devices, Site};
use cb_app::replay::Asker;
use cb_app::{App, Authenticated, Ctx, RequestMeta};
use cb_core::{Error, Principal};
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Uri, header};

use crate::place::Place;
use crate::problem::Problem;
use crate::{access, idempotency};

/// Stands for every path outside of `/api` that no route has: the static page and its files.
pub const PAGE: &str = "(page)";

/// The whole list of what anybody may call; `HEAD` goes with `GET`. What is not on it needs a session or a
/// token, and there is no other way to open a route.
pub const PUBLIC: &[(Method, &str)] = &[
    (Method::GET, "/api/v1/health"),
    (Method::GET, "/api/v1/ready"),
    (Method::GET, "/api/v1/setup"),
    (Method::POST, "/api/v1/setup"),
    (Method::POST, "/api/v1/auth/login"),
    (Method::POST, "/api/v1/auth/mfa"),
    (Method::POST, "/api/v1/auth/mfa/passkey"),
    (Method::GET, "/api/v1/auth/methods"),
    (Method::POST, "/api/v1/auth/passkeys/challenge"),
    (Method::POST, "/api/v1/auth/passkeys/login"),
    (Method::GET, "/api/v1/auth/oidc/{slug}/start"),
    (Method::GET, "/api/v1/auth/oidc/{slug}/callback"),
    (Method::POST, "/api/v1/auth/forgot"),
    (Method::POST, "/api/v1/auth/link"),
    (Method::POST, "/api/v1/auth/reset"),
    (Method::POST, "/api/v1/auth/invite"),
    // Proves itself: by its signature, or by the hook's own token.
    (Method::POST, "/api/v1/hooks/{id}"),
    (Method::GET, "/ca.crt"),
    (Method::GET, PAGE),
];

pub const COOKIE: &str = "__Host-cb_session";
pub const CSRF_HEADER: &str = "x-csrf-token";

/// Who a request has proved to be; put there by [`guard`] alone.
#[derive(Debug, Clone)]
enum Caller {
    Session(Authenticated),
    Token(Principal),
}

impl Caller {
    fn principal(&self) -> &Principal {
        match self {
            Caller::Session(who) => &who.principal,
            Caller::Token(principal) => principal,
        }
    }
}

pub fn is_public(method: &Method, path: &str) -> bool {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    PUBLIC.iter().any(|(m, p)| m == method && *p == path)
}

/// Stands before everything.
pub async fn guard(State(app): State<App>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match admit(&app, &parts).await {
        Ok(caller) => {
            let asker = caller.as_ref().and_then(|caller| Asker::of(caller.principal()));
            if let Some(caller) = caller {
                parts.extensions.insert(caller);
            }
            let (path, request) =
                (route(&parts.extensions, &parts.uri).to_owned(), Request::from_parts(parts, body));
            match asker {
                Some(asker) if idempotency::wanted(&request) => {
                    idempotency::around(&app, asker, path, request, next).await
                }
                _ => next.run(request).await,
            }
        }
        Err(problem) => problem.into_response(),
    }
}

/// Who calls, as far as the table of [`access`] lets them; nobody, on a public route.
async fn admit(app: &App, parts: &Parts) -> Result<Option<Caller>, Problem> {
    let mut ruled = false;
    let caller = if is_public(&parts.method, route(&parts.extensions, &parts.uri)) {
        None
    } else {
        app.after_setup().await?;
        let caller = identify(app, parts).await?;
        if let Some(needs) = access::needs(&parts.method, route(&parts.extensions, &parts.uri)) {
            access::check(caller.principal(), needs)?;
            ruled = true;
        }
        Some(caller)
    };
    // What no route takes is told by the router: 404 or 405, before anything is asked of the request.
    if !parts.method.is_safe() && (ruled || caller.is_none()) {
        genuine(app, caller.as_ref(), parts)?;
    }
    // A route without a row in the table gets nobody to act for; a path or method without a route is told by the router.
    Ok(caller.filter(|_| ruled))
}

/// The matched route's template; [`PAGE`], or an unknown path of the API as it is, which is on no list.
pub fn route<'a>(extensions: &'a Extensions, uri: &'a Uri) -> &'a str {
    if let Some(matched) = extensions.get::<MatchedPath>() {
        return matched.as_str();
    }
    let path = uri.path();
    if path == "/api" || path.starts_with("/api/") { path } else { PAGE }
}

/// Not a request that another site's page made in the user's name. A token is not sent by a browser on
/// its own, so it proves enough.
fn genuine(app: &App, caller: Option<&Caller>, parts: &Parts) -> Result<(), Problem> {
    match caller {
        Some(Caller::Token(_)) => return Ok(()),
        None | Some(Caller::Session(_)) => own_page(parts)?,
    }
    if let Some(Caller::Session(who)) = caller {
        let token = parts.headers.get(CSRF_HEADER).map_or(&[][..], |v| v.as_bytes());
        if !app.csrf_matches(who, token) {
            return Err(forbidden(
                "the header X-CSRF-Token is missing or does not belong to this session; read auth/me again",
            ));
        }
    }
    Ok(())
}

/// A sender that is set up with another method, or with an address that is not the hook's.
const OF_A_HOOK: &str = "This is the token of a hook. A hook accepts messages only with POST at its own address, /api/v1/hooks/…. At the sender, set the method to POST (in Grafana “HTTP Method”, in Proxmox “Method”), and compare the address with the address of the hook in Circuit Breaker";

async fn identify(app: &App, parts: &Parts) -> Result<Caller, Error> {
    let nobody =
        || Error::Unauthenticated("Sign in, or send a token in the Authorization header.".to_owned());
    let headers = &parts.headers;
    if let Some(value) = headers.get(header::AUTHORIZATION) {
        let token = value.as_bytes();
        let is_bearer = token.get(..7).is_some_and(|s| s.eq_ignore_ascii_case(b"bearer "));
        let token = token.get(7..).filter(|_| is_bearer).ok_or_else(nobody)?;
        if token.starts_with(cb_app::notify::hooks::TOKEN_PREFIX.as_bytes()) {
            return Err(Error::Unauthenticated(OF_A_HOOK.to_owned()));
        }
        let meta = parts.extensions.get::<RequestMeta>();
        let meta = meta.ok_or_else(|| Error::Internal("a request without its meta data".to_owned()))?;
        return app.by_bearer(token, meta).await?.map(Caller::Token).ok_or_else(nobody);
    }
    let cookie = session_cookie(headers).ok_or_else(nobody)?;
    app.by_session(cookie).await?.map(Caller::Session).ok_or_else(nobody)
}

/// The session cookie.
fn session_cookie(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
}

/// The browser's marks that the request brought.
pub fn devices(headers: &HeaderMap) -> Devices {
    Devices::brought(cookies(headers))
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|v| v.to_str().ok())
        .flat_map(|v| v.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// A cookie of ours; none when there are two of the name, for then somebody has slipped one in.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = cookies(headers).filter(|(n, _)| *n == name).map(|(_, value)| value);
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// A signed-in caller who reads.
pub struct Reader(pub Ctx);

/// A signed-in caller who writes; the [`guard`] has seen that the request is no forgery.
pub struct Writer(pub Ctx);

/// A signed-in caller with a session, for the routes that are about it; to an API token they are not there.
pub struct SessionReader(pub Ctx, pub Authenticated);

/// The same for those that write.
pub struct SessionWriter(pub Ctx);

fn caller(parts: &Parts) -> Result<&Caller, Problem> {
    // Only a route on the public list, or without a row in the table, gets here without.
    parts.extensions.get::<Caller>().ok_or_else(|| Error::Unauthenticated("Sign in first.".to_owned()).into())
}

/// Where the request came from, as the edge has put it there.
pub fn meta(parts: &Parts) -> Result<RequestMeta, Problem> {
    let meta = parts.extensions.get::<RequestMeta>().cloned();
    meta.ok_or_else(|| Error::Internal("a request without its meta data".to_owned()).into())
}

/// Whose session the request carries, on a public route that looks.
pub async fn visitor(app: &App, parts: &Parts) -> cb_core::Result<Option<Principal>> {
    let Some(cookie) = session_cookie(&parts.headers) else { return Ok(None) };
    Ok(app.by_session(cookie).await?.map(|who| who.principal))
}

/// Under which of our origins the page was opened that sent the request.
pub fn site(parts: &Parts) -> Result<Site, Problem> {
    let origin = parts.headers.get(header::ORIGIN).map(http::HeaderValue::as_bytes);
    Ok(Site::of(&place(parts)?.called().origins, host(parts).unwrap_or_default(), origin))
}

/// Where the server stands, as the edge has put it there.
fn place(parts: &Parts) -> Result<&Place, Problem> {
    let place = parts.extensions.get::<Arc<Place>>().map(AsRef::as_ref);
    place.ok_or_else(|| Error::Internal("a request that did not come through the edge".to_owned()).into())
}

fn ctx(parts: &Parts, app: &App, caller: &Caller) -> Result<Ctx, Problem> {
    Ok(app.ctx(caller.principal().clone(), meta(parts)?))
}

impl FromRequestParts<App> for Reader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        Ok(Self(ctx(parts, app, caller(parts)?)?))
    }
}

impl FromRequestParts<App> for SessionReader {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match caller(parts)? {
            Caller::Session(who) => Ok(Self(ctx(parts, app, caller(parts)?)?, who.clone())),
            Caller::Token(_) => Err(Problem::not_found()),
        }
    }
}

impl FromRequestParts<App> for SessionWriter {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let SessionReader(..) = SessionReader::from_request_parts(parts, app).await?;
        Ok(Self(Writer::from_request_parts(parts, app).await?.0))
    }
}

impl FromRequestParts<App> for Writer {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if parts.method.is_safe() {
            return Err(Error::Internal("a route that only reads takes a Writer".to_owned()).into());
        }
        Ok(Self(ctx(parts, app, caller(parts)?)?))
    }
}

fn forbidden(detail: &str) -> Problem {
    Error::Denied(detail.to_owned()).into()
}

/// A request that a browser sends with a cookie must come from our own pages, as JSON: a form on
/// another site can do neither.
fn own_page(parts: &Parts) -> Result<(), Problem> {
    same_origin(parts)?;
    // What proves itself has no cookie that a form could send along, and its route knows what to change at the sender.
    let proves_itself = crate::routes::hooks::is_message(&parts.method, parts.uri.path());
    if !proves_itself && !crate::extract::is_json(&parts.headers) {
        return Err(crate::extract::not_json());
    }
    Ok(())
}

/// The host that the request was sent to: the authority in HTTP/2, the Host header in HTTP/1.
pub fn host(parts: &Parts) -> Option<&str> {
    parts
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| parts.headers.get(header::HOST).and_then(|v| v.to_str().ok()))
}

/// Refuses what a browser says comes from elsewhere (`Sec-Fetch-Site`, `Origin`). A page is ours when its origin equals one of our
/// origins, whatever the proxies between have made of `Host`; or when it equals the `Host` that the request was sent to, which the
/// edge has seen to be ours: a port may be mapped on the way.
pub fn same_origin(parts: &Parts) -> Result<(), Problem> {
    if let Some(from) = parts.headers.get("sec-fetch-site")
        && !matches!(from.as_bytes(), b"same-origin" | b"none")
    {
        let from = shown(from.as_bytes());
        return Err(forbidden(&format!(
            "The browser says that a page of another site sent this request (Sec-Fetch-Site: {from})"
        )));
    }
    let Some(origin) = parts.headers.get(header::ORIGIN) else { return Ok(()) };
    let (page, host) = (origin.as_bytes(), host(parts).unwrap_or_default());
    let called = place(parts)?.called();
    if page.eq_ignore_ascii_case(format!("https://{host}").as_bytes()) || called.origins.admits(page, host) {
        return Ok(());
    }
    Err(foreign_page(&shown(page), &shown(host.as_bytes()), &called.origins.expected()))
}

/// Says what came, what was expected, and the line that mends it.
fn foreign_page(page: &str, host: &str, expected: &str) -> Problem {
    let mend = if page.starts_with("https://") {
        format!(
            " If {page} is this server, set CB_NAMES={page} and restart the server, or configure the proxy to pass on the host with its port; nginx: proxy_set_header Host $http_host;"
        )
    } else {
        String::new()
    };
    forbidden(&format!(
        "The request comes from a page at {page} (Origin) and was sent to {host} (Host). The server expects pages at {expected}.{mend}"
    ))
}

/// A header's value in a sentence: printable ASCII, and not much of it.
fn shown(bytes: &[u8]) -> String {
    bytes.iter().take(100).map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '?' }).collect()
}
