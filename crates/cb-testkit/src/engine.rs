//! A Redis, a NATS and a PgBouncer of the test's own, from the system's packages: their own folder, a free loopback port, a password, never
//! root; stopped when dropped, and also when the test is killed. Within a test they can be stopped, killed, paused and started
//! again on the same port.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cb_core::{Entropy, OsEntropy};
use tempfile::TempDir;

use crate::Postgres;
use crate::process::{Watch, as_user, kill, own};

struct Kind {
    user: &'static str,
    /// In the order in which they are looked for.
    programs: &'static [&'static str],
    package: &'static str,
    /// What is said to it, and how what it answers begins.
    greeting: (&'static [u8], &'static [u8]),
}

const REDIS: Kind = Kind {
    user: "redis",
    programs: &["/usr/bin/redis-server", "/usr/local/bin/redis-server"],
    package: "redis-server",
    greeting: (b"PING\r\n", b"-NOAUTH"),
};

const NATS: Kind = Kind {
    user: "nats",
    programs: &["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"],
    package: "nats-server",
    greeting: (b"", b"INFO "),
};

const PGBOUNCER: Kind = Kind {
    // Debian's package runs it as this user.
    user: "postgres",
    programs: &["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"],
    package: "pgbouncer",
    // Whether it speaks TLS (https://www.postgresql.org/docs/15/protocol-message-formats.html, SSLRequest). It does not.
    greeting: (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"N"),
};

/// One process, and how it is started again.
struct Engine {
    kind: &'static Kind,
    port: u16,
    running: Option<(Child, Watch)>,
    dir: TempDir,
}

impl Engine {
    /// `write` says what is in the settings file, for a port and a folder.
    fn start(kind: &'static Kind, write: impl Fn(u16, &Path) -> String) -> Self {
        let dir = TempDir::with_prefix(format!("cb-{}-", kind.user)).expect("a temporary folder");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("open to its user");
        let room = dir.path().join("room");
        fs::create_dir(&room).expect("made");
        fs::set_permissions(&room, Permissions::from_mode(0o700)).expect("its own");
        own(kind.user, &room);
        let mut engine = Self { kind, port: 0, running: None, dir };
        // The port is free now; should another process take it in between, the next try has a new one.
        for _ in 0..5 {
            engine.port =
                TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
            let conf = engine.conf();
            fs::write(&conf, write(engine.port, &room)).expect("written");
            fs::set_permissions(&conf, Permissions::from_mode(0o600)).expect("its own");
            own(kind.user, &conf);
            if engine.try_start() {
                return engine;
            }
        }
        panic!(
            "{} does not answer; try: {} {}",
            kind.package,
            kind.program().display(),
            engine.conf().display()
        );
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("conf")
    }

    fn try_start(&mut self) -> bool {
        let mut command = as_user(self.kind.user, &self.kind.program());
        if self.kind.user == "nats" {
            command.arg("-c");
        }
        let child = command
            .arg(self.conf())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let watch = Watch::over(&child);
        let (child, _) = self.running.insert((child, watch));
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if answers(self.port, self.kind.greeting) {
                return true;
            }
            if !matches!(child.try_wait(), Ok(None)) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.end("-KILL");
        false
    }

    fn start_again(&mut self) {
        assert!(self.running.is_none(), "it runs");
        // Whoever else has the port meanwhile gives it back, or the test cannot go on.
        for _ in 0..10 {
            if self.try_start() {
                return;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        panic!("{} does not start again on port {}", self.kind.package, self.port);
    }

    fn signal(&self, signal: &str) {
        if let Some((child, _)) = &self.running {
            kill(signal, &child.id().to_string());
        }
    }

    fn end(&mut self, signal: &str) {
        self.signal(signal);
        let Some((mut child, watch)) = self.running.take() else { return };
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline && matches!(child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        kill_and_wait(&mut child);
        drop(watch);
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end("-KILL");
    }
}

impl Kind {
    fn program(&self) -> PathBuf {
        let found = self.programs.iter().map(PathBuf::from).find(|p| p.exists());
        found.unwrap_or_else(|| panic!("{0} is installed: apt-get install -y {0}", self.package))
    }
}

fn kill_and_wait(child: &mut Child) {
    if matches!(child.try_wait(), Ok(None)) {
        kill("-KILL", &child.id().to_string());
    }
    let _ = child.wait();
}

#[expect(clippy::disallowed_methods, reason = "the kit looks whether the server that it has started listens")]
fn answers(port: u16, (say, hear): (&[u8], &[u8])) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_secs(1)) else { return false };
    let mut answer = vec![0; hear.len()];
    let timed = stream.set_read_timeout(Some(Duration::from_secs(2))).is_ok();
    timed && stream.write_all(say).is_ok() && stream.read_exact(&mut answer).is_ok() && answer == hear
}

macro_rules! engine {
    ($name:ident) => {
        impl $name {
            /// As the settings name it, with its password.
            pub fn url(&self) -> &str {
                &self.url
            }

            pub fn port(&self) -> u16 {
                self.engine.port
            }

            pub fn password(&self) -> &str {
                &self.password
            }

            /// SIGTERM.
            pub fn stop(&mut self) {
                self.engine.end("-TERM");
            }

            /// SIGKILL.
            pub fn kill(&mut self) {
                self.engine.end("-KILL");
            }

            /// It goes on accepting connections and answers nothing, until [`Self::resume`].
            pub fn pause(&self) {
                self.engine.signal("-STOP");
            }

            pub fn resume(&self) {
                self.engine.signal("-CONT");
            }

            /// After [`Self::stop`] or [`Self::kill`], on the same port and with nothing from before.
            pub fn start_again(&mut self) {
                self.engine.start_again();
            }

            /// The id of its process.
            pub fn id(&self) -> Option<u32> {
                self.engine.running.as_ref().map(|(child, _)| child.id())
            }
        }
    };
}

pub struct Redis {
    engine: Engine,
    url: String,
    password: String,
}

engine!(Redis);

impl Redis {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With further lines of its settings.
    pub fn with(lines: &str) -> Self {
        let password = (&OsEntropy as &dyn Entropy).token();
        let engine = Engine::start(&REDIS, |port, room| {
            format!(
                "bind 127.0.0.1\nport {port}\ndir {}\nrequirepass {password}\nsave \"\"\nappendonly no\n{lines}\n",
                room.display()
            )
        });
        let url = format!("redis://:{password}@127.0.0.1:{}", engine.port);
        Self { engine, url, password }
    }

