//! How each kind of credential proves itself to a device: a small, reading exchange over a connection of `cb_net`, which has
//! judged where it leads.
//!
//! Invariants: TLS and SSH know whom they speak with before a secret leaves; an exchange is as long as its caller waits, so every
//! caller puts a timeout around it; what a device says is made one short printable line before anybody sees it.
//!
//! To add one: a file here with a `prove` that takes a [`Device`] and answers an [`Outcome`].

use std::time::Duration;

use cb_net::http::{OutboundError, Pin, Tls};
use cb_net::judge::Policy;
use cb_net::outbound::Outbound;

use crate::clean;

pub mod http;
pub mod mail;
pub mod snmp;
pub mod ssh;

/// For one connection.
const PATIENCE: Duration = Duration::from_secs(4);
/// Characters of one thing that a device says about itself.
const SAID_MOST: usize = 200;

/// Where the secret goes, over a client that trusts as the credential says.
#[derive(Debug, Clone, Copy)]
pub struct Device<'a> {
    pub outbound: &'a Outbound,
    pub host: &'a str,
    pub port: u16,
}

/// It was accepted; what the device said about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    pub facts: Vec<(&'static str, String)>,
}

pub type Outcome = Result<Proof, Failure>;

impl Proof {
    fn with(mut self, name: &'static str, said: &str) -> Self {
        if let Some(said) = clean::some(said, SAID_MOST) {
            self.facts.push((name, said));
        }
        self
    }
}

/// It was not, or nobody could ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// In plain words, with what to do about it.
    pub reason: String,
    /// The fingerprint of the certificate or host key that was shown and that nothing vouches for.
    pub presented: Option<String>,
}

impl Failure {
    fn new(reason: impl AsRef<str>) -> Self {
        Self { reason: clean::line(reason.as_ref(), 500), presented: None }
    }
}

impl Device<'_> {
    /// In plain words what became of a connection.
    async fn failed(&self, error: OutboundError) -> Failure {
        let Self { host, port, .. } = self;
        match error {
            OutboundError::Refused(why) => Failure::new(format!("Nothing was sent: {why}.")),
            OutboundError::Resolve(why) => Failure::new(format!("Nothing was sent: {why}.")),
            OutboundError::Connect(why) => Failure::new(format!(
                "Could not connect to {host} on port {port}: {why}. The device may be off, or the service may use another port."
            )),
            OutboundError::TimedOut => self.silent("It may be off, or a firewall is in between."),
            OutboundError::WrongCertificate(wrong) => Failure {
                presented: Some(wrong.presented.to_string()),
                ..Failure::new(format!(
                    "Nothing was sent: {host} shows another certificate than the trusted one. If its certificate was renewed, compare the fingerprint with the device's."
                ))
            },
            OutboundError::Tls(why) => {
                let presented = self.certificate().await.map(|pin| pin.to_string());
                Failure {
                    presented,
                    ..Failure::new(format!(
                        "Nothing was sent: the certificate of {host} is not trusted ({why}). Compare its fingerprint with the device's to trust it."
                    ))
                }
            }
            other => Failure::new(format!("{host} on port {port}: {other}.")),
        }
    }

    fn silent(&self, why: &str) -> Failure {
        Failure::new(format!("No answer from {} on port {}. {why}", self.host, self.port))
    }

    /// The certificate that is shown there; nothing is sent but a handshake that fails.
    async fn certificate(&self) -> Option<Pin> {
        // No certificate has this fingerprint, so the handshake ends with the one that was shown.
        let nobody = self.outbound.trusting(Tls::Pinned("00".repeat(32).parse().ok()?));
        let stream = nobody.connect(Policy::Lan, self.host, self.port, PATIENCE).await.ok()?;
        match nobody.tls(stream, self.host).await {
            Err(OutboundError::WrongCertificate(wrong)) => Some(wrong.presented),
            _ => None,
        }
    }
}
