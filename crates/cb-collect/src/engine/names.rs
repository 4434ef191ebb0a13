//! Reverse DNS: the name of an address, from whoever may know it.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cb_net::dial;

use super::Job;
use crate::dns::{self, Data};
use crate::local::Interface;

const PATIENCE: Duration = Duration::from_millis(700);
const MAX_SYSTEM: usize = 3;
const MAX_SERVERS: usize = 6;

/// The name servers that are asked: the system's, the gateways, and those that the scan finds.
pub(crate) struct Servers(Mutex<Vec<IpAddr>>);

impl Servers {
    pub fn new(interfaces: &[Interface]) -> Self {
        let system = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let mut servers: Vec<IpAddr> = parse(&system);
        servers.extend(interfaces.iter().flat_map(|i| &i.gateways));
        let mut unique: Vec<IpAddr> = Vec::new();
        for server in servers {
            if !unique.contains(&server) && unique.len() < MAX_SERVERS {
                unique.push(server);
            }
        }
        Self(Mutex::new(unique))
    }

    /// A machine of the network that answers DNS; it may know its neighbors.
    pub fn learn(&self, server: IpAddr) {
        let mut servers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if servers.len() < MAX_SERVERS && !servers.contains(&server) {
            servers.push(server);
        }
    }

    fn list(&self) -> Vec<IpAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// `nameserver` lines of resolv.conf(5).
fn parse(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok())
        .take(MAX_SYSTEM)
        .collect()
}

/// What the kernel calls this machine: a server knows its own name when no name server does.
pub(crate) fn of_this_machine() -> Option<String> {
    machine_name(nix::unistd::gethostname().ok()?.to_str()?)
}

/// A container that nobody named is called by its id, which helps nobody.
fn machine_name(name: &str) -> Option<String> {
    let name = name.trim();
    let id = name.len() == 12 && name.bytes().all(|b| b.is_ascii_hexdigit());
    (!name.is_empty() && name != "localhost" && !id).then(|| name.to_owned())
}

/// The first name that any of the servers knows. All are asked at once.
pub(crate) async fn reverse(job: &Job, address: IpAddr) -> Option<String> {
    let name = dns::reverse_name(address);
    let asked = job.names.list().into_iter().map(|server| {
        let name = &name;
        Box::pin(async move { ask(job, server, name).await.ok_or(()) })
    });
    let asked: Vec<_> = asked.collect();
    if asked.is_empty() {
        return None;
    }
    futures_util::future::select_ok(asked).await.ok().map(|(name, _)| name)
}

async fn ask(job: &Job, server: IpAddr, name: &str) -> Option<String> {
    let socket = dial::name_server(server).await.ok()?;
    let token = job.token();
    let id = u16::from_be_bytes([token[0], token[1]]);
    let question = dns::question(id, name, dns::PTR, 1);
    let mut buffer = [0u8; 1_232];
    for _ in 0..2 {
        job.pacer(server).take().await;
        socket.send(&question).await.ok()?;
        match tokio::time::timeout(PATIENCE, socket.receive(&mut buffer)).await {
            Ok(Ok(length)) => {
                let message = dns::parse(&buffer[..length]).filter(|m| m.id == id)?;
                return message.records.into_iter().find_map(|record| match record.data {
                    Data::Name(host) if record.name.eq_ignore_ascii_case(name) && !host.is_empty() => {
                        Some(host)
                    }
                    _ => None,
                });
            }
            Ok(Err(_)) => return None,
            Err(_) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_read_from_resolv_conf() {
        let text =
            "# local\nsearch lan\nnameserver 10.0.0.1\nnameserver fd00::1\noptions edns0\nnameserver x\n";
        assert_eq!(
            parse(text),
            ["10.0.0.1".parse().expect("address"), "fd00::1".parse::<IpAddr>().expect("address")]
        );
    }

    #[test]
    fn a_container_id_is_no_name() {
        assert_eq!(machine_name("attic\n").as_deref(), Some("attic"));
        assert_eq!(machine_name("nas.home.example").as_deref(), Some("nas.home.example"));
        for none in ["", " ", "localhost", "3f2a9c01d4be"] {
            assert_eq!(machine_name(none), None, "{none}");
        }
    }
}
