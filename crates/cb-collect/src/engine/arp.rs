//! ARP over a packet socket (RFC 826): who has this address? What is on the link cannot hide from it.

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::Instant;

use super::pace::Pacer;
use crate::local::{Interface, raw_arp_socket};

const ROUNDS: usize = 3;
/// Wait after each round; a sleeping wireless device needs a few hundred milliseconds.
const PATIENCE: [Duration; ROUNDS] =
    [Duration::from_millis(200), Duration::from_millis(300), Duration::from_millis(400)];

/// One answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    pub address: Ipv4Addr,
    pub mac: [u8; 6],
    pub round_trip: Duration,
}

/// Asks for each of `addresses` on `interface`, up to three times; tells each that answers once, at once.
/// `decided` hears how many more addresses were asked for the last time.
pub(crate) async fn sweep(
    interface: &Interface,
    addresses: &[Ipv4Addr],
    pacer: &Pacer,
    mut found: impl FnMut(Answer),
    mut decided: impl FnMut(u64),
) -> io::Result<()> {
    let (Some(link), Some(own_mac)) = (interface.link, interface.mac) else {
        return Err(io::Error::other(format!("{} has no hardware address", interface.name)));
    };
    let socket = raw_arp_socket()?;
    // Without a protocol of its own the address leaves the socket's (ARP) in force.
    nix::sys::socket::bind(socket.as_raw_fd(), &link)?;
    // The standard library's type for "socket that sends and receives"; the kernel knows that it is a packet socket.
    let socket = UdpSocket::from_std(socket.into())?;

    let mut waiting: HashMap<Ipv4Addr, Instant> = HashMap::with_capacity(addresses.len());
    let mut answered: HashMap<Ipv4Addr, [u8; 6]> = HashMap::new();
    let mut frame = [0u8; 128];
    for (round, patience) in PATIENCE.iter().enumerate() {
        let last = round + 1 == ROUNDS;
        for &address in addresses {
            if !answered.contains_key(&address) {
                let Some(source) = interface.source_for(address) else { continue };
                let request = request(own_mac, source, address);
                let turn = async {
                    pacer.take().await;
                    send(&socket, &request).await
                };
                tokio::pin!(turn);
                // Answers are taken while waiting for the turn, so that the queue cannot overflow.
                loop {
                    tokio::select! {
                        biased;
                        length = socket.recv(&mut frame) => {
                            note(&frame[..length?], &waiting, &mut answered, &mut found);
                        }
                        sent = &mut turn => {
                            sent?;
                            break;
                        }
                    }
                }
                waiting.insert(address, Instant::now());
            }
            if last {
                decided(1);
            }
        }
        let end = Instant::now() + *patience;
        while answered.len() < addresses.len() {
            match tokio::time::timeout_at(end, socket.recv(&mut frame)).await {
                Ok(length) => note(&frame[..length?], &waiting, &mut answered, &mut found),
                Err(_) => break,
            }
        }
    }
    Ok(())
}

fn note(
    frame: &[u8],
    waiting: &HashMap<Ipv4Addr, Instant>,
    answered: &mut HashMap<Ipv4Addr, [u8; 6]>,
    found: &mut impl FnMut(Answer),
) {
    if let Some((address, mac)) = parse(frame)
        && let Some(asked) = waiting.get(&address)
        && answered.insert(address, mac).is_none()
    {
        found(Answer { address, mac, round_trip: asked.elapsed() });
    }
}

async fn send(socket: &UdpSocket, frame: &[u8]) -> io::Result<()> {
    for _ in 0..200 {
        match socket.send(frame).await {
            // The card's queue is full: the pacer comes too fast for it.
            Err(error) if error.raw_os_error() == Some(105) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            result => return result.map(drop),
        }
    }
    Err(io::Error::other("the network card takes no more packets"))
}

/// An Ethernet frame with an ARP request.
fn request(own_mac: [u8; 6], own: Ipv4Addr, wanted: Ipv4Addr) -> [u8; 42] {
    let mut frame = [0u8; 42];
    frame[..6].fill(0xff);
    frame[6..12].copy_from_slice(&own_mac);
    frame[12..14].copy_from_slice(&[0x08, 0x06]);
    // Ethernet, IPv4, 6 and 4 bytes, request.
    frame[14..22].copy_from_slice(&[0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame[22..28].copy_from_slice(&own_mac);
    frame[28..32].copy_from_slice(&own.octets());
    frame[38..42].copy_from_slice(&wanted.octets());
    frame
}

/// The sender of an ARP reply.
fn parse(frame: &[u8]) -> Option<(Ipv4Addr, [u8; 6])> {
    let arp = frame.get(14..42)?;
    if frame.get(12..14)? != [0x08, 0x06] || arp[..8] != [0, 1, 0x08, 0, 6, 4, 0, 2] {
        return None;
    }
    let mac: [u8; 6] = arp[8..14].try_into().ok()?;
    let address: [u8; 4] = arp[14..18].try_into().ok()?;
    (mac != [0; 6] && mac[0] & 1 == 0).then_some((address.into(), mac))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reply_is_read_and_a_request_is_not_an_answer() {
        let mac = [0, 0x11, 0x32, 1, 2, 3];
        let mut frame = request(mac, Ipv4Addr::new(10, 0, 0, 5), Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(parse(&frame), None);
        frame[21] = 2;
        assert_eq!(parse(&frame), Some((Ipv4Addr::new(10, 0, 0, 5), mac)));
        frame[22..28].fill(0xff);
        assert_eq!(parse(&frame), None, "a group address is nobody's");
    }

    proptest! {
        #[test]
        fn any_frame_is_survived(frame in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&frame);
        }
    }
}
