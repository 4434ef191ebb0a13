//! The addresses of a network as numbers: which of them machines can have, and which of those is free.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Beyond so many addresses, how many there are helps nobody.
const COUNTED_MOST: u128 = 1 << 32;

/// The addresses of a network that machines can have: without its own and the broadcast address, and without the networks in it, which
/// have their addresses themselves.
#[derive(Debug)]
pub(super) struct Space {
    v6: bool,
    first: u128,
    last: u128,
    /// First and last address of each network in it, in order and apart.
    narrower: Vec<(u128, u128)>,
}

impl Space {
    /// `all` are the networks that may lie in it, by first address, the wider one first.
    pub fn of(network: IpNet, all: &[IpNet]) -> Self {
        let (low, high) = ends(network);
        let (first, last) = match network {
            // RFC 3021 and RFC 6164: two addresses are two machines.
            _ if network.max_prefix_len() - network.prefix_len() <= 1 => (low, high),
            IpNet::V4(_) => (low + 1, high - 1),
            // RFC 4291, 2.6.1: the first is every router's. There is no broadcast.
            IpNet::V6(_) => (low + 1, high),
        };
        let v6 = matches!(network, IpNet::V6(_));
        let from = all.partition_point(|other| (matches!(other, IpNet::V6(_)), ends(*other).0) < (v6, low));
        let mut narrower: Vec<(u128, u128)> = Vec::new();
        for other in all.get(from..).unwrap_or_default() {
            let (start, end) = ends(*other);
            if matches!(other, IpNet::V6(_)) != v6 || start > high {
                break;
            }
            let inside = other.prefix_len() > network.prefix_len();
            if inside && narrower.last().is_none_or(|(_, known)| start > *known) {
                narrower.push((start, end));
            }
        }
        Self { v6, first, last, narrower }
    }

    /// How many there are; none where there are too many to say.
    pub fn size(&self) -> Option<u64> {
        let within = |(start, end): &(u128, u128)| {
            (Ord::min(*end, self.last) + 1).saturating_sub(Ord::max(*start, self.first))
        };
        let taken: u128 = self.narrower.iter().map(within).sum();
        let all = (self.last - self.first).saturating_add(1).saturating_sub(taken);
        u64::try_from(all).ok().filter(|_| all <= COUNTED_MOST)
    }

    pub fn has(&self, address: u128) -> bool {
        (self.first..=self.last).contains(&address) && self.narrower_at(address).is_none()
    }

    /// Whether the address with this key is one of them, and another than the gateway.
    pub fn has_key(&self, key: &str, gateway: Option<u128>) -> bool {
        key.starts_with(if self.v6 { '6' } else { '4' })
            && keyed(key).is_some_and(|ip| self.has(ip) && gateway != Some(ip))
    }

    /// Where the network that holds this address ends.
    fn narrower_at(&self, address: u128) -> Option<u128> {
        let at = self.narrower.partition_point(|(start, _)| *start <= address).checked_sub(1)?;
        self.narrower.get(at).map(|(_, end)| *end).filter(|end| *end >= address)
    }
}

/// A look for the lowest free address, which is fed with what is in use part by part.
#[derive(Debug)]
pub(super) struct Search<'s> {
    space: &'s Space,
    gateway: Option<u128>,
    /// Everything below is not free.
    at: u128,
    found: bool,
}

impl<'s> Search<'s> {
    pub fn new(space: &'s Space, gateway: Option<u128>) -> Self {
        let mut search = Self { space, gateway, at: space.first, found: false };
        search.pass(&BTreeSet::new());
        search
    }

    /// The keys between which more must be known; none when it is over.
    pub fn wants(&self) -> Option<(String, String)> {
        let open = !self.found && self.at <= self.space.last;
        open.then(|| (key(self.space.v6, self.at), key(self.space.v6, self.space.last)))
    }

    /// Lists of addresses in use, each in order, from what was wanted on; a list of `most` may go on behind its last.
    pub fn learn(&mut self, lists: &[Vec<u128>], most: usize) {
        let known = lists
            .iter()
            .filter(|list| list.len() >= most)
            .filter_map(|list| list.last().copied())
            .min()
            .unwrap_or(self.space.last);
        let used: BTreeSet<u128> = lists.iter().flatten().copied().collect();
        self.pass(&used);
        self.found = self.at <= Ord::min(known, self.space.last);
    }

    /// Goes past what is not free.
    fn pass(&mut self, used: &BTreeSet<u128>) {
        while self.at <= self.space.last {
            if let Some(end) = self.space.narrower_at(self.at) {
                self.at = end.saturating_add(1);
            } else if used.contains(&self.at) || self.gateway == Some(self.at) {
                self.at += 1;
            } else {
                break;
            }
        }
    }

    pub fn found(&self) -> Option<IpAddr> {
        self.found.then(|| address(self.space.v6, self.at))
    }
}

pub(super) fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

fn ends(network: IpNet) -> (u128, u128) {
    // The very last address of IPv6 is nobody's, so that there is always a number behind.
    let known = |ip| Ord::min(number(ip), u128::MAX - 1);
    (known(network.network()), known(network.broadcast()))
}

