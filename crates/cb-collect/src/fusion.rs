//! Which addresses are one machine.
//!
//! Owns the judgment [`same_machine`]: pure, explainable, and shy. Two machines shown as one is worse
//! than one shown twice, because a person can merge but cannot see what was swallowed. So a shared
//! identity decides only where nothing speaks against it, and what several machines share by
//! design (virtual-router MACs, keys cloned with a disk image) decides nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::report::{HostReport, Identity, IdentityKind};
use crate::vendor;

/// MAC prefixes of virtual routers, which move between machines: VRRP and CARP (RFC 9568, 7.3), HSRP
/// versions 1 and 2, GLBP.
const VIRTUAL_ROUTER: &[&str] = &[
    "00:00:5e:00:01:",
    "00:00:5e:00:02:",
    "00:00:0c:07:ac:",
    "00:00:0c:9f:f",
    "00:05:73:a0:0",
    "00:07:b4:00:",
];

/// What may tell a machine from another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traits {
    pub addresses: BTreeSet<IpAddr>,
    /// Each MAC with the network it was seen on, where that is known.
    pub macs: BTreeSet<(String, Option<IpNet>)>,
    /// MACs among these are ignored; they stand in `macs`.
    pub identities: BTreeSet<Identity>,
    pub networks: BTreeSet<IpNet>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// May join two machines that were thought of as two.
    Strong,
    /// May only find again what is known.
    Weak,
}

/// Why two sets of traits are one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub strength: Strength,
    /// A sentence such as `both answer with SSH host key ssh-ed25519 SHA256:…`.
    pub text: String,
}

impl From<&HostReport> for Traits {
    fn from(report: &HostReport) -> Self {
        Self {
            addresses: BTreeSet::from([report.address]),
            macs: report.mac.iter().map(|mac| (mac.clone(), report.network)).collect(),
            identities: report.identities.iter().cloned().collect(),
            networks: report.network.into_iter().collect(),
        }
    }
}

impl Traits {
    /// Takes in what another sighting of the same machine adds.
    pub fn absorb(&mut self, other: &Traits) {
        self.addresses.extend(other.addresses.iter().copied());
        self.macs.extend(other.macs.iter().cloned());
        self.identities.extend(other.identities.iter().cloned());
        self.networks.extend(other.networks.iter().copied());
    }

    fn own_macs(&self) -> BTreeMap<&str, BTreeSet<Option<IpNet>>> {
        let mut macs: BTreeMap<&str, BTreeSet<Option<IpNet>>> = BTreeMap::new();
        for (mac, network) in self.macs.iter().filter(|(mac, _)| !is_virtual_router(mac)) {
            macs.entry(mac).or_default().insert(*network);
        }
        macs
    }

    fn values(&self, kind: IdentityKind) -> BTreeSet<&str> {
        self.identities.iter().filter(|i| i.kind == kind).map(|i| i.value.as_str()).collect()
    }
}

/// Whether this MAC belongs to whichever router is active now, not to one machine.
pub fn is_virtual_router(mac: &str) -> bool {
    VIRTUAL_ROUTER.iter().any(|prefix| mac.starts_with(prefix))
}

/// Whether `a` and `b` are one machine, and why.
pub fn same_machine(a: &Traits, b: &Traits) -> Option<Reason> {
    let strong = |text: String| Some(Reason { strength: Strength::Strong, text });
    let weak = |text: String| Some(Reason { strength: Strength::Weak, text });

    let same_address = a.addresses.intersection(&b.addresses).next();
    let keys_differ = differ(a, b, IdentityKind::SshHostKey);
    let (a_macs, b_macs) = (a.own_macs(), b.own_macs());

    if let Some(mac) = a_macs.keys().find(|mac| b_macs.contains_key(*mac)) {
        // Containers on one parent interface share its MAC and have keys of their own; a machine
        // that was installed anew has a new key at its old address.
        if keys_differ && same_address.is_none() {
            return None;
        }
        return if vendor::is_random(mac) {
            weak(format!("both have the MAC {mac}, which is random"))
        } else {
            strong(format!("both have the MAC {mac}"))
        };
    }
    if macs_contradict(&a_macs, &b_macs) {
        return None;
    }
    for (kind, words) in [
        (IdentityKind::SshHostKey, "SSH host key"),
        (IdentityKind::Serial, "serial number"),
        (IdentityKind::SnmpEngine, "SNMP engine id"),
        (IdentityKind::UpnpUuid, "UPnP device id"),
        (IdentityKind::SmbGuid, "SMB server id"),
        (IdentityKind::TlsKey, "TLS key"),
    ] {
        if kind != IdentityKind::SshHostKey && keys_differ {
            break;
        }
        if let Some(value) = a.values(kind).intersection(&b.values(kind)).next() {
            return strong(format!("both answer with {words} {value}"));
        }
    }
    match same_address {
        // With a key that changed and no MAC to hold on to, it may be another machine by now.
        Some(address) if !keys_differ => weak(format!("both are at {address} and nothing tells them apart")),
        _ => None,
    }
}

