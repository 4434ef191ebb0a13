//! Mail to a server that a person named: judged like everything else, then spoken by `lettre` over our own connection.
//!
//! Invariants: the client sends a password only over TLS; `STARTTLS` that the server does not offer is an error and never a plain
//! session (RFC 3207, 4.1); nothing that came in before the handshake is read after it (CVE-2011-0411).

mod hello;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use cb_core::Secret;
use cb_core::connection::words;
use lettre::Address;
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};

use crate::http::OutboundError;
use crate::judge::Policy;
use crate::outbound::Outbound;

pub use hello::{Hello, read as read_hello};

/// How the connection is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// From the first byte (RFC 8314; port 465).
    Tls,
    /// After `STARTTLS` (port 587).
    StartTls,
    /// Not at all: for a relay on one's own network, and without a password.
    None,
}

/// Where mail is handed in.
#[derive(Debug, Clone)]
pub struct Server {
    pub host: String,
    pub port: u16,
    pub security: Security,
}

/// Who hands it in.
pub struct Login {
    pub user: String,
    pub password: Secret,
}

#[derive(Debug, thiserror::Error)]
pub enum SmtpError {
    #[error(transparent)]
    Connection(#[from] OutboundError),
    /// Nothing was sent.
    #[error("the server does not offer STARTTLS")]
    NoStartTls,
    /// Nothing was sent.
    #[error("this server never sends a password unencrypted. Choose STARTTLS or TLS")]
    PlainPassword,
    #[error("the server supports neither of the sign-in methods PLAIN and LOGIN")]
    NoLogin,
    /// Another name may help. The server decides whether waiting helps, too: a 4xx answer is temporary (RFC 5321, 4.2.1).
    #[error("the server does not accept the greeting EHLO {name}: {said}")]
    Greeting { name: String, said: String, temporary: bool },
    #[error("the server refuses the username or password: {0}")]
    Login(String),
    /// Another day it may take it.
    #[error("the server cannot accept the message now: {0}")]
    Temporary(String),
    #[error("the server refuses the message: {0}")]
    Refused(String),
    #[error("'{0}' is not an email address")]
    Address(String),
    #[error("the server does not speak SMTP: {0}")]
    Protocol(String),
    #[error("no answer in time")]
    TimedOut,
}

/// A session with a server that took us in.
pub struct Session {
    connection: AsyncSmtpConnection,
    patience: Duration,
    /// What we greeted with.
    name: String,
}

impl Session {
    /// Connects, secures and signs in; `patience` is for each of these steps and for each mail.
    pub async fn open(
        outbound: &Outbound,
        policy: Policy,
        server: &Server,
        login: Option<&Login>,
        hello: Hello<'_>,
        patience: Duration,
    ) -> Result<Self, SmtpError> {
        if login.is_some() && server.security == Security::None {
            return Err(SmtpError::PlainPassword);
        }
        let within = tokio::time::timeout(patience, Self::begin(outbound, policy, server, hello, patience));
        let mut session = within.await.unwrap_or(Err(SmtpError::TimedOut))?;
        if let Some(login) = login {
            let within = tokio::time::timeout(patience, session.sign_in(login));
            within.await.unwrap_or(Err(SmtpError::TimedOut))?;
        }
        Ok(session)
    }

    async fn begin(
        outbound: &Outbound,
        policy: Policy,
        server: &Server,
        hello: Hello<'_>,
        patience: Duration,
    ) -> Result<Self, SmtpError> {
        let Server { host, port, security } = server;
        let mut stream = outbound.connect(policy, host, *port, patience).await?;
        let peer = stream.peer_addr().map_err(|e| lost(&e))?;
        let local = stream.local_addr().map_err(|e| lost(&e))?;
        let hello = hello.choose(outbound.called(), local.ip());
        let boxed: Box<dyn Wire> = match security {
            Security::None => Box::new(stream),
            Security::Tls => Box::new(outbound.tls(stream, host).await?),
            Security::StartTls => {
                start_tls(&mut stream, &hello).await?;
                // Behind the handshake no server greets again, and every client waits for it.
                Box::new(Greeted { greeting: b"220 secured\r\n", stream: outbound.tls(stream, host).await? })
            }
        };
        let greeted = Arc::new(AtomicBool::new(false));
        let stream = Box::new(Stream { inner: boxed, peer, answered: 0, spoke: greeted.clone() });
        let name = hello.to_string();
        match AsyncSmtpConnection::connect_with_transport(stream, &hello).await {
            Ok(connection) => Ok(Self { connection, patience, name }),
            // What the server says before we have said anything is not about our name.
            Err(error) if error.status().is_some() && greeted.load(Ordering::Relaxed) => {
                Err(refused_greeting(name, &error))
            }
            Err(error) => Err(classify(&error)),
        }
    }

    async fn sign_in(&mut self, login: &Login) -> Result<(), SmtpError> {
        let ways: Vec<Mechanism> = [Mechanism::Plain, Mechanism::Login]
            .into_iter()
            .filter(|way| self.connection.server_info().supports_auth_mechanism(*way))
            .collect();
        if ways.is_empty() {
            return Err(SmtpError::NoLogin);
        }
        let who = Credentials::new(login.user.clone(), login.password.expose().to_owned());
        match self.connection.auth(&ways, &who).await {
            Ok(_) => Ok(()),
            Err(error) if error.status().is_some_and(|code| u16::from(code) / 100 == 5) => {
                Err(SmtpError::Login(said(&error)))
            }
            Err(error) => Err(classify(&error)),
        }
    }

