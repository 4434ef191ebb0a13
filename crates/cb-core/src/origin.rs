//! Where people reach this server: its own origins (RFC 6454).
//!
//! Every origin is `https`, a host and a port. The list comes from `CB_PUBLIC_URL`, `CB_NAMES` and the names and addresses of
//! this machine; it never comes from a request. A request only selects one of them ([`Origins::of_page`], [`Origins::of_host`]).

use std::fmt;

use url::{Host, Url};

/// The port of `https`, which a browser leaves out.
const HTTPS: u16 = 443;
/// Entries of `CB_NAMES`.
const NAMES_MOST: usize = 32;
/// Origins that a refusal lists.
const LISTED: usize = 4;

/// One entry of `CB_NAMES`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnName {
    pub host: Host,
    /// None: the port of the server's own listener, and 443.
    pub port: Option<u16>,
}

/// The entries of `CB_NAMES`; an error is the entry and what is wrong with it.
pub fn own_names(text: &str) -> Result<Vec<OwnName>, (String, String)> {
    let entries: Vec<&str> = text.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    if let Some(extra) = entries.get(NAMES_MOST) {
        return Err(((*extra).to_owned(), format!("there can be at most {NAMES_MOST} entries")));
    }
    entries
        .into_iter()
        .map(|entry| own_name(entry).map_err(|why| (entry.chars().take(80).collect(), why.to_owned())))
        .collect()
}

fn own_name(entry: &str) -> Result<OwnName, &'static str> {
    const FORM: &str = "it is not a name, an address, or https://name:port";
    let (bare, whole) = match entry.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (rest, true),
        Some(_) => return Err("only https is served"),
        None => (entry, false),
    };
    let url = Url::parse(&format!("https://{bare}")).map_err(|_| FORM)?;
    let more = !url.username().is_empty()
        || url.password().is_some()
        || url.path() != "/"
        || url.query().is_some()
        || url.fragment().is_some();
    if more || bare.contains(['\\', '@']) {
        return Err("it is more than a host and a port");
    }
    let host = named(url.host().ok_or(FORM)?.to_owned()).ok_or(FORM)?;
    // `https` hides its own port; as `http` the same text shows it.
    let typed = url.port().or_else(|| Url::parse(&format!("http://{bare}")).ok()?.port());
    Ok(OwnName { host, port: if whole { typed.or(Some(HTTPS)) } else { typed } })
}

/// The host as certificates and `Host` headers have it: no trailing dot, no character that no name has.
fn named(host: Host) -> Option<Host> {
    let Host::Domain(name) = host else { return Some(host) };
    let name = name.trim_end_matches('.');
    let sound = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| !label.is_empty() && label.len() <= 63)
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    sound.then(|| Host::Domain(name.to_owned()))
}

/// One of this server's own origins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    url: Url,
    /// As a browser writes it in `Origin`.
    text: String,
}

impl Origin {
    fn new(host: &Host, port: u16) -> Option<Self> {
        Url::parse(&format!("https://{host}:{port}/")).ok().map(Self::from)
    }

    /// The origin with the path `/`.
    pub fn url(&self) -> &Url {
        &self.url
    }

    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn is(&self, header: &[u8]) -> bool {
        header.eq_ignore_ascii_case(self.text.as_bytes())
    }

    fn is_at(&self, host: &str) -> bool {
        // A URL has IPv6 addresses in brackets.
        let own = self.url.host_str().unwrap_or_default();
        own == host || own.strip_prefix('[').and_then(|h| h.strip_suffix(']')) == Some(host)
    }
}

