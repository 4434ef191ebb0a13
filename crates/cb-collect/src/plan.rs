//! The dry run: exactly what a scan would send, in words, without sending it.

use std::net::IpAddr;

use cb_core::counted;
use serde::{Deserialize, Serialize};

use crate::local::{self, Capabilities, LocalNetwork};
use crate::ports;
use crate::report::{ProbeKind, ScanRequest};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub targets: Vec<PlannedTarget>,
    pub addresses: u64,
    /// An upper estimate, for a network where one address in four is used.
    pub packets_estimate: u64,
    /// The limit for one network.
    pub packets_per_second: u32,
    /// What is done, in order, in plain words.
    pub steps: Vec<String>,
    /// Ports that are at most connected to, and never get a byte.
    pub never_written_ports: Vec<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTarget {
    pub target: String,
    pub addresses: u64,
}

/// What `request` would send from this machine.
pub fn plan(request: &ScanRequest) -> Plan {
    describe(request, &local::local_networks(), &Capabilities::detect())
}

fn describe(request: &ScanRequest, networks: &[LocalNetwork], abilities: &Capabilities) -> Plan {
    let addresses = request.addresses();
    let on_link: u64 = request
        .targets
        .iter()
        .filter(|t| networks.iter().any(|n| n.cidr.contains(&t.network().addr())))
        .map(crate::Target::addresses)
        .sum();
    let routed = addresses - on_link;
    let alive = addresses.div_ceil(4);
    let ports = request.port_list();
    let arp = request.wants(ProbeKind::Arp) && abilities.arp.available && on_link > 0;
    // Who did not answer ARP on the own link is not there.
    let asked_further = if arp { routed } else { addresses };

    let mut steps = Vec::new();
    let mut packets = 0;
    let mut step = |count: u64, text: String| {
        packets += count;
        steps.push(text);
    };
    if arp {
        step(
            on_link * 2,
            format!(
                "ARP: ask which device has each of {} addresses on the local network, up to three times",
                counted(on_link)
            ),
        );
    }
    if request.wants(ProbeKind::Icmp) && abilities.icmp.available && asked_further > 0 {
        step(
            asked_further * 2,
            format!("ICMP: send up to two echo requests to each of {} addresses", counted(asked_further)),
        );
    }
    if request.pings_by_tcp() && asked_further > 0 {
        step(
            asked_further * ports::PING.len() as u64,
            format!(
                "TCP ping: connect to ports {} of each of {} addresses that have not answered yet, then close the connection immediately",
                list(ports::PING),
                counted(asked_further)
            ),
        );
    }
    if request.scans_ports() {
        step(
            alive * ports.len() as u64 * 2,
            format!(
                "Ports: connect to {} TCP ports of each address that answered, then close the connection immediately",
                counted(ports.len() as u64)
            ),
        );
    }
    if request.wants(ProbeKind::Fingerprints) {
        step(
            alive * 40,
            format!(
                "Fingerprints: ask each open port what it is, with a small request of its own protocol, and send one \
                 question each to UDP ports {}",
                list(&crate::probes::udp_ports())
            ),
        );
    }
    if request.wants(ProbeKind::ReverseDns) {
        step(alive * 2, "Reverse DNS: ask the system's name servers and any that the scan found for the name of each address that answered".to_owned());
    }
    if request.wants(ProbeKind::Mdns) && on_link > 0 {
        step(
            60,
            "mDNS: ask the multicast group 224.0.0.251 on port 5353 on the local network which services exist".to_owned(),
        );
    }
    if request.wants(ProbeKind::Ssdp) && on_link > 0 {
        step(2, "SSDP: ask the multicast group 239.255.255.250 on port 1900 on the local network which UPnP devices exist, and fetch their descriptions".to_owned());
    }
    Plan {
        targets: request
            .targets
            .iter()
            .map(|t| PlannedTarget { target: t.to_string(), addresses: t.addresses() })
            .collect(),
        addresses,
        packets_estimate: packets,
        packets_per_second: request.rate(),
        steps,
        never_written_ports: cb_net::dial::never_written_ports(),
    }
}

fn list(ports: &[u16]) -> String {
    ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ")
}

/// Whether `address` is on a network of this machine.
pub fn is_on_link(address: IpAddr, networks: &[LocalNetwork]) -> bool {
    networks.iter().any(|n| n.cidr.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Target;

    fn request(targets: &[&str], probes: &[ProbeKind]) -> ScanRequest {
        let targets = targets.iter().map(|t| Target::parse(t, &[]).expect("target")).collect();
        ScanRequest::new(targets, probes.to_vec()).expect("request")
    }

    #[test]
    fn a_plan_says_all_that_is_sent_and_what_never_is() {
        let plan = plan(&request(&["192.0.2.0/24", "198.51.100.7"], &[]));
        assert_eq!(plan.addresses, 255);
        assert_eq!(plan.targets[1].target, "198.51.100.7");
        let text = plan.steps.join("\n");
        for word in ["TCP ping", "Ports: ", "Fingerprints", "Reverse DNS"] {
            assert!(text.contains(word), "{word} in {text}");
        }
        assert_eq!(plan.packets_per_second, 5_000);
        assert!(plan.packets_estimate > plan.addresses);
        assert!(plan.never_written_ports.contains(&9100));
    }

    #[test]
    fn ports_alone_still_ask_who_is_there() {
        let text = plan(&request(&["10.9.0.0/16"], &[ProbeKind::Ports])).steps.join("\n");
        assert!(text.contains("TCP ping") && text.contains("65,534 addresses"), "{text}");
        assert!(!text.contains("Fingerprints"), "{text}");
    }

    #[test]
    fn overlapping_targets_are_scanned_once() {
        assert_eq!(request(&["10.0.0.5", "10.0.0.0/24", "10.0.0.0/25"], &[]).addresses(), 254);
    }
}
