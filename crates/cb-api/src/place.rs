//! Where this server stands: what it is called, and who stands in front of it.
//!
//! Invariants: the names and origins come from the settings and from this machine, never from a request; what is kept of
//! requests is bounded.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use cb_core::clock::Time;
use cb_core::config::{Config, Hsts};
use cb_core::origin::{Origins, OwnName};
use cb_net::names::Names;
use http::HeaderMap;
use ipnet::IpNet;
use url::{Host, Url};

use crate::strangers::Strangers;

/// What the server is called at this moment.
#[derive(Debug)]
pub struct Called {
    pub names: Names,
    pub origins: Origins,
}

#[derive(Debug)]
pub struct Place {
    called: RwLock<Arc<Called>>,
    public_url: Option<Url>,
    own_names: Vec<OwnName>,
    /// Of our own HTTPS listener.
    pub port: u16,
    pub trusted_proxies: Vec<IpNet>,
    pub hsts: Hsts,
    /// The local CA's root, PEM, for download; none with a mounted certificate.
    pub root: Option<String>,
    pub strangers: Strangers,
}

impl Place {
    /// `port` is the one that HTTPS listens on.
    pub fn new(config: &Config, names: Names, port: u16, root: Option<String>) -> Self {
        let origins = Origins::new(config.public_url.as_ref(), &config.names, names.hosts(), port);
        Self {
            called: RwLock::new(Arc::new(Called { names, origins })),
            public_url: config.public_url.clone(),
            own_names: config.names.clone(),
            port,
            trusted_proxies: config.trusted_proxies.clone(),
            hsts: config.hsts,
            root,
            strangers: Strangers::default(),
        }
    }

    /// The hosts that the settings name, for [`Names::of_this_machine`].
    pub fn given(config: &Config) -> Vec<Host> {
        let public = config.public_url.as_ref().and_then(|url| Some(url.host()?.to_owned()));
        public.into_iter().chain(config.names.iter().map(|name| name.host.clone())).collect()
    }

    /// This machine has got other names or addresses.
    pub fn rename(&self, names: Names) {
        let origins = Origins::new(self.public_url.as_ref(), &self.own_names, names.hosts(), self.port);
        let called = Arc::new(Called { names, origins });
        *self.called.write().unwrap_or_else(PoisonError::into_inner) = called;
    }

    pub fn called(&self) -> Arc<Called> {
        self.called.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this server is called so; the port does not count, for it may be mapped on the way.
    pub(crate) fn knows(&self, host: &str) -> bool {
        let called = self.called();
        match host.parse::<IpAddr>() {
            Ok(ip) => ip.to_canonical().is_loopback() || called.names.contains_address(ip),
            Err(_) => called.names.contains_name(host),
        }
    }

    pub(crate) fn trusts(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.trusted_proxies.iter().any(|range| range.contains(&ip))
    }

    /// Takes note of a proxy that the settings do not name.
    pub(crate) fn look(&self, peer: IpAddr, headers: &HeaderMap, now: Time) {
        if !self.trusts(peer) {
            self.strangers.look(peer, headers, &self.trusted_proxies, now);
        }
    }

    /// Whether a trusted proxy says that its client came over HTTPS (RFC 7239, or the headers that proxies used before).
    pub(crate) fn came_by_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        let says = |name: &str, word: &str| {
            headers
                .get_all(name)
                .iter()
                .filter_map(|v| v.to_str().ok())
                .any(|v| v.trim().eq_ignore_ascii_case(word))
        };
        let forwarded = || {
            let lines = headers.get_all(http::header::FORWARDED).iter().filter_map(|v| v.to_str().ok());
            lines.flat_map(|line| line.split([';', ','])).any(|pair| {
                pair.trim().split_once('=').is_some_and(|(name, value)| {
                    name.eq_ignore_ascii_case("proto")
                        && value.trim_matches('"').eq_ignore_ascii_case("https")
                })
            })
        };
        self.trusts(peer)
            && (says("x-forwarded-proto", "https")
                || says("x-forwarded-scheme", "https")
                || says("x-forwarded-ssl", "on")
                || forwarded())
    }

    /// The right-most address of `X-Forwarded-For` that is no trusted proxy; the peer, if that is none.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lines: Vec<&str> =
            headers.get_all("x-forwarded-for").iter().filter_map(|v| v.to_str().ok()).collect();
        for text in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
            if !self.trusts(client) {
                break;
            }
            let Ok(ip) = text.trim().parse::<IpAddr>() else { break };
            client = ip.to_canonical();
        }
        client
    }
}

/// The bare, lower-case name or address in a `Host` header: no port, no brackets, no trailing dot.
pub(crate) fn host_name(host: &str) -> Option<String> {
    let authority = http::uri::Authority::try_from(host).ok().filter(|a| !a.as_str().contains('@'))?;
    // A port that is none, which the parser lets pass.
    if authority.as_str() != authority.host() && authority.port_u16().is_none() {
        return None;
    }
    let host = authority.host();
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    Some(bare.strip_suffix('.').unwrap_or(bare).to_ascii_lowercase()).filter(|h| !h.is_empty())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::path::Path;

    use cb_core::config::Config;
    use cb_net::names::Names;
    use http::HeaderMap;

    use super::{Place, host_name};

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn place() -> Place {
        let vars = [("CB_TRUSTED_PROXIES".to_owned(), "10.0.0.0/24".to_owned())];
        let config = Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).expect("valid");
        let names = Names {
            dns: vec!["attic".to_owned()],
            addresses: vec![ip("192.168.1.5"), ip("fd00::5")],
            ..Names::default()
        };
        Place::new(&config, names, 8443, None)
    }

    #[test]
    fn only_our_own_names_are_known_in_any_spelling_of_a_host() {
        let place = place();
        for ours in ["attic", "ATTIC:8443", "attic.", "127.0.0.1:1", "[::1]:8443", "192.168.1.5", "[fd00::5]"]
        {
            assert!(host_name(ours).is_some_and(|h| place.knows(&h)), "{ours}");
        }
        for other in [
            "evil.example",
            "attic.evil.example",
            "192.168.1.6",
            "[fd00::6]",
            "",
            "0x7f.1",
            "evil@attic",
            ":8443",
            "attic:99999",
            "attic:abc",
        ] {
            assert!(!host_name(other).is_some_and(|h| place.knows(&h)), "{other}");
        }
    }

    #[test]
    fn x_forwarded_for_is_believed_from_the_right_and_from_proxies_only() {
        let place = place();
        let client = |peer: &str, lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append("x-forwarded-for", http::HeaderValue::from_static(line));
            }
            place.client(ip(peer), &headers)
        };
        assert_eq!(client("203.0.113.9", &["198.51.100.1"]), ip("203.0.113.9"));
        assert_eq!(client("10.0.0.2", &["198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(client("::ffff:10.0.0.2", &["198.51.100.1"]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.2", &["1.1.1.1, 198.51.100.1", "10.0.0.3"]), ip("198.51.100.1"));
        assert_eq!(client("10.0.0.2", &["nonsense"]), ip("10.0.0.2"));
        assert_eq!(client("10.0.0.2", &[]), ip("10.0.0.2"));
    }
}
