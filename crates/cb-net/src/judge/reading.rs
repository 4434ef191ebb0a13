//! Reads a URL that somebody typed, and refuses every spelling that two readers could take for two
//! hosts.
//!
//! The WHATWG parser (crate `url`) is generous: it strips tabs, turns backslashes into slashes, reads
//! `0x7f.1` and `127。0。0。1` as 127.0.0.1. So the text is read here first, strictly (RFC 3986), and the
//! parser must then agree on host and port. Who means 127.0.0.1 can write it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::Refused;
use crate::dial;

/// RFC 9110, 4.1: what everybody is expected to support.
const LONGEST_URL: usize = 8000;
/// RFC 1035, 2.3.4, without the root's dot.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// What hosts files call this machine, besides `localhost` and all below it (RFC 6761, 6.3). Not `localdomain`, which
/// routers give to whole networks.
const OWN_ALIASES: &[&str] = &[
    "localhost.localdomain",
    "localhost4",
    "localhost4.localdomain4",
    "localhost6",
    "localhost6.localdomain6",
    "ip6-localhost",
    "ip6-loopback",
];

/// Where a URL points: read, not yet judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    pub(crate) url: Url,
    pub(crate) host: Target,
    pub(crate) port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Address(IpAddr),
    /// Lower case, ASCII, without a trailing dot.
    Name(String),
}

impl Destination {
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.host {
            Target::Name(name) => Some(name),
            Target::Address(_) => None,
        }
    }

    /// Reads a host that stands alone: a name, or an address without brackets.
    pub fn of(host: &str, port: u16) -> Result<Self, Refused> {
        characters(host)?;
        if let Some(c) = host.chars().find(|c| "/?#@[]%".contains(*c)) {
            return Err(Refused::Character(c));
        }
        let bracketed = host.parse::<Ipv6Addr>().is_ok();
        if host.contains(':') && !bracketed {
            return Err(Refused::Host(
                host.chars().take(80).collect(),
                "enter the port in its own field".to_owned(),
            ));
        }
        Self::read(&if bracketed {
            format!("http://[{host}]:{port}/")
        } else {
            format!("http://{host}:{port}/")
        })
    }

    /// Reads `text` in this order: scheme, characters, userinfo, host, port.
    pub fn read(text: &str) -> Result<Self, Refused> {
        let (scheme, rest) = text.split_once(':').ok_or(Refused::NoScheme)?;
        let default_port = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            other => {
                return Err(Refused::Scheme(other.chars().take(40).flat_map(char::escape_debug).collect()));
            }
        };
        if text.len() > LONGEST_URL {
            return Err(Refused::NoUrl("it is longer than 8000 bytes"));
        }
        characters(text)?;
        let rest = rest.strip_prefix("//").ok_or(Refused::NoUrl("there is no // after the scheme"))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err(Refused::Userinfo);
        }
        let (host, port) = host_and_port(authority)?;
        let port = port.map_or(Ok(default_port), read_port)?;
        if dial::never_written(port) {
            return Err(Refused::NeverWritten(port));
        }
        let host_text = host;
        let mut url = Url::parse(text).map_err(|e| Refused::Host(host.to_owned(), e.to_string()))?;
        let host = match url.host() {
            Some(Host::Ipv4(ip)) => ipv4(host_text, ip)?,
            Some(Host::Ipv6(ip)) => ipv6(host_text, ip)?,
            Some(Host::Domain(domain)) => Target::Name(name(host_text, domain)?),
            None => return Err(Refused::NoUrl("it has no host")),
        };
        if url.port_or_known_default() != Some(port) || !url.username().is_empty() || url.password().is_some()
        {
            return Err(Refused::NoUrl("it is ambiguous: programs read it in different ways"));
        }
        if let Target::Name(name) = &host
            && url.host_str() != Some(name)
        {
            // Without the root's dot, which neither virtual hosts nor certificates know.
            url.set_host(Some(name)).map_err(|e| Refused::Host(name.clone(), e.to_string()))?;
        }
        url.set_fragment(None);
        Ok(Self { url, host, port })
    }
}

/// Nothing that a parser strips, turns or stops at.
pub(crate) fn characters(text: &str) -> Result<(), Refused> {
    let bad = |c: char| c == '\\' || c.is_control() || c.is_whitespace() || invisible(c);
    match text.chars().find(|c| bad(*c)) {
        Some(c) => Err(Refused::Character(c)),
        None => Ok(()),
    }
}

/// Format characters (Unicode general category Cf) that IDNA drops: soft hyphen, zero width, direction.
fn invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn host_and_port(authority: &str) -> Result<(&str, Option<&str>), Refused> {
    let (host, after) = if authority.starts_with('[') {
        let end = authority.find(']').ok_or(Refused::NoUrl("the '[' before its host has no matching ']'"))?;
        authority.split_at(end + 1)
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    if host.is_empty() {
        return Err(Refused::NoUrl("it has no host"));
    }
    match after.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if after.is_empty() => Ok((host, None)),
        None => Err(Refused::NoUrl("the text after its host is not a port")),
    }
}

fn read_port(text: &str) -> Result<u16, Refused> {
    match text.parse::<u16>() {
        // Not `080` and not `+80`: one spelling.
        Ok(port) if port != 0 && port.to_string() == text => Ok(port),
        _ => Err(Refused::Port(text.chars().take(20).collect())),
    }
}

fn ipv4(text: &str, ip: Ipv4Addr) -> Result<Target, Refused> {
    if text == ip.to_string() {
        Ok(Target::Address(ip.into()))
    } else {
        Err(Refused::Spelling { written: text.to_owned(), means: ip.to_string() })
    }
}

fn ipv6(text: &str, ip: Ipv6Addr) -> Result<Target, Refused> {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or_default();
    if inner.parse() == Ok(ip) {
        Ok(Target::Address(ip.into()))
    } else {
        Err(Refused::Spelling { written: text.to_owned(), means: ip.to_string() })
    }
}

/// The name in its one ASCII spelling.
fn name(text: &str, domain: &str) -> Result<String, Refused> {
    let refuse = |why: &str| Err(Refused::Host(text.chars().take(80).collect(), why.to_owned()));
    // IDNA may turn letters into the `xn--` form; whatever it makes of digits, dots and styled ASCII
    // letters is another spelling of a name that has a plain one.
    let mut ascii = domain.split('.');
    for label in text.split('.') {
        let plain = ascii.next();
        let same = match plain {
            Some(plain) if label.is_ascii() => label.eq_ignore_ascii_case(plain),
            Some(plain) => plain.starts_with("xn--"),
            None => false,
        };
        if !same {
            return Err(Refused::Spelling { written: text.to_owned(), means: domain.to_owned() });
        }
    }
    if ascii.next().is_some() {
        return Err(Refused::Spelling { written: text.to_owned(), means: domain.to_owned() });
    }
    let name = domain.strip_suffix('.').unwrap_or(domain);
    if name.len() > LONGEST_NAME {
        return refuse("it is longer than 253 characters");
    }
    for label in name.split('.') {
        if label.is_empty() {
            return refuse("a part of it is empty");
        }
        if label.len() > LONGEST_LABEL {
            return refuse("a part of it is longer than 63 characters");
        }
        if !label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')) {
            return refuse("a hostname may have only letters, digits, '-', '_' and '.'");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return refuse("a part of it begins or ends with '-'");
        }
    }
    let last = name.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x") {
        return refuse("it ends in a number but is not an IP address");
    }
    Ok(name.to_owned())
}

/// Whether a name means this machine, wherever it is asked.
pub(super) fn own_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost") || OWN_ALIASES.contains(&name)
}
