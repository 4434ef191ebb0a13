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

pub fn said(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}

pub async fn until(what: &str, true_now: impl Fn() -> bool) {
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
    until("it says what it waits for", || said(&log).contains("The clock shows 1970-01-01")).await;
    assert!(said(&log).contains("timedatectl set-ntp true"), "{}", said(&log));
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!data.exists(), "nothing is made");
    assert_eq!(said(&log).matches("The clock shows").count(), 1, "{}", said(&log));

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

/// A command in a network of its own, which `script` sets up; None, with its reason said, where that is not permitted.
pub fn isolated(script: &str) -> Option<Command> {
    let isolate = || {
        let mut command = Command::new("unshare");
        let script = format!("set -e; mount -t sysfs sysfs /sys; ip link set lo up; {script} exec \"$@\"");
        command.args(["--map-root-user", "--net", "--mount", "sh", "-c", &script, "sh"]);
        command
    };
    let ready = isolate().arg("true").output();
    if ready.as_ref().is_ok_and(|r| r.status.success()) {
        return Some(isolate());
    }
    skipped(&format!("namespaces are not permitted here: {ready:?}"));
    None
}

/// Starts the server there with its own listening addresses; answers once it has printed its address. Its output and its log.
async fn started(mut command: Command, folder: &Path) -> (Server, String, String) {
    let (out, log) = (folder.join("out"), folder.join("log"));
    command.arg(env!("CARGO_BIN_EXE_cb"));
    serve(&mut command, &folder.join("data"), &[])
        .env_remove("CB_HTTPS_ADDR")
        .env_remove("CB_HTTP_ADDR")
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .stdout(fs::File::create(&out).expect("made"))
        .stderr(fs::File::create(&log).expect("made"));
    let server = Server::start(&mut command);
    until("it prints its address", || said(&out).contains("/ca.crt")).await;
    (server, said(&out), said(&log))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_printed_address_is_the_one_that_the_default_route_leaves_by() {
    // `docker0` sorts first, by its name and by its address.
    let network = "ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up; \
        ip link add zlan type veth peer name zfar; ip addr add 192.168.1.20/24 dev zlan; ip link set zlan up; ip link set zfar up; \
        ip route add default via 192.168.1.1 dev zlan;";
    let Some(command) = isolated(network) else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let (server, printed, log) = started(command, dir.path()).await;
    assert!(printed.contains("https://192.168.1.20:8443/setup#code="), "{printed}");
    assert!(log.contains("CB_HTTPS_ADDR: listens on [::]:8443, by IPv6 and IPv4"), "{log}");
    let leaf = dir.path().join("data/tls/leaf.pem");
    let names =
        Command::new("openssl").args(["x509", "-noout", "-ext", "subjectAltName", "-in"]).arg(&leaf).output();
    let names = String::from_utf8(names.expect("openssl").stdout).expect("text");
    assert!(names.contains("192.168.1.20") && !names.contains("172.17.0.1"), "{names}");
    server.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_without_ipv6_is_served_by_ipv4_and_the_log_says_so() {
    let Some(command) = isolated("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6;") else { return };
    let dir = tempfile::tempdir().expect("a folder");
    let (server, printed, log) = started(command, dir.path()).await;
    assert!(printed.contains("https://127.0.0.1:8443/setup#code="), "{printed}");
    for setting in ["CB_HTTPS_ADDR: listens on [::]:8443", "CB_HTTP_ADDR: listens on [::]:8080"] {
        assert!(log.contains(&format!("{setting}, by IPv4 only: IPv6 is off on this machine")), "{log}");
    }
    server.stop();
}
