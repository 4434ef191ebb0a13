//! Where an outbound request may go. One judge for URLs that people type, for redirects and for what
//! the name service answers.
//!
//! Order, each step only after the one before it: the scheme (nothing is resolved for another one than
//! `http` and `https`), the characters, userinfo, host and port ([`Destination::read`]); then, by
//! [`Outbound::check`](crate::outbound::Outbound::check), resolution; then **every** address of the answer ([`Judge::addresses`]).
//! One bad address refuses the whole answer: a name server that answers good and bad ones is either
//! broken or hopes for a retry. Only the addresses that were judged are connected to.
//!
//! Invariants: there is one spelling of every address and name; other ones are refused, not
//! translated. An IPv4 address inside an IPv6 one is refused whatever it is and whatever is allowed, except behind the
//! well-known prefix of NAT64, where it is judged itself. Nothing of ours is reached, unless its port is allowed by number.

mod own;
mod reading;
mod table;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use cb_core::allow::{Allow, AllowedHost};

pub use own::Own;
pub use reading::Destination;
pub(crate) use reading::{Target, characters};
pub use table::Kind;
use table::means;

/// What a request is for decides where it may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Services on the Internet: global unicast addresses only.
    Public,
    /// The user's own network too: private addresses and global ones.
    Lan,
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "public",
            Self::Lan => "lan",
        })
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "public" => Ok(Self::Public),
            "lan" => Ok(Self::Lan),
            other => Err(format!("'{other}' is neither public nor lan")),
        }
    }
}

/// Why a request is not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("enter a URL that starts with http:// or https://, not with “{0}”")]
    Scheme(String),
    #[error("enter a URL that starts with http:// or https://")]
    NoScheme,
    #[error("this is not a URL such as http://host:port/path: {0}")]
    NoUrl(&'static str),
    #[error("the URL contains {}, which is not allowed", show(*.0))]
    Character(char),
    #[error("the URL contains a username or password. Enter them in their own fields")]
    Userinfo,
    #[error("“{0}” is not a port from 1 to 65535")]
    Port(String),
    #[error(
        "port {0} belongs to a printer, a controller or a power supply, and this server never sends anything to it"
    )]
    NeverWritten(u16),
    #[error("“{0}” is not a host: {1}")]
    Host(String, String),
    #[error("“{written}” is an unusual spelling of {means}. Enter {means}")]
    Spelling { written: String, means: String },
    #[error("“{0}” is the computer on which this server runs")]
    OwnName(String),
    #[error("{0} is one of this server's own services")]
    Own(String),
    #[error("{} is {kind}{}", behind(*.address), elsewhere(*.kind, *.policy))]
    Address { address: IpAddr, kind: Kind, policy: Policy },
    /// Of the addresses of a name some may be reached and some may not; there is at least one of each.
    #[error("{}", in_part(.name, .refused, .others))]
    InPart { name: String, refused: Vec<Refused>, others: Vec<IpAddr> },
    #[error("the server redirects from https to http, which is not encrypted")]
    Downgrade,
    #[error("the server redirects to another server, {0}, which would receive the content of the request")]
    BodyElsewhere(String),
}

fn show(c: char) -> String {
    match c {
        '\\' => "a backslash".to_owned(),
        ' ' => "a space".to_owned(),
        c => format!("the character U+{:04X}", u32::from(c)),
    }
}

/// An address and, where it is another one, where it leads.
fn behind(address: IpAddr) -> String {
    match means(address) {
        same if same == address => address.to_string(),
        inner => format!("{address} leads to {inner} (NAT64), which"),
    }
}

/// Addresses of each sort that a refusal names; the rest is counted.
const NAMED_MOST: usize = 4;

fn in_part(name: &str, refused: &[Refused], others: &[IpAddr]) -> String {
    let some = |all: Vec<String>, between: &str| match all.len().saturating_sub(NAMED_MOST) {
        0 => all.join(between),
        more => format!("{}{between}{more} more", all[..NAMED_MOST].join(between)),
    };
    format!(
        "“{name}” has addresses that this server can contact ({}) and others that it must not contact: {}. Correct its records at the name server, or enter an address instead of the name",
        some(others.iter().map(ToString::to_string).collect(), ", "),
        some(refused.iter().map(ToString::to_string).collect(), "; "),
    )
}

fn elsewhere(kind: Kind, policy: Policy) -> &'static str {
    match (kind, policy) {
        (Kind::Private, Policy::Public) => ". This request can go only to addresses on the Internet",
        (Kind::Transition, _) => ". Enter the IPv4 address itself",
        (Kind::Benchmark, _) => {
            ", which probably comes from a proxy on the way. If you trust that proxy, add 198.18.0.0/15 to CB_OUTBOUND_ALLOW"
        }
        _ => "",
    }
}

#[derive(Debug, Clone, Default)]
pub struct Judge {
    allow: Vec<Allow>,
    own: Vec<Own>,
}

impl Judge {
    pub fn new(allow: Vec<Allow>, own: Vec<Own>) -> Self {
        Self { allow, own }
    }

