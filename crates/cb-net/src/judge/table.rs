//! What an address is for: the IANA special-purpose registries (RFC 6890; IPv4 and IPv6, as of 2025)
//! and the metadata services of clouds, which no registry lists.
//!
//! `std`'s `is_global` is not stable. The table is stricter than the registries in two places: a block
//! that the IETF keeps for protocols (192.0.0.0/24, 2001::/23) is refused whole, with its few anycast
//! addresses; and an IPv6 address that carries an IPv4 one is refused whatever it carries. One prefix is excepted:
//! where a network has IPv6 only, its name servers answer with addresses of NAT64 for every IPv4 host (RFC 6052,
//! RFC 6147). Each of these is what the IPv4 address in it is.
//!
//! To add a range: a line before every wider one, and a line in the test below.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Anywhere on the Internet.
    Global,
    /// RFC 1918, the shared space of RFC 6598, unique local IPv6 (RFC 4193): the user's own network.
    Private,
    Loopback,
    LinkLocal,
    /// Hands out credentials to whoever runs on the machine.
    Metadata,
    Multicast,
    Broadcast,
    Unspecified,
    Documentation,
    Reserved,
    /// 198.18.0.0/15, which no host has; proxies such as Clash answer with it for every name.
    Benchmark,
    /// IPv6 that stands for an IPv4 address.
    Transition,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "a global address",
            Self::Private => "a private address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Broadcast => "the broadcast address",
            Self::Unspecified => "an address that no host can have",
            Self::Documentation => "an address for documentation",
            Self::Reserved => "a reserved address",
            Self::Benchmark => "an address for benchmarks",
            Self::Transition => "an IPv4 address inside an IPv6 one",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), length)
}

/// The first line that contains the address says what it is; none does: global.
const V4: &[(Ipv4Net, Kind)] = &[
    (v4(169, 254, 169, 254, 32), Kind::Metadata), // AWS, Azure, Google, Oracle and most others
    (v4(169, 254, 170, 2, 32), Kind::Metadata),   // AWS ECS task credentials
    (v4(169, 254, 170, 23, 32), Kind::Metadata),  // AWS EKS pod identity
    (v4(169, 254, 42, 42, 32), Kind::Metadata),   // Scaleway
    (v4(100, 100, 100, 200, 32), Kind::Metadata), // Alibaba
    (v4(192, 0, 0, 192, 32), Kind::Metadata),     // Oracle Classic
    (v4(168, 63, 129, 16, 32), Kind::Metadata),   // Azure's wire server, in public space
    (v4(0, 0, 0, 0, 32), Kind::Unspecified),      // RFC 1122; Linux connects it to itself
    (v4(0, 0, 0, 0, 8), Kind::Reserved),          // RFC 791
    (v4(10, 0, 0, 0, 8), Kind::Private),          // RFC 1918
    (v4(100, 64, 0, 0, 10), Kind::Private),       // RFC 6598; Tailscale
    (v4(127, 0, 0, 0, 8), Kind::Loopback),        // RFC 1122
    (v4(169, 254, 0, 0, 16), Kind::LinkLocal),    // RFC 3927
    (v4(172, 16, 0, 0, 12), Kind::Private),       // RFC 1918
    (v4(192, 0, 0, 0, 24), Kind::Reserved),       // RFC 6890
    (v4(192, 0, 2, 0, 24), Kind::Documentation),  // RFC 5737
    (v4(192, 88, 99, 0, 24), Kind::Reserved),     // RFC 7526, once 6to4 relays
    (v4(192, 168, 0, 0, 16), Kind::Private),      // RFC 1918
    (v4(198, 18, 0, 0, 15), Kind::Benchmark),     // RFC 2544
    (v4(198, 51, 100, 0, 24), Kind::Documentation), // RFC 5737
    (v4(203, 0, 113, 0, 24), Kind::Documentation), // RFC 5737
    (v4(224, 0, 0, 0, 4), Kind::Multicast),       // RFC 5771
    (v4(255, 255, 255, 255, 32), Kind::Broadcast), // RFC 919
    (v4(240, 0, 0, 0, 4), Kind::Reserved),        // RFC 1112
];

