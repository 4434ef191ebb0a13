//! One host from its first sign of life to its report.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cb_core::inventory::{Protocol, WebScheme};
use futures_util::{StreamExt as _, stream};

use super::guess;
use super::liveness::Alive;
use super::multicast::SEARCH_ONE;
use super::pace::RoundTrip;
use super::{Job, names, neighbors, tcp};
use crate::fingerprint::{self, Meaning};
use crate::ports;
use crate::probes::{self, Answer, Ask, upnp};
use crate::report::{Evidence, HostReport, Identity, IdentityKind, ProbeKind, ServiceReport};
use crate::vendor;

/// Ports of one host that are asked together.
const PORTS_AT_ONCE: usize = 8;
/// No port takes longer than this.
const PORT_DEADLINE: Duration = Duration::from_secs(12);
const MAX_EVIDENCE: usize = 200;

/// All that is learned about one host while it is looked at; a deadline takes what is there by then.
#[derive(Debug, Default)]
struct Notes {
    open: Vec<u16>,
    /// Port, protocol and the answers.
    answers: Vec<(Protocol, u16, Vec<Answer>)>,
    hostname: Option<String>,
}

/// Looks at one host. `None` only if nothing at all can be said.
pub(crate) async fn look(job: &Job, alive: Alive, deadline: Duration) -> Option<HostReport> {
    let address = alive.address;
    let notes = Mutex::new(Notes::default());
    if tokio::time::timeout(deadline, learn(job, &alive, &notes)).await.is_err() {
        job.limit(format!("{address} took longer than {} seconds, so the report contains only what was known by then; scan it alone for more", deadline.as_secs()));
    }
    let mac = alive.mac.or_else(|| match address {
        IpAddr::V4(v4) if job.is_on_link(address) => neighbors::read().get(&v4).copied(),
        _ => None,
    });
    Some(report(job, &alive, mac, notes.into_inner().unwrap_or_else(PoisonError::into_inner)))
}

async fn learn(job: &Job, alive: &Alive, notes: &Mutex<Notes>) {
    let address = alive.address;
    if [ProbeKind::Fingerprints, ProbeKind::Mdns, ProbeKind::Ssdp].into_iter().any(|p| job.request.wants(p)) {
        fingerprint::ready().await;
    }
    let lock = || notes.lock().unwrap_or_else(PoisonError::into_inner);
    let mut trip = RoundTrip::unknown();
    if let Some(sample) = alive.round_trip {
        trip.measured(sample);
    }
    let trip = Mutex::new(trip);
    let name = async {
        let mut name = None;
        if job.request.wants(ProbeKind::ReverseDns) {
            name = names::reverse(job, address).await;
        }
        if name.is_none() && job.is_own(address) {
            name = names::of_this_machine();
        }
        if name.is_some() {
            lock().hostname = name;
        }
    };
    let ports = async {
        if !job.request.scans_ports() {
            return;
        }
        job.in_ports.fetch_add(1, Ordering::Relaxed);
        let open = tcp::open_ports(job, address, &job.ports, &trip).await;
        job.in_ports.fetch_sub(1, Ordering::Relaxed);
        lock().open.clone_from(&open);
        if !job.request.wants(ProbeKind::Fingerprints) {
            return;
        }
        stream::iter(open)
            .for_each_concurrent(PORTS_AT_ONCE, |port| {
                let lock = &lock;
                async move {
                    let answers = ask_port(job, address, port).await;
                    if !answers.is_empty() {
                        lock().answers.push((Protocol::Tcp, port, answers));
                    }
                }
            })
            .await;
    };
    let datagrams = async {
        if job.request.wants(ProbeKind::Fingerprints) {
            stream::iter(probes::UDP)
                .for_each_concurrent(PORTS_AT_ONCE, |probe| {
                    let lock = &lock;
                    async move {
                        for &port in probe.ports {
                            let Ok(_socket) = job.sockets.acquire().await else { return };
                            if let Some(answer) = (probe.ask)(&ask(job, address, port)).await {
                                lock().answers.push((Protocol::Udp, port, vec![answer]));
                            }
                        }
                    }
                })
                .await;
        }
        if job.request.wants(ProbeKind::Ssdp) {
            let mut heard = Vec::new();
            if let Ok(_socket) = job.sockets.acquire().await
                && let Some(bytes) = ask(job, address, 1900).udp(SEARCH_ONE).await
            {
                heard.extend(upnp::ssdp(&bytes));
            }
            if !heard.is_empty() {
                lock().answers.push((Protocol::Udp, 1900, heard));
            }
        }
    };
    tokio::join!(name, ports, datagrams);

    let heard = job.multicast.from(address).await;
    {
        let mut notes = lock();
        for answer in heard {
            let port = if answer.probe == "mdns" { 5353 } else { 1900 };
            notes.answers.push((Protocol::Udp, port, vec![answer]));
        }
        if notes.answers.iter().any(|(_, _, answers)| answers.iter().any(|a| a.service == "dns")) {
            job.names.learn(address);
        }
    }
    describe_upnp(job, address, notes).await;
    let nameless = lock().hostname.is_none();
    if nameless {
        // Name servers that were found since may know it.
        name_again(job, address, notes).await;
    }
}

