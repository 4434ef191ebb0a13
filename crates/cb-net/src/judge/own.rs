//! What is ours and no request may reach: listeners, and backends that trust every connection from here.
//!
//! Invariant: a service on one address of this machine is denied at every address of this machine. What we connect to on
//! 127.0.0.1 may listen on `*`, and nobody tells us.
//!
//! To protect one more backend add it to [`Own::services`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use cb_core::config::Config;
use url::Url;

use super::table::means;
use crate::names;

/// A service of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// With an address of this machine, or the unspecified one, it is every address of this machine.
    Address(SocketAddr),
    /// A backend by the name that the settings have for it: lower case, without a trailing dot.
    Name(String, u16),
}

impl Own {
    /// A host as it stands in a setting: an address, with or without brackets, or a name.
    pub fn new(host: &str, port: u16) -> Self {
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        match bare.parse() {
            Ok(ip) => Self::Address(SocketAddr::new(ip, port)),
            Err(_) => Self::Name(bare.trim_end_matches('.').to_ascii_lowercase(), port),
        }
    }

    /// What this server listens on, where it stores, and what it shares with other servers.
    pub fn services(config: &Config) -> Vec<Self> {
        let mut own = vec![Self::Address(config.http_addr), Self::Address(config.https_addr)];
        own.extend(config.db_url.iter().flat_map(|url| database(url.expose())));
        if let Some(cluster) = &config.cluster {
            own.extend(engine(cluster.redis.expose(), 6379));
            own.extend(engine(cluster.nats.expose(), 4222));
        }
        own
    }

    pub(super) fn is(&self, address: SocketAddr) -> bool {
        match self {
            Self::Address(own) => own.port() == address.port() && same_place(own.ip(), address.ip()),
            Self::Name(..) => false,
        }
    }
}

/// Whether whoever connects to `address` may meet what is at `own`.
pub(super) fn same_place(own: IpAddr, address: IpAddr) -> bool {
    let (own, address) = (means(own.to_canonical()), means(address.to_canonical()));
    own == address || (this_machine(own) && this_machine(address))
}

/// Every place where PostgreSQL may be by its URL: which of several hosts counts is for sqlx to decide. A socket is this
/// machine, where the same server listens on the same port as a rule.
fn database(url: &str) -> Vec<Own> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let parameters = |names: &'static [&'static str]| {
        let named = url.query_pairs().filter(move |(name, _)| names.contains(&name.as_ref()));
        named.map(|(_, value)| value.into_owned())
    };
    let port = parameters(&["port"]).last().and_then(|p| p.parse().ok()).or(url.port()).unwrap_or(5432);
    let mut hosts: Vec<String> = parameters(&["host", "hostaddr"]).collect();
    hosts.extend(url.host_str().map(str::to_owned));
    if hosts.is_empty() {
        hosts.push(String::new());
    }
    let socket =
        |host: &str| host.is_empty() || host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f");
    let here = Own::Address(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
    hosts.iter().map(|host| if socket(host) { here.clone() } else { Own::new(host, port) }).collect()
}

/// Where Redis or NATS is by its URL.
fn engine(url: &str, usual: u16) -> Option<Own> {
    let url = Url::parse(url).ok()?;
    Some(Own::new(url.host_str()?, url.port().unwrap_or(usual)))
}