/// The same for IPv6, where what no line contains is global in 2000::/3 only, and reserved elsewhere.
const V6: &[(Ipv6Net, Kind)] = &[
    (v6([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0], 32), Kind::Metadata), // AWS, with ECS and EKS
    (v6([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128), Kind::Metadata), // Google
    (v6([0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42], 128), Kind::Metadata), // Scaleway
    (v6([0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe], 128), Kind::Metadata), // Oracle
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), Kind::Unspecified),      // RFC 4291
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), Kind::Loopback),         // RFC 4291
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), Kind::Transition),        // RFC 4291, IPv4-compatible
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), Kind::Transition),   // RFC 4291, IPv4-mapped
    (v6([0, 0, 0, 0, 0xffff, 0, 0, 0], 96), Kind::Transition),   // RFC 2765, IPv4-translated
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), Kind::Transition), // RFC 8215, NAT64 of one's own
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), Kind::Transition),   // RFC 4380, Teredo
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), Kind::Documentation), // RFC 3849
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), Kind::Reserved),     // RFC 2928, with ORCHID and benchmarks
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), Kind::Transition),   // RFC 3056, 6to4
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), Kind::Documentation), // RFC 9637
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), Kind::Private),       // RFC 4193
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), Kind::LinkLocal),    // RFC 4291
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), Kind::Multicast),     // RFC 4291
];

const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// NAT64's well-known prefix (RFC 6052). Not 64:ff9b:1::/48 (RFC 8215), where each network puts the IPv4 address elsewhere.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

/// Where a packet to this address arrives: behind NAT64 at the IPv4 address in it.
pub(super) fn means(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(ip) if NAT64.contains(&ip) => {
            let [.., a, b, c, d] = ip.octets();
            Ipv4Addr::new(a, b, c, d).into()
        }
        other => other,
    }
}

