//! An exception that the operator makes to where outbound requests may go (`CB_OUTBOUND_ALLOW`).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;

/// One entry: a host name, an address or a range, on one port or on all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allow {
    pub to: AllowedHost,
    /// `None`: every port.
    pub port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedHost {
    /// Lower case, without a trailing dot.
    Name(String),
    Range(IpNet),
}

/// As it is written in the setting.
impl fmt::Display for Allow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |net: &IpNet| match net {
            net if net.prefix_len() == net.max_prefix_len() => net.addr().to_string(),
            net => net.to_string(),
        };
        match (&self.to, self.port) {
            (AllowedHost::Name(name), None) => f.write_str(name),
            (AllowedHost::Name(name), Some(port)) => write!(f, "{name}:{port}"),
            (AllowedHost::Range(net), None) => f.write_str(&range(net)),
            (AllowedHost::Range(net @ IpNet::V4(_)), Some(port)) => write!(f, "{}:{port}", range(net)),
            (AllowedHost::Range(net @ IpNet::V6(_)), Some(port)) => write!(f, "[{}]:{port}", range(net)),
        }
    }
}

impl FromStr for Allow {
    type Err = String;

    /// Reads `host[:port]`, `range[:port]`, `[v6 range]:port` or a bare IPv6 range. The error is the reason.
    fn from_str(text: &str) -> Result<Self, String> {
        let (host, port) = split(text)?;
        Ok(Self { to: host_of(host)?, port: port.map(port_of).transpose()? })
    }
}

/// Where a secret may be sent: a host name, an address or a range, at certain ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub to: AllowedHost,
    /// `None`: the usual ports of whatever is sent there.
    pub ports: Option<Ports>,
}

/// From the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    pub first: u16,
    pub last: u16,
}

impl Ports {
    pub fn contain(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

impl From<u16> for Ports {
    fn from(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { first, last } if first == last => first.fmt(f),
            Self { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.to, self.ports) {
            (to, None) => to.fmt(f),
            (to @ AllowedHost::Range(IpNet::V6(_)), Some(ports)) => write!(f, "[{to}]:{ports}"),
            (to, Some(ports)) => write!(f, "{to}:{ports}"),
        }
    }
}

impl FromStr for Destination {
    type Err = String;

    /// Reads what [`Allow`] reads, and a range of ports: `nas.lan:8000-8010`. The error is the reason.
    fn from_str(text: &str) -> Result<Self, String> {
        let (host, ports) = split(text)?;
        let ports = ports.map(|ports| match ports.split_once('-') {
            None => port_of(ports).map(Ports::from),
            Some((first, last)) => {
                let ports = Ports { first: port_of(first)?, last: port_of(last)? };
                let reason =
                    || format!("“{ports}” is not a range of ports: the first port is higher than the last");
                (ports.first <= ports.last).then_some(ports).ok_or_else(reason)
            }
        });
        Ok(Self { to: host_of(host)?, ports: ports.transpose()? })
    }
}

/// The host and, behind a colon, the rest.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if text.contains("://") {
        return Err("it is a URL: leave out what is before the host and after the port".to_owned());
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("there is no closing ']'")?;
        return match after.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if after.is_empty() => Ok((host, None)),
            None => Err(format!("“{after}” after “]” is not a port")),
        };
    }
    // More than one colon without brackets: IPv6, which then has no port.
    Ok(match text.split_once(':') {
        Some((host, port)) if !port.contains(':') => (host, Some(port)),
        _ => (text, None),
    })
}

fn port_of(text: &str) -> Result<u16, String> {
    match text.parse::<u16>() {
        Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(format!("“{text}” is not a port from 1 to 65535")),
    }
}

impl FromStr for AllowedHost {
    type Err = String;

    /// Reads a host name, an address or a range. The error is the reason.
    fn from_str(text: &str) -> Result<Self, String> {
        host_of(text)
    }
}

impl AllowedHost {
    /// Whether everything that `other` means is meant by this too. A name is only itself, whatever it resolves to.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(mine), Self::Name(theirs)) => mine == theirs,
            (Self::Range(mine), Self::Range(theirs)) => mine.contains(theirs),
            _ => false,
        }
    }
}

impl std::fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            // One address is written as such.
            Self::Range(range) if range.prefix_len() == range.max_prefix_len() => range.addr().fmt(f),
            Self::Range(range) => range.fmt(f),
        }
    }
}

