//! How an address was seen, and whose silence means something.
//!
//! A device that a sweep did not find may be gone, or the sweep may have asked in a way that the device never answers. The words of
//! [`signs`] say what answered. [`Sweep::could_see`] compares them with what a later sweep has asked.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::ports;
use crate::target;

/// Signs kept of one address.
const SIGNS_MOST: usize = 8;

/// A way to ask every address of a target whether somebody is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// On the own link nobody can hide from it.
    Arp,
    Icmp,
    /// Connections to [`ports::PING`].
    Tcp,
    /// The machine's own neighbor table, after connections on the own link.
    Neighbors,
}

/// A target of which each address was asked, to the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    pub network: IpNet,
    pub by: Vec<Method>,
}

impl Sweep {
    /// Whether `address` is one of those that were asked.
    pub fn asked(&self, address: IpAddr) -> bool {
        let edge = match self.network {
            IpNet::V4(n) if n.prefix_len() < 31 => {
                address == IpAddr::V4(n.network()) || address == IpAddr::V4(n.broadcast())
            }
            _ => false,
        };
        self.network.contains(&address) && !edge && !target::never(address)
    }

    /// Whether a device that was once seen by `signs` would have been found, were it there. Of a device with no signs it must have
    /// been asked in every way.
    pub fn could_see<'a>(&self, signs: impl IntoIterator<Item = &'a str>) -> bool {
        let by = |method| self.by.contains(&method);
        if by(Method::Arp) {
            return true;
        }
        let mut any = false;
        for sign in signs {
            any = true;
            let seen = match sign {
                "arp" | "neighbor" => by(Method::Neighbors),
                "icmp" => by(Method::Icmp),
                _ => {
                    let port = sign.strip_prefix("tcp:").and_then(|port| port.parse().ok());
                    by(Method::Tcp) && port.is_some_and(|port: u16| ports::PING.contains(&port))
                }
            };
            if seen {
                return true;
            }
        }
        !any && by(Method::Icmp) && by(Method::Tcp)
    }
}

/// What of one address answered, the first sign of life first: `arp`, `icmp`, `tcp:22`, `neighbor`, `local`, `mdns`, `ssdp`.
/// `evidence` are the source and the port of each fact.
pub fn signs<'a>(evidence: impl IntoIterator<Item = (&'a str, Option<u16>)>) -> Vec<String> {
    let mut signs: Vec<String> = Vec::new();
    for (source, port) in evidence {
        let sign = match (source, port) {
            ("arp" | "icmp" | "local" | "mdns" | "ssdp", _) => source.to_owned(),
            ("neighbor table", _) => "neighbor".to_owned(),
            ("tcp", Some(port)) => format!("tcp:{port}"),
            _ => continue,
        };
        if !signs.contains(&sign) && signs.len() < SIGNS_MOST {
            signs.push(sign);
        }
    }
    signs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(by: &[Method]) -> Sweep {
        Sweep { network: "10.0.0.0/24".parse().expect("a network"), by: by.to_vec() }
    }

    #[test]
    fn only_what_was_asked_counts() {
        let all = sweep(&[Method::Arp]);
        for (address, asked) in
            [("10.0.0.5", true), ("10.0.0.0", false), ("10.0.0.255", false), ("10.0.1.5", false)]
        {
            assert_eq!(all.asked(address.parse().expect("an address")), asked, "{address}");
        }
        let one = Sweep { network: "10.0.0.5/32".parse().expect("a network"), by: vec![Method::Icmp] };
        assert!(one.asked("10.0.0.5".parse().expect("an address")));
    }

    #[test]
    fn silence_means_something_only_to_a_question_that_was_answered_before() {
        use Method::{Arp, Icmp, Neighbors, Tcp};
        for (by, signs, could) in [
            (&[Arp][..], &["icmp"][..], true),
            (&[Arp], &[], true),
            (&[Icmp], &["arp"], false),
            (&[Icmp], &["icmp", "tcp:22"], true),
            (&[Icmp], &["tcp:22"], false),
            (&[Tcp], &["tcp:22"], true),
            (&[Tcp], &["tcp:9"], false),
            (&[Tcp], &["icmp"], false),
            (&[Icmp, Tcp], &["arp", "mdns"], false),
            (&[Tcp, Neighbors], &["arp"], true),
            (&[Icmp, Tcp], &[], true),
            (&[Icmp], &[], false),
            (&[], &["icmp"], false),
        ] {
            assert_eq!(sweep(by).could_see(signs.iter().copied()), could, "{by:?} {signs:?}");
        }
    }

    #[test]
    fn signs_are_the_ways_to_answer_and_few() {
        let evidence = [
            ("arp", None),
            ("oui", None),
            ("tcp", Some(22)),
            ("tcp", Some(22)),
            ("ssh", Some(22)),
            ("mdns", Some(5353)),
        ];
        assert_eq!(signs(evidence), ["arp", "tcp:22", "mdns"]);
        assert_eq!(signs((1..100).map(|port| ("tcp", Some(port)))).len(), SIGNS_MOST);
    }
}
