//! The addresses of this machine, as the kernel lists them, with what tells a lasting one on the LAN from the rest.

use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv6Addr};
use std::path::Path;

/// Bridges are looked through to their ports, and a port to what it is built on: a VLAN, a bond.
const DEPTH: usize = 4;

/// One address of one interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub ip: IpAddr,
    /// The metric of the default route that leaves by its interface.
    pub default_route: Option<u32>,
    /// It does not last, or is not usable: a temporary, deprecated or tentative IPv6 address.
    pub passing: bool,
    /// Containers and virtual machines of this machine are behind it, and nothing else.
    pub inner: bool,
}

/// Interface and address of each, in the kernel's order; `None` where it does not list them.
pub(crate) fn listed() -> Option<Vec<(String, IpAddr)>> {
    let interfaces = nix::ifaddrs::getifaddrs()
        .inspect_err(|error| tracing::warn!(%error, "the server cannot list the addresses of this machine"))
        .ok()?;
    let address = |i: nix::ifaddrs::InterfaceAddress| {
        let address = i.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        Some((i.interface_name, v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))?))
    };
    Some(interfaces.filter_map(address).collect())
}

/// The same with what is known of each. What a person would choose comes first; the order is the same while nothing changes.
pub(crate) fn addresses() -> Option<Vec<Address>> {
    let listed = listed()?;
    let (v4, v6) = (text("/proc/net/route"), text("/proc/net/ipv6_route"));
    let (v4, v6) = (default_routes_v4(&v4), default_routes_v6(&v6));
    let passing = passing_v6(&text("/proc/net/if_inet6"));
    let mut inner: HashMap<String, bool> = HashMap::new();
    let known = |(name, ip): (String, IpAddr)| Address {
        ip,
        default_route: if ip.is_ipv4() { v4.get(&name) } else { v6.get(&name) }.copied(),
        passing: matches!(ip, IpAddr::V6(v6) if passing.contains(&v6)),
        inner: *inner.entry(name).or_insert_with_key(|name| is_inner(Path::new("/sys/class/net"), name)),
    };
    let mut found: Vec<Address> = listed.into_iter().map(known).collect();
    // Of two addresses of the default route's interface the kernel's first is the one that it uses itself. The rest is sorted, for
    // the kernel's order changes with every cable, and what is made of this should not.
    found.sort_by_key(|a| {
        let rest = a.default_route.is_none().then_some(a.ip);
        (a.inner, a.default_route.is_none(), a.default_route, a.passing, rest)
    });
    Some(found)
}

/// A file of the kernel's; nothing where it has none.
fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Interface and lowest metric of each default route. Columns: interface, destination, gateway, flags, -, -, metric, mask.
fn default_routes_v4(table: &str) -> HashMap<String, u32> {
    lowest(table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let zero = |at: usize| columns.get(at).is_some_and(|c| *c == "00000000");
        let metric = columns.get(6)?.parse().ok()?;
        (zero(1) && zero(7)).then(|| (columns[0].to_owned(), metric))
    }))
}

/// The same for IPv6. Columns: destination, its length, source, its length, gateway, metric, -, -, flags, interface.
fn default_routes_v6(table: &str) -> HashMap<String, u32> {
    const REJECT: u32 = 0x0200;
    lowest(table.lines().filter_map(|line| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let hex = |at: usize| columns.get(at).and_then(|c| u32::from_str_radix(c, 16).ok());
        let all = columns.first()?.bytes().all(|b| b == b'0') && hex(1)? == 0;
        (all && hex(8)? & REJECT == 0).then(|| Some((columns.get(9)?.to_string(), hex(5)?)))?
    }))
}

fn lowest(routes: impl Iterator<Item = (String, u32)>) -> HashMap<String, u32> {
    let mut found: HashMap<String, u32> = HashMap::new();
    for (interface, metric) in routes {
        found.entry(interface).and_modify(|known| *known = metric.min(*known)).or_insert(metric);
    }
    found
}

