//! TCP connections as questions: is anybody there, and which ports are open?

use std::net::{IpAddr, SocketAddr};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use cb_net::dial::{self, DialError};
use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::Job;
use super::pace::RoundTrip;
use crate::ports;

/// Connections to one host at a time: a small device must not notice.
const PER_HOST: usize = 64;
/// A host that was silent on every port is asked again on this many of them only.
const SECOND_LOOK: usize = 24;

/// What one connection attempt says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Open,
    Closed,
    Silent,
}

/// A sign of life over TCP.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sign {
    pub port: u16,
    pub open: bool,
    pub round_trip: Duration,
}

async fn knock(job: &Job, address: SocketAddr, timeout: Duration) -> (Port, Duration) {
    for attempt in 0..4u32 {
        let Ok(_socket) = job.sockets.acquire().await else { return (Port::Silent, Duration::ZERO) };
        job.pacer(address.ip()).take_in_line().await;
        let start = Instant::now();
        let verdict = match dial::tcp(&job.env.scope, address, timeout).await {
            Ok(_closed_at_once) => Port::Open,
            Err(DialError::Refused) => Port::Closed,
            Err(DialError::Exhausted(error)) => {
                job.limit(format!(
                    "this machine ran short of sockets ({error}), so the scan slowed down; allow more open files with `ulimit -n 4096`"
                ));
                tokio::time::sleep(Duration::from_millis(50 << attempt)).await;
                continue;
            }
            Err(_) => Port::Silent,
        };
        return (verdict, start.elapsed());
    }
    (Port::Silent, Duration::ZERO)
}

/// Connects to the common ports until one answers or refuses.
pub(crate) async fn ping(job: &Job, address: IpAddr) -> Option<Sign> {
    let timeout = RoundTrip::unknown().timeout();
    let mut knocks = stream::iter(ports::PING.to_vec())
        .map(|port| async move { (port, knock(job, SocketAddr::new(address, port), timeout).await) })
        .buffer_unordered(ports::PING.len());
    while let Some((port, (verdict, round_trip))) = knocks.next().await {
        if verdict != Port::Silent {
            return Some(Sign { port, open: verdict == Port::Open, round_trip });
        }
    }
    None
}

/// The open ones of `wanted`. Lost packets are asked for once more, with the patience that the host's measured round
/// trip asks for.
pub(crate) async fn open_ports(
    job: &Job,
    address: IpAddr,
    wanted: &[u16],
    trip: &Mutex<RoundTrip>,
) -> Vec<u16> {
    let lock = || trip.lock().unwrap_or_else(PoisonError::into_inner);
    let pass = async |ports: Vec<u16>| {
        let mut open = Vec::new();
        let mut silent = Vec::new();
        let mut answered = 0usize;
        let mut knocks = stream::iter(ports)
            .map(|port| async move {
                let timeout = lock().timeout();
                (port, knock(job, SocketAddr::new(address, port), timeout).await)
            })
            .buffer_unordered(PER_HOST);
        while let Some((port, (verdict, spent))) = knocks.next().await {
            match verdict {
                Port::Open => open.push(port),
                Port::Closed => {}
                Port::Silent => {
                    silent.push(port);
                    continue;
                }
            }
            answered += 1;
            lock().measured(spent);
        }
        (open, silent, answered)
    };
    let (mut open, mut silent, answered) = pass(wanted.to_vec()).await;
    if answered == 0 {
        silent.sort_unstable_by_key(|port| (!ports::PING.contains(port), *port));
        silent.truncate(SECOND_LOOK);
    }
    if !silent.is_empty() {
        open.extend(pass(silent).await.0);
    }
    open.sort_unstable();
    open
}
