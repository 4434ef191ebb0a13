//! A PostgreSQL of the test's own, from the system's package: its own folder, a free loopback port, a
//! password (scram), never root; stopped when dropped.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cb_core::{Entropy, OsEntropy};
use tempfile::TempDir;

pub struct Postgres {
    server: Child,
    url: String,
    _dir: TempDir,
}

impl Postgres {
    /// Starts one and waits until it answers; panics with what is missing.
    pub fn start() -> Self {
        let bin = newest();
        let dir = TempDir::with_prefix("cb-pg-").expect("a temporary folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
            .expect("open to the postgres user");
        let data = dir.path().join("data");
        let password = (&OsEntropy as &dyn Entropy).token();
        let password_file = dir.path().join("password");
        fs::write(&password_file, &password).expect("written");
        fs::create_dir(&data).expect("made");
        own(&data);
        own(&password_file);
        run(as_postgres(&bin.join("initdb"))
            .args([
                "--username=cb",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg("--pgdata")
            .arg(&data));
        // The port is free now; should another process take it in between, the next try has a new one.
        for _ in 0..5 {
            let port =
                TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
            let mut server = as_postgres(&bin.join("postgres"))
                .arg("-D")
                .arg(&data)
                .args(["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=60"])
                .args(["-c", "unix_socket_directories=", "-c", &format!("port={port}")])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("postgres starts");
            if answers(&bin, port, &mut server) {
                let url = format!("postgres://cb:{password}@127.0.0.1:{port}/postgres");
                return Self { server, url, _dir: dir };
            }
        }
        panic!("PostgreSQL does not answer; try: {} -D {}", bin.join("postgres").display(), data.display());
    }

    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate end is fine: nothing of it is kept. SIGQUIT goes through setpriv, which has
        // become the server itself.
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

fn newest() -> PathBuf {
    let mut found: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|bin| bin.join("initdb").exists())
        .collect();
    found.sort();
    found.pop().expect("PostgreSQL is installed: apt-get install -y postgresql")
}

/// PostgreSQL refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--"]).arg(program);
        command.current_dir("/");
        command
    } else {
        Command::new(program)
    }
}

fn own(path: &Path) {
    if is_root() {
        run(Command::new("chown").arg("postgres:postgres").arg(path));
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.trim_ascii() == b"0"
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("the command runs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn answers(bin: &Path, port: u16, server: &mut Child) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let ready = Command::new(bin.join("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()])
            .status()
            .is_ok_and(|s| s.success());
        if ready {
            return true;
        }
        if !matches!(server.try_wait(), Ok(None)) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = server.kill();
    let _ = server.wait();
    false
}