fn differ(a: &Traits, b: &Traits, kind: IdentityKind) -> bool {
    let (a, b) = (a.values(kind), b.values(kind));
    !a.is_empty() && !b.is_empty() && a.is_disjoint(&b)
}

/// On one network, a machine that has two MACs would have shown the same one of them at the same address;
/// two sightings there with different MACs are two machines, even if a disk image gave both the same keys.
fn macs_contradict(
    a: &BTreeMap<&str, BTreeSet<Option<IpNet>>>,
    b: &BTreeMap<&str, BTreeSet<Option<IpNet>>>,
) -> bool {
    let known = |m: &BTreeMap<&str, BTreeSet<Option<IpNet>>>| {
        m.values().flatten().flatten().copied().collect::<BTreeSet<_>>()
    };
    !known(a).is_disjoint(&known(b))
}

/// Groups reports by machine; each group in the order of the reports. An identity that was seen on two
/// machines which the link tells apart is taken for cloned, and joins nobody.
pub fn fuse(reports: Vec<HostReport>) -> Vec<Vec<HostReport>> {
    let mut traits: Vec<Traits> = reports.iter().map(Traits::from).collect();
    let cloned = cloned_identities(&traits);
    for t in &mut traits {
        t.identities.retain(|identity| !cloned.contains(identity));
    }

    let mut groups: Vec<(Traits, Vec<usize>)> = Vec::new();
    for (index, own) in traits.into_iter().enumerate() {
        let mut joined = (own, vec![index]);
        // A report may join two groups that had nothing in common before it.
        let mut at = 0;
        while at < groups.len() {
            if same_machine(&groups[at].0, &joined.0).is_some() {
                let (traits, members) = groups.remove(at);
                joined.0.absorb(&traits);
                joined.1.extend(members);
                at = 0;
            } else {
                at += 1;
            }
        }
        groups.push(joined);
    }
    for (_, members) in &mut groups {
        members.sort_unstable();
    }
    groups.sort_by_key(|(_, members)| members.first().copied());
    let mut reports: Vec<Option<HostReport>> = reports.into_iter().map(Some).collect();
    groups
        .into_iter()
        .map(|(_, members)| members.into_iter().filter_map(|i| reports[i].take()).collect())
        .collect()
}

