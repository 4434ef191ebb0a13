//! A server that starts on a machine as it is in the field: before its clock was set, with a container bridge beside the LAN.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::site::{Server, Site, cb, free_port, serve, serve_on};

/// Where the shim's page has the nanoseconds that the wall clock is off.
const CLOCK: u64 = 32;

/// The library of the fault tests that puts the wall clock wrong.
fn shim(folder: &Path) -> PathBuf {
    let library = folder.join("shim.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/faults.d/shim.c");
    let made = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .args([source, "-ldl"])
        .status()
        .expect("a C compiler, as the build itself needs one");
    assert!(made.success());
    library
}

fn said(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

async fn until(what: &str, true_now: impl Fn() -> bool) {
    let began = Instant::now();
    while !true_now() {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the right time, to put the server's clock wrong by")]
async fn a_clock_of_1970_is_waited_for_and_nothing_is_made_until_it_is_set() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, log, page) = (dir.path().join("data"), dir.path().join("log"), dir.path().join("page"));
    fs::write(&page, vec![0; 4096]).expect("written");
    let page_file = fs::OpenOptions::new().write(true).open(&page).expect("open");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    // A minute after the epoch, as a machine without a battery.
    let off = i64::try_from(now.as_nanos()).expect("this century") - 60_000_000_000;
    page_file.write_all_at(&(-off).to_ne_bytes(), CLOCK).expect("written");
    let port = free_port();
    let mut command = cb();
    serve_on(&mut command, &data, port, &[])
        .env("LD_PRELOAD", shim(dir.path()))
        .env("CB_FAULTS_CONTROL", &page)
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log).expect("made"));
    let server = Server::start(&mut command);
    until("it says what it waits for", || said(&log).contains("The clock says 1970-01-01")).await;
    assert!(said(&log).contains("timedatectl set-ntp true"), "{}", said(&log));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!data.exists(), "nothing is made");
    assert_eq!(said(&log).matches("The clock says").count(), 1, "{}", said(&log));

    page_file.write_all_at(&0i64.to_ne_bytes(), CLOCK).expect("written");
    let site = Site::meet(&data, port).await;
    site.set_up().await;
    assert!(said(&log).contains("the clock was set to"), "{}", said(&log));
    server.stop();
}

#[expect(clippy::print_stderr, reason = "a test that skips says so")]
fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// Runs a command in a network of its own: a LAN with the default route, and `docker0`, which sorts first.
const NETWORK: &str = r#"
mount -t sysfs sysfs /sys &&
ip link set lo up &&
ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set docker0 up &&
ip link add zlan type veth peer name zfar && ip addr add 192.168.1.20/24 dev zlan && ip link set zlan up && ip link set zfar up &&
ip route add default via 192.168.1.1 dev zlan &&
exec "$@"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_address_is_the_one_that_the_default_route_leaves_by() {
    let isolate = || {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "--mount", "sh", "-c", NETWORK, "sh"]);
        command
    };
    let ready = isolate().arg("true").output();
    if !ready.as_ref().is_ok_and(|r| r.status.success()) {
        skipped(&format!("namespaces are not permitted here: {ready:?}"));
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let (data, out, log) = (dir.path().join("data"), dir.path().join("out"), dir.path().join("log"));
    let mut command = isolate();
    command.arg(env!("CARGO_BIN_EXE_cb"));
    serve(&mut command, &data, &[("CB_HTTPS_ADDR", "[::]:8443"), ("CB_HTTP_ADDR", "[::]:8080")])
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .stdout(fs::File::create(&out).expect("made"))
        .stderr(fs::File::create(&log).expect("made"));
    let server = Server::start(&mut command);
    until("it prints its address", || said(&out).contains("/ca.crt")).await;
    assert!(said(&out).contains("https://192.168.1.20:8443/setup#code="), "{}", said(&out));
    assert!(said(&log).contains("by IPv6 and IPv4"), "{}", said(&log));
    let leaf = data.join("tls/leaf.pem");
    let names =
        Command::new("openssl").args(["x509", "-noout", "-ext", "subjectAltName", "-in"]).arg(&leaf).output();
    let names = String::from_utf8(names.expect("openssl").stdout).expect("text");
    assert!(names.contains("192.168.1.20") && !names.contains("172.17.0.1"), "{names}");
    server.stop();
}