fn address(v6: bool, number: u128) -> IpAddr {
    match u32::try_from(number) {
        Ok(v4) if !v6 => Ipv4Addr::from(v4).into(),
        _ => Ipv6Addr::from(number).into(),
    }
}

fn key(v6: bool, number: u128) -> String {
    crate::order::ip_key(address(v6, number))
}

/// The number in a key of `order::ip_key`.
pub(super) fn keyed(key: &str) -> Option<u128> {
    u128::from_str_radix(key.get(1..)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().expect("a network")
    }

    fn next(space: &Space, gateway: Option<&str>, used: &[&str]) -> Option<String> {
        let of = |text: &str| number(text.parse().expect("an address"));
        let mut search = Search::new(space, gateway.map(of));
        search.learn(&[used.iter().map(|text| of(text)).collect()], usize::MAX);
        search.found().map(|ip| ip.to_string())
    }

    #[test]
    fn the_first_and_the_last_address_are_nobodys() {
        for (cidr, size, first, last) in [
            ("10.0.0.0/24", Some(254), "10.0.0.1", "10.0.0.254"),
            ("10.0.0.8/30", Some(2), "10.0.0.9", "10.0.0.10"),
            ("10.0.0.8/31", Some(2), "10.0.0.8", "10.0.0.9"),
            ("10.0.0.8/32", Some(1), "10.0.0.8", "10.0.0.8"),
            ("0.0.0.0/0", Some((1 << 32) - 2), "0.0.0.1", "255.255.255.254"),
            ("fd00::/120", Some(255), "fd00::1", "fd00::ff"),
            ("fd00::/127", Some(2), "fd00::", "fd00::1"),
            ("fd00::/64", None, "fd00::1", "fd00::ffff:ffff:ffff:ffff"),
            ("::/0", None, "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"),
        ] {
            let space = Space::of(net(cidr), &[]);
            assert_eq!(space.size(), size, "{cidr}");
            assert_eq!(next(&space, None, &[]).as_deref(), Some(first), "{cidr}");
            assert_eq!(address(space.v6, space.last).to_string(), last, "{cidr}");
        }
    }

    #[test]
    fn the_next_free_address_is_neither_used_nor_the_gateway_nor_the_broadcast() {
        let small = Space::of(net("10.0.0.0/29"), &[]);
        assert_eq!(next(&small, Some("10.0.0.1"), &["10.0.0.2", "10.0.0.4"]).as_deref(), Some("10.0.0.3"));
        let all = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"];
        assert_eq!(next(&small, Some("10.0.0.6"), &all), None, "10.0.0.7 is the broadcast address");
        // The network's own address and the broadcast address in use change nothing.
        assert_eq!(next(&small, None, &["10.0.0.0", "10.0.0.7"]).as_deref(), Some("10.0.0.1"));
        let six = Space::of(net("fd00::/64"), &[]);
        assert_eq!(next(&six, Some("fd00::1"), &["fd00::2"]).as_deref(), Some("fd00::3"));
    }

    #[test]
    fn networks_in_it_have_their_addresses_themselves() {
        let all = [
            "10.0.0.0/8",
            "10.0.0.0/16",
            "10.0.0.0/24",
            "10.1.0.0/16",
            "10.3.0.0/16",
            "11.0.0.0/8",
            "fd00::/64",
        ]
        .map(net);
        let wide = Space::of(net("10.0.0.0/8"), &all);
        // The network's own address is in the first of them, and none of them is counted twice.
        assert_eq!(wide.size(), Some((1 << 24) - 3 * (1 << 16) - 1));
        assert_eq!(next(&wide, Some("10.2.0.0"), &["10.2.0.1"]).as_deref(), Some("10.2.0.2"));
        let middle = Space::of(net("10.0.0.0/16"), &all);
        assert_eq!(
            (middle.size(), next(&middle, None, &[]).as_deref()),
            (Some(65_536 - 256 - 1), Some("10.0.1.0"))
        );
        assert!(!middle.has(number("10.0.0.9".parse().expect("an address"))));
        // Two halves leave nothing.
        let halves = ["10.0.0.0/24", "10.0.0.0/25", "10.0.0.128/25"].map(net);
        let whole = Space::of(net("10.0.0.0/24"), &halves);
        assert_eq!((whole.size(), next(&whole, None, &[])), (Some(0), None));
    }

    #[test]
    fn a_list_that_is_cut_decides_nothing_behind_its_end() {
        let space = Space::of(net("10.0.0.0/24"), &[]);
        let of = |text: &str| number(text.parse().expect("an address"));
        let mut search = Search::new(&space, None);
        search.learn(&[vec![of("10.0.0.1"), of("10.0.0.2")], vec![of("10.0.0.9")]], 2);
        assert_eq!(
            (search.found(), search.wants().map(|(from, _)| from)),
            (None, Some("40a000003".to_owned()))
        );
        search.learn(&[vec![of("10.0.0.3")], vec![]], 2);
        assert_eq!(search.found().map(|ip| ip.to_string()).as_deref(), Some("10.0.0.4"));
    }
}