async fn name_again(job: &Job, address: IpAddr, notes: &Mutex<Notes>) {
    if job.request.wants(ProbeKind::ReverseDns)
        && let Some(name) = names::reverse(job, address).await
    {
        notes.lock().unwrap_or_else(PoisonError::into_inner).hostname = Some(name);
    }
}

/// Fetches the device description of the first SSDP answer that points to one.
async fn describe_upnp(job: &Job, address: IpAddr, notes: &Mutex<Notes>) {
    let found = {
        let notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.answers.iter().flat_map(|(_, _, answers)| answers).find_map(|answer| {
            let (port, path) = upnp::location(answer.get("location")?, address)?;
            Some((port, path, answer.clone()))
        })
    };
    let Some((port, path, answer)) = found else { return };
    let Ok(_socket) = job.sockets.acquire().await else { return };
    let ask = ask(job, address, port);
    if let Ok(answer) = tokio::time::timeout(PORT_DEADLINE, upnp::describe(&ask, &path, answer)).await {
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.answers.push((Protocol::Udp, 1900, vec![answer]));
    }
}

fn ask(job: &Job, address: IpAddr, port: u16) -> Ask<'_> {
    Ask {
        peer: SocketAddr::new(address, port),
        // Answers need the other side's processor, not only the wire.
        timeout: Duration::from_millis(1_500),
        pacer: job.pacer(address),
        entropy: &*job.env.entropy,
        scope: &job.env.scope,
    }
}

async fn ask_port(job: &Job, address: IpAddr, port: u16) -> Vec<Answer> {
    let Ok(_socket) = job.sockets.acquire().await else { return Vec::new() };
    let ask = ask(job, address, port);
    let usual = ports::usual_name(Protocol::Tcp, port);
    tokio::time::timeout(PORT_DEADLINE, probes::identify(&ask, usual)).await.unwrap_or_default()
}

fn report(job: &Job, alive: &Alive, mac: Option<[u8; 6]>, mut notes: Notes) -> HostReport {
    let address = alive.address;
    let at = job.env.clock.now();
    notes.answers.sort_by_key(|(protocol, port, _)| (protocol.as_str(), *port));
    let mac = mac.map(vendor::mac_text);
    let vendor = mac.as_deref().and_then(vendor::lookup);
    let random_mac = mac.as_deref().is_some_and(vendor::is_random);
    let gateway = job.interfaces.iter().any(|i| i.gateways.contains(&address));

    let mut evidence: Vec<Evidence> = Vec::new();
    let mut note = |source: &str, port: Option<u16>, fact: &str, value: String| {
        if evidence.len() < MAX_EVIDENCE {
            evidence.push(Evidence {
                source: source.to_owned(),
                at,
                address,
                port,
                fact: fact.to_owned(),
                value,
            });
        }
    };
    for (source, port, fact, value) in &alive.signs {
        note(source, *port, fact, value.clone());
    }
    if let Some(mac) = mac.as_ref().filter(|_| alive.mac.is_none()) {
        note("neighbor table", None, "mac", mac.clone());
    }
    if let Some(vendor) = &vendor {
        note("oui", None, "vendor", vendor.clone());
    }
    if let Some(name) = &notes.hostname {
        note("dns", None, "hostname", name.clone());
    }
    if gateway {
        note("routing table", None, "role", "packets to other networks go through it".to_owned());
    }

    let services = services(&notes);
    let mut meanings: Vec<Meaning> = Vec::new();
    let mut identities: Vec<Identity> = Vec::new();
    if let Some(mac) = &mac {
        identities.push(Identity { kind: IdentityKind::Mac, value: mac.clone() });
    }
    for &port in &notes.open {
        note(
            "tcp",
            Some(port),
            "open",
            ports::usual_name(Protocol::Tcp, port).unwrap_or("unknown").to_owned(),
        );
    }
    for (_, port, answers) in &notes.answers {
        meanings.extend(fingerprint::all(answers));
        for answer in answers {
            for (name, value) in answer.fields.iter().filter(|(name, _)| is_shown(name)).take(10) {
                note(answer.probe, Some(*port), name, value.clone());
            }
            for identity in &answer.identities {
                // A MAC that only a name service tells may be that of another card.
                if identity.kind != IdentityKind::Mac
                    && !identities.contains(identity)
                    && identities.len() < 32
                {
                    note(answer.probe, Some(*port), identity.kind.as_str(), identity.value.clone());
                    identities.push(identity.clone());
                }
            }
        }
    }
    let answers: Vec<&Answer> = notes.answers.iter().flat_map(|(.., answers)| answers).collect();
    let (guess, hostname) = guess::guess(&guess::Clues {
        address,
        vendor: vendor.as_deref(),
        random_mac,
        own: job.is_own(address),
        gateway,
        hostname: notes.hostname.as_deref(),
        answers: &answers,
        meanings: &meanings,
        services: &services,
    });
    let confidence = confidence(alive, mac.is_some(), &services, identities.len(), &guess);
    HostReport {
        address,
        mac,
        vendor,
        random_mac,
        hostname,
        network: job.network_of(address),
        gateway,
        services,
        guess,
        identities,
        evidence,
        confidence,
    }
}

