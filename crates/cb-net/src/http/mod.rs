//! The only HTTP client of the house: every request to an address that a person typed, that a redirect
//! named or that came out of a document goes through [`Outbound::send`].
//!
//! For each hop, the first one and each redirect: the [judge](crate::judge) reads the URL, the name is
//! resolved **once**, every address is judged, and a client is built that knows these addresses and no
//! resolver; the address that answered is compared once more. Nothing is kept between requests: no
//! pool, whose connections were judged for somebody else, no TLS sessions, no cookies.
//!
//! Invariants: the environment's proxies are ignored; HTTP/1.1 only; everything has a bound
//! ([`Limits`]), the size of the body after it is unpacked; a redirect to another origin (RFC 6454) loses
//! every header but the harmless ones of [`HARMLESS`], and is refused if it would carry a body.
//!
//! ```no_run
//! # async fn example(config: &cb_core::config::Config) -> Result<(), Box<dyn std::error::Error>> {
//! use cb_net::http::{Limits, Outbound, Tls};
//! use cb_net::judge::Policy;
//!
//! let outbound = Outbound::from_config(config);
//! let request = http::Request::get("https://id.lan/.well-known/openid-configuration").body(Vec::new())?;
//! let answer = outbound.send(Policy::Lan, request, Limits::default()).await?;
//! // A device whose certificate nobody signed:
//! let device = outbound.trusting(Tls::Pinned("0123…".parse()?));
//! # Ok(()) }
//! ```

mod error;
mod trust;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cb_core::allow::Allow;
use cb_core::config::Config;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use url::Url;

pub use error::OutboundError;
pub use trust::{Pin, Tls, WrongCertificate};

use crate::judge::{Destination, Judge, Own, Policy, Refused, Target};
use crate::resolve::{ResolveError, Resolver};

/// What one request may cost. Never unbounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For everything: resolution, redirects and the last byte of the body.
    pub total: Duration,
    /// For one connection with its TLS handshake.
    pub connect: Duration,
    /// Bytes of the body, unpacked.
    pub body: usize,
    /// Bytes of the header fields, names and values.
    pub headers: usize,
    /// How many redirects are followed. With 0 the redirect itself is the answer.
    pub redirects: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Duration::from_secs(15),
            connect: Duration::from_secs(5),
            body: 1 << 20,
            headers: 32 << 10,
            redirects: 0,
        }
    }
}

/// More fields than this are refused while they are read.
const MOST_FIELDS: usize = 100;

/// What goes along to another origin; credentials come under any name, so there is no list of bad ones.
const HARMLESS: &[HeaderName] = &[header::ACCEPT, header::ACCEPT_LANGUAGE, header::USER_AGENT];

/// What the connection decides and no caller (RFC 9110, 7.6.1 and 7.2).
const OURS: &[HeaderName] = &[
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
    header::ACCEPT_ENCODING,
    header::PROXY_AUTHORIZATION,
];

const USER_AGENT: &str = concat!("circuit-breaker/", env!("CARGO_PKG_VERSION"));

/// The client. A clone is cheap and shares everything.
#[derive(Debug, Clone)]
pub struct Outbound {
    shared: Arc<Shared>,
    tls: Tls,
}

#[derive(Debug)]
struct Shared {
    judge: Judge,
    resolver: Resolver,
    verifiers: trust::Verifiers,
}

/// A URL that was judged, with the addresses that it may be sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    destination: Destination,
    addresses: Vec<SocketAddr>,
}

