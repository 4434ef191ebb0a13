//! Who is there. On the own link ARP decides alone; elsewhere echo requests, then TCP.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use ipnet::IpNet;
use tokio::sync::mpsc;

use super::{Job, arp, icmp, neighbors, tcp};
use crate::local::Interface;
use crate::report::ProbeKind;
use crate::sight::Method;
use crate::target::{self, Target};

/// Addresses asked by TCP at a time.
const PING_AT_ONCE: usize = 128;
/// Addresses handled together off the link; bounds memory for large targets.
const CHUNK: usize = 4_096;

/// One address that is there, and how we know.
#[derive(Debug, Clone)]
pub(crate) struct Alive {
    pub address: IpAddr,
    pub mac: Option<[u8; 6]>,
    pub round_trip: Option<Duration>,
    /// Source, port, fact and value of the evidence.
    pub signs: Vec<(&'static str, Option<u16>, &'static str, String)>,
}

impl Alive {
    fn new(address: IpAddr) -> Self {
        Self { address, mac: None, round_trip: None, signs: Vec::new() }
    }

    fn sign(mut self, source: &'static str, port: Option<u16>, fact: &'static str, value: String) -> Self {
        self.signs.push((source, port, fact, value));
        self
    }

    fn after(mut self, round_trip: Duration) -> Self {
        self.round_trip = Some(round_trip);
        self
    }
}

/// Finds who of `target` is there and tells each once.
pub(crate) async fn find(job: &Job, target: &Target, alive: &mpsc::Sender<Alive>) {
    let addresses: Vec<IpAddr> = target.hosts().filter(|a| !target::never(*a)).collect();
    let link = job.interfaces.iter().find_map(|interface| {
        let (_, network) = interface.networks.iter().find(|(_, network)| covers(network, target))?;
        network.addr().is_ipv4().then_some(interface)
    });
    let (own, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|a| job.is_own(*a));
    for address in own {
        let mac = job
            .interfaces
            .iter()
            .find(|i| i.networks.iter().any(|(own, _)| *own == address))
            .and_then(|i| i.mac);
        let found = Alive { mac, ..Alive::new(address) }.after(Duration::from_micros(50)).sign(
            "local",
            None,
            "answers",
            "an address of this server".to_owned(),
        );
        if alive.send(found).await.is_err() {
            return;
        }
        job.decided(1);
    }
    let mut broken = false;
    if let Some(interface) = link.filter(|i| i.arp && job.request.wants(ProbeKind::Arp))
        && job.abilities.arp.available
    {
        match by_arp(job, interface, &others, alive).await {
            Ok(()) => return job.swept(target, vec![Method::Arp]),
            Err(error) => {
                broken = true;
                job.limit(format!(
                    "ARP on {} did not work ({error}), so only echo requests and TCP were used there; check that the interface is up",
                    interface.name
                ));
            }
        }
    }
    let (icmp, tcp) = (pings(job), job.request.pings_by_tcp());
    let mut by = Vec::new();
    by.extend(icmp.then_some(Method::Icmp));
    by.extend(tcp.then_some(Method::Tcp));
    by.extend((tcp && link.is_some()).then_some(Method::Neighbors));
    for chunk in others.chunks(CHUNK) {
        let (rest, all) = by_icmp(job, chunk, alive).await;
        if !all {
            by.retain(|method| *method != Method::Icmp);
        }
        by_tcp(job, &rest, link.is_some(), alive).await;
    }
    // Where ARP should have worked and did not, silence says more about this machine than about the others.
    if !broken {
        job.swept(target, by);
    }
}

fn pings(job: &Job) -> bool {
    job.request.wants(ProbeKind::Icmp) && job.abilities.icmp.available
}

fn covers(network: &IpNet, target: &Target) -> bool {
    network.contains(&target.network())
}

