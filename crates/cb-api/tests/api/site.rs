//! A server of the test's own, or two that share PostgreSQL, Redis and NATS, and a client that sends exactly the bytes it is told to.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cb_api::place::Place;
use cb_api::server;
use cb_app::tags::{self, TagIn};
use cb_app::{App, Heard};
use cb_core::config::Config;
use cb_core::{Clock as _, Event, Principal, SystemClock};
use cb_net::names::Names;
use cb_net::tls::Identity;
use cb_store::sea_orm::DatabaseConnection;
use cb_testkit::{Database, TestApp};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

/// How long a server uses a session as it has read it (`GOOD_FOR`, crates/cb-app/src/auth/recent.rs).
const UNHEARD: Duration = Duration::from_millis(250);

/// A table of the site's PostgreSQL that another client has locked, until it is released or dropped.
pub struct Held {
    psql: Child,
    to: ChildStdin,
}

impl Held {
    pub async fn lock(site: &Site, table: &str) -> Self {
        let url = site.test.config().db_url.as_ref().expect("PostgreSQL").expose().to_owned();
        let mut psql = Command::new("psql")
            .args(["-q", "-d", &url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("psql");
        let mut to = psql.stdin.take().expect("a pipe");
        let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;\n\\echo locked\n");
        to.write_all(lock.as_bytes()).await.expect("written");
        let mut line = String::new();
        let mut from = BufReader::new(psql.stdout.take().expect("a pipe"));
        from.read_line(&mut line).await.expect("an answer");
        assert_eq!(line.trim(), "locked");
        Self { psql, to }
    }

    pub async fn release(mut self) {
        self.to.write_all(b"COMMIT;\n\\q\n").await.expect("written");
        self.psql.wait().await.expect("it ends");
    }
}

/// With `Postgres` there are two servers, and each connection is to the other one: nothing may depend on which of them answers.
pub struct Site {
    pub test: TestApp,
    pub https: SocketAddr,
    pub http: SocketAddr,
    beside: Option<(App, SocketAddr)>,
    connections: AtomicUsize,
    client: Arc<ClientConfig>,
    stop: CancellationToken,
    _guard: tokio_util::sync::DropGuard,
}

/// A proxy that says where requests come from.
pub const PROXY: [(&str, &str); 1] = [("CB_TRUSTED_PROXIES", "127.0.0.1/32")];

/// A session, as a browser holds it.
#[derive(Clone)]
pub struct Login {
    pub cookie: String,
    pub csrf: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Every value of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// The one cookie whose name begins so, as it is sent back.
    pub fn cookie(&self, prefix: &str) -> String {
        let all = self.all("set-cookie");
        let ours: Vec<_> = all.into_iter().filter(|cookie| cookie.starts_with(prefix)).collect();
        assert_eq!(ours.len(), 1, "one cookie {prefix}… in {self:?}");
        ours[0].split(';').next().expect("a pair").to_owned()
    }

    pub fn one(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} once in {self:?}");
        all[0]
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A request to be sent.
pub struct Ask {
    head: Vec<u8>,
    body: Vec<u8>,
}

impl Ask {
    pub fn new(method: &str, path: &str) -> Self {
        Self { head: format!("{method} {path} HTTP/1.1\r\n").into_bytes(), body: Vec::new() }
    }

    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.head.extend_from_slice(name.as_bytes());
        self.head.extend_from_slice(b": ");
        self.head.extend_from_slice(value.as_ref());
        self.head.extend_from_slice(b"\r\n");
        self
    }

    pub fn by(self, login: &Login) -> Self {
        self.header("Cookie", &login.cookie)
    }

    /// As the browser client writes.
    pub fn write(self, login: &Login, body: &Value) -> Self {
        self.by(login).header("X-CSRF-Token", &login.csrf).json(body.to_string())
    }

    pub fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.header("Content-Type", "application/json").body(body)
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        Self { body, ..self.header("Content-Length", length) }
    }

    pub fn bytes(mut self) -> Vec<u8> {
        self.head.extend_from_slice(b"\r\n");
        self.head.extend_from_slice(&self.body);
        self.head
    }
}

impl Site {
    /// A connection of the test's own to the site's database.
    pub async fn database(&self) -> DatabaseConnection {
        let url = match &self.test.config().db_url {
            Some(url) => url.expose().to_owned(),
            None => format!("sqlite://{}", self.test.data_dir().join("circuit-breaker.db").display()),
        };
        cb_store::sea_orm::Database::connect(url).await.expect("connects")
    }

    /// Waits for setup.
    pub async fn new(database: Database) -> Self {
        Self::with(database, &[]).await
    }

    /// The same with settings of the edge.
    pub async fn with(database: Database, settings: &[(&str, &str)]) -> Self {
        let test = match database {
            Database::Sqlite => TestApp::new(database).await,
            Database::Postgres => TestApp::of_cluster().await,
        };
        Self::of(test, settings).await
    }