impl Approved {
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Outbound {
    /// `own` are our own listeners and backends, which no request reaches.
    pub fn new(allow: Vec<Allow>, own: Vec<Own>, resolver: Resolver) -> Self {
        let judge = Judge::new(allow, own);
        Self {
            shared: Arc::new(Shared { judge, resolver, verifiers: trust::Verifiers::default() }),
            tls: Tls::System,
        }
    }

    /// As the settings say: `CB_OUTBOUND_ALLOW`, our own listeners and database, the system's resolver.
    pub fn from_config(config: &Config) -> Self {
        Self::new(config.outbound_allow.clone(), own_services(config), Resolver::System)
    }

    /// The same client that trusts in another way.
    #[must_use]
    pub fn trusting(&self, tls: Tls) -> Self {
        Self { shared: self.shared.clone(), tls }
    }

    /// Judges a URL as [`Outbound::send`] would, and sends nothing.
    pub async fn check(&self, policy: Policy, url: &str) -> Result<Approved, OutboundError> {
        let Shared { judge, resolver, .. } = &*self.shared;
        let destination = Destination::read(url)?;
        judge.name(&destination)?;
        let mut backends = Vec::new();
        for name in judge.backends(destination.port) {
            // A backend that cannot be told from others is protected by its port.
            let found = resolver.addresses(&name.to_ascii_lowercase()).await;
            backends.extend(found.map_err(|_| Refused::Own(format!("port {}", destination.port)))?);
        }
        let found = match &destination.host {
            Target::Address(ip) => vec![*ip],
            // RFC 6761, 6.3: no name server is asked. The judge has let it pass, so it is allowed.
            Target::Name(name) if name == "localhost" || name.ends_with(".localhost") => {
                vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]
            }
            Target::Name(name) => resolver.addresses(name).await?,
        };
        let addresses = judge.addresses(policy, &destination, &found, &backends)?;
        Ok(Approved { destination, addresses })
    }

    /// Sends a request and reads the whole answer, within `limits`.
    ///
    /// Redirects follow RFC 9110, 15.4: 303 becomes GET, 301 and 302 do so for POST, 307 and 308 change
    /// nothing. One without `Location`, or past `limits.redirects` when that is 0, is the answer.
    pub async fn send(
        &self,
        policy: Policy,
        request: Request<Vec<u8>>,
        limits: Limits,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let answer = tokio::time::timeout(limits.total, self.follow(policy, request, limits));
        answer.await.unwrap_or(Err(OutboundError::TimedOut))
    }

    async fn follow(
        &self,
        policy: Policy,
        request: Request<Vec<u8>>,
        limits: Limits,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let (parts, body) = request.into_parts();
        let mut hop = Hop { method: parts.method, headers: parts.headers, body };
        if matches!(hop.method, Method::CONNECT | Method::TRACE) {
            return Err(OutboundError::BadRequest(format!("the method {} is not sent", hop.method)));
        }
        if let Some(name) = OURS.iter().find(|name| hop.headers.contains_key(*name)) {
            return Err(OutboundError::BadRequest(format!(
                "the header field {name} is not the caller's to set"
            )));
        }
        hop.headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        let mut url = parts.uri.to_string();
        for left in (0..=limits.redirects).rev() {
            let approved = self.check(policy, &url).await?;
            let response = self.one_hop(&approved, hop.clone(), limits).await?;
            let Some(location) = location(&response)? else { return Ok(response) };
            if limits.redirects == 0 {
                return Ok(response);
            }
            if left == 0 {
                break;
            }
            let next = target(&approved.destination.url, location)?;
            hop.redirected(response.status(), &approved.destination.url, &Destination::read(&next)?.url)?;
            url = next;
        }
        Err(OutboundError::TooManyRedirects(limits.redirects))
    }