async fn by_arp(
    job: &Job,
    interface: &Interface,
    addresses: &[IpAddr],
    alive: &mpsc::Sender<Alive>,
) -> std::io::Result<()> {
    let v4: Vec<Ipv4Addr> =
        addresses.iter().filter_map(|a| if let IpAddr::V4(a) = a { Some(*a) } else { None }).collect();
    let Some(&first) = v4.first() else { return Ok(()) };
    // A queue of our own, because the sweep may not wait; it holds one entry for each address at most.
    let (found, mut queue) = mpsc::channel(v4.len());
    let forward = async {
        while let Some(next) = queue.recv().await {
            if alive.send(next).await.is_err() {
                break;
            }
        }
    };
    let sweep = async {
        let found = found;
        arp::sweep(
            interface,
            &v4,
            job.pacer(first.into()),
            |answer| {
                let mac = crate::vendor::mac_text(answer.mac);
                let host = Alive { mac: Some(answer.mac), ..Alive::new(answer.address.into()) }
                    .after(answer.round_trip)
                    .sign("arp", None, "mac", mac);
                // There is room for every address.
                if found.try_send(host).is_err() {
                    tracing::debug!(address = %answer.address, "nobody waits for this answer any more");
                }
            },
            |count| job.decided(count),
        )
        .await
    };
    tokio::join!(sweep, forward).0
}

/// Who did not answer, and whether all were asked.
async fn by_icmp(job: &Job, addresses: &[IpAddr], alive: &mpsc::Sender<Alive>) -> (Vec<IpAddr>, bool) {
    let Some(first) = addresses.first().copied() else { return (Vec::new(), true) };
    if !pings(job) {
        return (addresses.to_vec(), false);
    }
    let mut answered = HashSet::new();
    let (found, mut queue) = mpsc::channel(addresses.len());
    let forward = async {
        while let Some(next) = queue.recv().await {
            if alive.send(next).await.is_err() {
                break;
            }
        }
    };
    let sweep = async {
        let found = found;
        icmp::sweep(addresses, job.token(), job.pacer(first), |address, round_trip| {
            answered.insert(address);
            let host = Alive::new(address).after(round_trip).sign(
                "icmp",
                None,
                "answers",
                format!("echo reply after {:.1} ms", round_trip.as_secs_f64() * 1_000.0),
            );
            if found.try_send(host).is_err() {
                tracing::debug!(%address, "nobody waits for this answer any more");
            }
        })
        .await
    };
    let (result, ()) = tokio::join!(sweep, forward);
    let all = result.is_ok();
    if let Err(error) = result {
        job.limit(format!(
            "echo requests to {first} and its neighbors failed ({error}), so TCP was used there; check the route with `ip route get {first}`"
        ));
    }
    job.decided(answered.len() as u64);
    (addresses.iter().copied().filter(|a| !answered.contains(a)).collect(), all)
}

async fn by_tcp(job: &Job, addresses: &[IpAddr], on_link: bool, alive: &mpsc::Sender<Alive>) {
    if !job.request.pings_by_tcp() {
        job.decided(addresses.len() as u64);
        return;
    }
    for group in addresses.chunks(256) {
        let mut silent: HashSet<IpAddr> = group.iter().copied().collect();
        {
            // A ping tells what it found by itself. Whoever waited here for room would stop all pings beside it, and with them the
            // turns at the pacer that they hold.
            let mut pings = stream::iter(group.to_vec())
                .map(|address| async move {
                    let sign = tcp::ping(job, address).await?;
                    let host = Alive::new(address).after(sign.round_trip).sign(
                        "tcp",
                        Some(sign.port),
                        "answers",
                        if sign.open { "accepts a connection" } else { "refuses a connection" }.to_owned(),
                    );
                    Some((address, alive.send(host).await))
                })
                .buffer_unordered(PING_AT_ONCE);
            while let Some(answer) = pings.next().await {
                match answer {
                    Some((address, Ok(()))) => {
                        silent.remove(&address);
                    }
                    Some((_, Err(_))) => return,
                    None => {}
                }
                job.decided(1);
            }
        }
        if on_link {
            // The kernel had to ask the link before it could connect: who answered that is there,
            // whatever a firewall did to the connections.
            for (address, mac) in neighbors::read() {
                if silent.contains(&IpAddr::V4(address)) {
                    let host = Alive { mac: Some(mac), ..Alive::new(address.into()) }.sign(
                        "neighbor table",
                        None,
                        "mac",
                        crate::vendor::mac_text(mac),
                    );
                    if alive.send(host).await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}
