//! The only HTTP client of the house: [`Outbound::send`].
//!
//! For each hop, the first one and each redirect, the URL is judged as [`crate::outbound`] says, and a client is built that
//! knows the judged addresses and no resolver; the address that answered is compared once more. Nothing is kept between
//! requests: no pool, whose connections were judged for somebody else, no TLS sessions, no cookies.
//!
//! Invariants: the environment's proxies are ignored; HTTP/1.1 only; everything has a bound
//! ([`Limits`]), the size of the body after it is unpacked; a redirect to another origin (RFC 6454) loses
//! every header but the harmless ones of [`HARMLESS`], and is refused if it would carry a body.
//!
//! ```no_run
//! # async fn example(config: &cb_core::config::Config) -> Result<(), Box<dyn std::error::Error>> {
//! use cb_net::http::{Limits, Tls};
//! use cb_net::outbound::Outbound;
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

use std::net::SocketAddr;
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use url::Url;

pub use error::OutboundError;
pub(crate) use error::handshake_error;
pub(crate) use trust::Verifiers;
pub use trust::{Pin, Tls, WrongCertificate};

use crate::judge::{Destination, Policy, Refused};
use crate::outbound::{Approved, Outbound};
use crate::resolve::ResolveError;

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

impl Outbound {
    /// Sends a request and reads the whole answer, within `limits`.
    ///
    /// Redirects follow RFC 9110, 15.4: 303 becomes GET, 301 and 302 do so for POST, 307 and 308 change
    /// nothing. One without `Location` is the answer, and so is every one when `limits.redirects` is 0.
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
            return Err(OutboundError::BadRequest(format!(
                "this server does not send the method {}",
                hop.method
            )));
        }
        if let Some(name) = OURS.iter().find(|name| hop.headers.contains_key(*name)) {
            return Err(OutboundError::BadRequest(format!(
                "the caller must not set the header field {name}"
            )));
        }
        hop.headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        let mut url = parts.uri.to_string();
        for left in (0..=limits.redirects).rev() {
            let approved = self.check(policy, &url).await?;
            let client = self.client(&approved, limits)?;
            let response = one_hop(&client, &approved, hop.clone(), limits).await?;
            if limits.redirects == 0 {
                return Ok(response);
            }
            let Some(location) = location(&response)? else { return Ok(response) };
            if left == 0 {
                break;
            }
            let next = target(&approved.destination.url, location)?;
            hop.redirected(response.status(), &approved.destination.url, &Destination::read(&next)?.url)?;
            url = next;
        }
        Err(OutboundError::TooManyRedirects(limits.redirects))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that builds an HTTP client")]
    fn client(&self, approved: &Approved, limits: Limits) -> Result<reqwest::Client, OutboundError> {
        let tls = self.verifiers.config(self.tls).map_err(OutboundError::Tls)?;
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

/// One request to exactly the approved addresses.
async fn one_hop(
    client: &reqwest::Client,
    approved: &Approved,
    hop: Hop,
    limits: Limits,
) -> Result<Response<Vec<u8>>, OutboundError> {
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
        return Err(OutboundError::BadResponse("it switches to another protocol".to_owned()));
    }
    let size = |headers: &HeaderMap| headers.iter().map(|(n, v)| n.as_str().len() + v.len()).sum::<usize>();
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
    text.map(Some).map_err(|_| OutboundError::BadResponse("its Location header is not ASCII text".to_owned()))
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
        .map_err(|e| OutboundError::BadResponse(format!("its Location header cannot be read: {e}")))
}

fn too_large(part: &str, most: usize) -> OutboundError {
    OutboundError::TooLarge(format!("its {part} is larger than {most} bytes"))
}

impl From<ResolveError> for OutboundError {
    fn from(error: ResolveError) -> Self {
        Self::Resolve(error)
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use http::{HeaderMap, Method};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::{Approved, Hop, Limits, Outbound, OutboundError, one_hop};
    use crate::judge::Destination;
    use crate::resolve::Resolver;

    /// The client of one approval is used with another, as a mistake of ours would do.
    #[tokio::test]
    async fn an_answer_from_an_address_that_was_not_judged_is_not_used() {
        let listener = TcpListener::bind(("127.0.0.3", 0)).await.expect("a free port");
        let there = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
        });
        let approved = |address: SocketAddr| Approved {
            destination: Destination::read(&format!("http://app.test:{}/", there.port())).expect("a URL"),
            addresses: vec![address],
        };
        let outbound = Outbound::new(Vec::new(), Vec::new(), Resolver::fixed([]));
        let client = outbound.client(&approved(there), Limits::default()).expect("a client");
        let hop = Hop { method: Method::GET, headers: HeaderMap::new(), body: Vec::new() };
        one_hop(&client, &approved(there), hop.clone(), Limits::default()).await.expect("the judged one");
        let other = approved(SocketAddr::from(([127, 0, 0, 2], there.port())));
        let error = one_hop(&client, &other, hop, Limits::default()).await.expect_err("another one");
        assert!(matches!(error, OutboundError::WrongPeer(Some(peer)) if peer == there), "{error}");
    }
}
