//! Targets of a scan: parsed from text and judged before a packet is sent.
//!
//! Owns the rule which addresses may be scanned at all. Private ranges, carrier-grade NAT and the
//! documentation ranges always (a lab may use them); other public ranges only where the operator
//! allows them; the machine itself, link-local, multicast and metadata addresses never.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Most addresses of one target: an IPv4 /16 or an IPv6 /112.
pub const MAX_ADDRESSES: u64 = 65_536;
/// The shortest IPv4 prefix of a target.
pub const MAX_PREFIX_V4: u8 = 16;
/// The shortest IPv6 prefix of a target.
pub const MAX_PREFIX_V6: u8 = 112;

/// Never scanned, whatever the operator allows.
const NEVER: &[(&str, &str)] = &[
    ("0.0.0.0/8", "means “this network” and is not the address of a device"),
    ("127.0.0.0/8", "is the loopback of the computer itself"),
    ("169.254.0.0/16", "is link-local and is reserved for cloud metadata services"),
    ("224.0.0.0/4", "is multicast, which means groups of devices and not one device"),
    ("240.0.0.0/4", "is reserved (and contains the broadcast address)"),
    ("::/128", "is the unspecified address"),
    ("::1/128", "is the loopback of the computer itself"),
    ("::ffff:0:0/96", "contains IPv4 addresses written as IPv6. Enter the IPv4 address"),
    ("fd00:ec2::/32", "is reserved for cloud metadata services"),
    ("fe80::/10", "is link-local and means nothing without an interface"),
    ("ff00::/8", "is multicast, which means groups of devices and not one device"),
];

/// Scanned without asking the operator (RFC 1918, 6598, 5737, 4193, 3849, 9637).
const LAB: &[&str] = &[
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "fc00::/7",
    "2001:db8::/32",
    "3fff::/20",
];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    #[error("A target is empty. Enter an address such as 192.168.1.10 or a network such as 192.168.1.0/24.")]
    Empty,
    #[error(
        "“{0}” is neither an address nor a network. Enter 192.168.1.10, or 192.168.1.0/24 with a prefix \
         length of {MAX_PREFIX_V4} to 32 (IPv6: {MAX_PREFIX_V6} to 128)."
    )]
    Malformed(String),
    #[error(
        "“{0}” is a hostname, and a name may have another address by the time of the scan. Enter its IP address instead."
    )]
    HostName(String),
    #[error("“{text}” has {}. One scan can have at most {MAX_ADDRESSES}. Enter a network of /{shortest} or smaller.", .addresses)]
    TooLarge { text: String, addresses: String, shortest: u8 },
    #[error("“{text}” cannot be scanned, because {range} {reason}.")]
    Never { text: String, range: String, reason: &'static str },
    #[error(
        "“{0}” is a public address, and this server scans only private networks. If the address is yours, add it \
         to the setting CB_SCAN_ALLOW and restart the server."
    )]
    Public(String),
}

/// One address or network that may be scanned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    network: IpNet,
}

impl Target {
    /// Reads an address or a CIDR network (RFC 4632; host bits are cut off). `allow` are the public
    /// ranges that the operator permits.
    pub fn parse(text: &str, allow: &[IpNet]) -> Result<Self, TargetError> {
        let text = text.trim();
        let shown = || crate::clean::line(text, 60);
        if text.is_empty() {
            return Err(TargetError::Empty);
        }
        let network = match read(text) {
            Some(network) => network,
            None if looks_like_a_name(text) => return Err(TargetError::HostName(shown())),
            None => return Err(TargetError::Malformed(shown())),
        };
        for (range, reason) in NEVER {
            let range = net(range);
            // Only within: 0.0.0.0/0 touches every range and is simply too large.
            if range.contains(&network) {
                return Err(TargetError::Never { text: shown(), range: range.to_string(), reason });
            }
        }
        let (bits, shortest) = match network {
            IpNet::V4(n) => (32 - n.prefix_len(), MAX_PREFIX_V4),
            IpNet::V6(n) => (128 - n.prefix_len(), MAX_PREFIX_V6),
        };
        if bits > 16 {
            let addresses = match 1u64.checked_shl(u32::from(bits)) {
                Some(count) if bits < 64 => format!("{count} addresses"),
                _ => format!("2^{bits} addresses"),
            };
            return Err(TargetError::TooLarge { text: shown(), addresses, shortest });
        }
        if let Some((range, reason)) = NEVER.iter().find(|(range, _)| network.contains(&net(range))) {
            return Err(TargetError::Never { text: shown(), range: format!("its part {range}"), reason });
        }
        if !LAB.iter().any(|lab| net(lab).contains(&network))
            && !allow.iter().any(|allowed| allowed.contains(&network))
        {
            return Err(TargetError::Public(shown()));
        }
        Ok(Self { network })
    }

