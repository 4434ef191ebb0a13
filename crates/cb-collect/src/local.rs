//! This machine's own place on the network, and what it may do there. All of it from the kernel.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use cb_net::capability::grant;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::net::if_::InterfaceFlags;
use nix::sys::socket::LinkAddr;
use serde::Serialize;
use socket2::{Domain, Protocol, Socket, Type};

/// A network that this machine is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LocalNetwork {
    pub cidr: IpNet,
    pub interface: String,
    /// Where packets for the rest of the world go, when that is on this network.
    pub gateway: Option<IpAddr>,
}

/// The IPv4 networks of every interface that is up, has a carrier and is not loopback; the one with the default route first.
pub fn local_networks() -> Vec<LocalNetwork> {
    let mut networks: Vec<LocalNetwork> = Vec::new();
    for interface in interfaces() {
        for (address, network) in &interface.networks {
            let IpNet::V4(v4) = network else { continue };
            if v4.prefix_len() >= 31 || address.is_loopback() {
                continue;
            }
            if networks.iter().any(|n| n.cidr == *network) {
                continue;
            }
            let gateway = interface.gateways.iter().copied().find(|gateway| network.contains(gateway));
            networks.push(LocalNetwork { cidr: *network, interface: interface.name.clone(), gateway });
        }
    }
    networks.sort_by_key(|network| network.gateway.is_none());
    networks
}

/// The addresses of this machine on every interface that is up and is not loopback.
pub fn own_addresses() -> Vec<IpAddr> {
    interfaces().into_iter().flat_map(|i| i.networks).map(|(address, _)| address).collect()
}

/// An interface that is up, has a carrier and is not loopback.
#[derive(Debug, Clone)]
pub(crate) struct Interface {
    pub name: String,
    pub mac: Option<[u8; 6]>,
    /// Where a raw socket is bound to.
    pub link: Option<LinkAddr>,
    /// Answers ARP: Ethernet-like, not a tunnel.
    pub arp: bool,
    /// Our address there, and its network.
    pub networks: Vec<(IpAddr, IpNet)>,
    pub gateways: Vec<IpAddr>,
}

impl Interface {
    /// Our own IPv4 address on the network that contains `target`.
    pub fn source_for(&self, target: Ipv4Addr) -> Option<Ipv4Addr> {
        self.networks.iter().find(|(_, network)| network.contains(&IpAddr::V4(target))).and_then(
            |(address, _)| match address {
                IpAddr::V4(v4) => Some(*v4),
                IpAddr::V6(_) => None,
            },
        )
    }
}

pub(crate) fn interfaces() -> Vec<Interface> {
    let addresses = match nix::ifaddrs::getifaddrs() {
        Ok(addresses) => addresses,
        Err(error) => {
            tracing::warn!(%error, "the kernel does not list its network interfaces");
            return Vec::new();
        }
    };
    let mut found: BTreeMap<String, Interface> = BTreeMap::new();
    for entry in addresses {
        let flags = entry.flags;
        if !flags.contains(InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING)
            || flags.contains(InterfaceFlags::IFF_LOOPBACK)
        {
            continue;
        }
        let interface = found.entry(entry.interface_name.clone()).or_insert_with(|| Interface {
            name: entry.interface_name.clone(),
            mac: None,
            link: None,
            arp: !flags.intersects(InterfaceFlags::IFF_NOARP | InterfaceFlags::IFF_POINTOPOINT),
            networks: Vec::new(),
            gateways: Vec::new(),
        });
        let Some(address) = entry.address else { continue };
        if let Some(link) = address.as_link_addr() {
            interface.mac = link.addr().filter(|mac| *mac != [0; 6]);
            interface.link = Some(*link);
        } else if let (Some(v4), Some(mask)) = (
            address.as_sockaddr_in(),
            entry.netmask.and_then(|m| m.as_sockaddr_in().map(nix::sys::socket::SockaddrIn::ip)),
        ) {
            if let Ok(network) = Ipv4Net::with_netmask(v4.ip(), mask) {
                interface.networks.push((v4.ip().into(), network.trunc().into()));
            }
        } else if let (Some(v6), Some(mask)) = (
            address.as_sockaddr_in6(),
            entry.netmask.and_then(|m| m.as_sockaddr_in6().map(nix::sys::socket::SockaddrIn6::ip)),
        ) && !v6.ip().is_unicast_link_local()
            && let Ok(network) = Ipv6Net::with_netmask(v6.ip(), mask)
        {
            interface.networks.push((v6.ip().into(), network.trunc().into()));
        }
    }
    for (name, gateway) in gateways() {
        if let Some(interface) = found.get_mut(&name) {
            interface.gateways.push(gateway);
        }
    }
    found.into_values().collect()
}

