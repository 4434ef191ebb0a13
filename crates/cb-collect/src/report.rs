//! What a scan is asked, says while it runs, and says in the end.

use std::net::IpAddr;

use cb_core::clock::Time;
use cb_core::inventory::{AssetKind, Protocol, WebScheme};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::sight::Sweep;
use crate::target::Target;

/// Most targets that one scan takes.
pub const MAX_TARGETS: usize = 16;
/// Packets per second to one network, when the request names no rate.
pub const DEFAULT_RATE: u32 = 5_000;
/// The fastest rate a request may ask for, in packets per second to one network.
pub const MAX_RATE: u32 = 20_000;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            fn word(text: &str) -> Option<Self> {
                match text { $($text => Some($name::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

words! {
    /// A kind of question that a scan may ask.
    ProbeKind {
        /// Asks each address of an on-link network for its MAC (RFC 826).
        Arp = "arp",
        /// Echo request (RFC 792, RFC 4443).
        Icmp = "icmp",
        /// Connects to a few common ports; an answer or a refusal is a sign of life.
        TcpPing = "tcp_ping",
        /// Connects to each port of the list.
        Ports = "ports",
        /// Asks open ports, and a few UDP ports, what they are.
        Fingerprints = "fingerprints",
        /// Asks DNS for the name of each address.
        ReverseDns = "reverse_dns",
        /// Asks the local networks for their mDNS services (RFC 6762).
        Mdns = "mdns",
        /// Asks the local networks for their UPnP devices.
        Ssdp = "ssdp",
    }

    /// What a scan is busy with.
    Phase { Liveness = "liveness", Ports = "ports", Fingerprints = "fingerprints" }

    /// What an identity is made of.
    IdentityKind {
        /// `ssh-ed25519 SHA256:…` (RFC 4251; the digest as OpenSSH prints it).
        SshHostKey = "ssh_host_key",
        /// SHA-256 of the certificate's SubjectPublicKeyInfo, lower-case hexadecimal.
        TlsKey = "tls_key",
        /// Lower-case, with colons.
        Mac = "mac",
        /// The UUID of a UPnP root device.
        UpnpUuid = "upnp_uuid",
        /// SNMP engine id, lower-case hexadecimal (RFC 3411).
        SnmpEngine = "snmp_engine",
        /// The GUID that an SMB server sends (MS-SMB2 2.2.4).
        SmbGuid = "smb_guid",
        /// The serial number that a device tells.
        Serial = "serial",
    }
}

impl ProbeKind {
    /// Takes the words of [`ProbeKind::as_str`], and `tcp`, `services` and `names` for short.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "tcp" => Some(Self::TcpPing),
            "services" => Some(Self::Fingerprints),
            "names" => Some(Self::ReverseDns),
            _ => Self::word(text),
        }
    }
}

impl IdentityKind {
    pub fn parse(text: &str) -> Option<Self> {
        Self::word(text)
    }
}

impl Phase {
    pub fn parse(text: &str) -> Option<Self> {
        Self::word(text)
    }
}

/// What to scan and how. [`ScanRequest::new`] keeps the caps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanRequest {
    pub targets: Vec<Target>,
    /// All probes if empty.
    pub probes: Vec<ProbeKind>,
    /// TCP ports to scan instead of the built-in list; empty: the list.
    pub ports: Vec<u16>,
    /// Packets per second to one network; `None`: [`DEFAULT_RATE`].
    pub rate: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error(
        "Enter at least one target: an address such as 192.168.1.10 or a network such as 192.168.1.0/24."
    )]
    NoTarget,
    #[error("{0} targets are too many for one scan. Enter at most {MAX_TARGETS}, or start several scans.")]
    TooManyTargets(usize),
    #[error("A rate of {0} packets per second cannot be used. Use 1 to {MAX_RATE}.")]
    Rate(u32),
    #[error("Port 0 cannot be scanned. Use 1 to 65535.")]
    Port,
}

impl ScanRequest {
    /// A request for `targets`, without those that another target contains.
    pub fn new(targets: Vec<Target>, probes: Vec<ProbeKind>) -> Result<Self, RequestError> {
        let request = Self { targets, probes, ports: Vec::new(), rate: None };
        request.checked()
    }

