//! The only opener of TCP and UDP sockets to a device on the user's network.
//!
//! A scan's [`Scope`] is asked before each connection: nothing of ours is looked at, and no address that is no device's.
//! What a person has named is judged by [`crate::outbound`], which then connects with this module too.
//!
//! Owns one promise: **some ports are never written to**. A byte sent to a raw printer port is
//! printed on paper, a byte sent to a PLC or a UPS may switch something. So the kind of connection
//! is decided here, by port, and the promise is in the types:
//!
//! - [`tcp`] answers [`Door::Listen`] for such a port. [`ListenOnly`] can be read and dropped; it
//!   has no way to write.
//! - [`udp`] refuses such a port.
//!
//! ```compile_fail
//! fn writes<T: tokio::io::AsyncWrite>() {}
//! writes::<cb_net::dial::ListenOnly>();
//! ```
//! ```
//! fn reads<T: tokio::io::AsyncRead>() {}
//! reads::<cb_net::dial::ListenOnly>();
//! ```
//!
//! To protect one more port add it to [`NEVER_WRITTEN`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use cb_core::connection::words;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};

use crate::judge::Refused;
use crate::outbound::Scope;

/// Ports that are connected to and closed without a byte.
pub const NEVER_WRITTEN: &[(RangeInclusive<u16>, &str)] = &[
    (102..=102, "Siemens S7 PLC"),
    (502..=502, "Modbus PLC"),
    (515..=515, "LPD printer"),
    (631..=631, "IPP printer"),
    (1911..=1911, "Niagara Fox building controller"),
    (2404..=2404, "IEC 60870-5-104 substation controller"),
    (3493..=3493, "NUT UPS"),
    (4840..=4840, "OPC UA controller"),
    (8291..=8291, "MikroTik Winbox"),
    (9100..=9107, "raw printer"),
    (9600..=9600, "OMRON FINS PLC"),
    (20000..=20000, "DNP3 controller"),
    (44818..=44818, "EtherNet/IP PLC"),
    (47808..=47808, "BACnet controller"),
];

/// Whether nothing may ever be sent to this port, over TCP or UDP.
pub fn never_written(port: u16) -> bool {
    NEVER_WRITTEN.iter().any(|(ports, _)| ports.contains(&port))
}

/// Every port of [`NEVER_WRITTEN`], for a dry run to show.
pub fn never_written_ports() -> Vec<u16> {
    NEVER_WRITTEN.iter().flat_map(|(ports, _)| ports.clone()).collect()
}

#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The other side, or a router, said no: there is a machine, and nothing listens.
    #[error("nothing accepts connections there")]
    Refused,
    /// Nobody answered.
    #[error("no answer in time")]
    TimedOut,
    /// A router, or our own kernel after asking the link, says that the address cannot be reached.
    #[error("the address cannot be reached")]
    Unreachable,
    /// Our own machine is out of sockets, buffers or ports: slow down and try again.
    #[error("this machine has no free sockets or buffers: {}", words(.0))]
    Exhausted(io::Error),
    #[error("this server never sends anything to port {0}")]
    NeverWritten(u16),
    /// No device of a scan is there; nothing was sent.
    #[error("refused: {0}")]
    Denied(#[from] Refused),
    #[error("{}", words(.0))]
    Other(io::Error),
}

impl DialError {
    fn from_io(error: io::Error) -> Self {
        // EMFILE 24, ENFILE 23, ENOMEM 12, ENOBUFS 105, EADDRNOTAVAIL 99 (no free local port), EAGAIN 11
        if matches!(error.raw_os_error(), Some(11 | 12 | 23 | 24 | 99 | 105)) {
            return Self::Exhausted(error);
        }
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset => Self::Refused,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Self::Unreachable,
            _ => Self::Other(error),
        }
    }
}

/// An open connection: what may be done with it depends on its port.
#[derive(Debug)]
pub enum Door {
    Talk(TcpStream),
    Listen(ListenOnly),
}

/// A connection that cannot be written to.
#[derive(Debug)]
pub struct ListenOnly(TcpStream);

