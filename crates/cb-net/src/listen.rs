//! Listening addresses. An unspecified IPv6 address (`[::]`) is every address of this machine, IPv4 as well, where both are there.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

/// Connections that wait to be taken.
const BACKLOG: i32 = 1024;

/// By what a listener is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Families {
    /// The one of its address.
    One,
    Both,
    /// Both were wanted; this machine has no IPv6.
    OnlyV4,
    /// Both were wanted; this machine has no IPv4.
    OnlyV6,
}

/// Must be called within a runtime.
pub fn listen(address: SocketAddr) -> io::Result<(TcpListener, Families)> {
    let (socket, families) = open(address, &|domain| Socket::new(domain, Type::STREAM, Some(Protocol::TCP)))?;
    Ok((TcpListener::from_std(socket.into())?, families))
}

fn open(
    address: SocketAddr,
    socket: &dyn Fn(Domain) -> io::Result<Socket>,
) -> io::Result<(Socket, Families)> {
    if !(address.is_ipv6() && address.ip().is_unspecified()) {
        return Ok((bound(socket(Domain::for_address(address))?, address)?, Families::One));
    }
    // Off in the kernel, off by setting, or forbidden to this process.
    let missing = |error: &io::Error| {
        matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
            || matches!(
                error.raw_os_error().map(nix::errno::Errno::from_raw),
                Some(nix::errno::Errno::EAFNOSUPPORT | nix::errno::Errno::EPROTONOSUPPORT)
            )
    };
    let v6 = socket(Domain::IPV6).and_then(|opened| {
        // The system's default may be another one (net.ipv6.bindv6only).
        opened.set_only_v6(false)?;
        bound(opened, address)
    });
    // A kernel whose IPv6 is off by setting opens such a socket all the same, and has no address for it.
    let loopback = || socket(Domain::IPV6)?.bind(&SocketAddr::from((Ipv6Addr::LOCALHOST, 0)).into());
    match v6 {
        Ok(opened) if socket(Domain::IPV4).is_err_and(|e| missing(&e)) => Ok((opened, Families::OnlyV6)),
        Ok(opened) if loopback().is_err_and(|e| missing(&e)) => Ok((opened, Families::OnlyV4)),
        Ok(opened) => Ok((opened, Families::Both)),
        Err(error) if missing(&error) => {
            let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
            Ok((bound(socket(Domain::IPV4)?, v4)?, Families::OnlyV4))
        }
        Err(error) => Err(error),
    }
}

fn bound(socket: Socket, address: SocketAddr) -> io::Result<Socket> {
    // As the library's own: a restart must not wait for the connections of before.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::SocketAddr;

    use socket2::{Domain, Protocol, Socket, Type};

    use super::{Families, listen, open};
    use crate::dial;

    fn any() -> SocketAddr {
        "[::]:0".parse().expect("an address")
    }

    #[tokio::test]
    async fn every_address_is_reached_by_both_families() {
        let (listener, families) = listen(any()).expect("listens");
        assert_eq!(families, Families::Both);
        let port = listener.local_addr().expect("bound").port();
        for ip in ["127.0.0.1", "::1"] {
            dial::local(SocketAddr::new(ip.parse().expect("an address"), port)).await.expect(ip);
            let (_, peer) = listener.accept().await.expect("taken");
            assert_eq!(peer.ip().to_canonical().to_string(), ip);
        }
        let (_, one) = listen("127.0.0.1:0".parse().expect("an address")).expect("listens");
        assert_eq!(one, Families::One);
    }

    #[test]
    fn a_family_that_is_off_is_left_out_and_told() {
        let without = |gone: Domain| {
            open(any(), &|domain| {
                if domain == gone {
                    return Err(io::Error::from_raw_os_error(nix::errno::Errno::EAFNOSUPPORT as i32));
                }
                Socket::new(domain, Type::STREAM, Some(Protocol::TCP))
            })
        };
        let (listener, families) = without(Domain::IPV6).expect("listens");
        let address = listener.local_addr().expect("bound").as_socket().expect("an address");
        assert_eq!((families, address.is_ipv4()), (Families::OnlyV4, true));
        let (listener, families) = without(Domain::IPV4).expect("listens");
        let address = listener.local_addr().expect("bound").as_socket().expect("an address");
        assert_eq!((families, address.is_ipv6()), (Families::OnlyV6, true));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_by_one_family_is_taken() {
        let (first, _) = listen("0.0.0.0:0".parse().expect("an address")).expect("listens");
        let port = first.local_addr().expect("bound").port();
        let error = listen(SocketAddr::new(any().ip(), port)).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
