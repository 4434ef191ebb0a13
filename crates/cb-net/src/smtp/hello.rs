//! The name that we greet a mail server with (RFC 5321, 4.1.1.1). Many relays refuse an address, or a name that is none of
//! the DNS, so a name is taken wherever somebody has given one.
//!
//! Invariant: nobody is greeted with a loopback address, nor with a name of this machine that nobody has given it as a mail client.

use std::net::IpAddr;

use lettre::transport::smtp::extension::ClientId;
use url::Host;

/// RFC 1035, 2.3.4.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// What there is to greet with; the first that there is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hello<'a> {
    /// What somebody typed for this server.
    pub typed: Option<&'a str>,
    /// The mail address that it is sent from, or that signs in.
    pub sender: Option<&'a str>,
}

impl Hello<'_> {
    /// `called` is what people call this server; `local` is its own address on the connection.
    pub(super) fn choose(self, called: Option<&str>, local: IpAddr) -> ClientId {
        let domain = self.sender.and_then(|sender| sender.rsplit_once('@')).map(|(_, domain)| domain);
        let whole = |name: &str| read(name).filter(|name| name.contains('.'));
        let name = self.typed.and_then(read);
        let name = name.or_else(|| called.and_then(whole)).or_else(|| domain.and_then(whole));
        match (name, local.to_canonical()) {
            (Some(name), _) => ClientId::Domain(name),
            (None, IpAddr::V4(ip)) => ClientId::Ipv4(ip),
            (None, IpAddr::V6(ip)) => ClientId::Ipv6(ip),
        }
    }
}

/// A host name in its ASCII form, with nothing in it that a strict relay refuses.
pub fn read(name: &str) -> Option<String> {
    let Ok(Host::Domain(name)) = Host::parse(name.strip_suffix('.').unwrap_or(name)) else { return None };
    let label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (name.len() <= LONGEST_NAME && name.split('.').all(label)).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Hello, read};

    #[test]
    fn the_first_name_that_is_one_is_taken_and_a_loopback_address_only_on_loopback() {
        let lan: IpAddr = "192.168.1.20".parse().expect("an address");
        let with = |typed, called, sender| Hello { typed, sender }.choose(called, lan).to_string();
        let (called, sender) = (Some("breaker.example.org"), Some("cb@attic.test"));
        assert_eq!(with(Some("mail.example.org"), called, sender), "mail.example.org");
        assert_eq!(with(Some("relay"), called, sender), "relay", "whoever types it knows");
        assert_eq!(with(Some("[127.0.0.1]"), called, sender), "breaker.example.org");
        assert_eq!(with(None, called, sender), "breaker.example.org");
        for unusable in ["breaker", "localhost", "192.168.1.20", "[fd00::1]", "a_b.example.org", "-a.org"] {
            assert_eq!(with(None, Some(unusable), sender), "attic.test", "{unusable}");
        }
        assert_eq!(with(None, None, sender), "attic.test");
        assert_eq!(with(None, None, Some("cb@bücher.example")), "xn--bcher-kva.example");
        for unusable in ["cb@attic", "cb@[192.168.1.20]", "cb", ""] {
            assert_eq!(with(None, None, Some(unusable)), "[192.168.1.20]", "{unusable}");
        }
        let six = Hello::default().choose(None, "fd00::1".parse().expect("an address"));
        assert_eq!(six.to_string(), "[IPv6:fd00::1]");
        let mapped = Hello::default().choose(None, "::ffff:10.0.0.1".parse().expect("an address"));
        assert_eq!(mapped.to_string(), "[10.0.0.1]");
    }

    #[test]
    fn what_is_no_host_name_is_not_read() {
        assert_eq!(read("Mail.Example.ORG."), Some("mail.example.org".to_owned()));
        let long = format!("{}.org", "a".repeat(64));
        for wrong in
            ["", ".", "a..b", "a b", "a\r\nMAIL", "127.0.0.1", "2130706433", "[::1]", "a_b", "a-", &long]
        {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
