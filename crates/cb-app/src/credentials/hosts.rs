//! Where a secret may be sent: names that match exactly, addresses and ranges.

use std::net::IpAddr;

use cb_core::allow::AllowedHost;
use cb_core::error::Violations;
use serde_json::{Value, json};

pub(super) const HOSTS_MOST: usize = 50;

/// At least one.
pub(super) struct Hosts(Vec<AllowedHost>);

impl Hosts {
    /// Notes what is wrong under `hosts`.
    pub(super) fn read(wrong: &mut Violations, given: &[String]) -> Self {
        wrong.require(
            (1..=HOSTS_MOST).contains(&given.len()),
            "hosts",
            "must name 1 to 50 hosts that the secret may be sent to: names, addresses or ranges",
        );
        let mut hosts: Vec<AllowedHost> = Vec::new();
        for text in given.iter().take(HOSTS_MOST) {
            match text.trim().parse::<AllowedHost>() {
                Ok(host) if hosts.contains(&host) => {}
                Ok(host) => hosts.push(host),
                Err(reason) => wrong.add("hosts", reason.chars().take(300).collect::<String>()),
            }
        }
        Self(hosts)
    }

    pub(super) fn stored(value: &Value) -> Self {
        let texts: Vec<String> = serde_json::from_value(value.clone()).unwrap_or_default();
        Self(texts.iter().filter_map(|text| text.parse().ok()).collect())
    }

    pub(super) fn to_json(&self) -> Value {
        json!(self.texts())
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }

    /// Whether one of these is somewhere that `before` was not. Of two ranges that only together cover a new one it says so too.
    pub(super) fn widen(&self, before: &Self) -> bool {
        !self.0.iter().all(|host| before.0.iter().any(|old| old.covers(host)))
    }

    /// The host as it is to be connected to, if the secret may go there. What is compared is what is given back, so that no
    /// other spelling of an address comes between.
    pub(super) fn covering(&self, host: &str) -> Option<String> {
        let host = one(host)?;
        self.0.iter().any(|mine| mine.covers(&host)).then(|| host.to_string())
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
        let hosts = Hosts::read(&mut wrong, &texts);
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
            assert_eq!(mine.covering(text).as_deref(), Some(sent_to), "{text}");
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
            "nas.lan@evil.example",
            "fd00::5%eth0",
            "nas.lan\0",
            "nаs.lan",
            "",
        ] {
            assert_eq!(mine.covering(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_wider_is_told_from_what_is_narrower() {
        let before = hosts(&["10.0.0.0/24", "nas.lan"]);
        for narrower in
            [&["10.0.0.0/25"][..], &["10.0.0.9", "NAS.lan"], &["nas.lan"], &["10.0.0.0/24", "nas.lan"]]
        {
            assert!(!hosts(narrower).widen(&before), "{narrower:?}");
        }
        for wider in [&["10.0.0.0/23"][..], &["10.0.1.1"], &["nas.lan", "box.lan"], &["fd00::1"], &["lan"]] {
            assert!(hosts(wider).widen(&before), "{wider:?}");
        }
    }
}
