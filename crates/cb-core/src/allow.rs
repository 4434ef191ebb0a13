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
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']').ok_or("it has no closing ']'")?;
                match after.strip_prefix(':') {
                    Some(port) => (host, Some(port)),
                    None if after.is_empty() => (host, None),
                    None => return Err(format!("'{after}' after ']' is not a port")),
                }
            }
            // More than one colon without brackets: IPv6, which then has no port.
            None if text.matches(':').count() > 1 => (text, None),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = port.map(|p| match p.parse::<u16>() {
            Ok(port) if port != 0 && p.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
            _ => Err(format!("'{p}' is not a port from 1 to 65535")),
        });
        Ok(Self { to: host_of(host)?, port: port.transpose()? })
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
            return Err("a range that covers everything would switch the protection off".to_owned());
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
        return Err(format!("'{text}' is neither a host name nor an address nor a range"));
    }
    Ok(AllowedHost::Name(name))
}

#[cfg(test)]
mod tests {
    use super::{Allow, AllowedHost};

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
            ("", "neither"),
            ("a..b", "neither"),
            ("*.lab", "neither"),
            ("10.0.0", "neither"),
            ("0x7f000001", "neither"),
            ("10.0.0.0/33", "neither"),
            ("http://nas", "not a port"),
            ("nas:0", "not a port"),
            ("nas:+1", "not a port"),
            ("nas:65536", "not a port"),
            ("[::1", "no closing"),
            ("[::1]9", "not a port"),
            ("0.0.0.0/0", "covers everything"),
            ("::/0", "covers everything"),
        ] {
            let why = text.parse::<Allow>().expect_err(text);
            assert!(why.contains(says), "{text}: {why}");
        }
    }
}
