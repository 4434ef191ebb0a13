//! Which ports are looked at, and what usually lives there. From `data/ports.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use cb_core::inventory::Protocol;
use serde::Deserialize;

use crate::report::{ProbeKind, ScanRequest};

/// Ports whose answer or refusal shows that somebody is there: what homelabs, Windows, printers, phones
/// and routers have open or refuse.
pub const PING: &[u16] = &[80, 443, 22, 445, 53, 8080, 3389, 62078];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    tcp: BTreeMap<String, String>,
    udp: BTreeMap<String, String>,
}

struct Table {
    tcp: BTreeMap<u16, String>,
    udp: BTreeMap<u16, String>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    // The file is compiled in, and a test reads it strictly; what is wrong would be seen there.
    let file: File = toml::from_str(include_str!("../data/ports.toml"))
        .unwrap_or_else(|_| File { tcp: BTreeMap::new(), udp: BTreeMap::new() });
    let numbered = |names: BTreeMap<String, String>| {
        names.into_iter().filter_map(|(port, name)| Some((port.parse().ok()?, name))).collect()
    };
    Table { tcp: numbered(file.tcp), udp: numbered(file.udp) }
});

/// The curated TCP ports, in order.
pub fn curated() -> Vec<u16> {
    TABLE.tcp.keys().copied().collect()
}

/// What usually lives on a port.
pub fn usual_name(protocol: Protocol, port: u16) -> Option<&'static str> {
    let table: &'static Table = &TABLE;
    match protocol {
        Protocol::Tcp => table.tcp.get(&port),
        Protocol::Udp => table.udp.get(&port),
    }
    .map(String::as_str)
}

impl ScanRequest {
    /// The TCP ports of this scan.
    pub fn port_list(&self) -> Vec<u16> {
        if self.ports.is_empty() { curated() } else { self.ports.clone() }
    }

    /// What a service is cannot be asked without knowing which ports are open.
    pub(crate) fn scans_ports(&self) -> bool {
        self.wants(ProbeKind::Ports) || self.wants(ProbeKind::Fingerprints)
    }

    /// Somebody has to say who is there: TCP does where no other way was asked for.
    pub(crate) fn pings_by_tcp(&self) -> bool {
        self.wants(ProbeKind::TcpPing) || !(self.wants(ProbeKind::Arp) || self.wants(ProbeKind::Icmp))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        let file: File = toml::from_str(include_str!("../data/ports.toml")).expect("ports.toml");
        assert_eq!(curated().len(), file.tcp.len());
        assert!((120..=220).contains(&curated().len()), "{}", curated().len());
        for (port, name) in file.tcp.iter().chain(&file.udp) {
            assert!(port.parse::<u16>().is_ok_and(|p| p > 0), "{port}");
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{name}"
            );
        }
        assert_eq!(usual_name(Protocol::Tcp, 22), Some("ssh"));
        assert_eq!(usual_name(Protocol::Udp, 161), Some("snmp"));
        for port in PING.iter().filter(|p| **p != 62078) {
            assert!(curated().contains(port), "{port}");
        }
    }
}
