//! `cb serve` as a process of its own, and somebody who asks it.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use cb_net::http::{Limits, OutboundError, Pin, Tls};
use cb_net::judge::Policy;
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use http::{Request, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};

pub const TOKEN: &str = "Qm7vXc2LpR9tYw4ZsK8nBd6HfJ3gTe5U";
pub const CODE: &str = "ABCD-EFGH-JKLM-NPQR-STUV";
pub const PASSWORD: &str = "seven green kettles sing";

pub fn cb() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cb"))
}

/// Makes `command`, which ends in the binary, serve from `data`; without the environment and settings of whoever runs the test.
pub fn serve<'c>(command: &'c mut Command, data: &Path, settings: &[(&str, &str)]) -> &'c mut Command {
    command
        .arg("serve")
        .env_clear()
        .env("CB_DATA_DIR", data)
        .env("CB_HTTPS_ADDR", "127.0.0.1:0")
        .env("CB_HTTP_ADDR", "127.0.0.1:0")
        .envs(settings.iter().copied())
}

/// The same on a known port, for [`Site::meet`].
pub fn serve_on<'c>(
    command: &'c mut Command,
    data: &Path,
    port: u16,
    settings: &[(&str, &str)],
) -> &'c mut Command {
    serve(command, data, settings)
        .env("CB_HTTPS_ADDR", format!("127.0.0.1:{port}"))
        .env("CB_API_TOKEN", TOKEN)
        .env("CB_SETUP_CODE", CODE)
}

/// A port below the range of outgoing connections, so that none of them takes it before the server does.
pub fn free_port() -> u16 {
    loop {
        let random = RandomState::new().build_hasher().finish() % 12_000;
        let port = 20_000 + u16::try_from(random).expect("below 12,000");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// SIGKILL.
pub fn kill(mut server: Child) {
    server.kill().expect("killed");
    server.wait().expect("gone");
}

/// One that is gone when its test is over, however that ends.
pub struct Server(Child);

impl Server {
    pub fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("starts"))
    }

    /// What the kernel says of the process under a name, such as `Umask`.
    pub fn status(&self, name: &str) -> String {
        let all = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).expect("it runs");
        let line = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect("such a line").trim().to_owned()
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.0.id().to_string()]).status().expect("runs");
        assert!(sent.success(), "{name}");
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// SIGTERM, and how the process has ended, which must come within `patience`.
    pub async fn ended_at_term(self, patience: Duration) -> ExitStatus {
        self.signal("TERM");
        self.ended(patience).await
    }

    /// SIGTERM, and the end of the process.
    pub fn stop(mut self) {
        self.signal("TERM");
        self.0.wait().expect("ended");
    }

    /// Waits for the end, which must come within `patience`.
    pub async fn ended(mut self, patience: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().expect("asked") {
                return status;
            }
            assert!(began.elapsed() < patience, "the server did not end within {patience:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that listens on a port of its own, and somebody who asks it.
#[derive(Clone)]
pub struct Site {
    pub port: u16,
    client: Outbound,
}

impl Site {
    /// Waits until the server answers, and trusts what it shows.
    pub async fn meet(data: &Path, port: u16) -> Self {
        let leaf = data.join("tls/leaf.pem");
        for _ in 0..1200 {
            if let Ok(leaf) = CertificateDer::from_pem_file(&leaf) {
                let allow = vec!["127.0.0.1".parse().expect("an address")];
                let client = Outbound::new(allow, Vec::new(), Resolver::System);
                let site = Self { port, client: client.trusting(Tls::Pinned(Pin::of(&leaf))) };
                if site.ask("GET", "/health", None).await.is_ok() {
                    return site;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the server does not answer");
    }

    pub async fn ask(
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
        self.client.send(Policy::Lan, request, Limits::default()).await
    }

    pub async fn done(&self, path: &str, body: Value) -> Value {
        let answer = self.ask("POST", path, Some(body)).await.expect("answers");
        assert!(answer.status().is_success(), "{path}: {}", String::from_utf8_lossy(answer.body()));
        serde_json::from_slice(answer.body()).expect("JSON")
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = self.ask("GET", path, None).await.expect("answers");
        assert_eq!(answer.status(), 200, "{path}: {}", String::from_utf8_lossy(answer.body()));
        serde_json::from_slice(answer.body()).expect("JSON")
    }

    /// Adds an asset; says whether the server has answered for it.
    pub async fn asset(&self, name: &str) -> bool {
        let asset = json!({ "name": name, "kind": "device" });
        self.ask("POST", "/assets", Some(asset)).await.is_ok_and(|answer| answer.status() == 201)
    }

    /// The names of all assets.
    pub async fn assets(&self) -> BTreeSet<String> {
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

    pub async fn set_up(&self) {
        let who = json!({ "code": CODE, "username": "maria", "password": PASSWORD });
        self.done("/setup", who).await;
    }

    /// One connection, that stays.
    pub async fn connect(&self) -> Line {
        let patience = Duration::from_secs(5);
        let stream = self.client.connect(Policy::Lan, "127.0.0.1", self.port, patience);
        let stream = stream.await.expect("connects");
        let stream = self.client.tls(stream, "127.0.0.1").await.expect("TLS");
        Line { stream: BufReader::new(Box::new(stream)), port: self.port }
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection over which one request follows another, in HTTP/1.1 as it is written.
pub struct Line {
    stream: BufReader<Box<dyn Stream>>,
    port: u16,
}

impl Line {
    /// The status of the answer.
    pub async fn ask(&mut self, method: &str, path: &str, body: &str) -> u16 {
        self.begin(method, path, body.len()).await;
        self.end(body).await
    }

    /// The head of a request whose body comes later.
    pub async fn begin(&mut self, method: &str, path: &str, length: usize) {
        let head = format!(
            "{method} /api/v1{path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: Bearer {TOKEN}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            self.port
        );
        self.stream.write_all(head.as_bytes()).await.expect("sent");
        self.stream.flush().await.expect("sent");
    }

    pub async fn end(&mut self, body: &str) -> u16 {
        self.stream.write_all(body.as_bytes()).await.expect("sent");
        self.stream.flush().await.expect("sent");
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).await.expect("the connection stays");
            assert!(read > 0, "the connection was closed");
            match line.trim_end().to_lowercase().split_once(' ') {
                None => break,
                Some(("http/1.1", said)) => status = said[..3].parse().expect("a status"),
                Some(("content-length:", said)) => length = said.parse().expect("a length"),
                Some(_) => {}
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.expect("the whole answer");
        status
    }
}
