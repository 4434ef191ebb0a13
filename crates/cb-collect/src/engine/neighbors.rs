//! The kernel's own ARP table: MACs without privilege, for whoever was spoken to.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use crate::vendor::parse_mac;

/// Complete entries of `/proc/net/arp`.
pub(crate) fn read() -> HashMap<Ipv4Addr, [u8; 6]> {
    match std::fs::read_to_string("/proc/net/arp") {
        Ok(text) => parse(&text),
        Err(error) => {
            tracing::debug!(%error, "no neighbor table to read");
            HashMap::new()
        }
    }
}

/// Address, hardware type, flags, MAC, mask, device; flag 2 is "complete".
fn parse(text: &str) -> HashMap<Ipv4Addr, [u8; 6]> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let mut columns = line.split_whitespace();
            let address = columns.next()?.parse().ok()?;
            let flags = u32::from_str_radix(columns.nth(1)?.trim_start_matches("0x"), 16).ok()?;
            let mac = parse_mac(columns.next()?)?;
            (flags & 2 != 0).then_some((address, mac))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_entries_are_read() {
        let text = "IP address       HW type     Flags       HW address            Mask     Device\n\
                    10.0.0.1         0x1         0x2         00:11:32:00:00:01     *        eth0\n\
                    10.0.0.2         0x1         0x0         00:00:00:00:00:00     *        eth0\n\
                    nonsense\n";
        let table = parse(text);
        assert_eq!(table.len(), 1);
        assert_eq!(table[&Ipv4Addr::new(10, 0, 0, 1)], [0, 0x11, 0x32, 0, 0, 1]);
    }
}
