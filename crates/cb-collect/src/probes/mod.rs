//! Small protocol exchanges that ask a port what it is. Read-only all of them: nothing is logged in, stored or changed.
//!
//! A new probe: one file here with `ask(&Ask) -> Option<Answer>`, which answers `None` unless it is certain that its
//! protocol was spoken, and one line in [`TCP`] or [`UDP`]. What its answers mean stands in `fingerprints/*.toml`.

mod amqp;
mod dns;
pub(crate) mod exchange;
mod greeting;
mod http;
mod ldap;
mod memcached;
mod mqtt;
mod netbios;
mod ntp;
mod postgresql;
mod rdp;
mod redis;
mod rtsp;
mod smb;
mod snmp;
mod ssh;
mod tls;
pub(crate) mod upnp;

use std::time::Duration;

use futures_util::future::BoxFuture;

pub(crate) use exchange::{Answer, Ask, u16_at};

use crate::fingerprint;
use http::NoPage;

pub(crate) struct Probe {
    #[cfg_attr(not(test), expect(dead_code, reason = "tests hold the fingerprints against it"))]
    pub name: &'static str,
    /// Where this protocol usually is; there it is tried first.
    pub ports: &'static [u16],
    pub ask: for<'a> fn(&'a Ask<'a>) -> BoxFuture<'a, Option<Answer>>,
}

/// Protocols in which the client speaks first.
pub(crate) const TCP: &[Probe] = &[
    Probe { name: "ssh", ports: &[22, 2222], ask: |a| Box::pin(ssh::ask(a)) },
    Probe { name: "smb", ports: &[445], ask: |a| Box::pin(smb::ask(a)) },
    Probe { name: "dns", ports: &[53], ask: |a| Box::pin(dns::ask_tcp(a)) },
    Probe { name: "postgresql", ports: &[5432], ask: |a| Box::pin(postgresql::ask(a)) },
    Probe { name: "redis", ports: &[6379], ask: |a| Box::pin(redis::ask(a)) },
    Probe { name: "memcached", ports: &[11211], ask: |a| Box::pin(memcached::ask(a)) },
    Probe { name: "mqtt", ports: &[1883], ask: |a| Box::pin(mqtt::ask(a)) },
    Probe { name: "rtsp", ports: &[554, 8554], ask: |a| Box::pin(rtsp::ask(a)) },
    Probe { name: "rdp", ports: &[3389], ask: |a| Box::pin(rdp::ask(a)) },
    Probe { name: "ldap", ports: &[389], ask: |a| Box::pin(ldap::ask(a)) },
    Probe { name: "amqp", ports: &[5672], ask: |a| Box::pin(amqp::ask(a)) },
];

/// Each asked once of every host.
pub(crate) const UDP: &[Probe] = &[
    Probe { name: "dns", ports: &[53], ask: |a| Box::pin(dns::ask(a)) },
    Probe { name: "ntp", ports: &[123], ask: |a| Box::pin(ntp::ask(a)) },
    Probe { name: "netbios", ports: &[137], ask: |a| Box::pin(netbios::ask(a)) },
    Probe { name: "snmp", ports: &[161], ask: |a| Box::pin(snmp::ask(a)) },
];

#[cfg(test)]
/// Probes that have no line above: they follow from what a port says.
pub(crate) const FOLLOWING: &[&str] = &["greeting", "http", "tls", "ssdp", "mdns"];

/// How long a server may take to speak first: where that is its protocol's way, it may look up our name before.
const GREETING: Duration = Duration::from_millis(900);
const LATE_GREETING: Duration = Duration::from_millis(5_500);
/// Ports whose protocols let the server speak first.
const GREETERS: &[u16] = &[21, 23, 25, 110, 119, 143, 587, 873, 2525, 3306, 4222, 5900, 5901];

pub(crate) fn udp_ports() -> Vec<u16> {
    UDP.iter().flat_map(|p| p.ports).copied().chain([1900]).collect()
}

/// Asks an open TCP port what it is: its usual protocol first, then whether it speaks first, then HTTP, then TLS. A port
/// that is never written to is not asked at all.
pub(crate) async fn identify(ask: &Ask<'_>, usual: Option<&str>) -> Vec<Answer> {
    let port = ask.peer.port();
    if cb_net::dial::never_written(port) {
        return Vec::new();
    }
    for probe in TCP.iter().filter(|p| p.ports.contains(&port)) {
        if let Some(answer) = (probe.ask)(ask).await {
            return vec![answer];
        }
    }
    let extra = fingerprint::extra_pages(port);
    let secure_first = usual.is_some_and(|name| {
        name == "https"
            || name.ends_with("-tls")
            || name.ends_with('s') && matches!(port, 465 | 636 | 990 | 993 | 995 | 8883)
    }) || matches!(port, 8006 | 8007 | 6443 | 10250);
    if secure_first {
        let answers = over_tls(ask, &extra).await;
        if !answers.is_empty() {
            return answers;
        }
    }
    let web = usual.is_some_and(|name| name == "http") || !extra.is_empty();
    if !web && !secure_first {
        let patience = if GREETERS.contains(&port) { LATE_GREETING } else { GREETING };
        if let Some(greeting) = greeting::listen(ask, patience).await {
            if greeting.service == "ssh"
                && let Some(answer) = ssh::ask(ask).await
            {
                return vec![answer];
            }
            return vec![greeting];
        }
    }
    match http::ask(ask, false, &extra).await {
        Ok(answer) => vec![answer],
        Err(reason) if !secure_first && (reason == NoPage::SpeaksTls || usual != Some("http")) => {
            let answers = over_tls(ask, &extra).await;
            if answers.is_empty() && web {
                greeting::listen(ask, GREETING).await.into_iter().collect()
            } else {
                answers
            }
        }
        Err(_) => Vec::new(),
    }
}

/// What the certificate says, and the page behind it.
async fn over_tls(ask: &Ask<'_>, extra: &[&str]) -> Vec<Answer> {
    let Some((stream, certificate)) = tls::connect(ask).await else { return Vec::new() };
    drop(stream);
    let mut answers = vec![certificate];
    if let Ok(mut page) = http::ask(ask, true, extra).await {
        page.service = "https";
        answers.push(page);
    }
    answers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_no_probe_is_for_a_protected_port() {
        for list in [TCP, UDP] {
            let mut names: Vec<_> = list.iter().map(|p| p.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), list.len());
            for port in list.iter().flat_map(|p| p.ports) {
                assert!(!cb_net::dial::never_written(*port), "{port}");
            }
        }
    }
}
