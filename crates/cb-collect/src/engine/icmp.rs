//! Echo requests (RFC 792, RFC 4443): the question that most machines answer.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::pace::Pacer;
use crate::local::icmp_socket;

const PATIENCE: [Duration; 2] = [Duration::from_millis(400), Duration::from_millis(700)];

/// Asks each of `addresses` (all of one family) up to twice; tells each that answers once, with its round trip.
/// `token` marks our own packets.
pub(crate) async fn sweep(
    addresses: &[IpAddr],
    token: [u8; 8],
    pacer: &Pacer,
    mut found: impl FnMut(IpAddr, Duration),
) -> io::Result<()> {
    let v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (socket, datagram) = icmp_socket(v6)?;
    // The standard library's type for "socket with addresses"; the kernel knows that it speaks ICMP.
    let socket = UdpSocket::from_std(socket.into())?;
    let headers = !datagram && !v6;

    let mut waiting: HashMap<IpAddr, Instant> = HashMap::with_capacity(addresses.len());
    let mut answered = 0;
    let mut buffer = [0u8; 512];
    let mut note = |bytes: &[u8], from: IpAddr, waiting: &mut HashMap<IpAddr, Instant>| {
        if is_reply(bytes, headers, v6, token)
            && let Some(asked) = waiting.remove(&from)
        {
            answered += 1;
            found(from, asked.elapsed());
        }
    };
    let mut heard: std::collections::HashSet<IpAddr> = std::collections::HashSet::new();
    for (round, patience) in PATIENCE.iter().enumerate() {
        let sequence = u16::try_from(round).unwrap_or_default();
        let packet = request(v6, token, sequence);
        for &address in addresses {
            if round > 0 && heard.contains(&address) {
                continue;
            }
            let turn = async {
                pacer.take().await;
                socket.send_to(&packet, SocketAddr::new(address, 0)).await
            };
            tokio::pin!(turn);
            loop {
                tokio::select! {
                    biased;
                    received = socket.recv_from(&mut buffer) => {
                        if let Ok((length, from)) = received {
                            note(&buffer[..length], from.ip(), &mut waiting);
                        }
                    }
                    sent = &mut turn => {
                        if let Err(error) = sent { tolerable(error)?; }
                        break;
                    }
                }
            }
            waiting.insert(address, Instant::now());
        }
        let end = Instant::now() + *patience;
        while !waiting.is_empty() {
            match tokio::time::timeout_at(end, socket.recv_from(&mut buffer)).await {
                Ok(Ok((length, from))) => note(&buffer[..length], from.ip(), &mut waiting),
                // An ICMP error about an earlier packet; it says nothing about the others.
                Ok(Err(error)) => tolerable(error)?,
                Err(_) => break,
            }
        }
        heard.extend(addresses.iter().filter(|a| !waiting.contains_key(a)));
    }
    Ok(())
}

/// One address that cannot be reached must not end the sweep.
fn tolerable(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::PermissionDenied
        | io::ErrorKind::WouldBlock => Ok(()),
        _ if error.raw_os_error() == Some(105) => Ok(()),
        _ => Err(error),
    }
}

/// Type, code, checksum, id, sequence, token.
fn request(v6: bool, token: [u8; 8], sequence: u16) -> [u8; 16] {
    let mut packet = [0u8; 16];
    packet[0] = if v6 { 128 } else { 8 };
    packet[4..6].copy_from_slice(&token[..2]);
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    packet[8..].copy_from_slice(&token);
    if !v6 {
        // The kernel does it for IPv6, where the checksum covers addresses that we do not know.
        let sum = checksum(&packet);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    packet
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 =
        bytes.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(*c.get(1).unwrap_or(&0))).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

fn is_reply(bytes: &[u8], headers: bool, v6: bool, token: [u8; 8]) -> bool {
    let start = if headers { bytes.first().map_or(0, |b| usize::from(b & 15) * 4) } else { 0 };
    let Some(echo) = bytes.get(start..) else { return false };
    let kind = if v6 { 129 } else { 0 };
    echo.first() == Some(&kind) && echo.get(8..16) == Some(token.as_slice())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn our_reply_is_known_among_others() {
        let token = *b"8 bytes!";
        let mut packet = request(false, token, 1);
        assert_eq!(checksum(&packet), 0, "a packet with its checksum sums up to nothing");
        assert!(!is_reply(&packet, false, false, token), "our own request");
        packet[0] = 0;
        assert!(is_reply(&packet, false, false, token));
        assert!(!is_reply(&packet, false, false, *b"another!"));
        let mut with_header = vec![0x45; 20];
        with_header.extend(packet);
        assert!(is_reply(&with_header, true, false, token));
    }

    proptest! {
        #[test]
        fn any_packet_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..80), headers: bool, v6: bool) {
            let _ = is_reply(&bytes, headers, v6, [1; 8]);
            let _ = checksum(&bytes);
        }
    }
}
