//! Small protocol exchanges that ask a port what it is.

/// UDP ports that are asked one question each.
pub const UDP: &[u16] = &[53, 123, 137, 161, 1900, 5353];

pub(crate) fn udp_ports() -> Vec<u16> {
    UDP.to_vec()
}
