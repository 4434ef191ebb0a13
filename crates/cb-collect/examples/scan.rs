//! Measures the engine: `scan PROBES TARGET…`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]
use std::sync::Arc;

use cb_collect::{Env, ProbeKind, ScanEvent, ScanRequest, Target, fuse, scan};

#[tokio::main]
async fn main() {
    let mut args = std::env::args().skip(1);
    let probes: Vec<ProbeKind> =
        args.next().unwrap_or_default().split(',').filter(|p| !p.is_empty()).map(|p| ProbeKind::parse(p).expect("probe")).collect();
    let targets = args.map(|t| Target::parse(&t, &[]).expect("target")).collect();
    let request = ScanRequest::new(targets, probes).expect("request");
    let env = Env { clock: Arc::new(cb_core::SystemClock), entropy: Arc::new(cb_core::OsEntropy) };
    let (sender, mut events) = tokio::sync::mpsc::channel(64);
    let cancel = tokio_util::sync::CancellationToken::new();
    let start = std::time::Instant::now();
    let collect = async {
        let mut hosts = Vec::new();
        while let Some(event) = events.recv().await {
            match event {
                ScanEvent::Host(h) => { eprintln!("{:?} host {}", start.elapsed(), h.address); hosts.push(*h) }
                ScanEvent::Progress { phase, done, total, hosts } => eprintln!("{:?} {phase} {done}/{total} {hosts}", start.elapsed()),
            }
        }
        hosts
    };
    let (outcome, mut hosts) = tokio::join!(scan(request, &env, sender, cancel), collect);
    eprintln!("{:?} {outcome:?}", start.elapsed());
    hosts.sort_by_key(|h| h.address);
    println!("{}", serde_json::to_string_pretty(&hosts).expect("json"));
    eprintln!("devices: {}", fuse(hosts).len());
}
