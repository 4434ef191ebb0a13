//! `cb backup`, `cb restore`, `cb store copy`, and the refusal to start over a database that is lost or older than its folder.

mod beside;
mod copied;
mod kept;
mod killed;
mod older;
mod refused;
mod rollback;
mod stopped;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use cb_store::sea_orm::{self, ConnectionTrait as _};
use cb_testkit::{Database, Postgres};
use serde_json::json;
use tempfile::TempDir;

use crate::site::{Server, Site, cb, free_port, serve_on};

/// A folder for the test, and a PostgreSQL if one of its places needs it.
struct World {
    dir: TempDir,
    postgres: Option<Postgres>,
}

/// Where an instance lives.
#[derive(Clone)]
struct Home {
    data: PathBuf,
    url: Option<String>,
}

impl World {
    fn new(postgres: bool) -> Self {
        let dir = TempDir::with_prefix("cb-backup-").expect("a folder");
        Self { dir, postgres: postgres.then(Postgres::start) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An empty place: a folder that is not there, and an empty database.
    async fn home(&self, name: &str, on: Database) -> Home {
        let url = match on {
            Database::Sqlite => None,
            Database::Postgres => {
                self.sql(&format!("CREATE DATABASE {name}")).await;
                let url = self.postgres.as_ref().expect("a PostgreSQL").url();
                Some(url.replace("/postgres", &format!("/{name}")))
            }
        };
        Home { data: self.path(name), url }
    }

    /// An instance that was set up and stopped, and its archive.
    async fn archived(&self, on: Database) -> (Home, PathBuf) {
        let old = self.home("old", on).await;
        old.begin().await.stop();
        let archive = self.path("archive");
        old.says(&["backup", text(&archive)]);
        (old, archive)
    }

    async fn sql(&self, sql: &str) {
        let url = self.postgres.as_ref().expect("a PostgreSQL").url();
        run_sql(url, &[sql]).await;
    }
}

async fn run_sql(url: &str, all: &[&str]) {
    let db = sea_orm::Database::connect(url).await.expect("connects");
    for sql in all {
        db.execute_unprepared(sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    }
    db.close().await.expect("closed");
}

impl Home {
    fn cb(&self, args: &[&str]) -> Command {
        self.set(cb(), args)
    }

    /// Makes `command`, which ends in the binary, run `args` here.
    fn set(&self, mut command: Command, args: &[&str]) -> Command {
        command.args(args).env_clear().env("CB_DATA_DIR", &self.data).stdin(Stdio::null());
        if let Some(url) = &self.url {
            command.env("CB_DB_URL", url);
        }
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.cb(args).output().expect("runs")
    }

    /// What a command says that succeeds.
    fn says(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Why a command fails.
    fn complains(&self, args: &[&str]) -> String {
        let done = self.run(args);
        let why = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(!done.status.success(), "{args:?} succeeded: {}", String::from_utf8_lossy(&done.stdout));
        assert!(why.starts_with("cb: ") && !why.contains("panicked"), "{args:?}: {why}");
        why
    }

    fn serve(&self, port: u16) -> Command {
        let url: Vec<_> = self.url.iter().map(|url| ("CB_DB_URL", url.as_str())).collect();
        let mut serve = cb();
        serve_on(&mut serve, &self.data, port, &url).stdout(Stdio::null()).stderr(Stdio::null());
        serve
    }

    async fn start(&self) -> Running {
        let port = free_port();
        self.meet(port, self.serve(port)).await
    }

    async fn meet(&self, port: u16, mut serve: Command) -> Running {
        let server = Server::start(&mut serve);
        Running { client: Site::meet(&self.data, port).await, server }
    }

    /// Started, set up, with a credential.
    async fn begin(&self) -> Running {
        let site = self.start().await;
        site.client.set_up().await;
        let credential = json!({
            "name": "Switches", "kind": "snmp_v2c", "secret": { "community": "a secret community" }, "hosts": ["10.0.0.0/24"],
        });
        site.client.done("/credentials", credential).await;
        site
    }

    /// Why the server does not start; it must not offer setup.
    fn does_not_start(&self) -> String {
        let mut serve = self.serve(free_port());
        let mut server = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        for _ in 0..400 {
            if server.try_wait().expect("asked").is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        // One that has started does not end by itself.
        let _ = server.kill();
        let done = server.wait_with_output().expect("ends");
        let (said, why) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        assert!(!done.status.success() && said.is_empty(), "{said} {why}");
        why.into_owned()
    }

    fn is_empty(&self) -> bool {
        std::fs::read_dir(&self.data).map_or(true, |names| names.count() == 0)
    }
}

/// A server of a home; killed when it goes out of scope.
struct Running {
    client: Site,
    server: Server,
}

impl Running {
    fn stop(self) {
        self.server.stop();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("reads");
    entries.map(|entry| entry.expect("a name").file_name().into_string().expect("UTF-8")).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