impl AsyncRead for ListenOnly {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

/// Connects, within `timeout`. The connection is reset when dropped, so that a scan leaves neither
/// half-open sessions there nor thousands of `TIME_WAIT` sockets here.
pub async fn tcp(scope: &Scope, address: SocketAddr, timeout: Duration) -> Result<Door, DialError> {
    scope.permits(address)?;
    let stream = stream(address, timeout).await?;
    stream.set_zero_linger().map_err(DialError::from_io)?;
    Ok(if never_written(address.port()) { Door::Listen(ListenOnly(stream)) } else { Door::Talk(stream) })
}

/// Connects to an address that was judged, within `timeout`.
#[expect(clippy::disallowed_methods, reason = "the one place that connects")]
pub(crate) async fn stream(address: SocketAddr, timeout: Duration) -> Result<TcpStream, DialError> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(DialError::from_io)?;
    let stream = match tokio::time::timeout(timeout, socket.connect(address)).await {
        Err(_) => return Err(DialError::TimedOut),
        Ok(Err(error)) => return Err(DialError::from_io(error)),
        Ok(Ok(stream)) => stream,
    };
    stream.set_nodelay(true).map_err(DialError::from_io)?;
    // A connection to one of our own ephemeral ports can meet itself; that is nobody.
    if stream.local_addr().ok() == Some(address) {
        return Err(DialError::Refused);
    }
    Ok(stream)
}

/// Connects to talk, or refuses when the port is never written to.
pub async fn talk(
    scope: &Scope,
    address: SocketAddr,
    timeout: Duration,
) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + std::fmt::Debug + 'static + use<>, DialError> {
    if never_written(address.port()) {
        return Err(DialError::NeverWritten(address.port()));
    }
    match tcp(scope, address, timeout).await? {
        Door::Talk(stream) => Ok(stream),
        Door::Listen(_) => Err(DialError::NeverWritten(address.port())),
    }
}

/// Connects to a listener of our own.
#[expect(clippy::disallowed_methods, reason = "no device and nothing that a user named")]
pub async fn local(address: SocketAddr) -> io::Result<TcpStream> {
    TcpStream::connect(address).await
}

/// A UDP socket that speaks with one peer only: the kernel drops what others send to it.
#[derive(Debug)]
pub struct UdpPeer(tokio::net::UdpSocket);

impl UdpPeer {
    pub async fn send(&self, bytes: &[u8]) -> Result<(), DialError> {
        self.0.send(bytes).await.map(drop).map_err(DialError::from_io)
    }

    /// The next datagram, cut to the buffer.
    pub async fn receive(&self, buffer: &mut [u8]) -> Result<usize, DialError> {
        self.0.recv(buffer).await.map_err(DialError::from_io)
    }
}

/// A socket to one UDP peer.
pub async fn udp(scope: &Scope, peer: SocketAddr) -> Result<UdpPeer, DialError> {
    scope.permits(peer)?;
    datagrams(peer).await
}

/// A socket to a name server of this machine's or its network's, which may be this machine.
pub async fn name_server(server: IpAddr) -> Result<UdpPeer, DialError> {
    datagrams(SocketAddr::new(server, 53)).await
}

/// A socket to a UDP peer that was judged.
pub(crate) async fn datagrams(peer: SocketAddr) -> Result<UdpPeer, DialError> {
    if never_written(peer.port()) {
        return Err(DialError::NeverWritten(peer.port()));
    }
    let any = match peer {
        SocketAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0u16; 8], 0)),
    };
    let socket = bind(any).await?;
    socket.connect(peer).await.map_err(DialError::from_io)?;
    Ok(UdpPeer(socket))
}

#[expect(clippy::disallowed_methods, reason = "the one place that opens UDP sockets to devices")]
async fn bind(address: SocketAddr) -> Result<tokio::net::UdpSocket, DialError> {
    tokio::net::UdpSocket::bind(address).await.map_err(DialError::from_io)
}

/// The multicast groups that are asked who is there (RFC 6762; UPnP device architecture 2.0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    Mdns,
    Ssdp,
}

