//! What this machine is called: the names and addresses that its certificate is for, that its pages
//! may be asked for under, and that a redirect may point to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::Host;

use crate::machine::{self, Address};

/// More addresses than this (a container host may have hundreds) do not fit a certificate that
/// every client takes.
const MOST_ADDRESSES: usize = 64;

/// Names first to last as a person would choose; lower case, without a trailing dot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub dns: Vec<String>,
    /// What the certificate is for: what was configured, loopback, then what lasts, the default route's interface first.
    pub addresses: Vec<IpAddr>,
    /// Every other address of this machine. Requests may be sent to it; the certificate is not for it.
    pub others: Vec<IpAddr>,
    /// Where other machines on the network reach this one.
    pub main: Option<IpAddr>,
}

impl Names {
    /// The `given` hosts, then the host name, `<host name>.local` (RFC 6762), `localhost`, and the addresses of all
    /// interfaces. Link-local IPv6 is left out: a URL cannot name its zone.
    pub fn of_this_machine<'h>(given: impl IntoIterator<Item = &'h Host>) -> Self {
        let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok());
        Self::gather(given, host.as_deref(), &machine::addresses().unwrap_or_default())
    }

    fn gather<'h>(
        given: impl IntoIterator<Item = &'h Host>,
        host_name: Option<&str>,
        addresses: &[Address],
    ) -> Self {
        let mut names = Self::default();
        for host in given {
            match host {
                Host::Domain(name) => names.add_name(name),
                Host::Ipv4(ip) => names.add_address((*ip).into()),
                Host::Ipv6(ip) => names.add_address((*ip).into()),
            }
        }
        if let Some(host) = host_name.map(str::to_ascii_lowercase) {
            names.add_name(&host);
            if !host.contains('.') {
                names.add_name(&format!("{host}.local"));
            }
        }
        names.add_name("localhost");
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            names.add_address(ip);
        }
        for address in addresses.iter().filter(|a| a.lasts()) {
            names.add_address(address.ip);
        }
        names.main = main(addresses);
        for address in addresses.iter().filter(|a| usable(a.ip) && !names.addresses.contains(&a.ip)) {
            names.others.push(address.ip);
        }
        names
    }

    pub fn contains_name(&self, name: &str) -> bool {
        self.dns.iter().any(|n| n == name)
    }

    pub fn contains_address(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        self.addresses.contains(&ip) || self.others.contains(&ip)
    }

    /// Every name and address, in the order in which a person would choose.
    pub fn hosts(&self) -> impl Iterator<Item = Host> {
        let names = self.dns.iter().map(|name| Host::Domain(name.clone()));
        names.chain(self.addresses.iter().chain(&self.others).map(|ip| match ip {
            IpAddr::V4(ip) => Host::Ipv4(*ip),
            IpAddr::V6(ip) => Host::Ipv6(*ip),
        }))
    }

    fn add_name(&mut self, name: &str) {
        let name = name.trim_end_matches('.');
        let sound = !name.is_empty()
            && name.len() <= 253
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
        if sound && name.parse::<IpAddr>().is_err() && !self.contains_name(name) {
            self.dns.push(name.to_owned());
        }
    }

    fn add_address(&mut self, ip: IpAddr) {
        if usable(ip) && !self.addresses.contains(&ip) && self.addresses.len() < MOST_ADDRESSES {
            self.addresses.push(ip);
        }
    }
}

impl Address {
    /// Worth a place in a certificate. An interface that the default route leaves by is no inner one, whatever it is.
    fn lasts(&self) -> bool {
        !self.passing && (!self.inner || self.default_route.is_some())
    }
}

fn usable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_unicast_link_local(),
    }
}

/// IPv4 before IPv6, for people type it; by the default route, or where there is none the first that lasts.
fn main(addresses: &[Address]) -> Option<IpAddr> {
    let candidates = || addresses.iter().filter(|a| usable(a.ip) && !a.ip.is_loopback() && a.lasts());
    let best = |v4: bool, routed: bool| {
        candidates().find(|a| a.ip.is_ipv4() == v4 && (!routed || a.default_route.is_some())).map(|a| a.ip)
    };
    best(true, true)
        .or_else(|| best(false, true))
        .or_else(|| best(true, false))
        .or_else(|| best(false, false))
}