    /// One request to exactly the approved addresses.
    async fn one_hop(
        &self,
        approved: &Approved,
        hop: Hop,
        limits: Limits,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let client = self.client(approved, limits)?;
        let mut request = reqwest::Request::new(hop.method, approved.destination.url.clone());
        *request.headers_mut() = hop.headers;
        if !hop.body.is_empty() {
            *request.body_mut() = Some(hop.body.into());
        }
        let mut response = client.execute(request).await.map_err(error::classify)?;
        // The client knows no other address; should it ever learn one, its answer is not used.
        let peer = response.remote_addr();
        if !peer.is_some_and(|peer| approved.addresses.contains(&peer)) {
            return Err(OutboundError::WrongPeer(peer));
        }
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(OutboundError::BadResponse("it changes the protocol".to_owned()));
        }
        let size =
            |headers: &HeaderMap| headers.iter().map(|(n, v)| n.as_str().len() + v.len()).sum::<usize>();
        if size(response.headers()) > limits.headers {
            return Err(too_large("header", limits.headers));
        }
        if response.content_length().is_some_and(|length| length > limits.body as u64) {
            return Err(too_large("body", limits.body));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(error::classify)? {
            if chunk.len() > limits.body - body.len() {
                return Err(too_large("body", limits.body));
            }
            body.extend_from_slice(&chunk);
        }
        let mut answer = Response::new(body);
        *answer.status_mut() = response.status();
        *answer.headers_mut() = std::mem::take(response.headers_mut());
        Ok(answer)
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that builds an HTTP client")]
    fn client(&self, approved: &Approved, limits: Limits) -> Result<reqwest::Client, OutboundError> {
        let tls = self.shared.verifiers.config(self.tls).map_err(OutboundError::Tls)?;
        reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .http1_max_headers(MOST_FIELDS)
            .pool_max_idle_per_host(0)
            .connect_timeout(limits.connect)
            .dns_resolver(Known(approved.addresses.clone()))
            .tls_backend_preconfigured(tls)
            .build()
            .map_err(error::classify)
    }
}

/// "Resolves" every name to the judged addresses; there is only one name in the client that asks.
struct Known(Vec<SocketAddr>);

impl reqwest::dns::Resolve for Known {
    fn resolve(&self, _: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let addresses = self.0.clone();
        Box::pin(async move { Ok(Box::new(addresses.into_iter()) as reqwest::dns::Addrs) })
    }
}

/// What is sent at one hop.
#[derive(Clone)]
struct Hop {
    method: Method,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Hop {
    /// Becomes the request that follows a redirect.
    fn redirected(&mut self, status: StatusCode, from: &Url, to: &Url) -> Result<(), Refused> {
        if from.scheme() == "https" && to.scheme() == "http" {
            return Err(Refused::Downgrade);
        }
        let becomes_get = match status {
            StatusCode::SEE_OTHER => self.method != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => self.method == Method::POST,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body.clear();
            for name in [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE] {
                self.headers.remove(name);
            }
        }
        if from.origin() != to.origin() {
            if !self.body.is_empty() {
                return Err(Refused::BodyElsewhere(to.origin().ascii_serialization()));
            }
            let harmless = |(name, value)| Some((name?, value)).filter(|(name, _)| HARMLESS.contains(name));
            self.headers = std::mem::take(&mut self.headers).into_iter().filter_map(harmless).collect();
        }
        Ok(())
    }
}

/// Where a redirect points, if the response is one.
fn location(response: &Response<Vec<u8>>) -> Result<Option<&str>, OutboundError> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let mut all = response.headers().get_all(header::LOCATION).iter();
    let Some(value) = all.next() else { return Ok(None) };
    if all.next().is_some() {
        return Err(OutboundError::BadResponse("it redirects to several places".to_owned()));
    }
    let text = value.to_str();
    text.map(Some).map_err(|_| OutboundError::BadResponse("its Location is no ASCII text".to_owned()))
}

/// The URL of a `Location` (RFC 9110, 10.2.2), as text for the judge. An absolute one is not touched: it is
/// judged as it was written.
fn target(base: &Url, location: &str) -> Result<String, OutboundError> {
    crate::judge::characters(location)?;
    let before_path = location.split(['/', '?', '#']).next().unwrap_or_default();
    if before_path.contains(':') {
        return Ok(location.to_owned());
    }
    if let Some(rest) = location.strip_prefix("//") {
        return Ok(format!("{}://{rest}", base.scheme()));
    }
    base.join(location)
        .map(Into::into)
        .map_err(|e| OutboundError::BadResponse(format!("its Location cannot be read: {e}")))
}

fn too_large(part: &str, most: usize) -> OutboundError {
    OutboundError::TooLarge(format!("its {part} has more than {most} bytes"))
}

/// What this server listens on and what it stores in.
fn own_services(config: &Config) -> Vec<Own> {
    let mut own = vec![Own::Address(config.http_addr), Own::Address(config.https_addr)];
    let database = config.db_url.as_ref().and_then(|url| Url::parse(url.expose()).ok());
    if let Some(url) = database
        && let Some(host) = url.host_str()
    {
        let port = url.port().unwrap_or(5432);
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        own.push(match bare.parse() {
            Ok(ip) => Own::Address(SocketAddr::new(ip, port)),
            Err(_) => Own::Name(host.to_owned(), port),
        });
    }
    own
}

impl From<ResolveError> for OutboundError {
    fn from(error: ResolveError) -> Self {
        Self::Resolve(error)
    }
}