/// Interface and address of each default route.
fn gateways() -> Vec<(String, IpAddr)> {
    let read = |path: &str| match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            tracing::debug!(path, %error, "no routing table to read");
            String::new()
        }
    };
    let mut found: Vec<(String, IpAddr)> = Vec::new();
    for gateway in parse_routes_v4(&read("/proc/net/route"))
        .into_iter()
        .chain(parse_routes_v6(&read("/proc/net/ipv6_route")))
    {
        if !found.contains(&gateway) {
            found.push(gateway);
        }
    }
    found
}

/// `/proc/net/route`: interface, destination, gateway, flags …, with the kernel's own byte order.
fn parse_routes_v4(text: &str) -> Vec<(String, IpAddr)> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let hex = |at: usize| columns.get(at).and_then(|c| u32::from_str_radix(c, 16).ok());
            let (destination, gateway, mask) = (hex(1)?, hex(2)?, hex(7)?);
            (destination == 0 && mask == 0 && gateway != 0)
                .then(|| (columns[0].to_owned(), Ipv4Addr::from(gateway.to_ne_bytes()).into()))
        })
        .collect()
}

/// `/proc/net/ipv6_route`: destination, its length, source, its length, gateway, …, interface.
fn parse_routes_v6(text: &str) -> Vec<(String, IpAddr)> {
    text.lines()
        .filter_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            let hex = |at: usize| columns.get(at).and_then(|c| u128::from_str_radix(c, 16).ok());
            let (destination, length, gateway) = (hex(0)?, hex(1)?, hex(4)?);
            let gateway = Ipv6Addr::from(gateway);
            (destination == 0 && length == 0 && !gateway.is_unspecified() && !gateway.is_unicast_link_local())
                .then(|| (columns.last().copied().unwrap_or_default().to_owned(), gateway.into()))
        })
        .collect()
}

/// Whether one way of finding hosts is open to this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ability {
    /// `arp`, `icmp` or `tcp`.
    pub name: &'static str,
    pub available: bool,
    /// The reason, and what to do about it.
    pub reason: Option<String>,
}

/// What this process may do, tried on the kernel; nothing is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Capabilities {
    pub arp: Ability,
    pub icmp: Ability,
    pub tcp: Ability,
}

impl Capabilities {
    pub fn detect() -> Self {
        let arp = raw_arp_socket().err().map(|error| {
            format!(
                "raw packets are not permitted ({error}), so the scan uses connections and the kernel's neighbor table in the server's own network, which is slower and may miss machines behind a firewall; {}",
                grant("cap_net_raw")
            )
        });
        let icmp = icmp_socket(false).err().map(|error| {
            format!(
                "echo requests are not permitted ({error}); {}, or open them to everyone with `sysctl -w \
                 net.ipv4.ping_group_range='0 2147483647'`",
                grant("cap_net_raw")
            )
        });
        let ability = |name, reason: Option<String>| Ability { name, available: reason.is_none(), reason };
        Self { arp: ability("arp", arp), icmp: ability("icmp", icmp), tcp: ability("tcp", None) }
    }

    /// The three, in the order of their worth.
    pub fn all(&self) -> [&Ability; 3] {
        [&self.arp, &self.icmp, &self.tcp]
    }
}

/// EtherType of ARP as `socket(2)` wants it: in network byte order.
const ETH_P_ARP: i32 = (0x0806u16).to_be() as i32;

pub(crate) fn raw_arp_socket() -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(ETH_P_ARP)))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// An echo socket; the second is whether the kernel handles the headers (an unprivileged datagram socket).
pub(crate) fn icmp_socket(v6: bool) -> std::io::Result<(Socket, bool)> {
    let (domain, protocol) =
        if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
    let (socket, datagram) = match Socket::new(domain, Type::DGRAM, Some(protocol)) {
        Ok(socket) => (socket, true),
        Err(_) => (Socket::new(domain, Type::RAW, Some(protocol))?, false),
    };
    socket.set_nonblocking(true)?;
    Ok((socket, datagram))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_route_is_found_in_the_kernel_tables() {
        let v4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                  eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                  eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                  broken line\n";
        if cfg!(target_endian = "little") {
            assert_eq!(parse_routes_v4(v4), [("eth0".to_owned(), IpAddr::from([192, 168, 1, 1]))]);
        }
        let v6 = "00000000000000000000000000000000 00 00000000000000000000000000000000 00 \
                  fd000000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n";
        assert_eq!(parse_routes_v6(v6), [("eth0".to_owned(), "fd00::1".parse().expect("address"))]);
    }

    #[test]
    fn what_is_missing_comes_with_its_mend() {
        for ability in Capabilities::detect().all() {
            assert_eq!(ability.available, ability.reason.is_none());
            if let Some(reason) = &ability.reason {
                assert!(reason.contains("grant it with"), "{reason}");
            }
        }
    }

    #[test]
    fn loopback_is_no_local_network() {
        for network in local_networks() {
            assert!(!network.cidr.contains(&IpAddr::from([127, 0, 0, 1])), "{network:?}");
        }
    }
}