/// Columns: address, interface index, prefix length, scope, flags, interface.
fn passing_v6(table: &str) -> Vec<Ipv6Addr> {
    // The lower byte of the kernel's IFA_F_ flags: temporary, failed duplicate detection, deprecated, tentative.
    const PASSING: u32 = 0x01 | 0x08 | 0x20 | 0x40;
    let line = |line: &str| {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let ip = u128::from_str_radix(columns.first()?, 16).ok()?;
        let flags = u32::from_str_radix(columns.get(4)?, 16).ok()?;
        (flags & PASSING != 0).then(|| Ipv6Addr::from(ip))
    };
    table.lines().filter_map(line).collect()
}

/// Whether an interface is a bridge that no cable or radio is plugged into, such as Docker's.
fn is_inner(class: &Path, interface: &str) -> bool {
    let entries = |folder: &Path| -> Vec<String> {
        let list = fs::read_dir(folder).into_iter().flatten();
        list.filter_map(|e| e.ok()?.file_name().into_string().ok()).collect()
    };
    let folder = class.join(interface);
    folder.join("bridge").exists()
        && !entries(&folder.join("brif")).iter().any(|port| is_physical(class, port, DEPTH, &entries))
}

fn is_physical(class: &Path, interface: &str, depth: usize, entries: &dyn Fn(&Path) -> Vec<String>) -> bool {
    let folder = class.join(interface);
    let below = || entries(&folder).into_iter().filter_map(|e| e.strip_prefix("lower_").map(str::to_owned));
    folder.join("device").exists()
        || (depth > 0 && below().any(|lower| is_physical(class, &lower, depth - 1, entries)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{default_routes_v4, default_routes_v6, is_inner, passing_v6};

    #[test]
    fn default_routes_are_found_with_their_lowest_metric() {
        let v4 = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                  wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
                  eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
                  eth0\t00000000\t0201A8C0\t0003\t0\t0\t700\t00000000\t0\t0\t0\n\
                  docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\nbroken\n";
        let found = default_routes_v4(v4);
        assert_eq!((found.get("eth0"), found.get("wlan0"), found.len()), (Some(&100), Some(&600), 2));
        let zero = "00000000000000000000000000000000";
        let v6 = format!(
            "{zero} 00 {zero} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n\
             {zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo\n"
        );
        let found = default_routes_v6(&v6);
        assert_eq!((found.get("eth0"), found.len()), (Some(&0x400), 1));
    }

    #[test]
    fn an_ipv6_address_that_does_not_last_is_known_by_its_flags() {
        let table = "20010db8000000000000000000000001 02 40 00 80     eth0\n\
                     20010db8000000000000000000000002 02 40 00 01     eth0\n\
                     20010db8000000000000000000000003 02 40 00 20     eth0\n";
        let passing: Vec<String> = passing_v6(table).iter().map(ToString::to_string).collect();
        assert_eq!(passing, ["2001:db8::2", "2001:db8::3"]);
    }

    #[test]
    fn a_bridge_without_a_cable_is_inner_and_one_with_a_vlan_of_a_card_is_not() {
        let class = tempfile::tempdir().expect("a folder");
        for path in [
            "docker0/bridge",
            "docker0/brif/veth1",
            "veth1",
            "vmbr0/bridge",
            "vmbr0/brif/eth0.10",
            "vmbr0/brif/tap1",
            "tap1",
            "eth0.10/lower_eth0",
            "eth0/device",
            "tailscale0",
        ] {
            fs::create_dir_all(class.path().join(path)).expect("made");
        }
        for (name, inner) in
            [("docker0", true), ("vmbr0", false), ("eth0", false), ("tailscale0", false), ("gone", false)]
        {
            assert_eq!(is_inner(class.path(), name), inner, "{name}");
        }
    }
}
