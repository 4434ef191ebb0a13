//! Proxies that the settings do not name: addresses outside `CB_TRUSTED_PROXIES` that send `X-Forwarded-For`. Each is told once in
//! the log, and on the settings page as long as the server runs.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use cb_core::clock::Time;
use http::HeaderMap;
use ipnet::IpNet;

/// Anybody on the network can send such a header; more of them are not worth a line.
const MOST: usize = 8;
/// What only a proxy adds.
const MARKS: [&str; 3] = ["x-forwarded-for", "forwarded", "x-real-ip"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stranger {
    pub address: IpAddr,
    pub first_seen: Time,
}

/// The first few that came.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<Vec<Stranger>>);

impl Strangers {
    /// Looks at a request from an address that is not trusted.
    pub(crate) fn look(&self, peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet], now: Time) {
        let peer = peer.to_canonical();
        if !MARKS.iter().any(|mark| headers.contains_key(*mark)) || !self.is_new(peer, now) {
            return;
        }
        tracing::warn!(
            "{peer} sends requests with X-Forwarded-For, as a proxy does, and CB_TRUSTED_PROXIES does not name it. Everybody behind it counts as \
             {peer} in the audit log and in the limits on sign-ins. If it is your proxy, set {} and restart the server",
            setting(trusted, peer)
        );
    }

    fn is_new(&self, address: IpAddr, now: Time) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST || known.iter().any(|stranger| stranger.address == address) {
            return false;
        }
        known.push(Stranger { address, first_seen: now });
        true
    }

    pub fn list(&self) -> Vec<Stranger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
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

    use super::{MOST, Strangers};

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
    }
}
