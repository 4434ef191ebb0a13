//! Mail to a real relay: Postfix as Debian ships it, with the usual rules against clients that do not greet with a name.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cb_core::Severity;
use cb_core::config::Config;
use cb_core::form::{Public, Secrets};
use cb_net::http::Pin;
use cb_net::outbound::Outbound;
use cb_notify::channels::{Channel, Kind, Sender};
use cb_notify::{Answer, End};
use tempfile::TempDir;

use crate::{home, notice, public};

const MASTER: &str = r"
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
virtual unix - n n - - virtual
error unix - - n - - error
retry unix - - n - - error
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
";

/// Its mail ends in a file.
const MAIN: &str = r"
compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
maillog_file = DIR/log
maillog_file_prefixes = DIR
myhostname = relay.attic.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
virtual_mailbox_domains = attic.test
virtual_mailbox_base = DIR/mail
virtual_mailbox_maps = inline:{ maria@attic.test=maria }
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
smtpd_tls_security_level = may
smtpd_tls_chain_files = DIR/tls.pem
smtpd_helo_required = yes
smtpd_helo_restrictions = reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname, check_helo_access regexp:DIR/etc/helo
smtpd_recipient_restrictions = reject_non_fqdn_sender, reject_non_fqdn_recipient, reject_unauth_destination
";

const HELO: &str = "/^\\[/ REJECT no address literals here\n/^localhost/ REJECT you are not me\n";

struct Postfix {
    master: Child,
    port: u16,
    pin: Pin,
    dir: TempDir,
}

impl Postfix {
    /// None where it cannot run: its master starts as root only.
    fn start() -> Option<Self> {
        if !is_root() {
            skipped("Postfix starts as root only");
            return None;
        }
        let dir = TempDir::with_prefix("cb-postfix-").expect("a temporary folder");
        let at = |name: &str| dir.path().join(name);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("open to its users");
        for folder in ["etc", "queue", "data", "mail"] {
            fs::create_dir(at(folder)).expect("a folder");
        }
        for (folder, user) in [("data", "postfix"), ("mail", "65534")] {
            run(Command::new("chown").arg(user).arg(at(folder)));
        }
        let place = |text: &str| text.replace("DIR", &dir.path().display().to_string());
        fs::write(at("etc/main.cf"), place(MAIN)).expect("written");
        fs::write(at("etc/helo"), HELO).expect("written");
        let certificate =
            rcgen::generate_simple_self_signed(vec!["relay.attic.test".to_owned()]).expect("a certificate");
        let pem = format!("{}{}", certificate.signing_key.serialize_pem(), certificate.cert.pem());
        fs::write(at("tls.pem"), pem).expect("written");
        let pin = Pin::of(certificate.cert.der());
        // The port is free now; should another process take it in between, the next try has a new one.
        for _ in 0..5 {
            let port =
                TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
            let services = format!("127.0.0.1:{port} inet n - n - - smtpd{MASTER}");
            fs::write(at("etc/master.cf"), services).expect("written");
            run(Command::new("postfix").arg("-c").arg(at("etc")).arg("check"));
            let mut master = Command::new(daemons().join("master"))
                .args(["-d", "-c"])
                .arg(at("etc"))
                // It ends its processes by their group, which must be its own.
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("master starts");
            if answers(port, &mut master) {
                return Some(Self { master, port, pin, dir });
            }
            let _ = master.kill();
            let _ = master.wait();
        }
        panic!("Postfix does not answer: {}", fs::read_to_string(at("log")).unwrap_or_default());
    }

    fn fields(&self, more: &[(&str, &str)]) -> Public {
        let port = self.port.to_string();
        let mut fields = public(&[
            ("host", "127.0.0.1"),
            ("port", &port),
            ("security", "none"),
            ("from", "breaker@attic.test"),
            ("to", "maria@attic.test"),
        ]);
        fields.extend(public(more));
        fields
    }

