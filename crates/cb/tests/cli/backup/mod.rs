//! `cb backup`, `cb restore`, and the refusal to start over a database that is lost or older than its folder.

mod kept;
mod killed;
mod refused;
mod rollback;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use cb_net::http::{Limits, OutboundError, Pin, Tls};
use cb_net::judge::Policy;
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use cb_store::sea_orm::{self, ConnectionTrait as _};
use cb_testkit::{Database, Postgres};
use http::{Request, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "Qm7vXc2LpR9tYw4ZsK8nBd6HfJ3gTe5U";
const CODE: &str = "ABCD-EFGH-JKLM-NPQR-STUV";
const PASSWORD: &str = "seven green kettles sing";

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

    async fn sql(&self, sql: &str) {
        let url = self.postgres.as_ref().expect("a PostgreSQL").url();
        let db = sea_orm::Database::connect(url).await.expect("connects");
        db.execute_unprepared(sql).await.expect("done");
        db.close().await.expect("closed");
    }
}

impl Home {
    fn cb(&self, args: &[&str]) -> Command {
        let mut cb = Command::new(env!("CARGO_BIN_EXE_cb"));
        cb.args(args).env_clear().env("CB_DATA_DIR", &self.data).stdin(Stdio::null());
        if let Some(url) = &self.url {
            cb.env("CB_DB_URL", url);
        }
        cb
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
        let mut serve = self.cb(&["serve"]);
        serve
            .env("CB_HTTPS_ADDR", format!("127.0.0.1:{port}"))
            .env("CB_HTTP_ADDR", "127.0.0.1:0")
            .env("CB_API_TOKEN", TOKEN)
            .env("CB_SETUP_CODE", CODE)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        serve
    }

    async fn start(&self) -> Site {
        let port = free_port();
        let server = Server(self.serve(port).spawn().expect("starts"));
        Site::meet(&self.data, port, server).await
    }

    /// Started, set up, with a credential and some assets.
    async fn begin(&self) -> Site {
        let site = self.start().await;
        let who = json!({ "code": CODE, "username": "maria", "password": PASSWORD });
        site.client.done("/setup", who).await;
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

/// Stopped when it goes out of scope.
struct Server(Child);

impl Server {
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

struct Site {
    client: Client,
    server: Server,
}

#[derive(Clone)]
struct Client {
    port: u16,
    outbound: Outbound,
}

impl Site {
    /// Waits until the server answers, and trusts what it shows.
    async fn meet(data: &Path, port: u16, mut server: Server) -> Self {
        let leaf = data.join("tls/leaf.pem");
        for _ in 0..1200 {
            if let Ok(leaf) = CertificateDer::from_pem_file(&leaf) {
                let allow = vec!["127.0.0.1".parse().expect("an address")];
                let outbound = Outbound::new(allow, Vec::new(), Resolver::System);
                let client = Client { port, outbound: outbound.trusting(Tls::Pinned(Pin::of(&leaf))) };
                if client.ask("GET", "/health", None).await.is_ok() {
                    return Self { client, server };
                }
            }
            assert!(server.0.try_wait().expect("asked").is_none(), "the server has ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not answer");
    }

    /// SIGTERM, and the end of the process.
    fn stop(mut self) {
        let pid = self.server.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("runs").success());
        self.server.0.wait().expect("ended");
    }
}

impl Client {
    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let origin = format!("https://127.0.0.1:{}", self.port);
        let mut request = Request::builder().method(method).uri(format!("{origin}/api/v1{path}"));
        if path == "/setup" || path == "/auth/login" {
            request = request.header("origin", origin);
        } else {
            request = request.header("authorization", format!("Bearer {TOKEN}"));
        }
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let request = request.header("content-type", "application/json").body(body).expect("a request");
        self.outbound.send(Policy::Lan, request, Limits::default()).await
    }

    async fn done(&self, path: &str, body: Value) -> Value {
        let answer = self.ask("POST", path, Some(body)).await.expect("answers");
        assert!(answer.status().is_success(), "{path}: {}", String::from_utf8_lossy(answer.body()));
        serde_json::from_slice(answer.body()).expect("JSON")
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None).await.expect("answers");
        assert_eq!(answer.status(), 200, "{path}: {}", String::from_utf8_lossy(answer.body()));
        serde_json::from_slice(answer.body()).expect("JSON")
    }

    async fn asset(&self, name: &str) -> bool {
        let asset = json!({ "name": name, "kind": "device" });
        self.ask("POST", "/assets", Some(asset)).await.is_ok_and(|answer| answer.status() == 201)
    }

    /// The names of all assets.
    async fn assets(&self) -> BTreeSet<String> {
        let (mut names, mut cursor) = (BTreeSet::new(), String::new());
        loop {
            let page = self.get(&format!("/assets?limit=500&cursor={cursor}")).await;
            for asset in page["items"].as_array().expect("a list") {
                names.insert(asset["name"].as_str().expect("a name").to_owned());
            }
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return names,
            }
        }
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    free.local_addr().expect("bound").port()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
