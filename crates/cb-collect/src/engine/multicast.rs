//! Asks the local networks' groups who is there: mDNS (RFC 6762, with answers sent to us alone) and SSDP.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cb_net::dial::{Group, GroupSocket};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Job;
use crate::dns::{self, Data};
use crate::probes::{Answer, upnp};
use crate::report::ProbeKind;

const LISTEN: Duration = Duration::from_millis(2_500);
const MAX_HOSTS: usize = 4_096;
const MAX_ANSWERS: usize = 24;
/// The domain of mDNS names, as the responders write it.
const LOCAL: &str = ".local";

/// Services that are asked for by name; the first asks which others there are (RFC 6763, 9).
const SERVICES: &[&str] = &[
    "_services._dns-sd._udp.local",
    "_workstation._tcp.local",
    "_device-info._tcp.local",
    "_http._tcp.local",
    "_ipp._tcp.local",
    "_airplay._tcp.local",
    "_googlecast._tcp.local",
    "_hap._tcp.local",
    "_home-assistant._tcp.local",
    "_smb._tcp.local",
    "_ssh._tcp.local",
    "_esphomelib._tcp.local",
    "_sonos._tcp.local",
    "_spotify-connect._tcp.local",
];

const SEARCH: &[u8] = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: ssdp:all\r\n\r\n";

/// The same question to one machine.
pub(crate) const SEARCH_ONE: &[u8] = b"M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nST: upnp:rootdevice\r\n\r\n";

/// What was heard, by address.
pub(crate) struct Heard {
    answers: Mutex<BTreeMap<IpAddr, Vec<Answer>>>,
    over: watch::Sender<bool>,
}

impl Default for Heard {
    fn default() -> Self {
        Self { answers: Mutex::default(), over: watch::Sender::new(false) }
    }
}

impl Heard {
    fn note(&self, from: IpAddr, answer: Answer) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MAX_HOSTS && !answers.contains_key(&from) {
            return;
        }
        let known = answers.entry(from).or_default();
        if known.len() < MAX_ANSWERS && !known.contains(&answer) {
            known.push(answer);
        }
    }

    /// What was heard from `address`, once the listening is over.
    pub async fn from(&self, address: IpAddr) -> Vec<Answer> {
        let mut over = self.over.subscribe();
        // The sender lives as long as `self`.
        if over.wait_for(|over| *over).await.is_err() {
            return Vec::new();
        }
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(&address).cloned().unwrap_or_default()
    }
}

/// Listens on every local network that a target is on.
pub(crate) async fn listen(job: &Job) {
    let concerned: Vec<Ipv4Addr> = job
        .interfaces
        .iter()
        .flat_map(|i| &i.networks)
        .filter(|(_, network)| {
            job.request
                .targets
                .iter()
                .any(|t| network.contains(&t.network()) || t.network().contains(network))
        })
        .filter_map(|(address, _)| if let IpAddr::V4(a) = address { Some(*a) } else { None })
        .collect();
    let mut parts = Vec::new();
    for local in concerned {
        for (group, kind) in [(Group::Mdns, ProbeKind::Mdns), (Group::Ssdp, ProbeKind::Ssdp)] {
            if job.request.wants(kind) {
                parts.push(one(job, group, local));
            }
        }
    }
    futures_util::future::join_all(parts).await;
    job.multicast.over.send_replace(true);
}