    /// What redis-cli answers to a command; panics when it is an error.
    pub fn command(&self, words: &[&str]) -> String {
        let output = Command::new("redis-cli")
            .args(["-e", "-p", &self.engine.port.to_string()])
            .args(words)
            .env("REDISCLI_AUTH", &self.password)
            .stdin(Stdio::null())
            .output()
            .expect("redis-cli is installed: apt-get install -y redis-tools");
        let answer = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert!(output.status.success(), "{words:?}: {answer} {}", String::from_utf8_lossy(&output.stderr));
        answer
    }
}

pub struct Nats {
    engine: Engine,
    url: String,
    password: String,
}

engine!(Nats);

impl Nats {
    pub fn start() -> Self {
        Self::with("")
    }

    /// With further fields of its user.
    pub fn with(fields: &str) -> Self {
        Self::set(fields, "")
    }

    /// It speaks TLS only, with a certificate and its key that its user can read.
    pub fn over_tls(cert: &Path, key: &Path) -> Self {
        let (cert, key) = (cert.display(), key.display());
        Self::set("", &format!("tls {{ cert_file: \"{cert}\", key_file: \"{key}\" }}"))
    }

    fn set(fields: &str, lines: &str) -> Self {
        let password = (&OsEntropy as &dyn Entropy).token();
        let engine = Engine::start(&NATS, |port, _| {
            let user = format!("{{ user: \"cb\", password: \"{password}\", {fields} }}");
            format!("listen: \"127.0.0.1:{port}\"\nauthorization {{ users: [ {user} ] }}\n{lines}\n")
        });
        let url = format!("nats://cb:{password}@127.0.0.1:{}", engine.port);
        Self { engine, url, password }
    }
}

/// A pooler of connections in front of a PostgreSQL, in transaction mode.
pub struct PgBouncer {
    engine: Engine,
    url: String,
    password: String,
}

engine!(PgBouncer);

impl PgBouncer {
    /// With at most so many connections to PostgreSQL.
    pub fn start(postgres: &Postgres, connections: u32) -> Self {
        Self::with(postgres, connections, "")
    }

    /// With further lines of its settings.
    pub fn with(postgres: &Postgres, connections: u32, lines: &str) -> Self {
        let (user, place) = postgres.url().split_once('@').expect("a URL with a user");
        let password = user.rsplit(':').next().expect("a password").to_owned();
        let (host, database) = place.split_once('/').expect("a database");
        let behind = host.rsplit(':').next().expect("a port");
        let engine = Engine::start(&PGBOUNCER, |port, room| {
            let users = room.join("users");
            fs::write(&users, format!("\"cb\" \"{password}\"\n")).expect("written");
            fs::set_permissions(&users, Permissions::from_mode(0o600)).expect("its own");
            own(PGBOUNCER.user, &users);
            format!(
                "[databases]\n* = host=127.0.0.1 port={behind}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
                 unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
                 default_pool_size = {connections}\nmax_client_conn = 500\nserver_login_retry = 1\n{lines}\n",
                users.display()
            )
        });
        let url = format!("postgres://cb:{password}@127.0.0.1:{}/{database}", engine.port);
        Self { engine, url, password }
    }
}

#[cfg(test)]
mod tests {
    use super::{Nats, Redis, answers};
    use crate::process::is_running;

    #[test]
    fn they_come_and_go_on_one_port_and_leave_nothing_behind() {
        let (mut redis, mut nats) = (Redis::start(), Nats::start());
        assert_eq!(redis.command(&["SET", "a", "1"]), "OK");
        let (port, first) = (redis.port(), redis.id().expect("it runs"));
        redis.kill();
        assert!(!is_running(first) && !answers(port, (b"", b"")));
        redis.start_again();
        assert_eq!((redis.port(), redis.command(&["DBSIZE"]).as_str()), (port, "0"));
        nats.stop();
        nats.start_again();
        let ids = [redis.id().expect("it runs"), nats.id().expect("it runs")];
        drop((redis, nats));
        assert!(ids.iter().all(|id| !is_running(*id)));
    }
}
