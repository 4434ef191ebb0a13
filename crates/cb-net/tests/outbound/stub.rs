//! A name server and a web server, each of a few lines.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cb_net::http::{Limits, OutboundError};
use cb_net::judge::{Kind, Own, Refused};
use cb_net::outbound::Outbound;
use cb_net::resolve::Resolver;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UdpSocket};

/// A client that may reach what `allow` says, with names from `dns`.
pub fn outbound(allow: &str, dns: &NameServer) -> Outbound {
    outbound_with(allow, Vec::new(), dns)
}

pub fn outbound_with(allow: &str, own: Vec<Own>, dns: &NameServer) -> Outbound {
    let allow = allow.split(',').filter(|t| !t.is_empty()).map(|t| t.parse().expect("an entry")).collect();
    Outbound::new(allow, own, Resolver::Servers(vec![dns.address]))
}

pub fn get(url: &str) -> http::Request<Vec<u8>> {
    http::Request::get(url).body(Vec::new()).expect("a request")
}

/// What the address that is refused is; of a name that leads to several, the first of them.
pub fn kind(error: &OutboundError) -> Option<Kind> {
    match error {
        OutboundError::Refused(Refused::Address { kind, .. }) => Some(*kind),
        OutboundError::Refused(Refused::InPart { refused, .. }) => match refused.first() {
            Some(Refused::Address { kind, .. }) => Some(*kind),
            _ => None,
        },
        _ => None,
    }
}

pub fn limits() -> Limits {
    Limits { total: Duration::from_secs(10), ..Limits::default() }
}

/// Answers A and AAAA questions, and fails for names below `broken.`; the n-th question of a kind gets the n-th answer, later ones the last.
pub struct NameServer {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

const A: u16 = 1;
const AAAA: u16 = 28;
const SERVER_FAILURE: u8 = 2;
const UNKNOWN_NAME: u8 = 3;

impl NameServer {
    pub async fn start(answers: &[(&str, &[&str])]) -> Self {
        let answers: BTreeMap<String, Vec<Vec<IpAddr>>> = answers
            .iter()
            .map(|(name, turns)| {
                let turn = |t: &&str| t.split(' ').map(|ip| ip.parse().expect("an address")).collect();
                ((*name).to_owned(), turns.iter().map(turn).collect())
            })
            .collect();
        let socket = bind_udp().await;
        let address = socket.local_addr().expect("bound");
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = asked.clone();
        tokio::spawn(async move {
            let mut buffer = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let Some((name, kind, question)) = question(&buffer[..length]) else { continue };
                let turn = {
                    let mut log = log.lock().expect("not poisoned");
                    let entry = format!("{name} {kind}");
                    let turn = log.iter().filter(|e| **e == entry).count();
                    log.push(entry);
                    turn
                };
                let found = answers.get(&name).map(|turns| &turns[turn.min(turns.len() - 1)]);
                let failure = if name.starts_with("broken.") { SERVER_FAILURE } else { UNKNOWN_NAME };
                let reply = reply(&buffer[..2], question, kind, found.map(Vec::as_slice).ok_or(failure));
                let _ = socket.send_to(&reply, from).await;
            }
        });
        Self { address, asked }
    }

    /// The questions so far, each with its type.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("not poisoned").clone()
    }
}

#[expect(clippy::disallowed_methods, reason = "a server's socket")]
async fn bind_udp() -> UdpSocket {
    UdpSocket::bind(("127.0.0.1", 0)).await.expect("a free port")
}

/// A name server that hears and says nothing.
pub async fn mute_name_server() -> UdpSocket {
    bind_udp().await
}

/// Name, type and the bytes of the only question (RFC 1035, 4.1.2).
fn question(message: &[u8]) -> Option<(String, u16, &[u8])> {
    let mut at = 12;
    let mut labels = Vec::new();
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_ascii_lowercase());
        at += length;
    }
    let kind = u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?);
    Some((labels.join("."), kind, message.get(12..at + 4)?))
}

fn reply(id: &[u8], question: &[u8], kind: u16, found: Result<&[IpAddr], u8>) -> Vec<u8> {
    let of_kind: Vec<Vec<u8>> = found
        .unwrap_or_default()
        .iter()
        .filter_map(|ip| match (ip, kind) {
            (IpAddr::V4(ip), A) => Some(ip.octets().to_vec()),
            (IpAddr::V6(ip), AAAA) => Some(ip.octets().to_vec()),
            _ => None,
        })
        .collect();
    let mut out = id.to_vec();
    // Response, recursion desired and available, the code.
    out.extend([0x81, 0x80 | found.err().unwrap_or(0), 0, 1]);
    out.extend(u16::try_from(of_kind.len()).expect("few").to_be_bytes());
    out.extend([0; 4]);
    out.extend(question);
    for data in of_kind {
        out.extend([0xc0, 12]);
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 0, 0, u8::try_from(data.len()).expect("short")]);
        out.extend(data);
    }
    out
}

/// A web server that answers each request with what `answer` makes of its head.
pub struct WebServer {
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl WebServer {
    pub async fn start(ip: &str, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.expect("a free port");
        Self::on(listener, answer)
    }

    pub fn on(listener: TcpListener, answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let address = listener.local_addr().expect("bound");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (heard.clone(), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, answer) = (log.clone(), answer.clone());
                tokio::spawn(async move { serve(stream, &log, &*answer).await });
            }
        });
        Self { address, heard }
    }

    /// The requests so far: head and body.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("not poisoned").clone()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

pub async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    heard: &Mutex<Vec<String>>,
    answer: &(dyn Fn(&str) -> Vec<u8> + Send + Sync),
) {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let Ok(read @ 1..) = stream.read(&mut buffer).await else { return };
        text.extend_from_slice(&buffer[..read]);
        let request = String::from_utf8_lossy(&text);
        let Some((fields, body)) = request.split_once("\r\n\r\n") else { continue };
        let length = fields
            .lines()
            .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break;
        }
    }
    let request = String::from_utf8_lossy(&text).into_owned();
    heard.lock().expect("not poisoned").push(request.clone());
    let _ = stream.write_all(&answer(&request)).await;
    let _ = stream.shutdown().await;
}

/// An answer with a body, closed by its length.
pub fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub fn redirect(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}
