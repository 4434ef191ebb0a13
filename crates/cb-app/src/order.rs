//! Keys that sort as people expect, the same on every database.

use std::net::IpAddr;

use ipnet::IpNet;

/// Case-folded, and numbers by value: `host-2` before `Host-10`.
pub fn name_key(name: &str) -> String {
    let lower = name.to_lowercase();
    let mut key = String::with_capacity(lower.len() + 8);
    let mut digits = String::new();
    for c in lower.chars().chain([' ']) {
        if c.is_ascii_digit() {
            digits.push(c);
            continue;
        }
        if !digits.is_empty() {
            let significant = digits.trim_start_matches('0');
            // The length first: a longer number is a larger one. Three digits are enough for 200.
            let length = format!("{:03}", significant.len());
            key.push_str(&length);
            key.push_str(significant);
            digits.clear();
        }
        key.push(c);
    }
    key.pop();
    key
}

/// `4` and 8 hexadecimal digits, or `6` and 32.
pub fn ip_key(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(v4) => format!("4{:08x}", u32::from(v4)),
        IpAddr::V6(v6) => format!("6{:032x}", u128::from(v6)),
    }
}

/// The keys of a network's first and last address.
pub fn range(network: IpNet) -> (String, String) {
    (ip_key(network.network()), ip_key(network.broadcast()))
}

/// By first address, the wider network first.
pub fn network_key(network: IpNet) -> String {
    format!("{}/{:03}", ip_key(network.network()), network.prefix_len())
}

#[cfg(test)]
mod tests {
    use super::{ip_key, name_key, network_key};

    #[test]
    fn numbers_sort_by_value_and_case_does_not_count() {
        let mut names = ["host-10", "Host-2", "alpha", "host-2b", "host-002a"];
        names.sort_by_key(|n| name_key(n));
        assert_eq!(names, ["alpha", "Host-2", "host-002a", "host-2b", "host-10"]);
    }

    #[test]
    fn addresses_and_networks_sort_as_numbers() {
        let ip = |t: &str| ip_key(t.parse().expect("an address"));
        assert!(
            ip("9.0.0.1") < ip("10.0.0.1") && ip("255.0.0.0") < ip("::1") && ip("fd00::2") < ip("fd00::10")
        );
        let net = |t: &str| network_key(t.parse().expect("a network"));
        assert!(net("10.0.0.0/8") < net("10.0.0.0/24") && net("10.0.0.0/24") < net("10.0.1.0/24"));
    }
}
