//! Where this server stands: what it is called, and who stands in front of it.
//!
//! Invariants: the names and origins come from the settings and from this machine, never from a request; what is kept of
//! requests is bounded.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
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

    /// Takes note of a proxy that the settings do not name, and of one whose `X-Forwarded-For` cannot be read.
    pub(crate) fn look(&self, peer: IpAddr, headers: &HeaderMap, now: Time) {
        if !self.trusts(peer) {
            self.strangers.look(peer, headers, &self.trusted_proxies, now);
        } else if let Some(entry) = self.chain(peer, headers).unreadable {
            self.strangers.unreadable(peer, entry, now);
        }
    }

    /// Whether trusted proxies say that their client came over HTTPS (RFC 7239, or the headers that proxies used before). A proxy behind
    /// another adds its word to the list, so the word that counts is as far from the right as the client is in `X-Forwarded-For`.
    pub(crate) fn came_by_https(&self, peer: IpAddr, headers: &HeaderMap) -> bool {
        if !self.trusts(peer) {
            return false;
        }
        let from_right = self.chain(peer, headers).from_right;
        let says = |name: &str, word: &str| {
            at(&entries(headers, name), from_right).is_some_and(|said| said.eq_ignore_ascii_case(word))
        };
        let forwarded = entries(headers, "forwarded");
        let protos: Vec<&str> = forwarded.iter().filter_map(|element| proto(element)).collect();
        says("x-forwarded-proto", "https")
            || says("x-forwarded-scheme", "https")
            || says("x-forwarded-ssl", "on")
            || at(&protos, from_right).is_some_and(|said| said.eq_ignore_ascii_case("https"))
    }

    /// The right-most address of `X-Forwarded-For` that is no trusted proxy; the peer, if that is none.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        self.chain(peer, headers).client
    }

    fn chain<'a>(&self, peer: IpAddr, headers: &'a HeaderMap) -> Chain<'a> {
        let mut chain = Chain { client: peer.to_canonical(), from_right: None, unreadable: None };
        for (place, text) in entries(headers, "x-forwarded-for").into_iter().rev().enumerate() {
            if !self.trusts(chain.client) {
                break;
            }
            let Some(ip) = address(text) else {
                chain.unreadable = Some(text);
                break;
            };
            chain.client = ip.to_canonical();
            chain.from_right = Some(place);
        }
        chain
    }
}

/// What `X-Forwarded-For` says, as far as it is believed.
struct Chain<'a> {
    client: IpAddr,
    /// Entries behind the client's; none when nothing is said.
    from_right: Option<usize>,
    /// Said by a trusted proxy, and no address.
    unreadable: Option<&'a str>,
}

/// The entries of a list that may come in several lines.
fn entries<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name).iter().filter_map(|v| v.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty()).collect()
}

/// So far from the right; the first of a list that is shorter, for a proxy may put its own word in place of the others.
fn at<'a>(entries: &[&'a str], from_right: Option<usize>) -> Option<&'a str> {
    let last = entries.len().checked_sub(1)?;
    entries.get(last.saturating_sub(from_right.unwrap_or(last))).copied()
}

/// Of an element of `Forwarded`.
fn proto(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("proto").then(|| value.trim_matches('"'))
    })
}

/// An address, alone or with the port that some proxies add: `192.0.2.1:4711`, `[2001:db8::1]`, `[2001:db8::1]:4711`, in quotes or not
/// (RFC 7239, section 6).
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches('"');
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    if let Some(ip) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return ip.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    text.parse::<SocketAddr>().ok().map(|socket| socket.ip())
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
        // With a port, as IIS and Azure's gateways send it, and in the forms of RFC 7239.
        assert_eq!(client("10.0.0.2", &["203.0.113.7:4711"]), ip("203.0.113.7"));
        assert_eq!(client("10.0.0.2", &["198.51.100.1:1, 10.0.0.3:80"]), ip("198.51.100.1"));
        for six in ["2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:99", "\"[2001:db8::1]:99\""] {
            assert_eq!(client("10.0.0.2", &[six]), ip("2001:db8::1"), "{six}");
        }
        for none in ["unknown", "_hidden", "[203.0.113.7]", "203.0.113.7:99999", "nas.lan:1", "[2001:db8::1"]
        {
            assert_eq!(client("10.0.0.2", &[none]), ip("10.0.0.2"), "{none}");
        }
        assert_eq!(client("10.0.0.2", &[]), ip("10.0.0.2"));
    }

    #[test]
    fn the_proxy_that_the_client_came_to_says_how_it_came() {
        let place = place();
        let came = |peer: &str, fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, http::HeaderValue::from_static(value));
            }
            place.came_by_https(ip(peer), &headers)
        };
        let (behind, forged) = ("198.51.100.1, 10.0.0.3", "192.0.2.1, 198.51.100.1, 10.0.0.3");
        for name in ["x-forwarded-proto", "x-forwarded-scheme"] {
            for (chain, said, https) in [
                (None, "https", true),
                (None, "https, http", true),
                (None, "https,https", true),
                (None, "http", false),
                (None, "http, https", false),
                (Some("198.51.100.1"), "https", true),
                // A proxy that nobody trusts has no say.
                (Some("192.0.2.1, 198.51.100.1"), "https, http", false),
                (Some(behind), "https, http", true),
                (Some(behind), "https,https", true),
                (Some(behind), "http, https", false),
                (Some(behind), "https", true),
                (Some(forged), "http, https, http", true),
                (Some(forged), "https, http, http", false),
            ] {
                let mut fields = vec![(name, said)];
                fields.extend(chain.map(|chain| ("x-forwarded-for", chain)));
                assert_eq!(came("10.0.0.2", &fields), https, "{name} {chain:?} {said}");
                assert!(!came("10.9.9.9", &fields), "{name} {said}");
            }
        }
        let forwarded = "for=198.51.100.1;proto=https, for=10.0.0.3;proto=http";
        assert!(came("10.0.0.2", &[("forwarded", forwarded), ("x-forwarded-for", behind)]));
        assert!(came("10.0.0.2", &[("forwarded", forwarded)]));
        assert!(!came("10.0.0.2", &[("forwarded", forwarded), ("x-forwarded-for", "198.51.100.1")]));
    }
}
