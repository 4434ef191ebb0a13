//! A receiver of requests on loopback: answers as a script says, and remembers what it was sent.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What is answered to one request.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
    /// Waited before it is answered.
    pub after: Duration,
}

impl Reply {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: String::new(), after: Duration::ZERO }
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    #[must_use]
    pub fn body(self, body: impl Into<String>) -> Self {
        Self { body: body.into(), ..self }
    }

    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Received {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

#[derive(Debug)]
struct Inner {
    script: VecDeque<Reply>,
    otherwise: Reply,
    received: Vec<Received>,
    at_once: usize,
    most_at_once: usize,
}

#[derive(Debug, Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    inner: Arc<Mutex<Inner>>,
}

impl Receiver {
    /// Answers 204 to everything until told otherwise.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let inner = Inner {
            script: VecDeque::new(),
            otherwise: Reply::status(204),
            received: Vec::new(),
            at_once: 0,
            most_at_once: 0,
        };
        let receiver = Self { address, inner: Arc::new(Mutex::new(inner)) };
        let server = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        receiver
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// To every request that the script has nothing for.
    pub fn answers(&self, reply: Reply) {
        self.lock().otherwise = reply;
    }

    /// To the next request, behind what the script has already.
    pub fn then(&self, reply: Reply) {
        self.lock().script.push_back(reply);
    }

    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// How many requests were under way at a time.
    pub fn most_at_once(&self) -> usize {
        self.lock().most_at_once
    }

    /// Waits until `count` requests have come, and answers them all; panics when they do not come.
    pub async fn wait_for(&self, count: usize) -> Vec<Received> {
        for _ in 0..600 {
            let received = self.received();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} of {count} requests came", self.received().len());
    }

    /// Waits until such a request has come; panics when it does not come.
    pub async fn wait_for_one(&self, wanted: impl Fn(&Received) -> bool) -> Received {
        for count in 1..=100 {
            if let Some(found) = self.wait_for(count).await.into_iter().find(&wanted) {
                return found;
            }
        }
        panic!("none of {} requests is the one", self.received().len());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().expect("no test panics while it holds the receiver")
    }

    async fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let request = read(&mut stream).await?;
        let reply = {
            let mut inner = self.lock();
            inner.received.push(request);
            inner.at_once += 1;
            inner.most_at_once = inner.most_at_once.max(inner.at_once);
            inner.script.pop_front().unwrap_or_else(|| inner.otherwise.clone())
        };
        tokio::time::sleep(reply.after).await;
        self.lock().at_once -= 1;
        let mut answer = format!("HTTP/1.1 {} X\r\n", reply.status);
        for (name, value) in reply.headers {
            answer.push_str(&[name, ": ", &value, "\r\n"].concat());
        }
        let length = reply.body.len().to_string();
        answer
            .push_str(&["content-length: ", &length, "\r\nconnection: close\r\n\r\n", &reply.body].concat());
        stream.write_all(answer.as_bytes()).await.ok()?;
        stream.shutdown().await.ok()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    let head = loop {
        let mut chunk = [0u8; 4096];
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        bytes.extend_from_slice(chunk.get(..count)?);
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
    };
    let text = String::from_utf8(bytes.get(..head)?.to_vec()).ok()?;
    let mut lines = text.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = bytes.split_off(head + 4);
    while body.len() < length {
        let mut chunk = [0u8; 4096];
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        body.extend_from_slice(chunk.get(..count)?);
    }
    Some(Received { method, path, headers, body })
}
