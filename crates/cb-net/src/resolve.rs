//! Turns a host name into addresses: the hosts file first, then the name servers of the system.
//!
//! Our own, not `getaddrinfo`: that blocks a thread which nobody can call back, and a test cannot give
//! it a name server. Nothing is kept between two questions: both files are read each time (a laptop's
//! change with every network), and a short-lived answer is asked for again.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
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
    #[error("the name '{0}' is not known")]
    Unknown(String),
    #[error("the name '{0}' has more than 64 addresses")]
    TooMany(String),
    #[error("no name server answers for '{0}'")]
    TimedOut(String),
    #[error("the name '{0}' cannot be looked up: {1}")]
    Failed(String, String),
}

impl Resolver {
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
            let known = in_hosts_file(&name);
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
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(NetError::Timeout) => Err(ResolveError::TimedOut(text.to_owned())),
            Err(error) => Err(failed(error.to_string())),
        }
    }
}

/// Who stands in the hosts file is not asked for elsewhere, as everywhere on the system.
fn in_hosts_file(name: &Name) -> Vec<IpAddr> {
    let Ok(hosts) = Hosts::from_system() else { return Vec::new() };
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
