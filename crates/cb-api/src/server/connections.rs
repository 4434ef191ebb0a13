//! How many connections there are, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Enough for every browser and script of a large house; each costs some tens of kilobytes.
const MOST: usize = 2048;
/// One address cannot keep the others out.
const MOST_OF_ONE: usize = 512;

#[derive(Clone, Default)]
pub(super) struct Connections(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One open connection; it is counted until this is dropped.
pub(super) struct Door {
    connections: Connections,
    ip: IpAddr,
}

impl Connections {
    pub fn open(&self, ip: IpAddr) -> Option<Door> {
        let ip = ip.to_canonical();
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = open.by_address.get(&ip).copied().unwrap_or(0);
        if open.all >= MOST || of_one >= MOST_OF_ONE {
            return None;
        }
        open.all += 1;
        open.by_address.insert(ip, of_one + 1);
        Some(Door { connections: self.clone(), ip })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        let mut open = self.connections.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(count) = open.by_address.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::{Connections, MOST_OF_ONE};

    #[test]
    fn one_address_cannot_keep_the_others_out_and_a_closed_door_counts_no_more() {
        let connections = Connections::default();
        let greedy = IpAddr::from([10, 0, 0, 1]);
        let mut doors: Vec<_> = (0..MOST_OF_ONE).filter_map(|_| connections.open(greedy)).collect();
        assert_eq!(doors.len(), MOST_OF_ONE);
        assert!(connections.open(greedy).is_none());
        assert!(connections.open(IpAddr::from([10, 0, 0, 2])).is_some());
        doors.pop();
        assert!(connections.open(greedy).is_some());
    }
}