    /// One server, whatever its database: for what each server counts or bounds by itself. Waits for setup.
    pub async fn alone(database: Database, settings: &[(&str, &str)]) -> Self {
        Self::of(TestApp::new(database).await, settings).await
    }

    pub async fn alone_ready(database: Database, settings: &[(&str, &str)]) -> (Self, Login) {
        Self::alone(database, settings).await.set_up().await
    }

    async fn of(mut test: TestApp, settings: &[(&str, &str)]) -> Self {
        let vars = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::from_vars(vars, Path::new("/nonexistent/cb.toml")).expect("valid settings");
        if config.public_url.is_some() {
            test = test.restart_with(|own| own.public_url.clone_from(&config.public_url)).await;
        }
        let names = Names::of_this_machine(&Place::given(&config));
        let identity =
            Identity::open(test.data_dir(), None, &names, SystemClock.now()).expect("a certificate");
        let root = identity.root().expect("a local CA");
        let bind = async || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let (tls, plain) = (bind().await, bind().await);
        let (https, http) = (tls.local_addr().expect("bound"), plain.local_addr().expect("bound"));
        let (stop, identity) = (CancellationToken::new(), Arc::new(identity));
        // Both are called by the same name and port, as behind a proxy.
        let serve = |app: &App, tls, plain| {
            let place = Arc::new(Place::new(&config, names.clone(), https.port(), Some(root.clone())));
            tokio::spawn(server::serve(app.clone(), tls, plain, identity.clone(), place, stop.clone()));
        };
        serve(&test.app, tls, plain);
        let mut beside = None;
        if test.redis().is_some() {
            let (app, tls) = (test.second().await, bind().await);
            beside = Some((app.clone(), tls.local_addr().expect("bound")));
            serve(&app, tls, bind().await);
        }
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(root.as_bytes()).expect("PEM")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        client.alpn_protocols = vec![b"http/1.1".to_vec()];
        Self {
            test,
            https,
            http,
            beside,
            connections: AtomicUsize::new(0),
            client: Arc::new(client),
            _guard: stop.clone().drop_guard(),
            stop,
        }
    }

    /// Set up, with the administrator signed in.
    pub async fn ready(database: Database) -> (Self, Login) {
        Self::ready_with(database, &[]).await
    }

    /// Set up, behind a proxy that says where requests come from.
    pub async fn behind_proxy(database: Database) -> (Self, Login) {
        Self::ready_with(database, &PROXY).await
    }

    pub async fn ready_with(database: Database, settings: &[(&str, &str)]) -> (Self, Login) {
        Self::with(database, settings).await.set_up().await
    }

    async fn set_up(self) -> (Self, Login) {
        let answer = served(async || self.ask(self.setup_request()).await).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let login = Login::from_answer(&answer);
        (self, login)
    }

    /// Afterwards each of the two servers hears the other, has heard all that was said so far, and has told that it missed what was
    /// before it heard.
    pub async fn calm(&self, login: &Login) {
        let Some((beside, _)) = &self.beside else { return };
        let apps = [&self.test.app, beside];
        let mut ears = apps.map(App::listen);
        let deadline = Instant::now() + Duration::from_mins(1);
        let mut calm = 0;
        while calm < 2 {
            assert!(Instant::now() < deadline, "the servers never hear each other");
            let mut heard_all = true;
            for (here, there) in [(0, 1), (1, 0)] {
                let ctx = apps[here].own_ctx(Principal::Cli);
                let name = apps[here].new_id().to_string();
                tags::create(&ctx, TagIn { name, color: "#d97706".to_owned() }).await.expect("made");
                let newest =
                    self.get(login, "/api/v1/audit-log?limit=1").await.json()["items"][0]["seq"].as_i64();
                let newest = newest.expect("a number");
                let mut hear = async |ear: usize| loop {
                    match ears[ear].hear().await {
                        Heard::Event(Event::EntryAppended { seq }) if seq >= newest => return true,
                        Heard::Event(_) => {}
                        Heard::Missed(_) | Heard::Closed => return false,
                    }
                };
                for ear in [here, there] {
                    heard_all &= timeout(Duration::from_millis(500), hear(ear)).await.unwrap_or(false);
                }
            }
            calm = if heard_all { calm + 1 } else { 0 };
            // What is missed is told within 200 ms.
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }

    /// So much later no guess is held back any more. Redis, which has a clock of its own, is told so by emptying it.
    pub fn rest(&self, time: chrono::TimeDelta) {
        self.test.clock.advance(time);
        if let Some(redis) = self.test.redis() {
            assert_eq!(redis.command(&["FLUSHALL"]), "OK");
        }
    }

    pub fn setup_request(&self) -> Ask {
        let (code, _) = self.test.app.setup_code().expect("setup is required");
        let body = serde_json::json!({
            "code": code.expose(), "username": TestApp::USERNAME, "password": TestApp::PASSWORD,
        });
        Ask::new("POST", "/api/v1/setup").json(body.to_string())
    }

    /// As SIGTERM does.
    pub fn begin_to_stop(&self) {
        self.stop.cancel();
    }

    pub fn host(&self) -> String {
        format!("localhost:{}", self.https.port())
    }

    pub fn origin(&self) -> String {
        format!("https://{}", self.host())
    }

    pub async fn connect(&self) -> TlsStream<TcpStream> {
        let odd = self.connections.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        let to = self.beside.as_ref().filter(|_| odd).map_or(self.https, |(_, to)| *to);
        self.connect_over(cb_net::dial::local(to).await.expect("connects")).await
    }

    pub async fn connect_over(&self, stream: TcpStream) -> TlsStream<TcpStream> {
        self.connect_to("localhost", stream).await
    }

    /// For HTTP/2.
    pub async fn connect_h2(&self) -> TlsStream<TcpStream> {
        let mut config = (*self.client).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = cb_net::dial::local(self.https).await.expect("connects");
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.expect("the certificate is trusted")
    }

    /// The certificate must be for `name`.
    pub async fn connect_to(&self, name: &str, stream: TcpStream) -> TlsStream<TcpStream> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        TlsConnector::from(self.client.clone())
            .connect(name, stream)
            .await
            .expect("the certificate is trusted")
    }

