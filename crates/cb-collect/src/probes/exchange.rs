//! The bounded conversation that every probe is made of.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use cb_core::Entropy;
use cb_net::dial;
use cb_net::outbound::Scope;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::clean;
use crate::engine::pace::Pacer;
use crate::report::{Identity, IdentityKind};

/// No field of an answer is longer, in characters.
const LONGEST_FIELD: usize = 300;

/// Whom to ask, and how patiently.
pub(crate) struct Ask<'a> {
    pub peer: SocketAddr,
    /// For each step: connect, then each answer.
    pub timeout: Duration,
    pub pacer: &'a Pacer,
    pub entropy: &'a dyn Entropy,
    pub scope: &'a Scope,
}

/// A connection of any kind.
pub(crate) trait Line: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Line for T {}

impl Ask<'_> {
    /// Connects; refuses the ports that are never written to.
    pub async fn connect(&self) -> Option<impl Line + use<>> {
        self.pacer.take_in_line().await;
        match dial::talk(self.scope, self.peer, self.timeout).await {
            Ok(line) => Some(line),
            Err(error) => {
                tracing::trace!(peer = %self.peer, %error, "no connection");
                None
            }
        }
    }

    /// One question and its answer over TCP; the answer ends when `whole` says so, at `max` bytes, with the connection or
    /// with the time.
    pub async fn tcp(&self, question: &[u8], max: usize, whole: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let mut line = self.connect().await?;
        say(&mut line, question, self.timeout).await.ok()?;
        let answer = hear(&mut line, max, self.timeout, whole).await;
        (!answer.is_empty()).then_some(answer)
    }

    /// One question and its first answer over UDP, asked twice at most.
    pub async fn udp(&self, question: &[u8]) -> Option<Vec<u8>> {
        let socket = dial::udp(self.scope, self.peer).await.ok()?;
        let mut buffer = vec![0u8; 4096];
        for _ in 0..2 {
            self.pacer.take_in_line().await;
            socket.send(question).await.ok()?;
            match tokio::time::timeout(self.timeout, socket.receive(&mut buffer)).await {
                Ok(Ok(length)) => {
                    buffer.truncate(length);
                    return Some(buffer);
                }
                // Refused: nothing listens there, and asking again will not change that.
                Ok(Err(_)) => return None,
                Err(_) => {}
            }
        }
        None
    }

    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.entropy.fill(&mut bytes);
        bytes
    }
}

pub(crate) async fn say(
    line: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    timeout: Duration,
) -> io::Result<()> {
    let write = async {
        line.write_all(bytes).await?;
        line.flush().await
    };
    tokio::time::timeout(timeout, write).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// What arrives until `whole`, `max` bytes, the end of the connection or the end of the time.
pub(crate) async fn hear(
    line: &mut (impl AsyncRead + Unpin),
    max: usize,
    timeout: Duration,
    whole: impl Fn(&[u8]) -> bool,
) -> Vec<u8> {
    let end = Instant::now() + timeout;
    let mut heard = Vec::new();
    let mut buffer = [0u8; 4096];
    while heard.len() < max && !whole(&heard) {
        let room = buffer.len().min(max - heard.len());
        match tokio::time::timeout_at(end, line.read(&mut buffer[..room])).await {
            Ok(Ok(length)) if length > 0 => heard.extend_from_slice(&buffer[..length]),
            _ => break,
        }
    }
    heard
}

/// What a port said, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The probe, as fingerprints name it.
    pub probe: &'static str,
    /// The protocol that was spoken.
    pub service: &'static str,
    /// Clean, short texts, by name.
    pub fields: BTreeMap<String, String>,
    pub identities: Vec<Identity>,
    /// What the machine calls itself.
    pub hostname: Option<String>,
}

impl Answer {
    pub fn new(probe: &'static str, service: &'static str) -> Self {
        Self { probe, service, ..Self::default() }
    }

    /// Adds a field unless there is nothing left of it after cleaning.
    pub fn field(mut self, name: &str, value: impl AsRef<str>) -> Self {
        if let Some(value) = clean::some(value.as_ref(), LONGEST_FIELD) {
            self.fields.insert(name.to_owned(), value);
        }
        self
    }

    pub fn maybe(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.field(name, value),
            None => self,
        }
    }

    pub fn identity(mut self, kind: IdentityKind, value: impl Into<String>) -> Self {
        self.identities.push(Identity { kind, value: value.into() });
        self
    }

    pub fn named(mut self, hostname: Option<&str>) -> Self {
        self.hostname = hostname.and_then(|name| clean::some(name.trim_end_matches('.'), 253));
        self
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }
}

/// A big-endian number at a place, where it is.
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The text up to the first NUL.
pub(crate) fn c_string(bytes: &[u8]) -> &[u8] {
    bytes.split(|b| *b == 0).next().unwrap_or_default()
}