    /// What arrived, when `wanted` is in it.
    fn mailbox(&self, wanted: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let mailbox = fs::read_to_string(self.dir.path().join("mail/maria")).unwrap_or_default();
            if mailbox.contains(wanted) {
                return mailbox;
            }
            assert!(Instant::now() < deadline, "{wanted}: {mailbox}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.master.id().to_string()]).status();
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if !matches!(self.master.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.master.kill();
        let _ = self.master.wait();
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout == b"0\n"
}

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn skipped(reason: &str) {
    eprintln!("SKIPPED: {reason}");
}

/// Where its programs are.
fn daemons() -> PathBuf {
    let told = Command::new("postconf").args(["-d", "-h", "daemon_directory"]).output();
    let told = told.expect("postconf runs: scripts/ensure installs Postfix");
    Path::new(String::from_utf8_lossy(&told.stdout).trim()).to_path_buf()
}

fn run(command: &mut Command) {
    let ran = command.output().expect("it runs: scripts/ensure installs Postfix");
    assert!(ran.status.success(), "{command:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

fn answers(port: u16, master: &mut Child) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline && matches!(master.try_wait(), Ok(None)) {
        if said(port, "").is_some_and(|said| said.starts_with("220 relay.attic.test")) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    false
}

/// What it answers to these lines, said at once.
#[expect(clippy::disallowed_methods, reason = "a client that is none of ours, to a server of this test")]
fn said(port: u16, lines: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut said = String::new();
    let mut buffer = [0; 4096];
    for line in std::iter::once("").chain(lines.lines()) {
        if !line.is_empty() {
            stream.write_all(format!("{line}\r\n").as_bytes()).ok()?;
        }
        let read = stream.read(&mut buffer).ok()?;
        said.push_str(&String::from_utf8_lossy(buffer.get(..read)?));
    }
    Some(said)
}

async fn mail(public_url: &str, fields: &Public, pin: Option<Pin>, title: &str) -> Answer {
    let vars =
        [("CB_DATA_DIR", "/nonexistent"), ("CB_OUTBOUND_ALLOW", "127.0.0.1"), ("CB_PUBLIC_URL", public_url)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).expect("a configuration");
    let sender = Sender::new(Outbound::from_config(&config));
    let channel = Channel { kind: Kind::Email, public: fields, secrets: &Secrets::new(), pin };
    sender.send(&channel, &notice(Severity::Warning, title, "It is warm."), Some(&home())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_wants_a_name_takes_our_mail() {
    let Some(relay) = Postfix::start() else { return };
    // It is as strict as it should be for this test.
    let talk =
        |name: &str| format!("EHLO {name}\nMAIL FROM:<breaker@attic.test>\nRCPT TO:<maria@attic.test>");
    for refused in ["[127.0.0.1]", "localhost", "breaker"] {
        let said = said(relay.port, &talk(refused)).expect("an answer");
        assert!(said.contains("Helo command rejected"), "{refused}: {said}");
    }

    // By the host of CB_PUBLIC_URL; by the domain of the sender, where that is an address; as typed.
    for (n, (url, more, name)) in [
        ("https://breaker.example.org:8443", vec![], "breaker.example.org"),
        ("https://192.168.1.20:8443", vec![], "attic.test"),
        ("https://localhost", vec![("greeting", "Mail.Attic.Test")], "mail.attic.test"),
    ]
    .into_iter()
    .enumerate()
    {
        for (security, pin) in [("none", None), ("starttls", Some(relay.pin))] {
            let mut fields = relay.fields(&more);
            fields.insert("security".to_owned(), security.to_owned());
            let answer = mail(url, &fields, pin, &format!("Attic {n} over {security}")).await;
            assert_eq!((answer.end, answer.error), (End::Delivered, None), "{url} {security}");
            let mailbox =
                relay.mailbox(&format!("Subject: [Circuit Breaker] Warning: Attic {n} over {security}"));
            assert!(mailbox.contains(&format!("Received: from {name} (")), "{mailbox}");
        }
    }

    // A name that it does not take is told as such, with what to do.
    let answer = mail("", &relay.fields(&[("greeting", "localhost")]), None, "Nobody hears this").await;
    let error = answer.error.unwrap_or_default();
    assert_eq!(answer.end, End::Refused, "{error}");
    assert!(error.contains("EHLO localhost") && error.contains("Helo command rejected"), "{error}");
    assert!(error.contains("Greet as"), "{error}");
}
