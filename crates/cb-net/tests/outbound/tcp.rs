//! TCP, TLS and UDP to what a person named: the address that is judged is the one that is connected to.

use std::net::SocketAddr;
use std::time::Duration;

use cb_net::dial::{self, DialError};
use cb_net::http::{OutboundError, Pin, Tls};
use cb_net::judge::{Kind, Own, Policy};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::stub::{NameServer, kind, outbound, outbound_with};
use crate::trust::{self_signed, server};

const SOON: Duration = Duration::from_secs(2);

/// Says its name to whoever connects.
async fn parrot(ip: &str, port: u16) -> SocketAddr {
    let listener = TcpListener::bind((ip, port)).await.expect("free");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(address.ip().to_string().as_bytes()).await;
        }
    });
    address
}

#[tokio::test]
async fn the_address_that_was_judged_is_the_one_that_is_connected_to() {
    let port = parrot("127.0.0.3", 0).await.port();
    parrot("127.0.0.2", port).await;
    let dns = NameServer::start(&[
        ("app.test", &["127.0.0.2", "127.0.0.3"]),
        ("mixed.test", &["127.0.0.2 127.0.0.3"]),
        ("mapped.test", &["::ffff:127.0.0.2"]),
    ])
    .await;
    let outbound = outbound("127.0.0.2", &dns);
    let mut stream = outbound.connect(Policy::Lan, "app.test", port, SOON).await.expect("allowed");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).await.expect("read");
    assert_eq!(heard, "127.0.0.2");
    // One question of each type: nothing resolved again on the way to the connection.
    assert_eq!(dns.asked(), ["app.test 1", "app.test 28"]);
    // The name now leads elsewhere, as in a rebinding attack.
    for (name, expected) in
        [("app.test", Kind::Loopback), ("mixed.test", Kind::Loopback), ("mapped.test", Kind::Transition)]
    {
        let error = outbound.connect(Policy::Lan, name, port, SOON).await.expect_err(name);
        assert_eq!(kind(&error), Some(expected), "{name}: {error}");
        let error = outbound.udp(Policy::Lan, name, port).await.expect_err(name);
        assert_eq!(kind(&error), Some(expected), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_host_has_one_spelling_and_nothing_is_resolved_for_another() {
    let dns = NameServer::start(&[("app.test", &["10.0.0.5"])]).await;
    let outbound = outbound("", &dns);
    for host in [
        "",
        " ",
        "app.test ",
        "app.test/",
        "app.test?",
        "app.test#",
        "me@app.test",
        "app.test:22",
        "[fd00::1]",
        "fd00::1%eth0",
        "app%2etest",
        "app\\test",
        "app\ttest",
        "localhost",
        "a.localhost.",
        "127.0.0.1",
        "127.1",
        "0x7f000001",
        "0177.0.0.1",
        "2130706433",
        "127。0。0。1",
        "１２７.0.0.1",
        "::1",
        "::ffff:10.0.0.1",
        "0::0001",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "fe80::1",
        "169.254.169.254",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "100.100.100.200",
        "app..test",
        "a.b-.",
        "http://app.test",
        "app.test\r\nHELO",
    ] {
        let error = outbound.check_host(Policy::Lan, host, 22).await.expect_err(host);
        assert!(matches!(error, OutboundError::Refused(_)), "{host:?}: {error}");
    }
    for port in [0, 9100, 502] {
        outbound.check_host(Policy::Lan, "10.0.0.5", port).await.expect_err("never sends anything to");
    }
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
    for host in ["app.test", "APP.TEST.", "10.0.0.5", "fd00::1"] {
        let approved = outbound.check_host(Policy::Lan, host, 22).await.expect(host);
        assert_eq!(approved.addresses()[0].port(), 22, "{host}");
        outbound.check_host(Policy::Public, host, 22).await.expect_err("private");
    }
}

#[tokio::test]
async fn tls_trusts_what_it_was_told_to_and_nothing_else() {
    let certificate = self_signed();
    let address = server(&certificate, &certificate.signing_key, &rustls::version::TLS13).await;
    let dns = NameServer::start(&[]).await;
    let outbound = outbound("127.0.0.1", &dns);
    let connect = || outbound.connect(Policy::Lan, "127.0.0.1", address.port(), SOON);
    let right = Pin::of(certificate.cert.der());
    let pinned = outbound.trusting(Tls::Pinned(right));
    pinned.tls(connect().await.expect("connects"), "127.0.0.1").await.expect("the pinned one");
    let other = outbound.trusting(Tls::Pinned(Pin([7; 32])));
    let error = other.tls(connect().await.expect("connects"), "127.0.0.1").await.expect_err("another");
    let OutboundError::WrongCertificate(wrong) = error else { panic!("{error}") };
    assert_eq!(wrong.presented, right);
    let error =
        outbound.tls(connect().await.expect("connects"), "127.0.0.1").await.expect_err("nobody signed it");
    assert!(matches!(error, OutboundError::Tls(_)), "{error}");
}

#[tokio::test]
async fn a_scan_looks_at_devices_and_at_nothing_of_ours() {
    let dns = NameServer::start(&[("db.test", &["127.0.0.9"])]).await;
    let port = parrot("127.0.0.9", 0).await.port();
    let own = || {
        vec![
            Own::Address("127.0.0.2:8443".parse().expect("an address")),
            Own::Name("db.test".to_owned(), port),
        ]
    };
    let at = |text: &str| text.parse::<SocketAddr>().expect("an address");
    let here = outbound_with("127.0.0.0/8", own(), &dns).scope().await;
    let denied = |result: Result<dial::Door, DialError>| matches!(result, Err(DialError::Denied(_)));
    assert!(denied(dial::tcp(&here, at(&format!("127.0.0.9:{port}")), SOON).await), "a backend by its name");
    assert!(denied(dial::tcp(&here, at("127.0.0.2:8443"), SOON).await), "a listener");
    assert!(matches!(dial::udp(&here, at("127.0.0.2:8443")).await, Err(DialError::Denied(_))));
    assert!(!denied(dial::tcp(&here, at("127.0.0.2:8444"), SOON).await), "another port");
    let anywhere = outbound_with("", own(), &dns).scope().await;
    for never in [
        "127.0.0.1:22",
        "[::1]:22",
        "169.254.169.254:80",
        "0.0.0.0:22",
        "224.0.0.1:22",
        "[::ffff:10.0.0.1]:22",
    ] {
        assert!(denied(dial::tcp(&anywhere, at(never), SOON).await), "{never}");
    }
    // Who cannot be found is protected by the port.
    let lost =
        outbound_with("127.0.0.0/8", vec![Own::Name("gone.test".to_owned(), port)], &dns).scope().await;
    assert!(denied(dial::tcp(&lost, at(&format!("127.0.0.9:{port}")), SOON).await));
    assert!(!denied(dial::tcp(&lost, at("127.0.0.9:1"), SOON).await));
}
