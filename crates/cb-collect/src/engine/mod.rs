//! The scan itself: finds who is there, and looks at each of them while it still looks for others.
//!
//! Invariants: everything is bounded (rate per network, open sockets, hosts at a time, time per host, queues); a
//! scan that is cancelled has closed every socket when [`scan`] returns; nothing is kept in memory that was sent.

mod arp;
mod guess;
mod host;
mod icmp;
mod liveness;
mod multicast;
mod names;
mod neighbors;
pub(crate) mod pace;
mod tcp;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cb_core::{Clock, Entropy};
use cb_net::outbound::Scope;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use ipnet::IpNet;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::local::{self, Capabilities, Interface};
use crate::report::{Completeness, HostReport, Outcome, Phase, ProbeKind, ScanEvent, ScanRequest};
use crate::sight::{Method, Sweep};
#[cfg(test)]
pub(crate) use guess::ROLES;
pub use guess::kind_of;
use liveness::Alive;
use pace::Pacer;

/// Hosts looked at together.
const HOSTS_AT_ONCE: usize = 64;
/// Targets swept together.
const TARGETS_AT_ONCE: usize = 4;
/// No host takes longer; what was learned by then is reported.
const HOST_DEADLINE: Duration = Duration::from_secs(90);
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// What a scan needs from outside.
#[derive(Clone)]
pub struct Env {
    pub clock: Arc<dyn Clock>,
    /// Packet ids and DNS query ids, so that answers cannot be forged blindly.
    pub entropy: Arc<dyn Entropy>,
    /// What may be connected to at all.
    pub scope: Scope,
}

/// One running scan, shared by its parts.
pub(crate) struct Job {
    pub request: ScanRequest,
    pub env: Env,
    pub ports: Vec<u16>,
    pub interfaces: Vec<Interface>,
    pub abilities: Capabilities,
    pub sockets: Semaphore,
    /// Networks with their rate: the own ones, then the targets.
    pacers: Vec<(IpNet, Pacer)>,
    /// For what is on no list.
    other: Pacer,
    pub multicast: multicast::Heard,
    pub names: names::Servers,
    limitations: Mutex<BTreeSet<String>>,
    /// One for each target at most.
    sweeps: Mutex<Vec<Sweep>>,
    /// Addresses of which the sweep is done.
    swept: AtomicU64,
    /// Hosts found; and those of them that are reported.
    found: AtomicU64,
    reported: AtomicU64,
    /// Hosts whose ports are still being looked at.
    pub in_ports: AtomicU64,
    sweeping: AtomicU64,
}

impl Job {
    fn new(request: ScanRequest, env: Env) -> Self {
        let interfaces = local::interfaces();
        let abilities = Capabilities::detect();
        let rate = request.rate();
        let mut networks: Vec<IpNet> =
            interfaces.iter().flat_map(|i| i.networks.iter().map(|(_, n)| *n)).collect();
        networks.extend(request.targets.iter().map(crate::Target::network));
        let job = Self {
            ports: request.port_list(),
            names: names::Servers::new(&interfaces),
            interfaces,
            abilities,
            sockets: Semaphore::new(pace::socket_budget()),
            pacers: networks.into_iter().map(|network| (network, Pacer::new(rate))).collect(),
            other: Pacer::new(rate),
            multicast: multicast::Heard::default(),
            limitations: Mutex::default(),
            sweeps: Mutex::default(),
            swept: AtomicU64::new(0),
            found: AtomicU64::new(0),
            reported: AtomicU64::new(0),
            in_ports: AtomicU64::new(0),
            sweeping: AtomicU64::new(1),
            request,
            env,
        };
        for (probe, ability) in [(ProbeKind::Arp, &job.abilities.arp), (ProbeKind::Icmp, &job.abilities.icmp)]
        {
            if let Some(reason) = ability.reason.as_ref().filter(|_| job.request.wants(probe)) {
                job.limit(reason.clone());
            }
        }
        job
    }

    pub fn pacer(&self, address: IpAddr) -> &Pacer {
        self.pacers
            .iter()
            .find(|(network, _)| network.contains(&address))
            .map_or(&self.other, |(_, pacer)| pacer)
    }

    /// Whether this machine has the address.
    pub fn is_own(&self, address: IpAddr) -> bool {
        self.interfaces.iter().any(|i| i.networks.iter().any(|(own, _)| *own == address))
    }

    /// The own network that contains `address`, else the target, when that is a network.
    pub fn network_of(&self, address: IpAddr) -> Option<IpNet> {
        let own = self.interfaces.iter().flat_map(|i| &i.networks).map(|(_, network)| *network);
        let targets = self.request.targets.iter().filter(|t| !t.is_single()).map(crate::Target::network);
        own.chain(targets).find(|network| network.contains(&address))
    }

    pub fn is_on_link(&self, address: IpAddr) -> bool {
        self.interfaces.iter().flat_map(|i| &i.networks).any(|(_, network)| network.contains(&address))
    }

    /// Notes what could not be done: one sentence with its mend. Bounded, because devices may provoke it.
    pub fn limit(&self, sentence: String) {
        let mut limitations = self.limitations.lock().unwrap_or_else(PoisonError::into_inner);
        if limitations.len() < 32 {
            limitations.insert(sentence);
        }
    }

    /// Each address of `target` was asked by these methods.
    pub fn swept(&self, target: &crate::Target, by: Vec<Method>) {
        let sweep = Sweep { network: target.network(), by };
        self.sweeps.lock().unwrap_or_else(PoisonError::into_inner).push(sweep);
    }

