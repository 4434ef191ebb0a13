//! Proxies whose words the server does not use: addresses outside `CB_TRUSTED_PROXIES` that send what only a proxy adds, and trusted
//! ones whose `X-Forwarded-For` cannot be read. Both are told in the log, and on the settings page as long as the server runs.
//!
//! Invariant: anybody on the network can send such a header, so the lists are short and the log's lines are few; and whoever was heard
//! last is listed, so that nobody can keep the real proxy out.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use cb_core::clock::Time;
use chrono::TimeDelta;
use http::HeaderMap;
use ipnet::IpNet;

/// Addresses that are listed.
const MOST: usize = 8;
/// What only a proxy adds; the server reads the first.
const MARKS: [(&str, &str); 3] =
    [(READ, "x-forwarded-for"), ("Forwarded", "forwarded"), ("X-Real-IP", "x-real-ip")];
const READ: &str = "X-Forwarded-For";
/// Between two lines of the log, once a list has been full.
const PAUSE: TimeDelta = TimeDelta::minutes(10);
/// Characters of an entry that are shown.
const SHOWN: usize = 60;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    pub address: IpAddr,
    pub first_seen: Time,
    /// The header that came, or the entry that cannot be read.
    pub said: String,
}

#[derive(Debug, Default)]
pub struct Strangers {
    unknown: Mutex<Heard>,
    unreadable: Mutex<Heard>,
}

/// The last few that were heard, the latest at the end.
#[derive(Debug, Default)]
struct Heard {
    list: Vec<Stranger>,
    /// Since the list was full.
    told_at: Option<Time>,
}

impl Heard {
    /// Whether a line in the log is due.
    fn hear(&mut self, address: IpAddr, said: &str, now: Time) -> bool {
        if let Some(at) = self.list.iter().position(|stranger| stranger.address == address) {
            let mut known = self.list.remove(at);
            // A proxy that sends several headers is known by the one that the server reads.
            if said == READ {
                READ.clone_into(&mut known.said);
            }
            self.list.push(known);
            return false;
        }
        let full = self.list.len() >= MOST;
        if full {
            self.list.remove(0);
        }
        self.list.push(Stranger { address, first_seen: now, said: said.to_owned() });
        // On both sides: the clock may have been set back.
        let due = !full || self.told_at.is_none_or(|told| (now - told).abs() >= PAUSE);
        if full && due {
            self.told_at = Some(now);
        }
        due
    }
}

impl Strangers {
    /// Looks at a request from an address that is not trusted.
    pub(crate) fn look(&self, peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet], now: Time) {
        let Some((mark, _)) = MARKS.iter().find(|(_, name)| headers.contains_key(*name)) else { return };
        let peer = peer.to_canonical();
        if !heard(&self.unknown).hear(peer, mark, now) {
            return;
        }
        let more = if *mark == READ {
            String::new()
        } else {
            format!(". The server reads only {READ}, so configure the proxy to send that header too")
        };
        tracing::warn!(
            "{peer} sends requests with {mark} like a proxy, but it is not in CB_TRUSTED_PROXIES. The server counts everyone behind it as {peer} in the audit log and in the limits on sign-ins. If it is your proxy, set {} and restart the server{more}",
            setting(trusted, peer)
        );
    }

    /// A trusted proxy has sent an entry that is no address.
    pub(crate) fn unreadable(&self, peer: IpAddr, entry: &str, now: Time) {
        let peer = peer.to_canonical();
        let entry: String = entry.chars().take(SHOWN).collect();
        if heard(&self.unreadable).hear(peer, &entry, now) {
            tracing::warn!(
                "The trusted proxy {peer} sends `{entry}` in {READ}, which is not an address. The server counts everyone behind it as one visitor, in the audit log and in the limits on sign-ins. Configure the proxy to send the client's address"
            );
        }
    }

    pub fn list(&self) -> Vec<Stranger> {
        heard(&self.unknown).list.clone()
    }

    pub fn list_unreadable(&self) -> Vec<Stranger> {
        heard(&self.unreadable).list.clone()
    }
}

fn heard(list: &Mutex<Heard>) -> std::sync::MutexGuard<'_, Heard> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The line that makes `address` a trusted proxy.
pub(crate) fn setting(trusted: &[IpNet], address: IpAddr) -> String {
    let known = trusted.iter().map(|range| {
        let single = range.prefix_len() == range.max_prefix_len();
        if single { range.addr().to_string() } else { range.to_string() }
    });
    let all: Vec<String> = known.chain([address.to_string()]).collect();
    format!("CB_TRUSTED_PROXIES={}", all.join(","))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use http::{HeaderMap, HeaderValue};

    use super::{Heard, MOST, PAUSE, Strangers};

    #[test]
    fn only_what_a_proxy_adds_counts_once_an_address_and_a_few_of_them() {
        let strangers = Strangers::default();
        let (plain, mut proxied) = (HeaderMap::new(), HeaderMap::new());
        proxied.insert("x-forwarded-for", HeaderValue::from_static("198.51.100.7"));
        let look = |n: u8, headers: &HeaderMap| {
            strangers.look([10, 0, 0, n].into(), headers, &[], DateTime::UNIX_EPOCH);
        };
        look(1, &plain);
        assert!(strangers.list().is_empty());
        for n in [2, 2, 3] {
            look(n, &proxied);
        }
        assert_eq!(strangers.list().len(), 2);
        (0..=255).for_each(|n| look(n, &proxied));
        assert_eq!(strangers.list().len(), MOST);
        // Others cannot keep the real proxy out.
        look(2, &proxied);
        assert!(strangers.list().iter().any(|stranger| stranger.address.to_string() == "10.0.0.2"));
    }

    #[test]
    fn the_header_that_came_is_named() {
        let strangers = Strangers::default();
        for (n, name) in [(1, "X-Forwarded-For"), (2, "Forwarded"), (3, "X-Real-IP")] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("198.51.100.7"));
            strangers.look([10, 0, 0, n].into(), &headers, &[], DateTime::UNIX_EPOCH);
            assert_eq!(strangers.list().last().expect("listed").said, name);
        }
    }

    #[test]
    fn a_crowd_does_not_fill_the_log() {
        let (mut heard, start) = (Heard::default(), DateTime::UNIX_EPOCH);
        let lines = (0..=255).filter(|n| heard.hear([10, 0, 0, *n].into(), "Forwarded", start)).count();
        assert_eq!(lines, MOST + 1);
        assert!(!heard.hear([10, 0, 1, 1].into(), "Forwarded", start));
        assert!(heard.hear([10, 0, 1, 2].into(), "Forwarded", start + PAUSE));
    }
}