    /// Over HTTPS, with our own `Host`.
    pub async fn ask(&self, ask: Ask) -> Answer {
        let host = self.host();
        self.raw(&ask.header("Host", host).bytes()).await
    }

    /// The same without a `Host` of our own.
    pub async fn ask_as_is(&self, ask: Ask) -> Answer {
        self.raw(&ask.bytes()).await
    }

    pub async fn raw(&self, bytes: &[u8]) -> Answer {
        exchange(self.connect().await, bytes).await
    }

    /// Over plain HTTP.
    pub async fn ask_plain(&self, ask: Ask) -> Answer {
        exchange(cb_net::dial::local(self.http).await.expect("connects"), &ask.bytes()).await
    }

    pub async fn get(&self, login: &Login, path: &str) -> Answer {
        self.ask(Ask::new("GET", path).by(login)).await
    }

    /// Whether one of the servers refuses it; the one that has ended it does so at once.
    pub async fn ended_somewhere(&self, login: &Login) -> bool {
        let me = "/api/v1/auth/me";
        self.get(login, me).await.status != 200
            || self.beside.is_some() && self.get(login, me).await.status != 200
    }

    /// Every server refuses this session. The one that has ended it does so at once; another one that has not heard of the end may use
    /// what it has read for [`UNHEARD`].
    pub async fn has_ended(&self, login: &Login, why: &str) {
        let mut servers = 1;
        if self.beside.is_some() {
            tokio::time::sleep(UNHEARD).await;
            servers = 2;
        }
        for _ in 0..servers {
            assert_eq!(self.get(login, "/api/v1/auth/me").await.status, 401, "{why}");
        }
    }
}

impl Login {
    pub fn from_answer(answer: &Answer) -> Self {
        let pair = answer.cookie("__Host-cb_session=");
        Self { cookie: pair, csrf: answer.json()["csrf_token"].as_str().expect("a token").to_owned() }
    }
}

/// Asks again for a few seconds while the answer is 503. On a machine with too much to do the database may be busy; then nothing was
/// written.
pub async fn served(ask: impl AsyncFn() -> Answer) -> Answer {
    let mut answer = ask().await;
    for _ in 0..30 {
        if answer.status != 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        answer = ask().await;
    }
    answer
}

pub async fn exchange<S: AsyncRead + tokio::io::AsyncWrite + Unpin>(mut stream: S, bytes: &[u8]) -> Answer {
    // A server that has seen enough may close while we still write; its answer is there all the same.
    let _ = stream.write_all(bytes).await;
    let _ = stream.flush().await;
    let head_only = bytes.starts_with(b"HEAD ");
    read_answer(&mut stream, head_only).await.expect("an answer")
}

/// None when the connection ends before an answer is whole.
pub async fn read_answer(stream: &mut (impl AsyncRead + Unpin), head_only: bool) -> Option<Answer> {
    let mut seen = Vec::new();
    let mut chunk = vec![0; 16 * 1024];
    loop {
        if let Some(end) = seen.windows(4).position(|w| w == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&seen[..end]).into_owned();
            let mut lines = head.split("\r\n");
            let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
            let headers: Vec<(String, String)> =
                lines.filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
            let length = headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("content-length"));
            let length = length.map_or(0, |(_, v)| v.parse().unwrap_or(0));
            let length: usize = if head_only { 0 } else { length };
            if seen.len() >= end + 4 + length {
                return Some(Answer { status, headers, body: seen[end + 4..end + 4 + length].to_vec() });
            }
        }
        match stream.read(&mut chunk).await {
            Ok(n) if n > 0 => seen.extend_from_slice(&chunk[..n]),
            _ => return None,
        }
    }
}
