//! A PostgreSQL of the test's own, from the system's package: its own folder, a free loopback port, a
//! password (scram), never root; stopped when dropped.

use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cb_core::{Entropy, OsEntropy};
use tempfile::TempDir;

use crate::process::{as_user, kill, own, run, user_id};

/// PostgreSQL refuses to run as root.
const USER: &str = "postgres";

pub struct Postgres {
    server: Child,
    url: String,
    bin: PathBuf,
    dir: TempDir,
    port: u16,
    connections: u32,
}

impl Postgres {
    /// Starts one and waits until it answers; panics with what is missing.
    pub fn start() -> Self {
        Self::with(60)
    }

    /// One that takes so many connections.
    pub fn with(connections: u32) -> Self {
        let bin = newest();
        let (template, password) = template(&bin);
        let dir = TempDir::with_prefix("cb-pg-").expect("a temporary folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))
            .expect("open to the postgres user");
        let data = dir.path().join("data");
        run(Command::new("cp").arg("-a").arg(&template).arg(&data));
        // The port is free now; should another process take it in between, the next try has a new one.
        for _ in 0..5 {
            let port =
                TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
            let mut server = serve(&bin, &data, port, connections);
            if answers(&bin, port, &mut server) {
                let url = format!("postgres://cb:{password}@127.0.0.1:{port}/postgres");
                return Self { server, url, bin, dir, port, connections };
            }
        }
        panic!("PostgreSQL does not answer; try: {} -D {}", bin.join("postgres").display(), data.display());
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Statements, as somebody types them beside the server.
    pub fn sql(&self, statements: &str) {
        run(Command::new(self.bin.join("psql"))
            .args(["-q", "-v", "ON_ERROR_STOP=1", "-c", statements, &self.url])
            .stdin(Stdio::null())
            .stdout(Stdio::null()));
    }

    /// Every process of it is killed at once, as when the power fails, and it starts again. What it has given to the system is kept:
    /// only what was still in its own memory is lost.
    pub fn dies(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Every process of it is killed at once.
    pub fn stop(&mut self) {
        let sessions = children(self.server.id());
        kill("-KILL", &self.server.id().to_string());
        for session in &sessions {
            kill("-KILL", session);
        }
        let _ = self.server.wait();
        // The memory that they shared is free when the last of them is gone.
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && sessions.iter().any(|id| Path::new("/proc").join(id).exists()) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// After [`Self::stop`], on the same port.
    pub fn start_again(&mut self) {
        let data = self.dir.path().join("data");
        let _ = fs::remove_file(data.join("postmaster.pid"));
        self.server = serve(&self.bin, &data, self.port, self.connections);
        assert!(answers(&self.bin, self.port, &mut self.server), "PostgreSQL does not come back");
    }

    /// It accepts what it is asked, and does not answer, until what this gives is dropped.
    pub fn pause(&self) -> Paused {
        // The first process starts the others, so it goes first.
        let first = self.server.id().to_string();
        kill("-STOP", &first);
        let mut all = children(self.server.id());
        for id in &all {
            kill("-STOP", id);
        }
        all.push(first);
        Paused(all)
    }

    /// Only one of its processes is killed. It ends the others, forgets what they shared, and goes on.
    pub fn loses_a_session(&mut self) {
        if let Some(last) = children(self.server.id()).last() {
            kill("-KILL", last);
        }
        assert!(answers(&self.bin, self.port, &mut self.server), "PostgreSQL does not go on");
    }
}

/// Processes that do nothing meanwhile.
pub struct Paused(Vec<String>);

impl Drop for Paused {
    fn drop(&mut self) {
        for id in &self.0 {
            kill("-CONT", id);
        }
    }
}

fn serve(bin: &Path, data: &Path, port: u16, connections: u32) -> Child {
    as_user(USER, &bin.join("postgres"))
        .arg("-D")
        .arg(data)
        .args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
            "-c",
            &format!("max_connections={connections}"),
        ])
        .args(["-c", "unix_socket_directories=", "-c", &format!("port={port}")])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("postgres starts")
}

fn children(id: u32) -> Vec<String> {
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    children.split_whitespace().map(str::to_owned).collect()
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate end is fine: nothing of it is kept. SIGQUIT goes through setpriv, which has
        // become the server itself.
        kill("-QUIT", &self.server.id().to_string());
        let deadline = Instant::now() + Duration::from_secs(1);
        while Instant::now() < deadline {
            if !matches!(self.server.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        // A session that is just beginning waits up to a minute for its client, whose thread may be this one.
        for session in children(self.server.id()) {
            kill("-KILL", &session);
        }
        let _ = self.server.wait();
    }
}

/// A data folder to copy, and its password: made once for each run of the machine, since making one takes longer than
/// most tests.
fn template(bin: &Path) -> (PathBuf, String) {
    let version = bin.parent().and_then(Path::file_name).and_then(|n| n.to_str()).unwrap_or("0");
    let home = std::env::temp_dir().join(format!("cb-pg-template-{version}-{}", user_id()));
    fs::create_dir_all(&home).expect("a folder for the template");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o711)).expect("ours");
    let lock = File::create(home.join("lock")).expect("a lock file");
    lock.lock().expect("locked");
    let (data, password_file) = (home.join("data"), home.join("password"));
    if !data.exists() {
        // A try that was cut short is begun anew; only the last step makes it the template.
        let half = home.join("half");
        let _ = fs::remove_dir_all(&half);
        fs::create_dir(&half).expect("made");
        let _ = fs::remove_file(&password_file);
        fs::write(&password_file, (&OsEntropy as &dyn Entropy).token()).expect("written");
        fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600)).expect("ours");
        own(USER, &half);
        own(USER, &password_file);
        run(as_user(USER, &bin.join("initdb"))
            .args([
                "--username=cb",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--no-sync",
            ])
            .arg(format!("--pwfile={}", password_file.display()))
            .arg("--pgdata")
            .arg(&half));
        fs::rename(&half, &data).expect("the template stands");
    }
    (data, fs::read_to_string(password_file).expect("its password"))
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
