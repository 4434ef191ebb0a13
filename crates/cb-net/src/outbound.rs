//! The one way out: whatever connects to a host that a person typed, a redirect named or a document contains asks
//! [`Outbound`] for the connection.
//!
//! For each connection the [judge](crate::judge) reads the host strictly, the name is resolved **once**, every address is
//! judged, and exactly these addresses are connected to. [`Outbound::send`] does so for HTTP, [`Outbound::connect`] for
//! TCP, [`Outbound::udp`] for UDP and [`crate::smtp`] for mail; a [`Scope`] judges the addresses of a scan.
//!
//! ```no_run
//! # async fn example(config: &cb_core::config::Config) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//! use cb_net::http::Tls;
//! use cb_net::judge::Policy;
//! use cb_net::outbound::Outbound;
//!
//! let outbound = Outbound::from_config(config);
//! let plain = outbound.connect(Policy::Lan, "switch.lan", 22, Duration::from_secs(5)).await?;
//! // A device whose certificate nobody signed:
//! let device = outbound.trusting(Tls::Pinned("0123…".parse()?));
//! let stream = device.connect(Policy::Lan, "10.0.0.5", 8006, Duration::from_secs(5)).await?;
//! let sealed = device.tls(stream, "10.0.0.5").await?;
//! # Ok(()) }
//! ```

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cb_core::allow::Allow;
use cb_core::config::Config;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::dial::{self, DialError, UdpPeer};
use crate::http::{OutboundError, Tls, Verifiers};
use crate::judge::{Destination, Judge, Own, Policy, Refused, Target};
use crate::resolve::{ResolveError, Resolver};

/// The client. A clone is cheap and shares everything.
#[derive(Debug, Clone)]
pub struct Outbound {
    judge: Arc<Judge>,
    resolver: Arc<Resolver>,
    pub(crate) verifiers: Arc<Verifiers>,
    pub(crate) tls: Tls,
    /// What people call this server.
    called: Option<Arc<str>>,
}

/// A host and port that were judged, with the addresses that may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    pub(crate) destination: Destination,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl Approved {
    /// At least one.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }
}

impl Outbound {
    /// `own` are our own listeners and backends, which nothing reaches.
    pub fn new(allow: Vec<Allow>, own: Vec<Own>, resolver: Resolver) -> Self {
        Self {
            judge: Arc::new(Judge::new(allow, own)),
            resolver: Arc::new(resolver),
            verifiers: Arc::new(Verifiers::default()),
            tls: Tls::System,
            called: None,
        }
    }

    /// As the settings say: `CB_OUTBOUND_ALLOW`, our own listeners and database, the system's resolver, the host of
    /// `CB_PUBLIC_URL`.
    pub fn from_config(config: &Config) -> Self {
        let called = config.public_url.as_ref().and_then(|url| url.host_str()).map(Arc::from);
        let client = Self::new(config.outbound_allow.clone(), Own::services(config), Resolver::System);
        Self { called, ..client }
    }

    /// What people call this server: where a protocol greets with a name, this is it.
    pub(crate) fn called(&self) -> Option<&str> {
        self.called.as_deref()
    }

    /// The same client that trusts in another way.
    #[must_use]
    pub fn trusting(&self, tls: Tls) -> Self {
        Self { tls, ..self.clone() }
    }

    /// The same client that takes its answers elsewhere.
    #[must_use]
    pub fn resolving(&self, resolver: Resolver) -> Self {
        Self { resolver: Arc::new(resolver), ..self.clone() }
    }

    /// Judges a URL as [`Outbound::send`] would, and sends nothing.
    pub async fn check(&self, policy: Policy, url: &str) -> Result<Approved, OutboundError> {
        self.approve(policy, Destination::read(url)?).await
    }

    /// Judges a host and port as [`Outbound::connect`] would, and sends nothing.
    pub async fn check_host(&self, policy: Policy, host: &str, port: u16) -> Result<Approved, OutboundError> {
        self.approve(policy, Destination::of(host, port)?).await
    }

    async fn approve(&self, policy: Policy, destination: Destination) -> Result<Approved, OutboundError> {
        let Self { judge, resolver, .. } = self;
        judge.name(&destination)?;
        let backends = self.backends(destination.port).await?;
        let found = match &destination.host {
            Target::Address(ip) => vec![*ip],
            Target::Name(name) => addresses_of(resolver, name).await?,
        };
        let addresses = judge.addresses(policy, &destination, &found, &backends)?;
        Ok(Approved { destination, addresses })
    }