impl Group {
    fn address(self) -> SocketAddr {
        match self {
            Group::Mdns => SocketAddr::from(([224, 0, 0, 251], 5353)),
            Group::Ssdp => SocketAddr::from(([239, 255, 255, 250], 1900)),
        }
    }
}

/// A socket that asks one group on one interface and hears every answer that is sent back to it.
#[derive(Debug)]
pub struct GroupSocket {
    socket: tokio::net::UdpSocket,
    group: Group,
}

impl GroupSocket {
    /// Opens it on the interface that has the address `local`.
    pub fn open(group: Group, local: Ipv4Addr) -> Result<Self, DialError> {
        let open = || -> io::Result<tokio::net::UdpSocket> {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_nonblocking(true)?;
            socket.set_multicast_if_v4(&local)?;
            socket.set_multicast_ttl_v4(match group {
                Group::Mdns => 255,
                Group::Ssdp => 2,
            })?;
            socket.set_multicast_loop_v4(false)?;
            socket.bind(&SocketAddr::from((local, 0)).into())?;
            tokio::net::UdpSocket::from_std(socket.into())
        };
        Ok(Self { socket: open().map_err(DialError::from_io)?, group })
    }

    pub async fn ask(&self, bytes: &[u8]) -> Result<(), DialError> {
        self.socket.send_to(bytes, self.group.address()).await.map(drop).map_err(DialError::from_io)
    }

    pub async fn receive(&self, buffer: &mut [u8]) -> Result<(usize, IpAddr), DialError> {
        let (length, from) = self.socket.recv_from(buffer).await.map_err(DialError::from_io)?;
        Ok((length, from.ip()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;
    use crate::outbound::Outbound;
    use crate::resolve::Resolver;

    #[test]
    fn the_ports_of_printers_and_controllers_are_protected() {
        for port in [515, 631, 9100, 9103, 9107, 502, 102, 47808, 20000, 44818, 3493] {
            assert!(never_written(port), "{port}");
            assert!(never_written_ports().contains(&port), "{port}");
        }
        for port in [22, 80, 443, 9099, 9108, 514, 516, 630, 632] {
            assert!(!never_written(port), "{port}");
        }
    }

    #[tokio::test]
    async fn a_protected_port_gets_a_connection_and_no_byte() {
        let Ok(listener) = TcpListener::bind(("127.0.0.1", 9100)).await else {
            eprint_skip("127.0.0.1:9100 is taken on this machine");
            return;
        };
        let address = listener.local_addr().expect("bound");
        let here = here().await;
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut bytes = Vec::new();
            // A reset at the end is fine; a byte is not.
            let _ = stream.read_to_end(&mut bytes).await;
            bytes
        });
        let door = tcp(&here, address, Duration::from_secs(1)).await.expect("open");
        assert!(matches!(door, Door::Listen(_)));
        drop(door);
        assert_eq!(heard.await.expect("joined"), Vec::<u8>::new());

        assert!(matches!(
            talk(&here, address, Duration::from_secs(1)).await,
            Err(DialError::NeverWritten(9100))
        ));
        assert!(matches!(udp(&here, address).await, Err(DialError::NeverWritten(9100))));
    }

    /// A scope that knows the devices of this machine's loopback.
    async fn here() -> Scope {
        let allow = vec!["127.0.0.1".parse().expect("an entry")];
        Outbound::new(allow, Vec::new(), Resolver::System).scope().await
    }

    #[expect(clippy::print_stderr, reason = "a skipped test says so")]
    fn eprint_skip(reason: &str) {
        eprintln!("SKIPPED: {reason}");
    }

    #[tokio::test]
    async fn a_closed_port_is_refused_and_an_open_one_talks() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("bind");
        let address = listener.local_addr().expect("bound");
        let here = here().await;
        assert!(matches!(tcp(&here, address, Duration::from_secs(1)).await, Ok(Door::Talk(_))));
        drop(listener);
        assert!(matches!(tcp(&here, address, Duration::from_secs(1)).await, Err(DialError::Refused)));
    }
}
