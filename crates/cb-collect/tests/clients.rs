//! Credentials against real servers of this machine's own: `snmpd` and `sshd`, on free ports of loopback.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cb_collect::clients::snmp::{self, Auth, Privacy, User};
use cb_collect::clients::{Device, Outcome, mail, ssh};
use cb_core::Secret;
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

struct Server {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn outbound() -> Outbound {
    Outbound::new(vec!["127.0.0.1".parse().expect("an exception")], Vec::new(), Resolver::System)
}

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn reason(outcome: Outcome) -> String {
    outcome.expect_err("a failure").reason
}

const AUTHS: [(Auth, &str); 6] = [
    (Auth::Md5, "MD5"),
    (Auth::Sha1, "SHA"),
    (Auth::Sha224, "SHA-224"),
    (Auth::Sha256, "SHA-256"),
    (Auth::Sha384, "SHA-384"),
    (Auth::Sha512, "SHA-512"),
];
const PRIVACIES: [(Privacy, &str); 4] = [
    (Privacy::Des, "DES"),
    (Privacy::Aes128, "AES"),
    (Privacy::Aes192, "AES-192"),
    (Privacy::Aes256, "AES-256"),
];
const AUTH_PASSWORD: &str = "seven green kettles";
const PRIVACY_PASSWORD: &str = "two grey otters";

fn name(auth: &str, privacy: &str) -> String {
    format!("u-{auth}-{privacy}").to_lowercase()
}

#[expect(clippy::disallowed_methods, reason = "asks the kernel for a port, and sends nothing")]
fn free_udp_port() -> u16 {
    UdpSocket::bind(("127.0.0.1", 0)).expect("free").local_addr().expect("bound").port()
}

/// A user for every pair of algorithms, and one without any.
fn snmpd() -> Server {
    use std::fmt::Write as _;

    let dir = tempfile::tempdir().expect("a folder");
    let mut text = String::from(
        "rocommunity hush-lab 127.0.0.1\nsysName attic-switch\nsysLocation the attic\nsysDescr A switch\n",
    );
    text.push_str("createUser open\nrouser open noauth\n");
    for (_, auth) in AUTHS {
        let user = name(auth, "none");
        let _ = writeln!(text, "createUser {user} {auth} \"{AUTH_PASSWORD}\"\nrouser {user} auth");
        for (_, privacy) in PRIVACIES {
            let user = name(auth, privacy);
            let _ = writeln!(
                text,
                "createUser {user} {auth} \"{AUTH_PASSWORD}\" {privacy} \"{PRIVACY_PASSWORD}\"\nrouser {user} priv"
            );
        }
    }
    let conf = dir.path().join("snmpd.conf");
    std::fs::write(&conf, text).expect("written");
    let port = free_udp_port();
    let process = Command::new("/usr/sbin/snmpd")
        .args(["-f", "-Lf", "/dev/null", "-C", "-c"])
        .arg(&conf)
        .arg(format!("udp:127.0.0.1:{port}"))
        .env("SNMP_PERSISTENT_DIR", dir.path())
        .env("MIBS", "")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("snmpd runs: scripts/ensure installs it");
    Server { process, port, _dir: dir }
}

/// Until it answers.
async fn ready(device: Device<'_>) {
    for _ in 0..300 {
        if snmp::prove_v2c(device, [0, 0, 0, 7], &secret("hush-lab")).await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("snmpd does not answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn snmp_proves_every_pair_of_algorithms_and_says_what_is_wrong() {
    let server = snmpd();
    let outbound = outbound();
    let device = Device { outbound: &outbound, host: "127.0.0.1", port: server.port };
    ready(device).await;

    let proof = snmp::prove_v2c(device, [1, 2, 3, 4], &secret("hush-lab")).await.expect("works");
    let facts = [("Name", "attic-switch"), ("Description", "A switch"), ("Location", "the attic")];
    assert_eq!(proof.facts, facts.map(|(name, said)| (name, said.to_owned())));
    let wrong = reason(snmp::prove_v2c(device, [1, 2, 3, 4], &secret("public")).await);
    let silent = format!(
        "No answer from 127.0.0.1 on port {}. SNMP may be off, or the community may be wrong.",
        device.port
    );
    assert_eq!(wrong, silent);

    let (auth_password, privacy_password) = (secret(AUTH_PASSWORD), secret(PRIVACY_PASSWORD));
    let ask = async |user: &User<'_>| snmp::prove_v3(device, [9, 9, 9, 9], user).await;
    for (auth, auth_name) in AUTHS {
        let user = name(auth_name, "none");
        let with = User { name: &user, context: "", auth: Some((auth, &auth_password)), privacy: None };
        assert_eq!(ask(&with).await.expect(&user).facts, proof.facts, "{user}");
        for (privacy, privacy_name) in PRIVACIES {
            let user = name(auth_name, privacy_name);
            let with = User {
                name: &user,
                context: "",
                auth: Some((auth, &auth_password)),
                privacy: Some((privacy, &privacy_password)),
            };
            assert_eq!(ask(&with).await.expect(&user).facts, proof.facts, "{user}");
        }
    }
    let open = User { name: "open", context: "", auth: None, privacy: None };
    assert_eq!(ask(&open).await.expect("works").facts, proof.facts);

    let user = name("SHA-256", "AES");
    let right = User {
        name: &user,
        context: "",
        auth: Some((Auth::Sha256, &auth_password)),
        privacy: Some((Privacy::Aes128, &privacy_password)),
    };
    let bad = secret("eight green kettles");
    for (what, with, says) in [
        ("unknown user", User { name: "nobody", ..right }, "does not know the user nobody"),
        ("wrong password", User { auth: Some((Auth::Sha256, &bad)), ..right }, "the password is wrong"),
        (
            "another hash",
            User { auth: Some((Auth::Sha512, &auth_password)), ..right },
            "another authentication",
        ),
        (
            "wrong encryption password",
            User { privacy: Some((Privacy::Aes128, &bad)), ..right },
            "the encryption password is wrong",
        ),
        ("not encrypted", User { privacy: None, ..right }, "lets it read nothing without encryption"),
        (
            "nothing",
            User { auth: None, privacy: None, ..right },
            "lets it read nothing without authentication",
        ),
        (
            "encryption where there is none",
            User { name: &name("SHA-256", "none"), ..right },
            "does not accept u-sha-256-none with encryption",
        ),
    ] {
        let why = reason(ask(&with).await);
        assert!(why.contains(says), "{what}: {why}");
    }

    let port = server.port;
    drop(server);
    let nobody = Device { port, ..device };
    let why = reason(snmp::prove_v2c(nobody, [1, 2, 3, 4], &secret("hush-lab")).await);
    assert!(why.starts_with("Nothing answers at 127.0.0.1"), "{why}");
    let own = Outbound::new(Vec::new(), Vec::new(), Resolver::System);
    let refused = Device { outbound: &own, ..nobody };
    let why = reason(snmp::prove_v2c(refused, [1, 2, 3, 4], &secret("hush-lab")).await);
    assert!(why.starts_with("Nothing was sent"), "{why}");
}

fn keygen(dir: &Path, file: &str, arguments: &[&str]) -> (String, String) {
    let path = dir.join(file);
    let made = Command::new("ssh-keygen").args(["-q", "-f"]).arg(&path).args(arguments).status();
    assert!(made.expect("ssh-keygen runs").success());
    let read = |path: &Path| std::fs::read_to_string(path).expect("a key");
    (read(&path), read(&path.with_extension("pub")))
}

fn fingerprint(dir: &Path, file: &str) -> String {
    let shown = Command::new("ssh-keygen").arg("-lf").arg(dir.join(file)).output().expect("ssh-keygen runs");
    let shown = String::from_utf8(shown.stdout).expect("a text");
    shown.split(' ').nth(1).expect("a fingerprint").to_owned()
}

/// Who runs the tests: an `sshd` of theirs lets nobody else in.
fn me() -> String {
    let name = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8(name.stdout).expect("a name").trim().to_owned()
}

struct Sshd {
    server: Server,
    keys: Vec<(&'static str, String, Option<&'static str>)>,
    host_key: String,
}

fn sshd() -> Sshd {
    let dir = tempfile::tempdir().expect("a folder");
    let at = dir.path();
    keygen(at, "host", &["-t", "ed25519", "-N", ""]);
    let mut keys = Vec::new();
    let mut permitted = String::new();
    for (name, arguments, passphrase) in [
        ("ed25519", &["-t", "ed25519", "-N", ""][..], None),
        ("rsa", &["-t", "rsa", "-b", "2048", "-N", ""], None),
        ("locked", &["-t", "ed25519", "-N", "open sesame"], Some("open sesame")),
        ("ecdsa", &["-t", "ecdsa", "-N", ""], None),
        ("pem", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""], None),
    ] {
        let (private, public) = keygen(at, name, arguments);
        permitted.push_str(&public);
        keys.push((name, private, passphrase));
    }
    std::fs::write(at.join("authorized_keys"), permitted).expect("written");
    let (stranger, _) = keygen(at, "stranger", &["-t", "ed25519", "-N", ""]);
    keys.push(("stranger", stranger, None));
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("free");
    let port = listener.local_addr().expect("bound").port();
    drop(listener);
    let text = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized_keys\nPidFile none\n\
         StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\n",
        at.display()
    );
    std::fs::write(at.join("sshd_config"), text).expect("written");
    // Where the packaged one keeps its separated half.
    let _ = std::fs::create_dir_all("/run/sshd");
    let process = Command::new("/usr/sbin/sshd")
        .args(["-D", "-f"])
        .arg(at.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("sshd runs: scripts/ensure installs it");
    let host_key = fingerprint(at, "host.pub");
    Sshd { server: Server { process, port, _dir: dir }, keys, host_key }
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_signs_in_with_keys_and_sends_nothing_to_a_strange_host_key() {
    let sshd = sshd();
    let outbound = outbound();
    let device = Device { outbound: &outbound, host: "127.0.0.1", port: sshd.server.port };
    let me = me();
    let key_of = |name: &str| {
        let (_, private, passphrase) = sshd.keys.iter().find(|key| key.0 == name).expect("a key");
        (secret(private), passphrase.map(secret))
    };
    let ask = async |name: &str, passphrase: Option<&Secret>, trusted: Option<&str>| {
        let (private, _) = key_of(name);
        ssh::prove(device, &me, ssh::Login::Key { private: &private, passphrase }, trusted).await
    };
    let mut tries = 0;
    while let Err(refused) = ask("ed25519", None, Some(&sshd.host_key)).await {
        tries += 1;
        assert!(tries < 300, "sshd does not let us in: {}", refused.reason);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for name in ["ed25519", "rsa", "locked", "ecdsa", "pem"] {
        let (_, passphrase) = key_of(name);
        let proof = ask(name, passphrase.as_ref(), Some(&sshd.host_key)).await.expect(name);
        assert_eq!(proof.facts[0].0, "Server");
        assert!(proof.facts[0].1.starts_with("SSH-2.0-OpenSSH"), "{:?}", proof.facts);
    }
    let refused = reason(ask("stranger", None, Some(&sshd.host_key)).await);
    assert!(refused.contains("refuses") && refused.contains("publickey"), "{refused}");
    assert!(reason(ask("locked", None, Some(&sshd.host_key)).await).contains("is encrypted"));
    let wrong = secret("open barley");
    assert!(
        reason(ask("locked", Some(&wrong), Some(&sshd.host_key)).await).contains("does not decrypt the key")
    );
    let strange = secret("no key at all");
    let told = ssh::read_key(&strange, None).await.expect_err("no key");
    assert!(told.contains("is not a readable private key"), "{told}");
    let (plain, _) = key_of("ed25519");
    assert!(ssh::read_key(&plain, Some(&wrong)).await.expect_err("unlocked").contains("is not encrypted"));
    // Unlocking is bounded before it begins.
    let dir = tempfile::tempdir().expect("a folder");
    let (slow, _) = keygen(dir.path(), "slow", &["-t", "ed25519", "-a", "1200", "-N", "open sesame"]);
    let told = ssh::read_key(&secret(&slow), Some(&secret("open sesame"))).await.expect_err("too slow");
    assert!(told.contains("1200 rounds"), "{told}");
    let (old, _) = keygen(dir.path(), "old", &["-t", "rsa", "-m", "PEM", "-N", "open sesame"]);
    let told = ssh::read_key(&secret(&old), Some(&secret("open sesame"))).await.expect_err("old");
    assert!(told.contains("uses an old form of encryption"), "{told}");

    // Not trusted yet, and another one: shown, and nothing was sent.
    let unknown = ask("ed25519", None, None).await.expect_err("refused");
    assert_eq!(unknown.presented.as_ref(), Some(&sshd.host_key));
    assert!(unknown.reason.starts_with("Nothing was sent"), "{}", unknown.reason);
    let other = format!("SHA256:{}", "A".repeat(43));
    let strange = ask("ed25519", None, Some(&other)).await.expect_err("refused");
    assert_eq!(strange.presented.as_ref(), Some(&sshd.host_key));
    assert!(strange.reason.contains("a host key that is not the trusted one"), "{}", strange.reason);

    // Where this machine has no password to sign in with, a refusal shows that one was asked for.
    let password = secret("not the password");
    let login = ssh::Login::Password(&password);
    let refused = reason(ssh::prove(device, &me, login, Some(&sshd.host_key)).await);
    assert!(refused.contains("refuses") && refused.contains("password"), "{refused}");
}

/// A server that knows one password; nobody on a build machine has one to sign in with at its `sshd`.
#[derive(Clone)]
struct PasswordServer;

impl russh::server::Handler for PasswordServer {
    type Error = russh::Error;

    async fn auth_password(
        &mut self,
        user: &str,
        password: &str,
    ) -> Result<russh::server::Auth, russh::Error> {
        if (user, password) == ("admin", "two grey otters") {
            return Ok(russh::server::Auth::Accept);
        }
        Ok(russh::server::Auth::reject())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_signs_in_with_a_password() {
    let dir = tempfile::tempdir().expect("a folder");
    let (host, _) = keygen(dir.path(), "host", &["-t", "ed25519", "-N", ""]);
    let host_key = fingerprint(dir.path(), "host.pub");
    let config = russh::server::Config {
        keys: vec![ssh::read_key(&secret(&host), None).await.expect("a key")],
        auth_rejection_time: Duration::from_millis(10),
        ..russh::server::Config::default()
    };
    let config = std::sync::Arc::new(config);
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("free");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let config = config.clone();
            tokio::spawn(async move {
                if let Ok(session) = russh::server::run_stream(config, stream, PasswordServer).await {
                    let _ = session.await;
                }
            });
        }
    });
    let outbound = outbound();
    let device = Device { outbound: &outbound, host: "127.0.0.1", port };
    let ask = async |user: &str, password: &str| {
        let password = secret(password);
        ssh::prove(device, user, ssh::Login::Password(&password), Some(&host_key)).await
    };
    let proof = ask("admin", "two grey otters").await.expect("works");
    assert!(proof.facts[0].1.starts_with("SSH-2.0-"), "{:?}", proof.facts);
    let why = reason(ask("admin", "two gray otters").await);
    assert!(why.contains("refuses admin"), "{why}");
}

/// A mail server that wants to know its clients by name.
#[tokio::test]
async fn a_mail_server_is_greeted_with_the_domain_of_who_signs_in_and_its_refusal_is_explained() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut lines = BufReader::new(stream);
            let mut heard = String::new();
            let _ = lines.write_all(b"220 mail.test\r\n").await;
            let _ = lines.read_line(&mut heard).await;
            let _ = lines.write_all(format!("421 4.7.0 not you, {heard}").as_bytes()).await;
        }
    });
    let outbound = outbound();
    let device = Device { outbound: &outbound, host: "127.0.0.1", port };
    let said = reason(mail::prove(device, "maria@attic.test", &secret("hush-lab")).await);
    assert!(said.contains("does not accept the greeting EHLO attic.test: 421"), "{said}");
    assert!(said.contains("CB_PUBLIC_URL"), "{said}");
}