    /// A single address is a /32 or /128.
    pub fn network(&self) -> IpNet {
        self.network
    }

    pub fn is_single(&self) -> bool {
        self.network.prefix_len() == self.network.max_prefix_len()
    }

    /// How many addresses are asked: all but an IPv4 network's own and its broadcast address.
    pub fn addresses(&self) -> u64 {
        let bits = self.network.max_prefix_len() - self.network.prefix_len();
        let all = 1u64 << bits.min(16);
        match self.network {
            IpNet::V4(n) if n.prefix_len() < 31 => all - 2,
            _ => all,
        }
    }

    /// The addresses that are asked, in order.
    pub fn hosts(&self) -> Box<dyn Iterator<Item = IpAddr> + Send> {
        match self.network {
            IpNet::V4(n) => Box::new(n.hosts().map(IpAddr::V4)),
            IpNet::V6(n) => Box::new(
                // Ipv6Net::hosts leaves out the subnet-router address, which is a machine's.
                (0..1u128 << (128 - n.prefix_len()))
                    .map(move |i| IpAddr::V6(Ipv6Addr::from(u128::from(n.network()) + i))),
            ),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_single() { self.network.addr().fmt(f) } else { self.network.fmt(f) }
    }
}

fn read(text: &str) -> Option<IpNet> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => {
            let plain = (1..=3).contains(&prefix.len()) && prefix.bytes().all(|b| b.is_ascii_digit());
            (address, Some(if plain { prefix.parse::<u8>().ok()? } else { return None }))
        }
        None => (text, None),
    };
    match address.parse::<IpAddr>().ok()? {
        IpAddr::V4(a) => Some(Ipv4Net::new(a, prefix.unwrap_or(32)).ok()?.trunc().into()),
        IpAddr::V6(a) => Some(Ipv6Net::new(a, prefix.unwrap_or(128)).ok()?.trunc().into()),
    }
}

