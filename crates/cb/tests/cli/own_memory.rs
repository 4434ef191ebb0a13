//! What is in the memory of a server stays there: no core file, no other process that looks, no key in its log.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE;
use cb_core::{OsEntropy, Secret};
use cb_store::Store;
use cb_store::entities::vault_key;
use cb_store::sea_orm::EntityTrait as _;
use cb_vault::fernet::Key;

use crate::site::{cb, serve};

/// Not root, and no one's.
const NOBODY: u32 = 65_534;

fn start(command: &mut Command, data: &Path, settings: &[(&str, &str)]) -> Child {
    serve(command, data, settings).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts")
}

fn until(what: &str, there: impl Fn() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what} is not there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn end(mut server: Child) -> String {
    server.kill().expect("killed");
    let (mut out, mut err) = (String::new(), String::new());
    server.stdout.take().expect("piped").read_to_string(&mut out).expect("reads");
    server.stderr.take().expect("piped").read_to_string(&mut err).expect("reads");
    server.wait().expect("gone");
    out + &err
}

#[test]
fn no_core_is_written_and_nobody_else_looks() {
    let dir = tempfile::tempdir().expect("a folder");
    let root = std::fs::metadata("/proc/self").expect("there").uid() == 0;
    let mut command = if root {
        // The files in /proc of what can be looked into belong to its user, else to root: so that it must not be root.
        std::os::unix::fs::chown(dir.path(), Some(NOBODY), Some(NOBODY)).expect("given");
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_cb")]);
        command
    } else {
        cb()
    };
    let server = start(&mut command, dir.path(), &[("PATH", "/usr/bin:/bin")]);
    until("the vault's key", || dir.path().join("vault-key").exists());
    let of = |file: &str| format!("/proc/{}/{file}", server.id());
    let status = std::fs::read_to_string(of("status")).expect("runs");
    assert!(status.starts_with("Name:\tcb\n"), "{status}");
    assert!(!status.contains("\nUid:\t0\t"), "{status}");
    let limits = std::fs::read_to_string(of("limits")).expect("reads");
    let core = limits.lines().find(|l| l.starts_with("Max core file size")).expect("a line");
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    for file in ["environ", "maps", "mem"] {
        assert_eq!(std::fs::metadata(of(file)).expect("there").uid(), 0, "{file}");
    }
    end(server);
}

#[tokio::test]
async fn no_key_is_in_the_most_talkative_log() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = dir.path();
    let key_file = data.join("vault-key");
    let server = start(&mut cb(), data, &[("CB_LOG", "trace")]);
    until("the setup code", || data.join("setup-code").exists() && data.join("tls").exists());
    let mut said = String::new();
    let first = std::fs::read_to_string(&key_file).expect("a key");
    let given = Key::generate(&OsEntropy);
    for command in ["status", "rotate", "rewrap", "rotate", "rewrap"] {
        let done = cb()
            .args(["vault", command])
            .env_clear()
            .envs([("CB_DATA_DIR", data.as_os_str()), ("CB_LOG", "trace".as_ref())])
            .output()
            .expect("runs");
        assert!(done.status.success(), "{command}: {}", String::from_utf8_lossy(&done.stderr));
        said += &String::from_utf8_lossy(&[done.stdout, done.stderr].concat());
    }
    // What is refused says no key either.
    let refused = cb()
        .args(["vault", "status"])
        .env_clear()
        .envs([("CB_DATA_DIR", data.as_os_str()), ("CB_VAULT_KEY", given.as_ref())])
        .output()
        .expect("runs");
    assert!(!refused.status.success());
    said += &String::from_utf8_lossy(&refused.stderr);
    let last = std::fs::read_to_string(&key_file).expect("a key");
    said += &end(server);
    assert!(said.contains("fingerprint") && said.len() > 2_000, "{said}");

    let root = Key::parse(&Secret::new(last.clone())).expect("a key");
    let mut keys = vec![first.trim().to_owned(), last.trim().to_owned(), given];
    let store = Store::read_sqlite(data).await.expect("opens");
    for row in vault_key::Entity::find().all(store.reader()).await.expect("reads") {
        assert!(!said.contains(&row.wrapped), "not even a wrapped one");
        let plain = root.decrypt(row.wrapped.as_bytes()).expect("opens");
        let text = String::from_utf8(plain.to_vec()).expect("a text");
        keys.push(text.lines().last().expect("a key").to_owned());
    }
    assert_eq!(keys.len(), 6);
    for key in keys {
        let bytes = URL_SAFE.decode(&key).expect("a key");
        let forms = [key.trim_end_matches('=').to_owned(), cb_core::hex(&bytes), format!("{bytes:?}")];
        for form in forms {
            assert!(!said.contains(&form), "a key is in what was said");
        }
    }
}