impl Kind {
    pub fn of(address: IpAddr) -> Self {
        match means(address) {
            IpAddr::V4(ip) => {
                V4.iter().find(|(net, _)| net.contains(&ip)).map_or(Self::Global, |(_, kind)| *kind)
            }
            IpAddr::V6(ip) => {
                // RFC 5214: an ISATAP interface identifier carries IPv4 under any prefix.
                let [.., e, f, _, _] = ip.segments();
                if f == 0x5efe && matches!(e, 0 | 0x200) {
                    return Self::Transition;
                }
                let unlisted = if GLOBAL_UNICAST.contains(&ip) { Self::Global } else { Self::Reserved };
                V6.iter().find(|(net, _)| net.contains(&ip)).map_or(unlisted, |(_, kind)| *kind)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    /// First, last and neighbors of every range, in the order of the registries.
    const LINES: &[(Kind, &str)] = &[
        (Kind::Unspecified, "0.0.0.0"),
        (Kind::Reserved, "0.0.0.1 0.255.255.255"),
        (Kind::Global, "1.0.0.0 1.1.1.1 9.255.255.255"),
        (Kind::Private, "10.0.0.0 10.255.255.255"),
        (Kind::Global, "11.0.0.0 100.63.255.255"),
        (Kind::Private, "100.64.0.0 100.100.100.199 100.100.100.201 100.127.255.255"),
        (Kind::Metadata, "100.100.100.200"),
        (Kind::Global, "100.128.0.0 126.255.255.255"),
        (Kind::Loopback, "127.0.0.0 127.0.0.1 127.255.255.255"),
        (Kind::Global, "128.0.0.0 168.63.129.15 168.63.129.17"),
        (Kind::Metadata, "168.63.129.16"),
        (Kind::LinkLocal, "169.254.0.0 169.254.169.253 169.254.255.255"),
        (Kind::Metadata, "169.254.169.254 169.254.170.2 169.254.170.23 169.254.42.42"),
        (Kind::Global, "169.253.255.255 169.255.0.0 172.15.255.255"),
        (Kind::Private, "172.16.0.0 172.31.255.255"),
        (Kind::Global, "172.32.0.0 191.255.255.255"),
        (Kind::Reserved, "192.0.0.0 192.0.0.8 192.0.0.9 192.0.0.10 192.0.0.170 192.0.0.171 192.0.0.255"),
        (Kind::Metadata, "192.0.0.192"),
        (Kind::Global, "192.0.1.0"),
        (Kind::Documentation, "192.0.2.0 192.0.2.255"),
        // AS112 and AMT are global by the registry.
        (Kind::Global, "192.0.3.0 192.31.196.1 192.52.193.1 192.88.98.255 192.175.48.1"),
        (Kind::Reserved, "192.88.99.0 192.88.99.2 192.88.99.255"),
        (Kind::Global, "192.88.100.0 192.167.255.255"),
        (Kind::Private, "192.168.0.0 192.168.255.255"),
        (Kind::Global, "192.169.0.0 198.17.255.255"),
        (Kind::Benchmark, "198.18.0.0 198.19.255.255"),
        (Kind::Global, "198.20.0.0 198.51.99.255"),
        (Kind::Documentation, "198.51.100.0 198.51.100.255"),
        (Kind::Global, "198.51.101.0 203.0.112.255"),
        (Kind::Documentation, "203.0.113.0 203.0.113.255"),
        (Kind::Global, "203.0.114.0 223.255.255.255"),
        (Kind::Multicast, "224.0.0.0 239.255.255.255"),
        (Kind::Reserved, "240.0.0.0 255.255.255.254"),
        (Kind::Broadcast, "255.255.255.255"),
        (Kind::Unspecified, "::"),
        (Kind::Loopback, "::1"),
        (Kind::Transition, "::2 ::7f00:1 ::a00:1 ::ffff:ffff"),
        (Kind::Transition, "::ffff:0:0 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::ffff:ffff:ffff"),
        (Kind::Transition, "::ffff:0:0:0 ::ffff:0:127.0.0.1"),
        // Behind NAT64 as without it.
        (Kind::Global, "64:ff9b::808:808 64:ff9b::8.8.8.8"),
        (Kind::Private, "64:ff9b::a00:1 64:ff9b::192.168.1.1 64:ff9b::100.64.0.1"),
        (Kind::Loopback, "64:ff9b::7f00:1"),
        (Kind::LinkLocal, "64:ff9b::169.254.0.1"),
        (Kind::Metadata, "64:ff9b::a9fe:a9fe 64:ff9b::100.100.100.200"),
        (Kind::Unspecified, "64:ff9b::"),
        (Kind::Multicast, "64:ff9b::224.0.0.1"),
        (Kind::Broadcast, "64:ff9b::255.255.255.255"),
        (Kind::Benchmark, "64:ff9b::198.18.0.1"),
        (Kind::Transition, "64:ff9b:1:: 64:ff9b:1::1 64:ff9b:1::7f00:1 64:ff9b:1:ffff::"),
        (Kind::Reserved, "64:ff9b::1:0:0 64:ff9b:0:1::1"),
        (Kind::Reserved, "64:ff9b:2:: 100::1 100:0:0:1::1 200::1 1fff::1"),
        (Kind::Transition, "2001::1 2001:0:ffff::1"),
        (Kind::Reserved, "2001:1::1 2001:1::2 2001:1::3 2001:2::1 2001:3::1 2001:4:112::1"),
        (Kind::Reserved, "2001:10::1 2001:20::1 2001:30::1 2001:1ff:ffff::"),
        (Kind::Global, "2000::1 2001:200:: 2001:db7:ffff:: 2001:4860:4860::8888"),
        (Kind::Documentation, "2001:db8:: 2001:db8:ffff::1"),
        (Kind::Global, "2001:db9::"),
        (Kind::Transition, "2002:: 2002:7f00:1:: 2002:ffff:ffff::"),
        (Kind::Global, "2003:: 2606:4700::1111 2620:4f:8000::1 3ffe:ffff::"),
        (Kind::Documentation, "3fff:: 3fff:fff:ffff::"),
        (Kind::Global, "3fff:1000::"),
        (Kind::Reserved, "4000:: 5f00::1 8000::1 fbff::1"),
        (Kind::Private, "fc00:: fd00::1 fd12:3456::1 fdff:ffff::"),
        (Kind::Metadata, "fd00:ec2::254 fd00:ec2::23 fd00:ec2:: fd20:ce::254 fd00:42::42 fd00:c1::a9fe:a9fe"),
        (Kind::Reserved, "fe00::1 fe7f::1 fec0::1 feff::1"),
        (Kind::LinkLocal, "fe80:: fe80::1 febf:ffff::"),
        (Kind::Multicast, "ff00:: ff02::1 ffff::1"),
        (
            Kind::Transition,
            "2606:4700::5efe:7f00:1 2606:4700::200:5efe:a00:1 fe80::5efe:c0a8:1 fd00::5efe:a00:1",
        ),
        (Kind::Global, "2606:4700::100:5efe:7f00:1"),
    ];

    #[test]
    fn every_range_is_what_the_registries_say() {
        for (kind, addresses) in LINES {
            for address in addresses.split(' ') {
                let ip = address.parse().expect(address);
                assert_eq!(Kind::of(ip), *kind, "{address}");
            }
        }
    }
}