/// Has the form of a DNS name, and is not just a mistyped address.
fn looks_like_a_name(text: &str) -> bool {
    text.len() <= 253
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        && text.rsplit('.').find(|label| !label.is_empty()).is_some_and(|last| {
            last.bytes().any(|b| b.is_ascii_alphabetic()) && !last.to_ascii_lowercase().starts_with("0x")
        })
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap_or_else(|_| IpNet::from(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
}

/// Whether `address` may be sent to at all, whoever asks: the last check before a packet leaves.
pub fn never(address: IpAddr) -> bool {
    static RANGES: LazyLock<Vec<IpNet>> =
        LazyLock::new(|| NEVER.iter().map(|(range, _)| net(range)).collect());
    RANGES.iter().any(|range| range.contains(&address))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_tables_are_written_correctly() {
        for text in NEVER.iter().map(|n| n.0).chain(LAB.iter().copied()) {
            let parsed: IpNet = text.parse().expect(text);
            assert_eq!(parsed, parsed.trunc(), "{text} has host bits");
        }
    }

    #[rstest]
    #[case("192.168.1.10", "192.168.1.10", 1)]
    #[case(" 192.168.1.7/24 ", "192.168.1.0/24", 254)]
    #[case("10.0.0.0/16", "10.0.0.0/16", 65_534)]
    #[case("10.0.0.4/31", "10.0.0.4/31", 2)]
    #[case("10.0.0.4/32", "10.0.0.4", 1)]
    #[case("100.64.0.0/24", "100.64.0.0/24", 254)]
    #[case("192.0.2.1", "192.0.2.1", 1)]
    #[case("198.51.100.0/24", "198.51.100.0/24", 254)]
    #[case("203.0.113.0/24", "203.0.113.0/24", 254)]
    #[case("fd12:3456::/112", "fd12:3456::/112", 65_536)]
    #[case("fd12::1", "fd12::1", 1)]
    #[case("2001:db8::5/128", "2001:db8::5", 1)]
    fn taken(#[case] text: &str, #[case] shown: &str, #[case] addresses: u64) {
        let target = Target::parse(text, &[]).expect(text);
        assert_eq!(target.to_string(), shown);
        assert_eq!(target.addresses(), addresses);
        assert_eq!(target.hosts().count() as u64, addresses);
    }

    #[rstest]
    #[case("", "A target is empty.")]
    #[case("10.0.0.1/99", "neither an address nor a network")]
    #[case("10.0.0.1/", "neither an address nor a network")]
    #[case("10.0.0.1/+8", "neither an address nor a network")]
    #[case("10.0.0.256", "neither an address nor a network")]
    #[case("010.0.0.1", "neither an address nor a network")]
    #[case("0x0a000001", "neither an address nor a network")]
    #[case("10.0.1", "neither an address nor a network")]
    #[case("10.0.0.1-20", "neither an address nor a network")]
    #[case("router.lan", "is a hostname")]
    #[case("localhost", "is a hostname")]
    #[case("0.0.0.0/0", "4294967296 addresses")]
    #[case("10.0.0.0/8", "16777216 addresses")]
    #[case("::/0", "2^128 addresses")]
    #[case("fd00::/64", "2^64 addresses")]
    #[case("::1/64", "Enter a network of /112 or smaller.")]
    #[case("::1", "cannot be scanned, because ::1/128 is the loopback of the computer itself")]
    #[case("127.0.0.1", "loopback")]
    #[case("0.0.0.0", "this network")]
    #[case("169.254.169.254", "link-local")]
    #[case("224.0.0.251", "multicast")]
    #[case("255.255.255.255", "broadcast")]
    #[case("::1", "loopback")]
    #[case("::", "unspecified")]
    #[case("fe80::1", "link-local")]
    #[case("ff02::fb", "multicast")]
    #[case("::ffff:10.0.0.1", "IPv4 addresses written as IPv6. Enter the IPv4 address.")]
    #[case("fd00:ec2::254", "metadata")]
    #[case("8.8.8.8", "CB_SCAN_ALLOW")]
    #[case("2606:4700::1111", "CB_SCAN_ALLOW")]
    #[case("172.32.0.0/16", "CB_SCAN_ALLOW")]
    #[case("64:ff9b::a00:1", "CB_SCAN_ALLOW")]
    fn refused(#[case] text: &str, #[case] reason: &str) {
        let error = Target::parse(text, &[]).expect_err(text).to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[test]
    fn a_public_range_is_scanned_when_the_operator_allows_it_and_loopback_never() {
        let allow = [net("8.8.8.0/24"), net("0.0.0.0/0"), net("::/0")];
        assert!(Target::parse("8.8.8.0/25", &allow[..1]).is_ok());
        assert!(Target::parse("8.8.0.0/16", &allow[..1]).is_err());
        for text in ["127.0.0.1", "169.254.169.254", "::1", "fe80::1", "255.255.255.255"] {
            assert!(Target::parse(text, &allow).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in ".{0,80}") {
            if let Err(error) = Target::parse(&text, &[]) {
                prop_assert!(error.to_string().chars().count() < 400);
            }
        }

        #[test]
        fn no_target_contains_a_forbidden_address(a in any::<u32>(), prefix in 16u8..=32) {
            if let Ok(target) = Target::parse(&format!("{}/{prefix}", Ipv4Addr::from(a)), &[net("0.0.0.0/0")]) {
                for edge in [target.hosts().next(), target.hosts().last()].into_iter().flatten() {
                    prop_assert!(!never(edge));
                }
            }
        }
    }
}
