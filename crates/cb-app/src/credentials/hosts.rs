//! Where a secret may be sent: names that match exactly, addresses and ranges, each at the usual ports of its kind or at the ports that
//! somebody has typed.

use std::net::IpAddr;

use cb_core::allow::{AllowedHost, Destination, Ports};
use cb_core::error::{Violations, sentence};
use serde_json::{Value, json};

pub(crate) const HOSTS_MOST: usize = 50;

/// At least one.
pub(super) struct Hosts {
    destinations: Vec<Destination>,
    /// Of those that name none.
    usual: &'static [u16],
}

impl Hosts {
    /// Notes what is wrong under `hosts`.
    pub(super) fn read(wrong: &mut Violations, given: &[String], usual: &'static [u16]) -> Self {
        wrong.require(
            (1..=HOSTS_MOST).contains(&given.len()),
            "hosts",
            "Enter 1 to 50 hosts: names, addresses or ranges. Add :port if it is not the usual port.",
        );
        let mut destinations: Vec<Destination> = Vec::new();
        for text in given.iter().take(HOSTS_MOST) {
            match text.trim().parse::<Destination>() {
                Ok(one) if destinations.contains(&one) => {}
                Ok(one) => destinations.push(one),
                Err(reason) => wrong.add("hosts", sentence(reason.chars().take(300).collect::<String>())),
            }
        }
        Self { destinations, usual }
    }

    pub(super) fn stored(value: &Value, usual: &'static [u16]) -> Self {
        let texts: Vec<String> = serde_json::from_value(value.clone()).unwrap_or_default();
        Self { destinations: texts.iter().filter_map(|text| text.parse().ok()).collect(), usual }
    }

    pub(super) fn to_json(&self) -> Value {
        json!(self.texts())
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.destinations.iter().map(ToString::to_string).collect()
    }

    /// Each host with each range of ports that it means.
    fn all(&self) -> impl Iterator<Item = (&AllowedHost, Ports)> {
        self.destinations.iter().flat_map(|one| {
            let typed = one.ports.into_iter();
            let usual = self.usual.iter().copied().map(Ports::from).filter(|_| one.ports.is_none());
            typed.chain(usual).map(|ports| (&one.to, ports))
        })
    }

    fn cover(&self, host: &AllowedHost, ports: Ports) -> bool {
        self.all().any(|(mine, mine_at)| mine.covers(host) && mine_at.contain(ports))
    }

    /// Whether one of these is somewhere that `before` was not. Of two ranges that only together cover a new one it says so too.
    pub(super) fn widen(&self, before: &Self) -> bool {
        !self.all().all(|(host, ports)| before.cover(host, ports))
    }

    /// The host as it is to be connected to, if the secret may go there. What is compared is what is given back, so that no
    /// other spelling of an address comes between.
    pub(super) fn covering(&self, host: &str, port: u16) -> Option<String> {
        let host = one(host)?;
        self.cover(&host, port.into()).then(|| host.to_string())
    }

    /// The first port that the secret may be sent to at this host.
    pub(super) fn port_at(&self, host: &str) -> Option<u16> {
        let host = one(host)?;
        self.all().find(|(mine, _)| mine.covers(&host)).map(|(_, ports)| ports.first)
    }
}

/// One host: a name or an address, no range.
fn one(text: &str) -> Option<AllowedHost> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        // An IPv4 address in IPv6 clothes is what it is inside.
        return Some(AllowedHost::Range(ip.to_canonical().into()));
    }
    match bare.parse() {
        Ok(AllowedHost::Name(name)) => Some(AllowedHost::Name(name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use cb_core::error::Violations;

    use super::Hosts;

    fn hosts(texts: &[&str]) -> Hosts {
        let mut wrong = Violations::new();
        let texts: Vec<String> = texts.iter().map(|t| (*t).to_owned()).collect();
        let hosts = Hosts::read(&mut wrong, &texts, &[22, 443]);
        wrong.into_result().expect("valid");
        hosts
    }

    #[test]
    fn a_secret_goes_to_its_hosts_in_any_spelling_and_nowhere_else() {
        let mine = hosts(&["10.0.0.0/24", "NAS.lan.", "fd00::5"]);
        for (text, sent_to) in [
            ("10.0.0.5", "10.0.0.5"),
            ("::ffff:10.0.0.5", "10.0.0.5"),
            ("nas.LAN", "nas.lan"),
            ("nas.lan.", "nas.lan"),
            ("[fd00::5]", "fd00::5"),
            ("FD00:0::5", "fd00::5"),
        ] {
            assert_eq!(mine.covering(text, 22).as_deref(), Some(sent_to), "{text}");
        }
        for text in [
            "10.0.1.5",
            "10.0.0.0/24",
            "10.0.0.5/32",
            "0x0a.0.0.5",
            "012.0.0.5",
            "167772165",
            "10.5",
            "lan",
            "x.nas.lan",
            "nas.lan.evil.example",
            "nas.lan:80",
            "nas.lan:22",
            "nas.lan@evil.example",
            "fd00::5%eth0",
            "nas.lan\0",
            "nаs.lan",
            "",
        ] {
            assert_eq!(mine.covering(text, 22), None, "{text}");
        }
    }

    #[test]
    fn a_secret_goes_to_the_ports_of_its_kind_or_to_those_that_were_typed() {
        let mine = hosts(&["nas.lan", "box.lan:8443", "10.0.0.0/24:8000-8010", "[fd00::5]:8443"]);
        for (host, port, goes) in [
            ("nas.lan", 22, true),
            ("nas.lan", 443, true),
            ("nas.lan", 7777, false),
            ("nas.lan", 0, false),
            ("box.lan", 8443, true),
            ("box.lan", 443, false),
            ("10.0.0.9", 8000, true),
            ("10.0.0.9", 8010, true),
            ("10.0.0.9", 8011, false),
            ("10.0.0.9", 22, false),
            ("fd00::5", 8443, true),
            ("fd00::5", 443, false),
        ] {
            assert_eq!(mine.covering(host, port).is_some(), goes, "{host} {port}");
        }
        assert_eq!(mine.port_at("nas.lan"), Some(22));
        assert_eq!(mine.port_at("10.0.0.9"), Some(8000));
        assert_eq!(mine.port_at("other.lan"), None);
    }

    #[test]
    fn what_is_wider_is_told_from_what_is_narrower() {
        let before = hosts(&["10.0.0.0/24", "nas.lan", "box.lan:8000-8010"]);
        for narrower in [
            &["10.0.0.0/25"][..],
            &["10.0.0.9", "NAS.lan"],
            &["nas.lan"],
            &["10.0.0.0/24", "nas.lan"],
            &["nas.lan:22"],
            &["nas.lan:443", "10.0.0.9:22"],
            &["box.lan:8003", "box.lan:8009-8010"],
        ] {
            assert!(!hosts(narrower).widen(&before), "{narrower:?}");
        }
        for wider in [
            &["10.0.0.0/23"][..],
            &["10.0.1.1"],
            &["nas.lan", "box.lan"],
            &["fd00::1"],
            &["lan"],
            &["nas.lan:7777"],
            &["nas.lan:22-443"],
            &["box.lan:8000-8011"],
        ] {
            assert!(hosts(wider).widen(&before), "{wider:?}");
        }
    }
}
