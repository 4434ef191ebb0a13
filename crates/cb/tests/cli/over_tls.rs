//! Redis and NATS over TLS, as `rediss://` and `tls://` name them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use cb_testkit::{Nats, Postgres, Redis};

use crate::site::{cb, free_port};

#[test]
fn redis_and_nats_are_used_over_tls_if_their_certificate_is_trusted() {
    let dir = tempfile::tempdir().expect("a folder");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("open to their users");
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("made");
    let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
    fs::write(&cert, made.cert.pem()).expect("written");
    fs::write(&key, made.signing_key.serialize_pem()).expect("written");

    let (port, postgres) = (free_port(), Postgres::start());
    let redis = Redis::with(&format!(
        "tls-port {port}\ntls-cert-file {0}\ntls-key-file {1}\ntls-ca-cert-file {0}\ntls-auth-clients no",
        cert.display(),
        key.display()
    ));
    let nats = Nats::over_tls(&cert, &key);
    let data = dir.path().join("data");
    let doctor = |trusted: bool| {
        let mut command = cb();
        command.arg("doctor").env("CB_DATA_DIR", &data).env("CB_DB_URL", postgres.url());
        command.env("CB_REDIS_URL", format!("rediss://:{}@127.0.0.1:{port}", redis.password()));
        command.env("CB_NATS_URL", nats.url().replace("nats://", "tls://"));
        if trusted {
            command.env("SSL_CERT_FILE", &cert);
        }
        let output = command.stdin(Stdio::null()).output().expect("runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = doctor(true);
    let lines: Vec<_> = said.lines().filter(|l| l.contains("Redis") || l.contains("NATS")).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| line.starts_with("ok")), "{said}");
    let said = doctor(false);
    let lines: Vec<_> = said.lines().filter(|l| l.contains("certificate")).collect();
    assert!(lines.len() == 2 && lines.iter().all(|line| !line.starts_with("ok")), "{said}");
}
