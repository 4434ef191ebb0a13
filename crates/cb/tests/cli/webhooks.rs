//! A server that is killed again and again while things happen: whatever it has answered for is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cb_net::http::{Limits, OutboundError, Pin, Tls};
use cb_net::judge::Policy;
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use cb_testkit::{Receiver, Reply};
use http::{Request, Response};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};

const KILLS: u32 = 16;
const MAKERS: u32 = 4;
const TOKEN: &str = "Qm7vXc2LpR9tYw4ZsK8nBd6HfJ3gTe5U";
const CODE: &str = "ABCD-EFGH-JKLM-NPQR-STUV";

/// A server that listens on a port of its own, and somebody who asks it.
#[derive(Clone)]
struct Site {
    port: u16,
    client: Outbound,
}

impl Site {
    fn start(data: &Path, port: u16, allow: &str) -> Child {
        Command::new(env!("CARGO_BIN_EXE_cb"))
            .arg("serve")
            .env_clear()
            .env("CB_DATA_DIR", data)
            .env("CB_HTTPS_ADDR", format!("127.0.0.1:{port}"))
            .env("CB_HTTP_ADDR", "127.0.0.1:0")
            .env("CB_OUTBOUND_ALLOW", allow)
            .env("CB_API_TOKEN", TOKEN)
            .env("CB_SETUP_CODE", CODE)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts")
    }

    /// Waits until the server answers, and trusts what it shows.
    async fn meet(data: &Path, port: u16) -> Self {
        let leaf = data.join("tls/leaf.pem");
        for _ in 0..400 {
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

    async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Result<Response<Vec<u8>>, OutboundError> {
        let origin = format!("https://127.0.0.1:{}", self.port);
        let mut request = Request::builder().method(method).uri(format!("{origin}/api/v1{path}"));
        if path == "/setup" {
            request = request.header("origin", origin);
        } else {
            request = request.header("authorization", format!("Bearer {TOKEN}"));
        }
        let body = body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let request = request.header("content-type", "application/json").body(body).expect("a request");
        self.client.send(Policy::Lan, request, Limits::default()).await
    }

    async fn done(&self, path: &str, body: Value) -> Value {
        let answer = self.ask("POST", path, Some(body)).await.expect("answers");
        assert_eq!(answer.status(), 201, "{path}: {}", String::from_utf8_lossy(answer.body()));
        serde_json::from_slice(answer.body()).expect("JSON")
    }

    /// Adds assets until the server is gone; answers those that it has answered for.
    async fn make(self, maker: String) -> BTreeSet<String> {
        let mut made = BTreeSet::new();
        for n in 0.. {
            let name = format!("{maker}-{n}");
            match self.ask("POST", "/assets", Some(json!({ "name": name, "kind": "device" }))).await {
                Ok(answer) if answer.status() == 201 => made.insert(name),
                _ => return made,
            };
        }
        made
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    free.local_addr().expect("bound").port()
}

/// SIGKILL.
fn kill(mut server: Child) {
    server.kill().expect("killed");
    server.wait().expect("gone");
}

/// The names that were told, with the ids that they came under.
fn told(inbox: &Receiver) -> BTreeMap<String, BTreeSet<String>> {
    let mut told: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for request in inbox.received() {
        let body: Value = serde_json::from_slice(&request.body).expect("JSON");
        assert_eq!(body["type"], "asset.created");
        let name = body["data"]["name"].as_str().expect("a name").to_owned();
        told.entry(name).or_default().insert(request.header("webhook-id").to_owned());
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_tells_all_that_has_happened() {
    let dir = tempfile::tempdir().expect("a folder");
    let (data, port, inbox) = (dir.path().join("data"), free_port(), Receiver::start().await);
    let allow = inbox.address.to_string();
    let mut server = Site::start(&data, port, &allow);
    let site = Site::meet(&data, port).await;
    let who = json!({ "code": CODE, "username": "maria", "password": "seven green kettles sing" });
    site.done("/setup", who).await;
    let hook = json!({ "name": "Home", "url": inbox.url("/"), "events": ["asset.created"] });
    site.done("/webhooks", hook).await;
    let mut made = BTreeSet::new();
    for round in 0..KILLS {
        let site = Site::meet(&data, port).await;
        // Out of order for some rounds, slow in others: what is killed then waits, is under way, or is being written down.
        let reply = if round % 4 == 1 { Reply::status(503) } else { Reply::status(204) };
        inbox.answers(reply.after(Duration::from_millis(u64::from(round % 3) * 15)));
        let makers: Vec<_> = (0..MAKERS)
            .map(|n| tokio::spawn(site.clone().make(format!("round {round} maker {n}"))))
            .collect();
        tokio::time::sleep(Duration::from_millis(40 + 37 * u64::from(round))).await;
        kill(server);
        for maker in makers {
            made.extend(maker.await.expect("no panic"));
        }
        server = Site::start(&data, port, &allow);
    }
    inbox.answers(Reply::status(204));
    Site::meet(&data, port).await;
    for _ in 0..1200 {
        let told = told(&inbox);
        if made.iter().all(|name| told.contains_key(name)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    kill(server);
    let told = told(&inbox);
    let lost: Vec<&String> = made.iter().filter(|name| !told.contains_key(*name)).collect();
    assert!(lost.is_empty(), "{} of {} were never told: {lost:?}", lost.len(), made.len());
    assert!(made.len() > 100, "{}", made.len());
    let renamed: Vec<_> = told.iter().filter(|(_, ids)| ids.len() != 1).collect();
    assert!(renamed.is_empty(), "told under more than one id: {renamed:?}");
    let said = format!(
        "cb serve killed {KILLS} times: {} assets answered for, all told; {} requests, {} of them again\n",
        made.len(),
        inbox.received().len(),
        inbox.received().len() - told.len(),
    );
    std::io::stderr().write_all(said.as_bytes()).expect("told");
}