    /// Judges what can be judged before a name is resolved.
    pub(crate) fn name(&self, destination: &Destination) -> Result<(), Refused> {
        let Some(name) = destination.name() else { return Ok(()) };
        let ours = self
            .own
            .iter()
            .any(|own| matches!(own, Own::Name(own, port) if *port == destination.port && own == name));
        if ours && !self.allows_port(Some(name), None, destination.port) {
            return Err(Refused::Own(format!("“{name}:{}”", destination.port)));
        }
        if reading::own_name(name) && !self.allows(Some(name), None, destination.port) {
            return Err(Refused::OwnName(name.to_owned()));
        }
        Ok(())
    }

    /// The names of backends of our own that use this port: their addresses must be told to
    /// [`Judge::addresses`].
    pub(crate) fn backends(&self, port: u16) -> impl Iterator<Item = &str> {
        self.own.iter().filter_map(move |own| match own {
            Own::Name(name, p) if *p == port => Some(name.as_str()),
            _ => None,
        })
    }

    /// Every backend that has a name, with its port.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&str, u16)> {
        self.own.iter().filter_map(|own| match own {
            Own::Name(name, port) => Some((name.as_str(), *port)),
            Own::Address(_) => None,
        })
    }

    /// Judges an address that a scan wants to look at. More than a request reaches: a lab may use the addresses of
    /// documentation, and a network of other people's is the scan's own decision.
    pub(crate) fn device(&self, address: SocketAddr, backends: &[SocketAddr]) -> Result<(), Refused> {
        let (ip, port, kind) = (address.ip(), address.port(), Kind::of(address.ip()));
        let backend = backends.iter().any(|own| own.port() == port && own::same_place(own.ip(), ip));
        if (backend || self.own.iter().any(|own| own.is(address))) && !self.allows_port(None, Some(ip), port)
        {
            return Err(Refused::Own(address.to_string()));
        }
        match kind {
            Kind::Global | Kind::Private | Kind::Documentation | Kind::Reserved | Kind::Benchmark => Ok(()),
            _ if kind != Kind::Transition && self.allows(None, Some(ip), port) => Ok(()),
            _ => Err(Refused::Address { address: ip, kind, policy: Policy::Lan }),
        }
    }

    /// Judges every address that the host was resolved to; `backends` are those of [`Judge::backends`].
    pub(crate) fn addresses(
        &self,
        policy: Policy,
        destination: &Destination,
        found: &[IpAddr],
        backends: &[IpAddr],
    ) -> Result<Vec<SocketAddr>, Refused> {
        let (mut good, mut refused) = (Vec::new(), Vec::new());
        for &ip in found {
            let address = SocketAddr::new(ip, destination.port);
            match self.address(policy, destination.name(), address, backends) {
                Ok(()) => good.push(address),
                Err(why) => refused.push(why),
            }
        }
        match (refused.len(), destination.name()) {
            (0, _) => Ok(good),
            (1.., Some(name)) if !good.is_empty() => Err(Refused::InPart {
                name: name.to_owned(),
                refused,
                others: good.iter().map(SocketAddr::ip).collect(),
            }),
            _ => Err(refused.swap_remove(0)),
        }
    }

    fn address(
        &self,
        policy: Policy,
        name: Option<&str>,
        address: SocketAddr,
        backends: &[IpAddr],
    ) -> Result<(), Refused> {
        let (ip, port) = (address.ip(), address.port());
        let kind = Kind::of(ip);
        if kind == Kind::Transition {
            return Err(Refused::Address { address: ip, kind, policy });
        }
        let backend = backends.iter().any(|own| own::same_place(*own, ip));
        if (backend || self.own.iter().any(|own| own.is(address))) && !self.allows_port(name, Some(ip), port)
        {
            return Err(Refused::Own(address.to_string()));
        }
        // Whoever owns an allowed name may point it anywhere; to hand out this machine's credentials
        // the operator has to allow the address itself.
        let trusted_name = if kind == Kind::Metadata { None } else { name };
        if self.allows(trusted_name, Some(ip), port) {
            return Ok(());
        }
        match (kind, policy) {
            (Kind::Global, _) | (Kind::Private, Policy::Lan) => Ok(()),
            _ => Err(Refused::Address { address: ip, kind, policy }),
        }
    }

    fn allows(&self, name: Option<&str>, ip: Option<IpAddr>, port: u16) -> bool {
        self.allow.iter().any(|allow| allow.port.is_none_or(|p| p == port) && covers(&allow.to, name, ip))
    }

    /// The same by an entry that names the port, as our own services need.
    fn allows_port(&self, name: Option<&str>, ip: Option<IpAddr>, port: u16) -> bool {
        self.allow.iter().any(|allow| allow.port == Some(port) && covers(&allow.to, name, ip))
    }
}

fn covers(to: &AllowedHost, name: Option<&str>, ip: Option<IpAddr>) -> bool {
    match to {
        AllowedHost::Name(allowed) => name.is_some_and(|name| name == allowed),
        AllowedHost::Range(range) => ip.is_some_and(|ip| range.contains(&means(ip))),
    }
}