fn host_of(text: &str) -> Result<AllowedHost, String> {
    let range = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    if let Ok(range) = range {
        if range.prefix_len() == 0 {
            return Err("a range that covers all addresses would turn off the protection".to_owned());
        }
        return Ok(AllowedHost::Range(range.trunc()));
    }
    let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    let last = name.rsplit('.').next().unwrap_or_default();
    let numeric = last.starts_with("0x") || last.bytes().all(|b| b.is_ascii_digit());
    if name.len() > 253 || !name.split('.').all(label) || numeric {
        return Err(format!("“{text}” is not a hostname, an IP address or a range"));
    }
    Ok(AllowedHost::Name(name))
}

#[cfg(test)]
mod tests {
    use super::{Allow, AllowedHost, Destination};

    fn range(text: &str, port: Option<u16>) -> Allow {
        Allow { to: AllowedHost::Range(text.parse().expect("a range")), port }
    }

    #[test]
    fn every_form_is_read() {
        let name = |n: &str, port| Allow { to: AllowedHost::Name(n.to_owned()), port };
        for (text, allow) in [
            ("NAS.lab.", name("nas.lab", None)),
            ("nas:8080", name("nas", Some(8080))),
            ("127.0.0.1", range("127.0.0.1/32", None)),
            ("127.0.0.1:9", range("127.0.0.1/32", Some(9))),
            ("10.1.2.3/8:443", range("10.0.0.0/8", Some(443))),
            ("fd00::/8", range("fd00::/8", None)),
            ("::1", range("::1/128", None)),
            ("[::1]", range("::1/128", None)),
            ("[fd00::/8]:443", range("fd00::/8", Some(443))),
        ] {
            assert_eq!(text.parse::<Allow>().as_ref(), Ok(&allow), "{text}");
            assert_eq!(allow.to_string().parse::<Allow>().as_ref(), Ok(&allow), "{allow}");
        }
    }

    #[test]
    fn a_destination_may_name_a_port_or_a_range_of_them() {
        for (text, written) in [
            ("NAS.lan.", "nas.lan"),
            ("nas.lan:8443", "nas.lan:8443"),
            ("10.1.2.3/8:8000-8010", "10.0.0.0/8:8000-8010"),
            ("[fd00::5]:443", "[fd00::5]:443"),
            ("[fd00::/64]:22-22", "[fd00::/64]:22"),
            ("fd00::5", "fd00::5"),
        ] {
            let read = text.parse::<Destination>().expect(text);
            assert_eq!(read.to_string(), written);
            assert_eq!(written.parse::<Destination>().as_ref(), Ok(&read));
        }
        for (text, says) in [
            ("nas:0", "not a port"),
            ("nas:8010-8000", "first port is higher"),
            ("nas:1-", "not a port"),
            ("nas:-1", "not a port"),
            ("nas:1-2-3", "not a port"),
            ("nas:1,2", "not a port"),
            ("nas:70000", "not a port"),
            ("0.0.0.0/0:22", "covers all addresses"),
            (":22", "is not a hostname"),
        ] {
            let why = text.parse::<Destination>().expect_err(text);
            assert!(why.contains(says), "{text}: {why}");
        }
    }

    #[test]
    fn a_host_covers_what_is_within_it() {
        let host = |text: &str| text.parse::<AllowedHost>().expect(text);
        for (wide, narrow, covers) in [
            ("10.0.0.0/8", "10.9.0.0/16", true),
            ("10.0.0.0/8", "10.9.8.7", true),
            ("10.9.0.0/16", "10.0.0.0/8", false),
            ("10.9.8.7", "10.9.8.8", false),
            ("NAS.lan.", "nas.lan", true),
            ("lan", "nas.lan", false),
            ("nas.lan", "lan", false),
            ("10.0.0.0/8", "nas.lan", false),
            ("fd00::/8", "fd00::1", true),
            ("10.0.0.0/8", "::ffff:10.0.0.1", false),
        ] {
            assert_eq!(host(wide).covers(&host(narrow)), covers, "{wide} {narrow}");
        }
        assert_eq!(host("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(host("10.1.2.3").to_string(), "10.1.2.3");
        assert_eq!(host("NAS.").to_string(), "nas");
    }

    #[test]
    fn what_is_not_one_says_why() {
        for (text, says) in [
            ("", "is not a hostname"),
            ("a..b", "is not a hostname"),
            ("*.lab", "is not a hostname"),
            ("10.0.0", "is not a hostname"),
            ("0x7f000001", "is not a hostname"),
            ("10.0.0.0/33", "is not a hostname"),
            ("http://nas", "it is a URL"),
            ("nas:0", "not a port"),
            ("nas:+1", "not a port"),
            ("nas:65536", "not a port"),
            ("[::1", "no closing"),
            ("[::1]9", "not a port"),
            ("0.0.0.0/0", "covers all addresses"),
            ("::/0", "covers all addresses"),
        ] {
            let why = text.parse::<Allow>().expect_err(text);
            assert!(why.contains(says), "{text}: {why}");
        }
    }
}