/// `None` where the kernel does not tell.
pub(crate) fn interface_addresses() -> Option<Vec<IpAddr>> {
    machine::listed().map(|all| all.into_iter().map(|(_, ip)| ip).collect())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use url::Host;

    use super::{MOST_ADDRESSES, Names};
    use crate::machine::Address;

    fn address(text: &str) -> Address {
        Address { ip: text.parse().expect("an address"), default_route: None, passing: false, inner: false }
    }

    #[test]
    fn given_hosts_come_first_and_the_loopback_is_there() {
        let given =
            ["lab.example.net", "breaker.lan", "203.0.113.9"].map(|h| Host::parse(h).expect("a host"));
        let names = Names::of_this_machine(&given);
        assert_eq!(names.dns[..2], ["lab.example.net", "breaker.lan"]);
        assert!(names.contains_name("localhost") && !names.contains_name("example.net"));
        assert!(names.contains_address(IpAddr::from([127, 0, 0, 1])));
        assert!(names.contains_address("::ffff:127.0.0.1".parse().expect("an address")));
        assert_eq!(names.addresses[0], IpAddr::from([203, 0, 113, 9]));
    }

    #[test]
    fn the_certificate_is_for_what_lasts_and_the_default_routes_address_is_the_main_one() {
        let lan = Address { default_route: Some(100), ..address("192.168.1.20") };
        let docker = Address { inner: true, ..address("172.17.0.1") };
        let temporary = Address { passing: true, ..address("2001:db8::dead") };
        let all =
            [lan, address("100.64.0.7"), address("2001:db8::20"), address("fe80::1"), temporary, docker];
        let names = Names::gather(&[], Some("attic"), &all);
        assert_eq!(names.main, Some(IpAddr::from([192, 168, 1, 20])));
        let shown: Vec<String> = names.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["127.0.0.1", "::1", "192.168.1.20", "100.64.0.7", "2001:db8::20"]);
        // A container on this machine may still ask.
        for other in ["172.17.0.1", "2001:db8::dead"] {
            assert!(names.contains_address(other.parse().expect("an address")), "{other}");
        }
        assert_eq!(names.dns, ["attic", "attic.local", "localhost"]);

        // Without a default route: no bridge all the same.
        assert_eq!(Names::gather(&[], None, &all[1..]).main, Some(IpAddr::from([100, 64, 0, 7])));
        // An IPv6-only network, and a container whose only way out is a bridge.
        let v6 = Address { default_route: Some(1), ..address("2001:db8::20") };
        assert_eq!(
            Names::gather(&[], None, &[v6, address("10.0.0.1")]).main.map(|ip| ip.is_ipv6()),
            Some(true)
        );
        let bridge = Address { default_route: Some(1), inner: true, ..address("10.9.0.1") };
        assert_eq!(Names::gather(&[], None, &[bridge]).main, Some(IpAddr::from([10, 9, 0, 1])));
    }

    #[test]
    fn a_long_list_is_cut_behind_the_lan_address() {
        let mut all = vec![Address { default_route: Some(0), ..address("203.0.113.200") }];
        all.extend((1..=250u8).map(|n| address(&format!("10.0.0.{n}"))));
        let names = Names::gather(&[], None, &all);
        assert_eq!(names.addresses.len(), MOST_ADDRESSES);
        assert!(names.addresses.contains(&all[0].ip));
        assert!(names.contains_address(all[250].ip), "cut from the certificate and still ours");
    }

    #[test]
    fn names_that_are_no_names_and_zones_are_left_out() {
        let mut names = Names::default();
        for bad in ["", "a b", "10.0.0.1", "näme", "."] {
            names.add_name(bad);
        }
        for bad in ["0.0.0.0", "::", "fe80::1"] {
            names.add_address(bad.parse().expect("an address"));
        }
        assert_eq!(names, Names::default());
    }
}
