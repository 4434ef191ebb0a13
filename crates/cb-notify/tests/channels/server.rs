//! An HTTP server of a few lines that answers from a script and remembers what it was asked.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use cb_net::http::Pin;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

#[derive(Debug, Clone)]
pub struct Heard {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
    /// All of it, as it came.
    pub raw: String,
}

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

pub fn reply(status: u16, body: impl Into<String>) -> Reply {
    Reply { status, headers: Vec::new(), body: body.into() }
}

pub struct Server {
    address: SocketAddr,
    pub pin: Option<Pin>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Server {
    pub async fn start(answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(None, answer).await
    }

    /// With a certificate that nobody signed.
    pub async fn sealed(answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Self {
        let (acceptor, pin) = acceptor();
        let server = Self::listen(Some(acceptor), answer).await;
        Self { pin: Some(pin), ..server }
    }

    async fn listen(
        tls: Option<TlsAcceptor>,
        answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = heard.clone();
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, log, answer) = (tls.clone(), log.clone(), answer.clone());
                tokio::spawn(async move {
                    match tls {
                        Some(tls) => serve(tls.accept(stream).await.ok()?, &log, &*answer).await,
                        None => serve(stream, &log, &*answer).await,
                    }
                });
            }
        });
        Self { address, pin: None, heard }
    }

    pub fn base(&self) -> String {
        let scheme = if self.pin.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("not poisoned").clone()
    }

    /// The only request so far.
    pub fn only(&self) -> Heard {
        let heard = self.heard();
        assert_eq!(heard.len(), 1, "{heard:?}");
        heard[0].clone()
    }
}

/// Speaks as somebody whom nobody vouches for.
pub fn acceptor() -> (TlsAcceptor, Pin) {
    let certificate =
        rcgen::generate_simple_self_signed(vec!["service.test".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der()));
    let config =
        rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.cert.der().clone()], key)
            .expect("a key that fits");
    (TlsAcceptor::from(Arc::new(config)), Pin::of(certificate.cert.der()))
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    log: &Mutex<Vec<Heard>>,
    answer: &(impl Fn(&Heard) -> Reply + ?Sized),
) -> Option<()> {
    let mut raw = Vec::new();
    let (head, length) = loop {
        let mut buffer = [0; 8192];
        let read = stream.read(&mut buffer).await.ok()?;
        (read > 0).then_some(())?;
        raw.extend_from_slice(&buffer[..read]);
        if let Some(end) = raw.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&raw[..end]).into_owned();
            let length = header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
            if raw.len() >= end + 4 + length {
                break (head, length);
            }
        }
    };
    let request = heard(&head, &raw, length);
    let Reply { status, headers, body } = answer(&request);
    log.lock().expect("not poisoned").push(request);
    let mut head =
        format!("HTTP/1.1 {status} Said\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in headers {
        head.extend([name, ": ", &value, "\r\n"]);
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    stream.shutdown().await.ok()
}

fn heard(head: &str, raw: &[u8], length: usize) -> Heard {
    let mut first = head.lines().next().unwrap_or_default().split(' ');
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    Heard {
        method: first.next().unwrap_or_default().to_owned(),
        path: first.next().unwrap_or_default().to_owned(),
        headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect(),
        body: String::from_utf8_lossy(&raw[raw.len() - length..]).into_owned(),
        raw: String::from_utf8_lossy(raw).into_owned(),
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}