/// Whether a packet to this address comes back to us. Asked each time: addresses come and go.
fn this_machine(ip: IpAddr) -> bool {
    // Where the addresses cannot be listed every one may be ours.
    ip.is_loopback()
        || ip.is_unspecified()
        || names::interface_addresses().is_none_or(|all| all.contains(&ip))
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use cb_core::config::Config;

    use super::{Own, database};
    use crate::names;

    #[test]
    fn the_database_is_found_wherever_its_url_names_it() {
        let address = |text: &str| Own::Address(text.parse().expect("an address"));
        let name = |text: &str, port| Own::Name(text.to_owned(), port);
        for (url, own) in [
            ("postgres://cb@db.internal/cb", vec![name("db.internal", 5432)]),
            ("postgres://cb:p@DB.Internal.:6432/cb", vec![name("db.internal", 6432)]),
            ("postgres://cb@10.0.0.2/cb", vec![address("10.0.0.2:5432")]),
            ("postgres://cb@[fd00::2]:1/cb", vec![address("[fd00::2]:1")]),
            ("postgres://cb@x/cb?host=10.0.0.3&port=7", vec![address("10.0.0.3:7"), name("x", 7)]),
            ("postgres://cb@x/cb?hostaddr=10.0.0.4", vec![address("10.0.0.4:5432"), name("x", 5432)]),
            // By a socket it is on this machine.
            ("postgres:///cb?host=/run/postgresql", vec![address("0.0.0.0:5432")]),
            ("postgres://cb@%2Frun%2Fpostgresql/cb?port=5433", vec![address("0.0.0.0:5433")]),
            (
                "postgres:///cb?host=/run/postgresql&hostaddr=10.0.0.4",
                vec![address("0.0.0.0:5432"), address("10.0.0.4:5432")],
            ),
            ("postgres:///cb", vec![address("0.0.0.0:5432")]),
        ] {
            assert_eq!(database(url), own, "{url}");
        }
    }

    #[test]
    fn what_servers_share_is_ours_too() {
        let set = |settings: &[(&str, &str)]| {
            let vars = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
            Own::services(&Config::from_vars(vars, std::path::Path::new("/nonexistent")).expect("usable"))
        };
        let db = ("CB_DB_URL", "postgres://cb@db/x");
        let own = set(&[
            db,
            ("CB_REDIS_URL", "rediss://:p@Redis.Internal."),
            ("CB_NATS_URL", "nats://cb:p@n:5222"),
        ]);
        assert!(own.contains(&Own::Name("redis.internal".to_owned(), 6379)), "{own:?}");
        assert!(own.contains(&Own::Name("n".to_owned(), 5222)), "{own:?}");
        let own = set(&[db, ("CB_REDIS_URL", "redis://:p@[::1]:7"), ("CB_NATS_URL", "tls://cb:p@127.0.0.1")]);
        for address in ["127.0.0.1:7", "[::1]:4222"] {
            let address = address.parse().expect("an address");
            assert!(own.iter().any(|own| own.is(address)), "{address} {own:?}");
        }
    }

    /// What listens on `*` answers at each of them, whichever of them the settings have.
    #[test]
    fn a_service_on_one_address_of_this_machine_is_on_all_of_them() {
        let own: Vec<Own> = ["127.0.0.1", "[::1]", "127.8.8.8", "[::ffff:127.0.0.1]"]
            .iter()
            .map(|host| Own::new(host, 5432))
            .chain(database("postgres:///cb?host=/run/postgresql"))
            .collect();
        let addresses = names::interface_addresses().expect("the kernel tells");
        let more = ["127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::ffff:127.0.0.1"];
        for ip in addresses.iter().copied().chain(more.map(|ip| ip.parse::<IpAddr>().expect("an address"))) {
            for own in &own {
                assert!(own.is(SocketAddr::new(ip, 5432)), "{own:?} {ip}");
                assert!(!own.is(SocketAddr::new(ip, 5433)), "{own:?} {ip}");
            }
            // And the other way round: the settings have this one.
            let own = Own::Address(SocketAddr::new(ip, 5432));
            assert!(own.is("127.0.0.1:5432".parse().expect("an address")), "{ip}");
            assert!(!own.is("192.0.2.1:5432".parse().expect("an address")), "{ip}");
        }
        let elsewhere = Own::new("192.0.2.1", 5432);
        assert!(!elsewhere.is("127.0.0.1:5432".parse().expect("an address")), "another machine's");
        assert!(elsewhere.is("192.0.2.1:5432".parse().expect("an address")));
        assert!(elsewhere.is("[64:ff9b::192.0.2.1]:5432".parse().expect("an address")), "through NAT64");
    }

    #[test]
    fn a_listener_on_every_address_is_on_those_of_this_machine() {
        for listener in ["0.0.0.0:8443", "[::]:8443"] {
            let own = Own::Address(listener.parse().expect("an address"));
            for (address, ours) in [
                ("127.0.0.1:8443", true),
                ("127.8.8.8:8443", true),
                ("[::1]:8443", true),
                ("0.0.0.0:8443", true),
                ("127.0.0.1:8444", false),
                ("192.0.2.1:8443", false),
            ] {
                assert_eq!(own.is(address.parse().expect("an address")), ours, "{listener} {address}");
            }
        }
    }
}