/// Long texts are for matching, not for people.
fn is_shown(field: &str) -> bool {
    !matches!(field, "body" | "headers" | "protocol" | "cookie" | "status") && !field.starts_with("page ")
}

/// Every open TCP port, and every UDP port that answered.
fn services(notes: &Notes) -> Vec<ServiceReport> {
    let mut services: Vec<ServiceReport> = Vec::new();
    for &port in &notes.open {
        let said = notes.answers.iter().find(|(p, n, _)| *p == Protocol::Tcp && *n == port);
        services.push(service(
            Protocol::Tcp,
            port,
            said.map(|(.., answers)| answers.as_slice()).unwrap_or_default(),
        ));
    }
    for (_, port, answers) in notes.answers.iter().filter(|(protocol, ..)| *protocol == Protocol::Udp) {
        let found = service(Protocol::Udp, *port, answers);
        match services.iter_mut().find(|s| s.protocol == Protocol::Udp && s.port == *port) {
            Some(known) if known.product.is_none() && found.product.is_some() => *known = found,
            Some(_) => {}
            None => services.push(found),
        }
    }
    services
}

fn service(protocol: Protocol, port: u16, answers: &[Answer]) -> ServiceReport {
    let usual = ports::usual_name(protocol, port).unwrap_or("unknown");
    let Some(meaning) = fingerprint::meaning(answers) else {
        // The last answer is the innermost: HTTP within TLS.
        let spoken = answers.last().map(|a| a.service).filter(|s| *s != "unknown");
        return ServiceReport {
            protocol,
            port,
            name: spoken.unwrap_or(usual).to_owned(),
            product: None,
            version: None,
            scheme: scheme(answers),
            confidence: match spoken {
                Some(_) => 70,
                None if usual == "unknown" => 10,
                None => 30,
            },
        };
    };
    let scheme = scheme(answers);
    // A page is recognized by its content, which is the same within TLS.
    let secure = scheme == Some(WebScheme::Https) && meaning.service == "http";
    ServiceReport {
        protocol,
        port,
        name: if secure { "https".to_owned() } else { meaning.service },
        product: meaning.product,
        version: meaning.version,
        scheme,
        confidence: meaning.confidence,
    }
}

/// Whether a page came, and within TLS or not. A name says neither: `jellyfin` may be both.
fn scheme(answers: &[Answer]) -> Option<WebScheme> {
    let page = answers.iter().find(|a| a.probe == "http")?;
    Some(if page.service == "https" { WebScheme::Https } else { WebScheme::Http })
}

fn confidence(
    alive: &Alive,
    mac: bool,
    services: &[ServiceReport],
    identities: usize,
    guess: &crate::Guess,
) -> u8 {
    let hearsay = alive.signs.iter().all(|(source, ..)| *source == "neighbor table");
    let mut sum = if hearsay { 40 } else { 55u8 };
    if mac {
        sum += 15;
    }
    if identities > usize::from(mac) {
        sum += 12;
    }
    if services.iter().any(|s| s.confidence >= 80) {
        sum += 8;
    }
    if guess.role.is_some() {
        sum += 6;
    }
    sum.min(99)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(server: &str, secure: bool) -> Vec<Answer> {
        let mut page = Answer::new("http", "http").field("status", "200").field("server", server);
        if !secure {
            return vec![page];
        }
        page.service = "https";
        vec![Answer::new("tls", "tls").field("version", "TLSv1_3"), page]
    }

    #[test]
    fn a_page_is_within_tls_when_it_came_so_whatever_the_port_and_the_product() {
        let told = |port, answers: &[Answer]| {
            let service = service(Protocol::Tcp, port, answers);
            (service.name, service.scheme)
        };
        for server in ["nginx/1.24.0", "something new"] {
            assert_eq!(
                told(443, &page(server, false)),
                ("http".to_owned(), Some(WebScheme::Http)),
                "{server}"
            );
            assert_eq!(
                told(80, &page(server, true)),
                ("https".to_owned(), Some(WebScheme::Https)),
                "{server}"
            );
        }
        // The usual name of a port, a certificate without a page, another protocol: no browser gets anything there.
        assert_eq!(told(443, &[]).1, None);
        assert_eq!(told(443, &[Answer::new("tls", "tls").field("version", "TLSv1_3")]).1, None);
        assert_eq!(told(80, &[Answer::new("ssh", "ssh").field("banner", "SSH-2.0-OpenSSH_9.6")]).1, None);
    }
}