fn cloned_identities(traits: &[Traits]) -> BTreeSet<Identity> {
    let mut holders: BTreeMap<&Identity, Vec<&Traits>> = BTreeMap::new();
    for t in traits {
        for identity in &t.identities {
            holders.entry(identity).or_default().push(t);
        }
    }
    holders
        .into_iter()
        .filter(|(_, holders)| {
            // One holder that the link tells from the first is enough: all others are then in doubt.
            let with_mac: Vec<_> = holders.iter().map(|t| t.own_macs()).filter(|m| !m.is_empty()).collect();
            with_mac.iter().enumerate().any(|(i, a)| {
                with_mac[..i]
                    .iter()
                    .rev()
                    .take(64)
                    .any(|b| a.keys().all(|mac| !b.contains_key(mac)) && macs_contradict(a, b))
            })
        })
        .map(|(identity, _)| identity.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const N1: &str = "10.0.1.0/24";
    const N2: &str = "10.0.2.0/24";

    fn traits(
        address: &str,
        network: &str,
        mac: Option<&str>,
        identities: &[(IdentityKind, &str)],
    ) -> Traits {
        let network = network.parse().expect("network");
        Traits {
            addresses: BTreeSet::from([address.parse().expect("address")]),
            macs: mac.map(|m| (m.to_owned(), Some(network))).into_iter().collect(),
            identities: identities
                .iter()
                .map(|(kind, v)| Identity { kind: *kind, value: (*v).to_owned() })
                .collect(),
            networks: BTreeSet::from([network]),
        }
    }

    fn strength(a: &Traits, b: &Traits) -> Option<Strength> {
        let there = same_machine(a, b);
        assert_eq!(there.is_some(), same_machine(b, a).is_some(), "the judgment is symmetric");
        there.map(|r| r.strength)
    }

    use IdentityKind::{SshHostKey as Ssh, TlsKey as Tls};
    const NIC: Option<&str> = Some("00:11:32:00:00:01");
    const OTHER: Option<&str> = Some("00:11:32:00:00:02");

    #[test]
    fn one_mac_at_two_addresses_is_one_machine() {
        assert_eq!(
            strength(&traits("10.0.1.5", N1, NIC, &[]), &traits("10.0.1.6", N1, NIC, &[])),
            Some(Strength::Strong)
        );
    }

    #[test]
    fn containers_that_share_a_mac_but_not_a_key_are_two() {
        let a = traits("10.0.1.5", N1, NIC, &[(Ssh, "a")]);
        assert_eq!(strength(&a, &traits("10.0.1.6", N1, NIC, &[(Ssh, "b")])), None);
    }

    #[test]
    fn a_machine_installed_anew_is_the_same() {
        let a = traits("10.0.1.5", N1, NIC, &[(Ssh, "old")]);
        assert_eq!(strength(&a, &traits("10.0.1.5", N1, NIC, &[(Ssh, "new")])), Some(Strength::Strong));
    }

    #[test]
    fn one_ssh_key_on_two_networks_is_one_machine() {
        let a = traits("10.0.1.5", N1, NIC, &[(Ssh, "k")]);
        assert_eq!(strength(&a, &traits("10.0.2.5", N2, OTHER, &[(Ssh, "k")])), Some(Strength::Strong));
        assert_eq!(strength(&a, &traits("10.0.2.5", N2, None, &[(Ssh, "k")])), Some(Strength::Strong));
    }

    #[test]
    fn a_cloned_ssh_key_with_two_macs_on_one_network_is_two_machines() {
        let a = traits("10.0.1.5", N1, NIC, &[(Ssh, "k")]);
        assert_eq!(strength(&a, &traits("10.0.1.6", N1, OTHER, &[(Ssh, "k")])), None);
    }

    #[test]
    fn a_tls_key_joins_unless_ssh_keys_differ() {
        let a = traits("10.0.1.5", N1, NIC, &[(Tls, "t"), (Ssh, "a")]);
        assert_eq!(strength(&a, &traits("10.0.2.5", N2, None, &[(Tls, "t")])), Some(Strength::Strong));
        assert_eq!(strength(&a, &traits("10.0.2.5", N2, None, &[(Tls, "t"), (Ssh, "b")])), None);
    }

    #[test]
    fn virtual_router_macs_join_nobody() {
        for mac in ["00:00:5e:00:01:0a", "00:00:5e:00:02:0a", "00:00:0c:07:ac:01", "00:00:0c:9f:f0:01"] {
            let a = traits("10.0.1.1", N1, Some(mac), &[]);
            assert_eq!(strength(&a, &traits("10.0.1.2", N1, Some(mac), &[])), None, "{mac}");
        }
    }

    #[test]
    fn made_up_macs_and_bare_addresses_are_weak() {
        let phone = Some("da:a1:19:00:00:01");
        assert_eq!(
            strength(&traits("10.0.1.5", N1, phone, &[]), &traits("10.0.1.9", N1, phone, &[])),
            Some(Strength::Weak)
        );
        let a = traits("10.0.2.5", N2, None, &[]);
        assert_eq!(strength(&a, &traits("10.0.2.5", N2, None, &[(Ssh, "a")])), Some(Strength::Weak));
        assert_eq!(strength(&a, &traits("10.0.2.6", N2, None, &[])), None);
    }

    #[test]
    fn an_address_given_to_another_machine_is_not_the_same_machine() {
        let a = traits("10.0.1.5", N1, NIC, &[]);
        assert_eq!(strength(&a, &traits("10.0.1.5", N1, OTHER, &[])), None);
        let a = traits("10.0.2.5", N2, None, &[(Ssh, "a")]);
        assert_eq!(strength(&a, &traits("10.0.2.5", N2, None, &[(Ssh, "b")])), None);
    }

    fn report(address: &str, network: &str, mac: Option<&str>, key: Option<&str>) -> HostReport {
        HostReport {
            address: address.parse().expect("address"),
            mac: mac.map(str::to_owned),
            vendor: None,
            random_mac: false,
            hostname: None,
            network: network.parse().ok(),
            gateway: false,
            services: Vec::new(),
            guess: crate::report::Guess {
                name: String::new(),
                kind: cb_core::inventory::AssetKind::Device,
                role: None,
                vendor: None,
                model: None,
                os: None,
            },
            identities: key.map(|k| Identity { kind: Ssh, value: k.to_owned() }).into_iter().collect(),
            evidence: Vec::new(),
            confidence: 50,
        }
    }

    fn fused(reports: Vec<HostReport>) -> Vec<Vec<String>> {
        fuse(reports).iter().map(|g| g.iter().map(|r| r.address.to_string()).collect()).collect()
    }

    #[test]
    fn three_addresses_with_one_key_are_one_group() {
        assert_eq!(
            fused(vec![
                report("10.0.1.5", N1, NIC, Some("k")),
                report("10.0.1.9", N1, OTHER, Some("x")),
                report("10.0.1.6", N1, NIC, Some("k")),
                report("10.0.2.5", N2, None, Some("k")),
            ]),
            [vec!["10.0.1.5", "10.0.1.6", "10.0.2.5"], vec!["10.0.1.9"]]
        );
    }

    #[test]
    fn a_cloned_key_joins_nobody_anywhere() {
        assert_eq!(
            fused(vec![
                report("10.0.1.5", N1, NIC, Some("k")),
                report("10.0.1.6", N1, OTHER, Some("k")),
                report("10.0.2.5", N2, None, Some("k")),
            ]),
            [vec!["10.0.1.5"], vec!["10.0.1.6"], vec!["10.0.2.5"]]
        );
    }
}