    pub fn decided(&self, addresses: u64) {
        self.swept.fetch_add(addresses, Ordering::Relaxed);
    }

    pub fn token(&self) -> [u8; 8] {
        let mut token = [0; 8];
        self.env.entropy.fill(&mut token);
        token
    }

    fn progress(&self) -> ScanEvent {
        let (found, reported) = (self.found.load(Ordering::Relaxed), self.reported.load(Ordering::Relaxed));
        let total = self.request.addresses();
        let phase = if self.sweeping.load(Ordering::Relaxed) > 0 {
            Phase::Liveness
        } else if self.in_ports.load(Ordering::Relaxed) > 0 {
            Phase::Ports
        } else {
            Phase::Fingerprints
        };
        // An address is done when its sweep is over and, if somebody is there, the report is out.
        let swept = self.swept.load(Ordering::Relaxed).min(total);
        let done = swept.saturating_sub(found - reported.min(found));
        ScanEvent::Progress { phase, done, total, hosts: found }
    }
}

/// Runs one scan to its end. Each host is sent as soon as all is known about it; a full `events` queue
/// holds the scan back, a closed one stops it. `cancel` stops it within a second, with every socket
/// closed.
pub async fn scan(
    request: ScanRequest,
    env: &Env,
    events: mpsc::Sender<ScanEvent>,
    cancel: CancellationToken,
) -> Outcome {
    let request = match request.checked() {
        Ok(request) => request,
        Err(error) => {
            let status = Completeness::Partial { collected: 0, expected: 0, reason: error.to_string() };
            return Outcome { hosts: 0, status, limitations: Vec::new(), sweeps: Vec::new() };
        }
    };
    let job = Arc::new(Job::new(request, env.clone()));
    let mut hosts = JoinSet::new();
    let finished = tokio::select! {
        biased;
        () = cancel.cancelled() => false,
        () = events.closed() => false,
        () = run(&job, &mut hosts, &events) => true,
    };
    // Aborts what still runs and waits until it has let go of its sockets.
    hosts.shutdown().await;

    let limitations =
        job.limitations.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
    let hosts = job.reported.load(Ordering::Relaxed);
    let lost = job.found.load(Ordering::Relaxed).saturating_sub(hosts);
    let expected = job.request.addresses();
    let status = match (finished, lost) {
        (false, _) => Completeness::Cancelled,
        (true, 0) => Completeness::Complete,
        (true, lost) => Completeness::Partial {
            collected: expected - lost.min(expected),
            expected,
            reason: format!("{lost} hosts were found but could not be examined; scan them again"),
        },
    };
    let sweeps = std::mem::take(&mut *job.sweeps.lock().unwrap_or_else(PoisonError::into_inner));
    Outcome { hosts, status, limitations, sweeps }
}

async fn run(job: &Arc<Job>, hosts: &mut JoinSet<Option<HostReport>>, events: &mpsc::Sender<ScanEvent>) {
    let (alive, mut found) = mpsc::channel::<Alive>(256);
    let sweep = async {
        let alive = alive;
        // Boxed one by one: the compiler cannot see that a closure over references makes futures that may move
        // between threads.
        let sweeps: Vec<BoxFuture<'_, ()>> =
            job.request.targets.iter().map(|target| liveness::find(job, target, &alive).boxed()).collect();
        stream::iter(sweeps).buffer_unordered(TARGETS_AT_ONCE).collect::<()>().await;
        job.sweeping.store(0, Ordering::Relaxed);
    };
    let look = async {
        let mut seen: BTreeSet<IpAddr> = BTreeSet::new();
        let mut open = true;
        while open || !hosts.is_empty() {
            tokio::select! {
                next = found.recv(), if open && hosts.len() < HOSTS_AT_ONCE => match next {
                    Some(next) if seen.insert(next.address) => {
                        job.found.fetch_add(1, Ordering::Relaxed);
                        let job = Arc::clone(job);
                        hosts.spawn(async move { host::look(&job, next, HOST_DEADLINE).await });
                    }
                    Some(_) => {}
                    None => open = false,
                },
                Some(done) = hosts.join_next(), if !hosts.is_empty() => match done {
                    Ok(Some(report)) => {
                        if events.send(ScanEvent::Host(Box::new(report))).await.is_err() {
                            return;
                        }
                        job.reported.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(None) => {}
                    Err(error) => tracing::error!(%error, "looking at one host failed"),
                },
            }
        }
    };
    let tell = async {
        let mut every = tokio::time::interval(PROGRESS_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            // A listener that is behind misses a tick, not the hosts.
            if let Err(mpsc::error::TrySendError::Closed(_)) = events.try_send(job.progress()) {
                return;
            }
        }
    };
    let work = async { tokio::join!(sweep, look, multicast::listen(job)) };
    tokio::select! {
        _ = work => {}
        () = async { tell.await; std::future::pending::<()>().await } => {}
    }
    if events.send(job.progress()).await.is_err() {
        tracing::debug!("nobody listens to the end of the scan");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_scan_may_run_on_any_thread() {
        fn movable<T: Send>(_: &T) {}
        let outbound =
            cb_net::outbound::Outbound::new(Vec::new(), Vec::new(), cb_net::resolve::Resolver::System);
        let (clock, entropy) = (Arc::new(cb_core::SystemClock), Arc::new(cb_core::OsEntropy));
        let env = Env { clock, entropy, scope: outbound.scope().await };
        let request = ScanRequest { targets: Vec::new(), probes: Vec::new(), ports: Vec::new(), rate: None };
        movable(&scan(request, &env, mpsc::channel(1).0, CancellationToken::new()));
    }
}