impl From<Url> for Origin {
    fn from(url: Url) -> Self {
        Self { text: url.origin().ascii_serialization(), url }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// All origins of this server, the preferred one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origins {
    public: Option<Origin>,
    named: Vec<Origin>,
    local: Vec<Origin>,
    /// For a machine that has no name at all.
    last: Origin,
}

impl Origins {
    /// `port` is the one that the server itself listens on, `local` the names and addresses of this machine.
    pub fn new(
        public: Option<&Url>,
        names: &[OwnName],
        local: impl IntoIterator<Item = Host>,
        port: u16,
    ) -> Self {
        let configured = names.iter().flat_map(|name| {
            let ports = name.port.map_or([Some(port), Some(HTTPS)], |only| [Some(only), None]);
            ports.into_iter().flatten().filter_map(|port| Origin::new(&name.host, port))
        });
        // Both are valid URLs: numbers and a literal.
        let last = Origin::new(&Host::Ipv4([127, 0, 0, 1].into()), port);
        Self {
            public: public.cloned().map(Origin::from),
            named: configured.collect(),
            local: local.into_iter().filter_map(|host| Origin::new(&host, port)).collect(),
            last: last.expect("an address and a port are a URL"),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Origin> {
        self.public.iter().chain(&self.named).chain(&self.local).chain([&self.last])
    }

    /// The origin that equals an `Origin` header; letter case does not count.
    pub fn of_page(&self, header: &[u8]) -> Option<&Origin> {
        self.all().find(|origin| origin.is(header))
    }

    /// Whether a page with this `Origin` may use the server when the request says that it was sent to `host`. What the settings name
    /// may, whatever a proxy has made of `Host`; a name or address of this machine must be the one that was asked for.
    pub fn admits(&self, page: &[u8], host: &str) -> bool {
        let configured = || self.public.iter().chain(&self.named).any(|origin| origin.is(page));
        configured() || self.of_host(host).is_some_and(|origin| origin.is(page))
    }

    /// The origin that a `Host` header (or `:authority`) belongs to: the one with its name and port. Proxies that leave the port out
    /// mean the first with its name.
    pub fn of_host(&self, header: &str) -> Option<&Origin> {
        let asked = Url::parse(&format!("https://{header}/")).ok().filter(|_| !header.contains('@'))?;
        let name = asked.host_str()?.trim_end_matches('.');
        let exact =
            |o: &&Origin| o.is_at(name) && o.url.port_or_known_default() == asked.port_or_known_default();
        let port_left_out = asked.port().is_none() && !header.ends_with(":443");
        let same_name = || self.all().find(|o| o.is_at(name)).filter(|_| port_left_out);
        self.all().find(exact).or_else(same_name)
    }

    /// Where somebody is sent who came over plain HTTP and asked for `host`.
    pub fn for_plain(&self, host: Option<&str>) -> &Origin {
        let at = |origin: &&Origin| host.is_some_and(|host| origin.is_at(host));
        let known = self.named.iter().find(at);
        let local = || self.local.iter().find(at).or(self.local.first()).unwrap_or(&self.last);
        known.or(self.public.as_ref()).unwrap_or_else(local)
    }

    /// What an operator has configured, or else where the machine itself is found; for a refusal.
    pub fn expected(&self) -> String {
        let mut listed: Vec<&str> = Vec::new();
        for origin in self.all() {
            if listed.len() < LISTED && !listed.contains(&origin.as_str()) {
                listed.push(origin.as_str());
            }
        }
        listed.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use url::{Host, Url};

    use super::{Origins, own_names};

    fn host(text: &str) -> Host {
        Host::parse(text).expect("a host")
    }

    fn origins(names: &str) -> Origins {
        let public = Url::parse("https://breaker.example.org:9443").expect("a URL");
        let local = [host("breaker.example.org"), host("attic"), host("192.168.1.5"), host("[fd00::5]")];
        Origins::new(Some(&public), &own_names(names).expect("names"), local, 8443)
    }

    #[test]
    fn a_page_is_ours_when_its_origin_equals_one_of_the_list() {
        let origins = origins("breaker.lan, https://breaker.ts.net, 203.0.113.9:444");
        for ours in [
            "https://breaker.example.org:9443",
            "https://breaker.example.org:8443",
            "HTTPS://Breaker.LAN",
            "https://breaker.lan:8443",
            "https://breaker.ts.net",
            "https://203.0.113.9:444",
            "https://attic:8443",
            "https://192.168.1.5:8443",
            "https://[fd00::5]:8443",
        ] {
            assert!(origins.of_page(ours.as_bytes()).is_some(), "{ours}");
        }
        for other in [
            "",
            "null",
            "https://breaker.example.org",
            "http://breaker.example.org:9443",
            "https://breaker.lan:443",
            "https://breaker.lan:9443",
            "https://breaker.ts.net:8443",
            "https://203.0.113.9",
            "https://attic",
            "https://attic:9443",
            "https://attic.:8443",
            "https://attic:8443/",
            "https://attic:08443",
            "https://evil.example",
        ] {
            assert!(origins.of_page(other.as_bytes()).is_none(), "{other}");
        }
    }

    #[test]
    fn a_configured_page_is_admitted_whatever_the_host_and_a_local_one_by_its_own() {
        let origins = origins("breaker.lan");
        for (page, host, admitted) in [
            ("https://breaker.example.org:9443", "breaker.example.org", true),
            ("https://breaker.example.org:9443", "127.0.0.1:8443", true),
            ("https://breaker.lan:8443", "breaker.example.org", true),
            ("https://attic:8443", "attic:8443", true),
            ("https://attic:8443", "attic", true),
            ("https://attic:8443", "192.168.1.5:8443", false),
            ("https://192.168.1.5:8443", "attic:8443", false),
            ("https://attic:9443", "attic", false),
            ("https://evil.example", "breaker.lan", false),
        ] {
            assert_eq!(origins.admits(page.as_bytes(), host), admitted, "{page} {host}");
        }
    }

    #[test]
    fn a_host_selects_an_origin_and_never_makes_one() {
        let origins = origins("breaker.lan");
        for (asked, origin) in [
            ("breaker.example.org:9443", "https://breaker.example.org:9443"),
            ("breaker.example.org:8443", "https://breaker.example.org:8443"),
            // Without its port, as Nginx Proxy Manager sends it.
            ("breaker.example.org", "https://breaker.example.org:9443"),
            ("Breaker.Example.org.", "https://breaker.example.org:9443"),
            ("breaker.lan", "https://breaker.lan"),
            ("breaker.lan:8443", "https://breaker.lan:8443"),
            ("attic", "https://attic:8443"),
            ("[fd00::5]", "https://[fd00::5]:8443"),
        ] {
            assert_eq!(origins.of_host(asked).map(super::Origin::as_str), Some(origin), "{asked}");
        }
        for asked in ["evil.example", "attic:1", "attic:443", "breaker.example.org:443", "", "a b", "@attic"]
        {
            assert!(origins.of_host(asked).is_none(), "{asked}");
        }
    }

    #[test]
    fn plain_http_leads_to_the_name_that_was_asked_for_if_it_was_configured() {
        let origins = origins("breaker.lan, https://breaker.ts.net");
        for (asked, origin) in [
            (Some("breaker.lan"), "https://breaker.lan:8443"),
            (Some("breaker.ts.net"), "https://breaker.ts.net"),
            (Some("attic"), "https://breaker.example.org:9443"),
            (Some("evil.example"), "https://breaker.example.org:9443"),
            (None, "https://breaker.example.org:9443"),
        ] {
            assert_eq!(origins.for_plain(asked).as_str(), origin, "{asked:?}");
        }
        let alone = Origins::new(None, &[], [host("attic"), host("[fd00::5]")], 8443);
        assert_eq!(alone.for_plain(Some("fd00::5")).as_str(), "https://[fd00::5]:8443");
        assert_eq!(alone.for_plain(Some("evil.example")).as_str(), "https://attic:8443");
    }

    #[test]
    fn an_entry_that_is_no_name_is_named_with_its_flaw() {
        for bad in [
            "http://breaker.lan",
            "https://breaker.lan/x",
            "breaker.lan/x",
            "user@breaker.lan",
            "*.lan",
            "https://",
            "breaker.lan:99999",
            "a..b",
            "a b",
            "breaker.lan#x",
        ] {
            let (entry, _) = own_names(&format!("attic,{bad}")).expect_err(bad);
            assert_eq!(entry, bad);
        }
        assert!(own_names(&"a,".repeat(33)).is_err());
        assert_eq!(own_names(" breaker.lan:443 ").expect("valid")[0].port, Some(443));
    }
}
