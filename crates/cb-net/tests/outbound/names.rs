//! What is resolved is what is judged, and what is judged is what is connected to.

use std::time::Duration;

use cb_net::dial::{self, DialError};
use cb_net::http::OutboundError;
use cb_net::judge::{Kind, Own, Policy, Refused};

use crate::stub::{NameServer, WebServer, get, kind, limits, ok, outbound, outbound_with};

#[tokio::test]
async fn the_address_that_was_judged_is_the_one_that_is_connected_to() {
    let second = WebServer::start("127.0.0.3", |_| ok("the third")).await;
    let port = second.address.port();
    let first = tokio::net::TcpListener::bind(("127.0.0.2", port)).await.expect("free");
    let first = WebServer::on(first, |_| ok("the second"));
    let dns = NameServer::start(&[("app.test", &["127.0.0.2", "127.0.0.3"])]).await;
    let outbound = outbound("127.0.0.2", &dns);

    let url = format!("http://app.test:{port}/a");
    let answer = outbound.send(Policy::Lan, get(&url), limits()).await.expect("allowed");
    assert_eq!(answer.body(), b"the second");
    // One question of each type: nothing resolved again on the way to the connection.
    assert_eq!(dns.asked(), ["app.test 1", "app.test 28"]);
    assert!(first.heard()[0].contains(&format!("host: app.test:{port}")), "{:?}", first.heard());

    // The name now leads elsewhere, as in a rebinding attack.
    let error = outbound.send(Policy::Lan, get(&url), limits()).await.expect_err("refused");
    assert_eq!(kind(&error), Some(Kind::Loopback), "{error}");
    assert!(second.heard().is_empty());
}

#[tokio::test]
async fn one_bad_address_refuses_the_whole_answer() {
    let server = WebServer::start("127.0.0.2", |_| ok("")).await;
    let port = server.address.port();
    let dns = NameServer::start(&[
        ("mixed.test", &["127.0.0.2 127.0.0.3"]),
        ("families.test", &["127.0.0.2 fe80::1"]),
        ("mapped.test", &["::ffff:127.0.0.2"]),
        ("good.test", &["127.0.0.2 10.0.0.5 93.184.216.34"]),
    ])
    .await;
    let outbound = outbound("127.0.0.2", &dns);
    for (name, expected) in
        [("mixed", Kind::Loopback), ("families", Kind::LinkLocal), ("mapped", Kind::Transition)]
    {
        let url = format!("http://{name}.test:{port}/");
        let error = outbound.send(Policy::Lan, get(&url), limits()).await.expect_err(name);
        assert_eq!(kind(&error), Some(expected), "{error}");
    }
    assert!(server.heard().is_empty());
    let approved = outbound.check(Policy::Lan, "http://good.test/").await.expect("judged good");
    assert_eq!(approved.addresses().len(), 3);
    let error = outbound.check(Policy::Public, "http://good.test/").await.expect_err("one is private");
    assert_eq!(kind(&error), Some(Kind::Private), "{error}");
}

#[tokio::test]
async fn nothing_is_resolved_before_the_url_has_been_judged() {
    let dns = NameServer::start(&[("app.test", &["10.0.0.5"])]).await;
    let outbound = outbound("", &dns);
    for url in [
        "ftp://app.test/",
        "file://app.test/etc/passwd",
        "gopher://app.test/",
        "ldap://app.test/",
        "app.test",
        "//app.test/",
        "javascript:fetch('http://app.test/')",
        "http://user@app.test/",
        "http://app.test:0/",
        "http://app.test:9100/",
        "http:app.test",
        "http://app.test\\@other.test/",
        "http://app.test /",
        "http://localhost/",
        "http://app.localhost./",
        "http://127.0.0.1/",
        "http://0x7f000001/",
    ] {
        let error = outbound.check(Policy::Lan, url).await.expect_err(url);
        assert!(matches!(error, OutboundError::Refused(_)), "{url}: {error}");
    }
    assert!(dns.asked().is_empty(), "{:?}", dns.asked());
    outbound.check(Policy::Lan, "http://app.test/").await.expect("the name server works");
    assert_eq!(dns.asked().len(), 2);
}