    /// Hands in one message, as it stands (RFC 5322, lines ended by CR LF).
    pub async fn send(&mut self, from: &str, to: &[String], message: &[u8]) -> Result<(), SmtpError> {
        let address = |text: &str| text.parse::<Address>().map_err(|_| SmtpError::Address(text.to_owned()));
        let all = to.iter().map(|text| address(text)).collect::<Result<Vec<_>, _>>()?;
        let envelope =
            Envelope::new(Some(address(from)?), all).map_err(|e| SmtpError::Address(e.to_string()))?;
        let within = tokio::time::timeout(self.patience, self.connection.send(&envelope, message));
        match within.await {
            Ok(Ok(_)) => Ok(()),
            // Postfix judges the greeting only when it knows the recipient.
            Ok(Err(error)) if error.status().is_some() && names_greeting(&said(&error)) => {
                Err(refused_greeting(self.name.clone(), &error))
            }
            Ok(Err(error)) => Err(classify(&error)),
            Err(_) => Err(SmtpError::TimedOut),
        }
    }

    /// Says good-bye; what was sent is sent in any case.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_secs(2), self.connection.quit()).await;
    }
}

/// Most bytes of one answer.
const LONGEST_ANSWER: usize = 16 << 10;
const TOO_MUCH: &str = "its answer is too long";

/// Greets, asks for TLS, and leaves the stream where the handshake begins.
async fn start_tls(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    hello: &ClientId,
) -> Result<(), SmtpError> {
    expect(&answer(stream).await?, "220")?;
    stream.write_all(format!("EHLO {hello}\r\n").as_bytes()).await.map_err(|e| lost(&e))?;
    let offers = answer(stream).await?;
    if offers.starts_with(['4', '5']) {
        let temporary = offers.starts_with('4');
        return Err(SmtpError::Greeting { name: hello.to_string(), said: shown(&offers), temporary });
    }
    expect(&offers, "250")?;
    if !offers.lines().any(|line| line.get(4..).is_some_and(|w| w.trim().eq_ignore_ascii_case("STARTTLS"))) {
        return Err(SmtpError::NoStartTls);
    }
    stream.write_all(b"STARTTLS\r\n").await.map_err(|e| lost(&e))?;
    expect(&answer(stream).await?, "220")
}

/// One answer, to the end of its last line and not a byte further: what a meddler puts behind it belongs to the handshake,
/// which then fails.
async fn answer(stream: &mut (impl AsyncRead + Unpin)) -> Result<String, SmtpError> {
    let mut text = Vec::new();
    let mut line = 0;
    loop {
        let byte = stream.read_u8().await.map_err(|e| lost(&e))?;
        text.push(byte);
        if byte == b'\n' {
            if text.get(line + 3) != Some(&b'-') {
                return String::from_utf8(text).map_err(|_| SmtpError::Protocol("no text".to_owned()));
            }
            line = text.len();
        }
        if text.len() > LONGEST_ANSWER {
            return Err(SmtpError::Protocol(TOO_MUCH.to_owned()));
        }
    }
}

fn expect(answer: &str, code: &str) -> Result<(), SmtpError> {
    match answer {
        _ if answer.starts_with(code) => Ok(()),
        _ if answer.starts_with('4') => Err(SmtpError::Temporary(shown(answer))),
        _ if answer.starts_with('5') => Err(SmtpError::Refused(shown(answer))),
        _ => Err(SmtpError::Protocol(shown(answer))),
    }
}

fn lost(error: &io::Error) -> SmtpError {
    SmtpError::Connection(OutboundError::Connect(words(error)))
}

/// What the server said, for a person to read.
fn shown(text: &str) -> String {
    text.trim().chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn said(error: &lettre::transport::smtp::Error) -> String {
    let source = std::error::Error::source(error);
    let words =
        source.map(|source| source.downcast_ref::<io::Error>().map_or_else(|| source.to_string(), words));
    shown(&words.unwrap_or_else(|| error.to_string()))
}

fn refused_greeting(name: String, error: &lettre::transport::smtp::Error) -> SmtpError {
    SmtpError::Greeting { name, said: said(error), temporary: error.is_transient() }
}

fn names_greeting(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    ["helo ", "ehlo ", "helo:", "ehlo:"].iter().any(|word| said.contains(word))
}

fn classify(error: &lettre::transport::smtp::Error) -> SmtpError {
    if error.is_transient() {
        SmtpError::Temporary(said(error))
    } else if error.is_permanent() {
        SmtpError::Refused(said(error))
    } else if error.is_timeout() {
        SmtpError::TimedOut
    } else if error.is_response() || error.is_client() || endless(error) {
        SmtpError::Protocol(said(error))
    } else {
        SmtpError::Connection(OutboundError::Connect(said(error)))
    }
}

fn endless(error: &lettre::transport::smtp::Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|source| source.kind() == io::ErrorKind::FileTooLarge)
}

trait Wire: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + std::fmt::Debug> Wire for T {}

/// A secured stream, with a greeting in front of what it says.
#[derive(Debug)]
struct Greeted<S> {
    greeting: &'static [u8],
    stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.greeting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let (now, later) = self.greeting.split_at(self.greeting.len().min(buf.remaining()));
        buf.put_slice(now);
        self.greeting = later;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What `lettre` takes: bytes and where they come from.
#[derive(Debug)]
struct Stream {
    inner: Box<dyn Wire>,
    peer: SocketAddr,
    /// Bytes since we last said something: nobody else counts them.
    answered: usize,
    /// Whether we have said anything.
    spoke: Arc<AtomicBool>,
}

impl AsyncTokioStream for Stream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.answered += buf.filled().len() - before;
        if self.answered > LONGEST_ANSWER {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::FileTooLarge, TOO_MUCH)));
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.answered = 0;
        self.spoke.store(true, Ordering::Relaxed);
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
