//! What a scan proposes: a machine as its addresses, seen so far, describe it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cb_collect::Traits;
use cb_collect::report::{HostReport, Identity, ServiceReport};
use cb_core::ids::TagId;
use cb_core::inventory::{AssetKind, Protocol, WebScheme};
use chrono::{DateTime, Utc};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Proposal {
    pub name: String,
    pub kind: AssetKind,
    #[schema(required)]
    pub role: Option<String>,
    #[schema(required)]
    pub vendor: Option<String>,
    #[schema(required)]
    pub model: Option<String>,
    #[schema(required)]
    pub os: Option<String>,
    pub interfaces: Vec<ProposedInterface>,
    pub addresses: Vec<ProposedAddress>,
    pub services: Vec<ProposedService>,
    /// The fields among `kind` and `role` that a person chose; a scan does not change them.
    #[serde(default)]
    #[schema(required)]
    pub typed: Vec<String>,
    /// IDs of the tags that the asset gets.
    #[serde(default)]
    #[schema(required)]
    pub tags: Vec<TagId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposedInterface {
    #[schema(required)]
    pub mac: Option<String>,
    #[schema(required)]
    pub vendor: Option<String>,
    /// The device uses a random MAC address, which may change.
    pub random_mac: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposedAddress {
    pub ip: String,
    #[schema(required)]
    pub hostname: Option<String>,
    /// The network in which it was seen, as a CIDR.
    #[schema(required)]
    pub network: Option<String>,
    #[schema(required)]
    pub mac: Option<String>,
    /// Packets to other networks go through it.
    pub gateway: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposedService {
    pub ip: String,
    pub protocol: Protocol,
    pub port: u16,
    pub name: String,
    #[schema(required)]
    pub product: Option<String>,
    #[schema(required)]
    pub version: Option<String>,
    /// The scheme over which it sent a page; null if it sent no page.
    #[serde(default)]
    #[schema(required)]
    pub scheme: Option<WebScheme>,
    /// 0 to 100.
    pub confidence: u8,
}

/// One fact that a source saw at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    #[schema(example = "ssh")]
    pub source: String,
    pub at: DateTime<Utc>,
    pub address: String,
    #[schema(required)]
    pub port: Option<u16>,
    #[schema(example = "banner")]
    pub fact: String,
    pub value: String,
}

/// Evidence kept of one finding; the newest of each fact.
const EVIDENCE_MOST: usize = 300;

impl Proposal {
    pub fn of(report: &HostReport) -> Self {
        let guess = &report.guess;
        let mut proposal = Self {
            name: guess.name.clone(),
            kind: guess.kind,
            role: guess.role.clone(),
            vendor: guess.vendor.clone(),
            model: guess.model.clone(),
            os: guess.os.clone(),
            interfaces: Vec::new(),
            addresses: Vec::new(),
            services: Vec::new(),
            typed: Vec::new(),
            tags: Vec::new(),
        };
        proposal.absorb(report);
        proposal
    }

    /// The key of the first address, for sorting.
    pub(crate) fn address_key(&self) -> Option<String> {
        let first = self.addresses.first()?;
        first.ip.parse().ok().map(crate::order::ip_key)
    }

    /// Adds what another address of the same machine, or another look at one, has told.
    pub fn absorb(&mut self, report: &HostReport) {
        let guess = &report.guess;
        let by_hand = |field: &str| self.typed.iter().any(|typed| typed == field);
        let (kind, role) = (by_hand("kind"), by_hand("role"));
        for (mine, theirs) in [
            (&mut self.role, if role { &None } else { &guess.role }),
            (&mut self.vendor, &guess.vendor),
            (&mut self.model, &guess.model),
            (&mut self.os, &guess.os),
        ] {
            if mine.is_none() {
                mine.clone_from(theirs);
            }
        }
        if self.kind == AssetKind::Other && !kind {
            self.kind = guess.kind;
        }
        // A name of its own is better than one made of an address.
        if self.addresses.iter().any(|a| self.name.contains(&a.ip))
            && !guess.name.contains(&report.address.to_string())
        {
            self.name.clone_from(&guess.name);
        }
        if let Some(mac) = &report.mac
            && !self.interfaces.iter().any(|i| i.mac.as_ref() == Some(mac))
        {
            self.interfaces.push(ProposedInterface {
                mac: Some(mac.clone()),
                vendor: report.vendor.clone(),
                random_mac: report.random_mac,
            });
        }
        let ip = report.address.to_string();
        match self.addresses.iter_mut().find(|a| a.ip == ip) {
            Some(known) => {
                known.gateway |= report.gateway;
                for (mine, theirs) in [(&mut known.hostname, &report.hostname), (&mut known.mac, &report.mac)]
                {
                    if theirs.is_some() {
                        mine.clone_from(theirs);
                    }
                }
            }
            None => self.addresses.push(ProposedAddress {
                ip: ip.clone(),
                hostname: report.hostname.clone(),
                network: report.network.map(|n| n.to_string()),
                mac: report.mac.clone(),
                gateway: report.gateway,
            }),
        }
        for service in &report.services {
            let seen = ProposedService::of(&ip, service);
            match self.services.iter_mut().find(|s| s.is(&ip, service)) {
                Some(known) if known.confidence <= seen.confidence => *known = seen,
                Some(_) => {}
                None => self.services.push(seen),
            }
        }
        self.addresses.sort_by_key(|a| a.ip.parse::<IpAddr>().map(crate::order::ip_key).unwrap_or_default());
        self.services
            .sort_by(|a, b| (&a.ip, a.port, a.protocol.as_str()).cmp(&(&b.ip, b.port, b.protocol.as_str())));
    }

    /// What tells the machine apart, for comparison with another sighting.
    pub fn traits(&self, identities: &[Identity]) -> Traits {
        let network = |a: &ProposedAddress| a.network.as_deref().and_then(|n| n.parse::<IpNet>().ok());
        let mut macs: BTreeSet<(String, Option<IpNet>)> =
            self.addresses.iter().filter_map(|a| Some((a.mac.clone()?, network(a)))).collect();
        for mac in self.interfaces.iter().filter_map(|i| i.mac.clone()) {
            if !macs.iter().any(|(known, _)| *known == mac) {
                macs.insert((mac, None));
            }
        }
        Traits {
            addresses: self.addresses.iter().filter_map(|a| a.ip.parse().ok()).collect(),
            macs,
            identities: identities.iter().cloned().collect(),
            networks: self.addresses.iter().filter_map(network).collect(),
        }
    }

    /// Whether `other` holds nothing that this does not.
    pub fn covers(&self, other: &Proposal) -> bool {
        other.addresses.iter().all(|a| self.addresses.iter().any(|m| m.ip == a.ip))
            && other.interfaces.iter().all(|i| self.interfaces.iter().any(|m| m.mac == i.mac))
            && other.services.iter().all(|s| {
                self.services.iter().any(|m| m.ip == s.ip && m.port == s.port && m.protocol == s.protocol)
            })
    }

    /// Adds the parts of `other` that are not here yet.
    pub fn join(&mut self, other: Proposal) {
        for a in other.addresses {
            if !self.addresses.iter().any(|m| m.ip == a.ip) {
                self.addresses.push(a);
            }
        }
        for i in other.interfaces {
            if !self.interfaces.iter().any(|m| m.mac == i.mac) {
                self.interfaces.push(i);
            }
        }
        for s in other.services {
            if !self.services.iter().any(|m| m.ip == s.ip && m.port == s.port && m.protocol == s.protocol) {
                self.services.push(s);
            }
        }
    }

    /// `2 new services, 1 new address`.
    pub fn counted(&self, new_addresses: usize) -> String {
        let part = |n: usize, one: &str, many: &str| {
            (n > 0).then(|| format!("{} new {}", cb_core::counted(n as u64), if n == 1 { one } else { many }))
        };
        [
            part(new_addresses, "address", "addresses"),
            part(self.interfaces.len(), "interface", "interfaces"),
            part(self.services.len(), "service", "services"),
        ]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
    }
}

impl ProposedService {
    pub fn of(ip: &str, service: &ServiceReport) -> Self {
        Self {
            ip: ip.to_owned(),
            protocol: service.protocol,
            port: service.port,
            name: service.name.clone(),
            product: service.product.clone(),
            version: service.version.clone(),
            scheme: service.scheme,
            confidence: service.confidence,
        }
    }

    fn is(&self, ip: &str, service: &ServiceReport) -> bool {
        self.ip == ip && self.port == service.port && self.protocol == service.protocol
    }
}

/// The newest of each fact, in the order in which they were first seen.
pub fn merge_evidence(known: &mut Vec<Evidence>, report: &HostReport) {
    for seen in &report.evidence {
        let row = Evidence {
            source: seen.source.clone(),
            at: seen.at,
            address: seen.address.to_string(),
            port: seen.port,
            fact: seen.fact.clone(),
            value: seen.value.clone(),
        };
        let room = known.len() < EVIDENCE_MOST;
        let same = known.iter_mut().find(|k| {
            (&k.source, &k.address, k.port, &k.fact, &k.value)
                == (&row.source, &row.address, row.port, &row.fact, &row.value)
        });
        match same {
            Some(known) => known.at = row.at,
            None if room => known.push(row),
            None => {}
        }
    }
}