#[tokio::test]
async fn our_own_services_are_reached_by_no_spelling_and_no_wide_exception() {
    let dns = NameServer::start(&[("db.test", &["10.0.0.9"]), ("alias.test", &["10.0.0.9"])]).await;
    let own = || {
        vec![
            Own::Address("0.0.0.0:8443".parse().expect("an address")),
            Own::Address("10.0.0.7:6379".parse().expect("an address")),
            Own::Name("db.test".to_owned(), 5432),
        ]
    };
    let wide = outbound_with("127.0.0.0/8,10.0.0.0/8,db.test,localhost", own(), &dns);
    for url in [
        "https://127.0.0.1:8443/",
        "https://127.0.0.2:8443/",
        "https://localhost:8443/",
        "http://10.0.0.7:6379/",
        "http://db.test:5432/",
        "http://DB.test.:5432/",
        "http://alias.test:5432/",
        "http://10.0.0.9:5432/",
    ] {
        let error = wide.check(Policy::Lan, url).await.expect_err(url);
        assert!(matches!(error, OutboundError::Refused(Refused::Own(_))), "{url}: {error}");
    }
    for url in
        ["https://127.0.0.1:8444/", "http://10.0.0.7:6380/", "http://db.test:5433/", "http://10.0.0.8:5432/"]
    {
        wide.check(Policy::Lan, url).await.expect(url);
    }
    // What is on one address of this machine may listen on all of them, by number and by name.
    for own in [Own::new("127.0.0.1", 5432), Own::new("localhost", 5432), Own::new("here.test", 5432)] {
        let dns = NameServer::start(&[("here.test", &["127.0.0.1"])]).await;
        let wide = outbound_with("127.0.0.0/8", vec![own], &dns);
        let error = wide.check(Policy::Lan, "http://127.0.0.2:5432/").await.expect_err("this machine");
        assert!(matches!(error, OutboundError::Refused(Refused::Own(_))), "{error}");
        wide.check(Policy::Lan, "http://127.0.0.2:5433/").await.expect("another port");
        let scope = wide.scope().await;
        let there = "127.0.0.2:5432".parse().expect("an address");
        let refused = dial::tcp(&scope, there, Duration::from_secs(1)).await.expect_err("not scanned either");
        assert!(matches!(refused, DialError::Denied(Refused::Own(_))), "{refused}");
    }
    // A backend on this machine is known without a name server; one that nobody can find closes its port.
    let local = outbound_with("", vec![Own::Name("localhost".to_owned(), 5432)], &dns);
    local.check(Policy::Lan, "http://10.0.0.9:5432/").await.expect("another machine");
    let lost = outbound_with("", vec![Own::Name("gone.test".to_owned(), 5432)], &dns);
    lost.check(Policy::Lan, "http://10.0.0.9:5432/").await.expect_err("it may be ours");
    lost.check(Policy::Lan, "http://10.0.0.9:5433/").await.expect("not that port");
    let exact = outbound_with("127.0.0.1:8443,db.test:5432", own(), &dns);
    exact.check(Policy::Lan, "https://127.0.0.1:8443/").await.expect("allowed by number");
    exact.check(Policy::Lan, "http://db.test:5432/").await.expect("allowed by number");
    exact.check(Policy::Lan, "http://alias.test:5432/").await.expect_err("another name");
}

#[tokio::test]
async fn an_exception_opens_what_it_says_and_no_more() {
    let dns = NameServer::start(&[
        ("nas.test", &["127.0.0.5"]),
        ("trap.test", &["169.254.169.254"]),
        ("other.test", &["127.0.0.5"]),
    ])
    .await;
    let outbound =
        outbound("nas.test:9000,trap.test,127.0.0.6,169.254.1.1:80,::ffff:0:0/96,localhost:7000", &dns);
    for url in ["http://nas.test:9000/", "http://NAS.test.:9000/", "http://127.0.0.6/", "http://169.254.1.1/"]
    {
        outbound.check(Policy::Public, url).await.expect(url);
    }
    for url in [
        "http://nas.test/",
        "http://other.test:9000/",
        "http://127.0.0.5:9000/",
        "http://[::ffff:127.0.0.6]/",
        "http://169.254.1.1:81/",
        // The owner of an allowed name cannot have this machine's credentials.
        "http://trap.test/",
        // An exception is for addresses, not for what is refused before.
        "ftp://127.0.0.6/",
        "http://me@127.0.0.6/",
        "http://127.0.0.6:9100/",
        "http://0177.0.0.6/",
        "http://localhost:7001/",
        "http://a.localhost:7000/",
    ] {
        let error = outbound.check(Policy::Lan, url).await.expect_err(url);
        assert!(matches!(error, OutboundError::Refused(_)), "{url}: {error}");
    }
    // No name server is asked what this machine is.
    let approved = outbound.check(Policy::Public, "http://localhost:7000/").await.expect("allowed");
    assert!(approved.addresses().iter().all(|a| a.ip().is_loopback()));
    assert!(dns.asked().iter().all(|q| !q.contains("localhost")), "{:?}", dns.asked());
}

#[tokio::test]
async fn a_name_that_is_unknown_and_a_server_that_fails_are_two_things() {
    let dns = NameServer::start(&[("v6only.test", &["fd12::1"])]).await;
    let outbound = outbound("", &dns);
    outbound.check(Policy::Lan, "http://v6only.test/").await.expect("one family is enough");
    for (name, says) in [("nobody.test", "cannot find"), ("broken.test", "the lookup of the name")] {
        let error = outbound.check(Policy::Lan, &format!("http://{name}/")).await.expect_err(name);
        assert!(matches!(error, OutboundError::Resolve(_)) && error.to_string().contains(says), "{error}");
    }
}
