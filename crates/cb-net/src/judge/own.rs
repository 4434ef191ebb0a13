//! What is ours and no request may reach: listeners, and backends that trust whoever connects from here.
//!
//! To protect one more backend add it to [`Own::services`].

use std::net::{IpAddr, SocketAddr};

use cb_core::config::Config;
use url::Url;

use crate::names;

/// A service of our own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// With an unspecified address it is every address of this machine.
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

    /// What this server listens on and where it stores.
    pub fn services(config: &Config) -> Vec<Self> {
        let mut own = vec![Self::Address(config.http_addr), Self::Address(config.https_addr)];
        own.extend(config.db_url.as_ref().and_then(|url| database(url.expose())));
        own
    }

    pub(super) fn is(&self, address: SocketAddr) -> bool {
        match self {
            Self::Address(own) if own.port() != address.port() => false,
            Self::Address(own) if own.ip().is_unspecified() => this_machine(address.ip()),
            Self::Address(own) => own.ip() == address.ip(),
            Self::Name(..) => false,
        }
    }
}

/// Where PostgreSQL is by its URL, whose parameters win over its authority (as sqlx reads it). None: a socket.
fn database(url: &str) -> Option<Own> {
    let url = Url::parse(url).ok()?;
    let parameter = |names: &[&str]| {
        let last = url.query_pairs().filter(|(name, _)| names.contains(&name.as_ref())).last();
        last.map(|(_, value)| value.into_owned())
    };
    let host = parameter(&["host", "hostaddr"]).or_else(|| url.host_str().map(str::to_owned))?;
    let port = parameter(&["port"]).and_then(|p| p.parse().ok()).or(url.port()).unwrap_or(5432);
    let socket =
        host.is_empty() || host.starts_with('/') || host.starts_with("%2F") || host.starts_with("%2f");
    (!socket).then(|| Own::new(&host, port))
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
    use super::{Own, database};

    #[test]
    fn the_database_is_found_wherever_its_url_names_it() {
        for (url, own) in [
            ("postgres://cb@db.internal/cb", Some(Own::Name("db.internal".to_owned(), 5432))),
            ("postgres://cb:p@DB.Internal.:6432/cb", Some(Own::Name("db.internal".to_owned(), 6432))),
            ("postgres://cb@10.0.0.2/cb", Some(Own::Address("10.0.0.2:5432".parse().expect("an address")))),
            ("postgres://cb@[fd00::2]:1/cb", Some(Own::Address("[fd00::2]:1".parse().expect("an address")))),
            (
                "postgres://cb@x/cb?host=10.0.0.3&port=7",
                Some(Own::Address("10.0.0.3:7".parse().expect("an address"))),
            ),
            (
                "postgres://cb@x/cb?hostaddr=10.0.0.4",
                Some(Own::Address("10.0.0.4:5432".parse().expect("an address"))),
            ),
            ("postgres://cb@x/cb?host=/run/postgresql", None),
            ("postgres://cb@%2Frun%2Fpostgresql/cb", None),
            ("postgres:///cb", None),
        ] {
            assert_eq!(database(url), own, "{url}");
        }
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
