//! What this machine is called: the names and addresses that its certificate is for, that its pages
//! may be asked for under, and that a redirect may point to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// More addresses than this (a container host may have hundreds) do not fit a certificate that
/// every client takes.
const MOST_ADDRESSES: usize = 64;

/// Names first to last as a person would choose; lower case, without a trailing dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    pub dns: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

impl Names {
    /// The public host if there is one, then the host name, `<host name>.local` (RFC 6762), `localhost`, and
    /// the addresses of all interfaces. Link-local IPv6 is left out: a URL cannot name its zone.
    pub fn of_this_machine(public: Option<&Url>) -> Self {
        let mut names = Self { dns: Vec::new(), addresses: Vec::new() };
        match public.and_then(Url::host) {
            Some(Host::Domain(name)) => names.add_name(name),
            Some(Host::Ipv4(ip)) => names.add_address(ip.into()),
            Some(Host::Ipv6(ip)) => names.add_address(ip.into()),
            None => {}
        }
        if let Ok(host) = nix::unistd::gethostname() {
            let host = host.to_string_lossy().to_ascii_lowercase();
            names.add_name(&host);
            if !host.contains('.') {
                names.add_name(&format!("{host}.local"));
            }
        }
        names.add_name("localhost");
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            names.add_address(ip);
        }
        for ip in interface_addresses() {
            names.add_address(ip);
        }
        names
    }

    pub fn contains_name(&self, name: &str) -> bool {
        self.dns.iter().any(|n| n == name)
    }

    pub fn contains_address(&self, ip: IpAddr) -> bool {
        self.addresses.contains(&ip.to_canonical())
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
        let usable = match ip {
            IpAddr::V4(ip) => !ip.is_unspecified(),
            IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_unicast_link_local(),
        };
        if usable && !self.addresses.contains(&ip) && self.addresses.len() < MOST_ADDRESSES {
            self.addresses.push(ip);
        }
    }
}

pub(crate) fn interface_addresses() -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> = match nix::ifaddrs::getifaddrs() {
        Ok(interfaces) => interfaces
            .filter_map(|i| {
                let address = i.address?;
                let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
                v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))
            })
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "the addresses of this machine cannot be listed");
            Vec::new()
        }
    };
    // The kernel's order changes with every cable; the certificate should not.
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use url::Url;

    use super::Names;

    #[test]
    fn the_public_host_comes_first_and_the_loopback_is_there() {
        let url = Url::parse("https://Lab.Example.net:9443").expect("a URL");
        let names = Names::of_this_machine(Some(&url));
        assert_eq!(names.dns[0], "lab.example.net");
        assert!(names.contains_name("localhost") && !names.contains_name("example.net"));
        assert!(names.contains_address(IpAddr::from([127, 0, 0, 1])));
        assert!(names.contains_address("::ffff:127.0.0.1".parse().expect("an address")));
    }

    #[test]
    fn names_that_are_no_names_and_zones_are_left_out() {
        let mut names = Names { dns: Vec::new(), addresses: Vec::new() };
        for bad in ["", "a b", "10.0.0.1", "näme", "."] {
            names.add_name(bad);
        }
        for bad in ["0.0.0.0", "::", "fe80::1"] {
            names.add_address(bad.parse().expect("an address"));
        }
        assert_eq!(names, Names { dns: Vec::new(), addresses: Vec::new() });
    }
}