    /// The addresses of backends that the settings have by name, on this port.
    async fn backends(&self, port: u16) -> Result<Vec<IpAddr>, Refused> {
        let mut backends = Vec::new();
        for name in self.judge.backends(port) {
            // A backend that cannot be told from others is protected by its port.
            let found = addresses_of(&self.resolver, name).await;
            backends.extend(found.map_err(|_| Refused::Own(format!("port {port}")))?);
        }
        Ok(backends)
    }

    /// Connects to the first judged address that takes the connection; `timeout` is for each of them.
    pub async fn connect(
        &self,
        policy: Policy,
        host: &str,
        port: u16,
        timeout: Duration,
    ) -> Result<TcpStream, OutboundError> {
        let approved = self.check_host(policy, host, port).await?;
        let mut last = OutboundError::TimedOut;
        for &address in approved.addresses.iter().take(MOST_TRIED) {
            match dial::stream(address, timeout).await {
                Ok(stream) => return answered(stream, &approved),
                Err(DialError::TimedOut) => last = OutboundError::TimedOut,
                Err(error) => last = OutboundError::Connect(error.to_string()),
            }
        }
        Err(last)
    }

    /// A UDP socket to the first judged address.
    pub async fn udp(&self, policy: Policy, host: &str, port: u16) -> Result<UdpPeer, OutboundError> {
        let approved = self.check_host(policy, host, port).await?;
        let first = approved.addresses.first().ok_or(Refused::NoUrl("it has no address"))?;
        dial::datagrams(*first).await.map_err(|e| OutboundError::Connect(e.to_string()))
    }

    /// Speaks TLS over `stream`; the server proves that it is `host` as this client asks for.
    pub async fn tls<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        host: &str,
    ) -> Result<TlsStream<S>, OutboundError> {
        let mut config = self.verifiers.config(self.tls).map_err(OutboundError::Tls)?;
        config.alpn_protocols.clear();
        let bare = host.trim_end_matches('.').to_owned();
        let name = ServerName::try_from(bare).map_err(|e| OutboundError::Tls(e.to_string()))?;
        let sealed = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
        sealed.map_err(|e| crate::http::handshake_error(&e))
    }

    /// Judges the addresses of one scan. Backends that have names are resolved now.
    pub async fn scope(&self) -> Scope {
        let mut backends = Vec::new();
        let mut closed = Vec::new();
        for (name, port) in self.judge.named() {
            match addresses_of(&self.resolver, name).await {
                Ok(found) => backends.extend(found.into_iter().map(|ip| SocketAddr::new(ip, port))),
                Err(_) => closed.push(port),
            }
        }
        Scope { judge: self.judge.clone(), backends, closed }
    }
}

/// More addresses of one name are not tried.
const MOST_TRIED: usize = 8;

/// Somebody else than was judged is not spoken to; it would be a fault of ours.
fn answered(stream: TcpStream, approved: &Approved) -> Result<TcpStream, OutboundError> {
    let peer = stream.peer_addr().ok();
    if peer.is_some_and(|peer| approved.addresses.contains(&peer)) {
        Ok(stream)
    } else {
        Err(OutboundError::WrongPeer(peer))
    }
}

/// Where one scan may connect to: devices on a network, and nothing of ours.
#[derive(Debug, Clone)]
pub struct Scope {
    judge: Arc<Judge>,
    backends: Vec<SocketAddr>,
    /// Of backends that could not be told from others.
    closed: Vec<u16>,
}

impl Scope {
    pub(crate) fn permits(&self, address: SocketAddr) -> Result<(), Refused> {
        if self.closed.contains(&address.port()) {
            return Err(Refused::Own(format!("port {}", address.port())));
        }
        self.judge.device(address, &self.backends)
    }
}

/// No name server is asked for this machine (RFC 6761, 6.3); the judge lets its name pass when it is allowed.
async fn addresses_of(resolver: &Resolver, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
    if name == "localhost" || name.ends_with(".localhost") {
        return Ok(vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
    }
    resolver.addresses(name).await
}
