//! Every URL of data/outbound-cases.toml, through the function that `cb net check` and every request use.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use cb_net::http::OutboundError;
use cb_net::judge::{Kind, Own, Policy};
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use proptest::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    names: BTreeMap<String, Vec<IpAddr>>,
    group: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    what: String,
    policies: Vec<String>,
    accept: bool,
    because: Option<String>,
    urls: Vec<String>,
}

#[tokio::test]
async fn every_case_is_judged_as_it_should_be() {
    let cases: Cases = toml::from_str(include_str!("../../data/outbound-cases.toml")).expect("the cases");
    let own = ["0.0.0.0:8080", "0.0.0.0:8443", "10.0.0.2:5432"];
    let mut own: Vec<Own> = own.iter().map(|a| Own::Address(a.parse().expect("an address"))).collect();
    own.push(Own::Name("db.internal".to_owned(), 5433));
    let outbound = Outbound::new(Vec::new(), own, Resolver::Fixed(cases.names));

    let (mut good, mut bad) = (BTreeSet::new(), BTreeSet::new());
    let mut wrong = Vec::new();
    for group in &cases.group {
        for policy in &group.policies {
            let policy: Policy = policy.parse().expect("a policy");
            for url in &group.urls {
                let new = if group.accept { good.insert((policy, url)) } else { bad.insert((policy, url)) };
                assert!(new, "{url:?} is there twice");
                let verdict = outbound.check(policy, url).await;
                let as_it_should = match (&verdict, &group.because) {
                    (Ok(_), None) => group.accept,
                    (Err(OutboundError::Refused(_) | OutboundError::Resolve(_)), Some(because)) => {
                        !group.accept && verdict.as_ref().is_err_and(|e| e.to_string().contains(because))
                    }
                    _ => false,
                };
                if !as_it_should {
                    wrong.push(format!("{}: {policy} {url:?}: {verdict:?}", group.what));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let urls = |cases: &BTreeSet<(Policy, &String)>| cases.iter().map(|c| c.1).collect::<BTreeSet<_>>().len();
    assert!(urls(&bad) >= 200 && urls(&good) >= 40, "{} bad, {} good", urls(&bad), urls(&good));
}

#[tokio::test]
async fn too_long_is_refused_before_it_is_read() {
    let outbound = Outbound::new(
        Vec::new(),
        Vec::new(),
        Resolver::fixed(["a.test=93.184.216.34".parse().expect("an answer")]),
    );
    let url = |length: usize| format!("http://a.test/{}", "x".repeat(length - 14));
    outbound.check(Policy::Public, &url(8000)).await.expect("long, not too long");
    outbound.check(Policy::Public, &url(8001)).await.expect_err("too long");
    let name = |length: usize| format!("http://{}.test/", vec!["a"; (length - 5).div_ceil(2)].join("."));
    for (length, says) in [(252, "cannot find"), (254, "longer than 253")] {
        let error =
            outbound.check(Policy::Public, &name(length)).await.expect_err("no such name").to_string();
        assert!(error.contains(says), "{error}");
    }
}

/// What URLs are made of, honest and not.
const PIECES: &[&str] = &[
    "http",
    "https",
    "HTTP",
    "ftp",
    ":",
    "://",
    "//",
    "/",
    "\\",
    "@",
    "?",
    "#",
    ".",
    "-",
    "%",
    "[",
    "]",
    "0",
    "1",
    "127.0.0.1",
    "10.0.0.1",
    "93.184.216.34",
    "0x7f.1",
    "2130706433",
    "0177",
    "[::1]",
    "[fd12::1]",
    "[::ffff:7f00:1]",
    "localhost",
    "nas",
    "example.com",
    "EXAMPLE.com",
    "80",
    "65536",
    "%31",
    "%2e",
    "\t",
    "\n",
    " ",
    "\u{ad}",
    "。",
    "１",
    "ⓛ",
    "é",
    "xn--",
    "_",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is accepted leads to an address that can be read in it, or to the answer for a name in it, and another
    /// parser finds the same host.
    #[test]
    fn what_is_accepted_has_one_meaning(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 1..7),
        whole in any::<bool>(),
    ) {
        let text = format!("{}{}", if whole { "http://" } else { "" }, pieces.concat());
        let names = [("nas", "10.0.0.9"), ("example.com", "93.184.216.35")];
        let answers = names.map(|(name, ip)| format!("{name}={ip}").parse().expect("an answer"));
        let outbound = Outbound::new(Vec::new(), Vec::new(), Resolver::fixed(answers));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        if let Ok(approved) = runtime.block_on(outbound.check(Policy::Lan, &text)) {
            let ip = approved.addresses()[0].ip();
            prop_assert!(matches!(Kind::of(ip), Kind::Global | Kind::Private), "{text:?} {ip}");
            let host = names.iter().find(|(_, answer)| *answer == ip.to_string()).map_or(ip.to_string(), |n| n.0.to_owned());
            prop_assert!(text.to_ascii_lowercase().contains(&host), "{text:?} {ip}");
            if let Ok(uri) = text.parse::<http::Uri>() {
                let other = uri.host().unwrap_or_default().trim_matches(['[', ']', '.']).to_ascii_lowercase();
                prop_assert_eq!(other, host, "{:?}", text);
            }
        }
    }
}