async fn one(job: &Job, group: Group, local: Ipv4Addr) {
    let socket = match GroupSocket::open(group, local) {
        Ok(socket) => socket,
        Err(error) => {
            job.limit(format!(
                "multicast from {local} did not work ({error}), so the scan could not use mDNS and SSDP there"
            ));
            return;
        }
    };
    let questions: Vec<Vec<u8>> = match group {
        // The top bit of the class asks for an answer to us alone.
        Group::Mdns => SERVICES.iter().map(|name| dns::question(0, name, dns::PTR, 0x8001)).collect(),
        Group::Ssdp => vec![SEARCH.to_vec(), SEARCH.to_vec()],
    };
    let ask = async |question: &[u8]| {
        job.pacer(local.into()).take().await;
        if let Err(error) = socket.ask(question).await {
            job.limit(format!(
                "multicast from {local} was not sent ({error}); check the interface's multicast route"
            ));
        }
    };
    for question in &questions {
        ask(question).await;
    }
    let mut asked: BTreeSet<String> = SERVICES.iter().map(|s| (*s).to_owned()).collect();
    let end = Instant::now() + LISTEN;
    let mut buffer = vec![0u8; 9_000];
    // As many datagrams as a busy network of this size sends; then it is enough.
    for _ in 0..8_192 {
        let Ok(received) = tokio::time::timeout_at(end, socket.receive(&mut buffer)).await else { break };
        let Ok((length, from)) = received else { continue };
        match group {
            Group::Ssdp => {
                if let Some(answer) = upnp::ssdp(&buffer[..length]) {
                    job.multicast.note(from, answer);
                }
            }
            Group::Mdns => {
                let (answer, more) = mdns(&buffer[..length]);
                if let Some(answer) = answer {
                    job.multicast.note(from, answer);
                }
                for service in more {
                    if asked.len() < 64 && asked.insert(service.clone()) {
                        ask(&dns::question(0, &service, dns::PTR, 0x8001)).await;
                    }
                }
            }
        }
    }
}

/// What one mDNS message says about its sender, and the kinds of service that it names.
fn mdns(bytes: &[u8]) -> (Option<Answer>, Vec<String>) {
    let Some(message) = dns::parse(bytes) else { return (None, Vec::new()) };
    let mut answer = Answer::new("mdns", "mdns").field("protocol", "mdns");
    let mut services = BTreeSet::new();
    let mut texts: Vec<String> = Vec::new();
    let mut host = None;
    let mut more = Vec::new();
    for record in &message.records {
        match &record.data {
            Data::Name(target) if record.name.eq_ignore_ascii_case(SERVICES[0]) => {
                services.insert(target.trim_end_matches(".local").to_owned());
                if target.starts_with('_') && target.ends_with(LOCAL) && target.len() < 64 {
                    more.push(target.clone());
                }
            }
            Data::Name(target) if record.name.starts_with('_') => {
                services.insert(record.name.trim_end_matches(".local").to_owned());
                let instance = target.strip_suffix(record.name.as_str()).map(|i| i.trim_end_matches('.'));
                answer = answer.maybe("instance", instance);
            }
            Data::Service(target, _) => host = Some(target.clone()),
            Data::Address(_) if host.is_none() && record.name.ends_with(LOCAL) => {
                host = Some(record.name.clone());
            }
            Data::Text(parts) => texts.extend(parts.iter().take(20).cloned()),
            _ => {}
        }
    }
    for text in &texts {
        let Some((key, value)) = text.split_once('=') else { continue };
        match key.to_ascii_lowercase().as_str() {
            "model" | "md" | "usb_mdl" | "am" | "board" => answer = answer.field("model", value),
            "ty" => answer = answer.field("ty", value),
            "fn" => answer = answer.field("name", value),
            "usb_mfg" | "manufacturer" | "vendor" => answer = answer.field("vendor", value),
            "version" | "vers" => answer = answer.field("version", value),
            _ => {}
        }
    }
    let services: Vec<String> = services.into_iter().take(20).collect();
    if services.is_empty() && host.is_none() {
        return (None, more);
    }
    (Some(answer.field("services", services.join(" ")).named(host.as_deref())), more)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_service_and_its_host_are_read() {
        let mut bytes = dns::question(0, "_http._tcp.local", dns::PTR, 1);
        bytes[2] = 0x84;
        bytes[7] = 2;
        // PTR: TV._http._tcp.local
        bytes.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 60, 0, 5, 2, b'T', b'V', 0xc0, 12]);
        // A: tv.local
        bytes.extend(b"\x02tv\x05local\0\0\x01\0\x01\0\0\0\x3c\0\x04\x0a\0\0\x05");
        let (answer, _) = mdns(&bytes);
        let answer = answer.expect("an answer");
        assert_eq!(answer.get("instance"), Some("TV"));
        assert_eq!(answer.hostname.as_deref(), Some("tv.local"));
        assert_eq!(answer.get("services"), Some("_http._tcp"));
    }

    proptest! {
        #[test]
        fn any_datagram_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut message = vec![0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 4];
            message.extend(&bytes);
            let _ = mdns(&message);
        }
    }
}