    /// The same request, once it is within the caps; overlapping targets are scanned once.
    pub fn checked(mut self) -> Result<Self, RequestError> {
        if self.targets.is_empty() {
            return Err(RequestError::NoTarget);
        }
        if self.targets.len() > MAX_TARGETS {
            return Err(RequestError::TooManyTargets(self.targets.len()));
        }
        if let Some(rate) = self.rate
            && !(1..=MAX_RATE).contains(&rate)
        {
            return Err(RequestError::Rate(rate));
        }
        if self.ports.contains(&0) {
            return Err(RequestError::Port);
        }
        self.ports.sort_unstable();
        self.ports.dedup();
        self.probes.sort_unstable();
        self.probes.dedup();
        let mut kept: Vec<Target> = Vec::new();
        for target in self.targets {
            if kept.iter().any(|k| k.network().contains(&target.network())) {
                continue;
            }
            kept.retain(|k| !target.network().contains(&k.network()));
            kept.push(target);
        }
        self.targets = kept;
        Ok(self)
    }

    pub fn wants(&self, probe: ProbeKind) -> bool {
        self.probes.is_empty() || self.probes.contains(&probe)
    }

    pub fn rate(&self) -> u32 {
        self.rate.unwrap_or(DEFAULT_RATE)
    }

    /// Number of addresses in all targets; at most 16 × 65,536.
    pub fn addresses(&self) -> u64 {
        self.targets.iter().map(Target::addresses).sum()
    }
}

/// What a scan tells while it runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum ScanEvent {
    /// `done` of `total` addresses are decided; `hosts` of them are there.
    Progress { phase: Phase, done: u64, total: u64, hosts: u64 },
    /// One address that is there, with all that was learned; each address once.
    Host(Box<HostReport>),
}

/// One address that answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    pub address: IpAddr,
    /// Lower-case with colons; only for on-link addresses.
    pub mac: Option<String>,
    /// Who made the network card.
    pub vendor: Option<String>,
    /// The MAC was made up by the device (locally administered), so it may change.
    pub random_mac: bool,
    pub hostname: Option<String>,
    /// The local network that contains the address, else the target, when that is a network.
    pub network: Option<IpNet>,
    /// Packets to other networks go through this address.
    pub gateway: bool,
    pub services: Vec<ServiceReport>,
    pub guess: Guess,
    pub identities: Vec<Identity>,
    pub evidence: Vec<Evidence>,
    /// 0 to 100: how sure we are that it is there and of what it is.
    pub confidence: u8,
}

/// One open port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    pub protocol: Protocol,
    pub port: u16,
    /// The protocol's or product's short name, such as `ssh`; `unknown` when nobody knows.
    pub name: String,
    pub product: Option<String>,
    pub version: Option<String>,
    /// How it sent a page, whatever it is called; none where it sent no page.
    #[serde(default)]
    pub scheme: Option<WebScheme>,
    /// 0 to 100; below 50 the name is only the port's usual one.
    pub confidence: u8,
}

/// What the machine probably is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guess {
    /// The name to propose: what it calls itself, else vendor and address.
    pub name: String,
    pub kind: AssetKind,
    /// `router`, `switch`, `access-point`, `nas`, `printer`, `camera`, `server`, `hypervisor`,
    /// `phone`, `tv`, `ups`, `iot` …
    pub role: Option<String>,
    pub vendor: Option<String>,
    pub model: Option<String>,
    pub os: Option<String>,
}

/// Something that belongs to one machine, wherever it appears.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    pub kind: IdentityKind,
    pub value: String,
}

/// One fact that a source saw at one time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// `arp`, `icmp`, `tcp`, `dns`, `mdns`, `ssdp`, `ssh`, `http`, …
    pub source: String,
    pub at: Time,
    pub address: IpAddr,
    pub port: Option<u16>,
    /// `answers`, `mac`, `hostname`, `open`, `banner`, `title`, …
    pub fact: String,
    pub value: String,
}

/// How a scan ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How many [`ScanEvent::Host`] were sent.
    pub hosts: u64,
    pub status: Completeness,
    /// What it could not do, one sentence each, with the mend.
    pub limitations: Vec<String>,
    /// The targets that were asked to the end, and how.
    pub sweeps: Vec<Sweep>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Completeness {
    Complete,
    /// `collected` of `expected` addresses were decided.
    Partial {
        collected: u64,
        expected: u64,
        reason: String,
    },
    Cancelled,
}
