//! Turns a host name into addresses: the hosts file first, then the name servers of the system.
//!
//! Our own, not `getaddrinfo`: that blocks a thread which nobody can call back, and a test cannot give
//! it a name server. Nothing is kept between two questions: both files are read each time (a laptop's
//! change with every network), and a short-lived answer is asked for again.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver};

/// However many name servers there are and however often each is asked.
const PATIENCE: Duration = Duration::from_secs(10);
/// More addresses than this no honest name has.
const MOST_ADDRESSES: usize = 64;

/// Where answers come from.
#[derive(Debug, Clone)]
pub enum Resolver {
    /// `/etc/hosts` and `/etc/resolv.conf`.
    System,
    /// These name servers and nothing else.
    Servers(Vec<SocketAddr>),
    /// These answers and nothing else; names in lower case.
    Fixed(BTreeMap<String, Vec<IpAddr>>),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("the server cannot find “{0}”. Check the name")]
    Unknown(String),
    #[error("the name “{0}” has more than 64 addresses, the limit of this server")]
    TooMany(String),
    #[error("no name server answered the lookup of “{0}”")]
    TimedOut(String),
    #[error("the lookup of the name “{0}” failed: {1}")]
    Failed(String, String),
}

/// One of the fixed answers: `NAME=IP[,IP]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    name: String,
    addresses: Vec<IpAddr>,
}

impl FromStr for Answer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, addresses) = text.split_once('=').ok_or("it does not have the form NAME=IP[,IP]")?;
        let name = url::Host::parse(name.trim_end_matches('.'))
            .map_err(|e| format!("'{name}' is not a hostname: {e}"))?;
        let address = |a: &str| {
            let bare = a.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(a);
            bare.parse().map_err(|_| format!("'{a}' is not an IP address"))
        };
        let addresses = addresses.split(',').map(address).collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_string(), addresses })
    }
}

impl Resolver {
    /// Knows these answers and nothing else.
    pub fn fixed(answers: impl IntoIterator<Item = Answer>) -> Self {
        let mut known: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
        for answer in answers {
            known.entry(answer.name).or_default().extend(answer.addresses);
        }
        Self::Fixed(known)
    }

    /// Every address of a name (lower case, ASCII), at least one. A name of several parts is taken as it
    /// is; only a single word is looked for in the search domains.
    pub async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let found = match self {
            Self::Fixed(answers) => answers.get(name).cloned().unwrap_or_default(),
            Self::Servers(_) | Self::System => {
                let asked = tokio::time::timeout(PATIENCE, self.ask(name));
                asked.await.unwrap_or_else(|_| Err(ResolveError::TimedOut(name.to_owned())))?
            }
        };
        match found.len() {
            0 => Err(ResolveError::Unknown(name.to_owned())),
            n if n > MOST_ADDRESSES => Err(ResolveError::TooMany(name.to_owned())),
            _ => Ok(found),
        }
    }

    async fn ask(&self, text: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let failed = |e: String| ResolveError::Failed(text.to_owned(), e);
        let mut name = Name::from_ascii(text).map_err(|e| failed(e.to_string()))?;
        name.set_fqdn(text.contains('.'));
        let mut builder = if let Self::Servers(servers) = self {
            let config = ResolverConfig::from_name_servers(servers.iter().map(name_server).collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        } else {
            let known = Hosts::from_system().map(|hosts| listed(&hosts, &name)).unwrap_or_default();
            if !known.is_empty() {
                return Ok(known);
            }
            TokioResolver::builder_tokio().map_err(|e| failed(e.to_string()))?
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Never;
        options.cache_size = 0;
        let resolver = builder.build().map_err(|e| failed(e.to_string()))?;
        match resolver.lookup_ip(name).await {
            Ok(found) => Ok(found.iter().take(MOST_ADDRESSES + 1).collect()),
            Err(error) if error.is_nx_domain() || is_empty_answer(&error) => Ok(Vec::new()),
            Err(NetError::Timeout) => Err(ResolveError::TimedOut(text.to_owned())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// The name exists and has no address; a server that fails says something else.
fn is_empty_answer(error: &NetError) -> bool {
    matches!(error, NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NoError)
}

/// Who stands in the hosts file is not asked for elsewhere, as everywhere on the system.
fn listed(hosts: &Hosts, name: &Name) -> Vec<IpAddr> {
    [RecordType::A, RecordType::AAAA]
        .into_iter()
        .filter_map(|kind| hosts.lookup_static_host(&Query::query(name.clone(), kind)))
        .flat_map(|found| found.answers().iter().filter_map(|r| r.data.ip_addr()).collect::<Vec<_>>())
        .collect()
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use hickory_resolver::Hosts;
    use hickory_resolver::proto::rr::Name;

    use super::{Answer, ResolveError, Resolver, listed};

    #[test]
    fn the_hosts_file_is_read_as_it_is_written() {
        let mut hosts = Hosts::default();
        let text = "# comment\n10.0.0.5 nas.lan nas # x\nfd00::5\tNAS.lan\n10.0.0.6 nas.lan\n";
        hosts.read_hosts_conf(text.as_bytes()).expect("reads");
        let of = |name: &str| listed(&hosts, &Name::from_ascii(name).expect("a name"));
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(of("nas.lan."), [ip("10.0.0.5"), ip("10.0.0.6"), ip("fd00::5")]);
        assert_eq!(of("nas"), [ip("10.0.0.5")]);
        assert!(of("lan").is_empty());
    }

    #[tokio::test]
    async fn the_system_knows_what_stands_in_its_hosts_file() {
        let Ok(hosts) = Hosts::from_system() else { return };
        let name = Name::from_ascii("localhost").expect("a name");
        let known = listed(&hosts, &name);
        if !known.is_empty() {
            assert_eq!(Resolver::System.addresses("localhost").await, Ok(known));
        }
    }

    #[tokio::test]
    async fn fixed_answers_are_the_only_ones_and_are_bounded() {
        let read = |text: &str| text.parse::<Answer>();
        let resolver = Resolver::fixed([
            read("NAS.lan.=10.0.0.5,[fd00::5]").expect("an answer"),
            read("nas.lan=10.0.0.6").expect("an answer"),
            read(&format!("many={}", vec!["10.0.0.1"; 65].join(","))).expect("an answer"),
        ]);
        assert_eq!(resolver.addresses("nas.lan").await.map(|a| a.len()), Ok(3));
        assert_eq!(resolver.addresses("many").await, Err(ResolveError::TooMany("many".to_owned())));
        assert_eq!(resolver.addresses("localhost").await, Err(ResolveError::Unknown("localhost".to_owned())));
        for wrong in ["nas", "nas=", "=10.0.0.1", "nas=10.0.0", "a b=10.0.0.1", "nas=10.0.0.1,"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
