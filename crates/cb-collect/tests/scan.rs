//! The engine against real servers, on the fake LAN (`scripts/fakelan`) and nowhere else. Where that does not stand, the
//! test says loudly that it was skipped and why.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cb_collect::{
    Completeness, Env, HostReport, IdentityKind, Outcome, ProbeKind, ScanEvent, ScanRequest, Target, fuse,
    plan, scan,
};
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Set for the copy of this program that runs inside the scanner's namespace.
const INSIDE: &str = "CB_TEST_INSIDE_FAKELAN";

async fn env() -> Env {
    let scope = Outbound::new(Vec::new(), Vec::new(), Resolver::System).scope().await;
    Env { clock: Arc::new(cb_core::SystemClock), entropy: Arc::new(cb_core::OsEntropy), scope }
}

fn request(targets: &[&str], probes: &[ProbeKind]) -> ScanRequest {
    let targets = targets.iter().map(|t| Target::parse(t, &[]).expect("target")).collect();
    ScanRequest::new(targets, probes.to_vec()).expect("request")
}

async fn collect(request: ScanRequest, cancel: CancellationToken) -> (Vec<HostReport>, Outcome) {
    let (sender, mut events) = mpsc::channel(16);
    let env = env().await;
    let listen = async {
        let mut hosts = Vec::new();
        while let Some(event) = events.recv().await {
            match event {
                ScanEvent::Host(host) => hosts.push(*host),
                ScanEvent::Progress { done, total, .. } => assert!(done <= total),
            }
        }
        hosts
    };
    let (outcome, hosts) = tokio::join!(scan(request, &env, sender, cancel), listen);
    (hosts, outcome)
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// Open sockets of this process.
fn sockets() -> usize {
    std::fs::read_dir("/proc/self/fd")
        .map(|entries| {
            entries
                .flatten()
                .filter(|e| {
                    std::fs::read_link(e.path()).is_ok_and(|t| t.to_string_lossy().starts_with("socket:"))
                })
                .count()
        })
        .unwrap_or_default()
}

/// Nothing is sent: it is noticed first.
#[tokio::test]
async fn a_listener_that_went_away_stops_the_scan() {
    let (sender, events) = mpsc::channel(1);
    drop(events);
    let start = Instant::now();
    let outcome = scan(request(&["10.77.1.0/24"], &[]), &env().await, sender, CancellationToken::new()).await;
    assert_eq!(outcome.status, Completeness::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn this_machine_knows_its_own_name() {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let Some(own) = cb_collect::own_addresses().into_iter().find(IpAddr::is_ipv4) else {
        skipped("this machine has no address on a network");
        return;
    };
    if name.trim().len() == 12 && name.trim().bytes().all(|b| b.is_ascii_hexdigit()) {
        skipped("this machine is a container that nobody named");
        return;
    }
    let alone = request(&[&own.to_string()], &[ProbeKind::Icmp]);
    let (hosts, _) = collect(alone, CancellationToken::new()).await;
    let guess = hosts.first().map(|host| host.guess.name.clone());
    assert_eq!(guess.as_deref(), name.trim().split('.').next(), "{own}");
}

async fn a_cancelled_scan_stops_within_a_second_and_holds_no_socket() {
    let before = sockets();
    // Before anything, in the sweep, in the ports, in the fingerprints.
    for wait in [0, 40, 700, 1_400, 2_600] {
        let cancel = CancellationToken::new();
        let stop = cancel.clone();
        let clock = async move {
            tokio::time::sleep(Duration::from_millis(wait)).await;
            stop.cancel();
            Instant::now()
        };
        let all = request(&["10.77.1.0/24", "10.77.2.0/24"], &[]);
        let (at, (_, outcome)) = tokio::join!(clock, collect(all, cancel));
        assert!(at.elapsed() < Duration::from_secs(1), "{:?} after {wait} ms", at.elapsed());
        assert_eq!(outcome.status, Completeness::Cancelled);
        assert!(sockets() <= before, "{} sockets left after {wait} ms", sockets() - before);
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how the copy inside the namespace knows that it is one")]
fn the_fake_lan_is_found_as_it_is() {
    if std::env::var_os(INSIDE).is_some() {
        return;
    }
    let namespaces = Command::new("ip").args(["netns", "list"]).output();
    let stands = namespaces.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("cbt-scanner"));
    if !stands {
        skipped(
            "the fake LAN does not stand (run with scripts/with-fakelan, as root, where network namespaces are permitted)",
        );
        return;
    }
    let program = std::env::current_exe().expect("own path");
    let output = Command::new("ip")
        .args(["netns", "exec", "cbt-scanner"])
        .arg(program)
        .args(["--exact", "inside_the_fake_lan", "--nocapture", "--include-ignored"])
        .env(INSIDE, "1")
        .output()
        .expect("ip runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "how the copy inside the namespace knows that it is one")]
async fn inside_the_fake_lan() {
    if std::env::var_os(INSIDE).is_none() {
        // The test above runs it where it belongs.
        return;
    }
    a_cancelled_scan_stops_within_a_second_and_holds_no_socket().await;
    let networks = cb_collect::local_networks();
    assert_eq!(networks.len(), 1, "{networks:?}");
    assert_eq!(networks[0].gateway, Some(IpAddr::from([10, 77, 1, 1])));

    let both = request(&["10.77.1.0/24", "10.77.2.0/24"], &[]);
    assert!(plan(&both).steps.iter().any(|s| s.starts_with("ARP")));
    let start = Instant::now();
    let (hosts, outcome) = collect(both, CancellationToken::new()).await;
    assert!(start.elapsed() < Duration::from_mins(1), "{:?}", start.elapsed());
    assert_eq!(outcome.status, Completeness::Complete, "{outcome:?}");
    assert_eq!(outcome.limitations, Vec::<String>::new());
    let by_address: BTreeMap<String, &HostReport> =
        hosts.iter().map(|h| (h.address.to_string(), h)).collect();
    assert_eq!(by_address.len(), hosts.len(), "each address once");
    assert!(hosts.len() >= 50, "{} hosts", hosts.len());

    // Whom it must know, and as what.
    for (address, role, product) in [
        ("10.77.1.1", "router", Some("OPNsense")),
        ("10.77.1.10", "nas", Some("Synology DSM")),
        ("10.77.1.11", "hypervisor", Some("Proxmox VE")),
        ("10.77.1.20", "server", Some("Pi-hole")),
        ("10.77.1.22", "server", Some("PostgreSQL")),
        ("10.77.1.25", "server", Some("NATS")),
        ("10.77.1.28", "server", Some("MariaDB")),
        ("10.77.1.30", "printer", Some("HP printer")),
        ("10.77.1.33", "camera", Some("AXIS camera")),
        ("10.77.1.34", "ups", None),
        ("10.77.1.35", "plc", None),
        ("10.77.1.41", "switch", None),
        ("10.77.1.60", "workstation", Some("Remote Desktop")),
        ("10.77.1.65", "iot", Some("Tasmota")),
    ] {
        let host = by_address.get(address).unwrap_or_else(|| panic!("{address} was not found"));
        assert_eq!(host.guess.role.as_deref(), Some(role), "{address}: {:?}", host.guess);
        if let Some(product) = product {
            assert!(
                host.services.iter().any(|s| s.product.as_deref() == Some(product)),
                "{address} has no {product}: {:?}",
                host.services
            );
        }
        assert!(host.evidence.iter().any(|e| e.fact == "mac"), "{address} without evidence of its MAC");
    }
    // Who answers ARP only is there; who answers nothing is not.
    let hermit = by_address.get("10.77.1.80").expect("answers ARP");
    assert!(hermit.services.is_empty());
    assert!(!by_address.contains_key("10.77.1.81"), "nobody answers there");
    // Another network has no MACs, and its names and keys all the same.
    let routed = by_address.get("10.77.2.12").expect("a routed host");
    assert_eq!(routed.mac, None);
    assert!(routed.identities.iter().any(|i| i.kind == IdentityKind::SshHostKey));
    assert_eq!(routed.hostname.as_deref(), Some("trident.lab.home.arpa"));
    assert!(by_address["10.77.1.70"].random_mac);

    // One machine with three addresses is one, two with a cloned key are two.
    let groups: Vec<Vec<String>> =
        fuse(hosts.clone()).iter().map(|g| g.iter().map(|h| h.address.to_string()).collect()).collect();
    let of =
        |address: &str| groups.iter().find(|g| g.iter().any(|a| a == address)).cloned().unwrap_or_default();
    let mut trident = of("10.77.1.12");
    trident.sort();
    assert_eq!(trident, ["10.77.1.12", "10.77.1.13", "10.77.2.12"]);
    assert_eq!(of("10.77.1.14"), ["10.77.1.14"]);
    assert_eq!(of("10.77.1.15"), ["10.77.1.15"]);

    // Printers, controllers and power supplies were connected to at most.
    let counts: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string("/tmp/cb-fakelan/counts.json").expect("counts"))
            .expect("JSON");
    for (port, count) in counts.as_object().expect("a table") {
        assert_eq!(count["bytes"], 0, "{port} was written to: {count}");
    }
}
