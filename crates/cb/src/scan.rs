//! `cb scan`: one look at a network without a server. Found hosts are printed when the scan is over or stopped.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use cb_collect::{
    Completeness, Env, HostReport, Outcome, Plan, ProbeKind, ScanEvent, ScanRequest, Target, fuse, plan, scan,
};
use cb_core::config::Config;
use cb_core::{OsEntropy, SystemClock, counted};
use cb_net::outbound::Outbound;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::output;

/// What shells take for "stopped by Ctrl-C".
const INTERRUPTED: u8 = 130;
const BAD_INPUT: u8 = 2;

#[derive(clap::Args)]
pub struct ScanArgs {
    /// Addresses and networks to scan, such as 192.168.1.10 or 192.168.1.0/24
    #[arg(value_name = "TARGET", required_unless_present = "list_ports")]
    targets: Vec<String>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
    /// Show exactly what would be sent, without sending anything
    #[arg(long)]
    dry_run: bool,
    /// Use only these probes: arp, icmp, tcp_ping, ports, fingerprints, reverse_dns, mdns, ssdp
    #[arg(long, value_name = "PROBE", value_delimiter = ',')]
    probes: Vec<String>,
    /// TCP ports to scan instead of the built-in list
    #[arg(long, value_name = "PORT", value_delimiter = ',')]
    ports: Vec<u16>,
    /// Maximum number of packets per second to one network
    #[arg(long)]
    rate: Option<u32>,
    /// Print the built-in list of TCP ports and exit
    #[arg(long)]
    list_ports: bool,
}

pub async fn run(args: ScanArgs) -> ExitCode {
    if args.list_ports {
        let ports: Vec<String> = cb_collect::ports::curated().iter().map(u16::to_string).collect();
        return output::ended(output::line(&ports.join(",")));
    }
    let (request, outbound) = match request(&args) {
        Ok(asked) => asked,
        Err(reason) => {
            output::complain(&reason);
            return ExitCode::from(BAD_INPUT);
        }
    };
    if args.dry_run {
        return output::ended(show_plan(&plan(&request), args.json));
    }
    let (hosts, outcome) = collect(request, &outbound).await;
    let shown = if args.json { show_json(&hosts, &outcome) } else { show_table(hosts, &outcome) };
    if let Err(error) = shown {
        return output::fail(&output::words(&error));
    }
    match outcome.status {
        Completeness::Cancelled => ExitCode::from(INTERRUPTED),
        Completeness::Complete | Completeness::Partial { .. } => ExitCode::SUCCESS,
    }
}

fn request(args: &ScanArgs) -> Result<(ScanRequest, Outbound), String> {
    let config = Config::load().map_err(|e| e.to_string())?;
    let targets = args
        .targets
        .iter()
        .map(|t| Target::parse(t, &config.scan_allow))
        .collect::<Result<_, _>>()
        .map_err(|e| e.to_string())?;
    let probes = args
        .probes
        .iter()
        .map(|word| {
            let known = || ProbeKind::ALL.iter().map(|p| p.as_str()).collect::<Vec<_>>().join(", ");
            ProbeKind::parse(word)
                .ok_or_else(|| format!("--probes: \"{word}\" is not a probe; the probes are {}", known()))
        })
        .collect::<Result<_, _>>()?;
    let request = ScanRequest { targets, probes, ports: args.ports.clone(), rate: args.rate };
    Ok((request.checked().map_err(|e| e.to_string())?, Outbound::from_config(&config)))
}

/// Runs the scan until it is over or Ctrl-C stops it.
async fn collect(request: ScanRequest, outbound: &Outbound) -> (Vec<HostReport>, Outcome) {
    let scope = outbound.scope().await;
    let env = Env { clock: Arc::new(SystemClock), entropy: Arc::new(OsEntropy), scope };
    let (sender, mut events) = mpsc::channel(64);
    let cancel = CancellationToken::new();
    let progress = std::io::stderr().is_terminal();
    let listen = async {
        let mut hosts: Vec<HostReport> = Vec::new();
        while let Some(event) = events.recv().await {
            match event {
                ScanEvent::Host(host) => hosts.push(*host),
                ScanEvent::Progress { phase, done, total, hosts } if progress => {
                    overwrite(&format!("{phase}: {done} of {total} addresses, {hosts} hosts"));
                }
                ScanEvent::Progress { .. } => {}
            }
        }
        if progress {
            overwrite("");
        }
        hosts
    };
    let stop = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "the program cannot react to Ctrl-C");
            std::future::pending::<()>().await;
        }
        cancel.cancel();
        std::future::pending::<()>().await;
    };
    let work = async { tokio::join!(scan(request, &env, sender, cancel.clone()), listen) };
    let (outcome, mut hosts) = tokio::select! {
        done = work => done,
        () = stop => unreachable!("waits for ever"),
    };
    hosts.sort_by_key(|h| h.address);
    (hosts, outcome)
}

/// One line that the next one replaces.
fn overwrite(text: &str) {
    let mut out = std::io::stderr().lock();
    // A terminal that went away needs no progress.
    let _ = write!(out, "\r\u{1b}[2K{text}").and_then(|()| out.flush());
}

fn show_plan(plan: &Plan, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return output::line(&json!(plan).to_string());
    }
    for target in &plan.targets {
        output::line(&format!("{} ({} addresses)", target.target, counted(target.addresses)))?;
    }
    for (number, step) in plan.steps.iter().enumerate() {
        output::line(&format!("{}. {step}.", number + 1))?;
    }
    output::line(&format!(
        "About {} packets for {} addresses, and at most {} packets per second to one network. Nothing has been sent.",
        counted(plan.packets_estimate),
        counted(plan.addresses),
        counted(plan.packets_per_second.into())
    ))?;
    let ports: Vec<String> = plan.never_written_ports.iter().map(u16::to_string).collect();
    output::line(&format!("Ports to which the scan never sends anything: {}.", ports.join(", ")))
}

fn show_json(hosts: &[HostReport], outcome: &Outcome) -> anyhow::Result<()> {
    let devices: Vec<Vec<String>> = fuse(hosts.to_vec())
        .iter()
        .map(|group| group.iter().map(|h| h.address.to_string()).collect())
        .collect();
    output::line(&json!({ "outcome": outcome, "devices": devices, "hosts": hosts }).to_string())
}

fn show_table(hosts: Vec<HostReport>, outcome: &Outcome) -> anyhow::Result<()> {
    let devices = fuse(hosts);
    let mut rows = vec![["ADDRESS", "NAME", "WHAT", "MAC", "SERVICES"].map(str::to_owned)];
    for group in &devices {
        rows.extend(device_rows(group));
    }
    let widths: Vec<usize> = (0..4)
        .map(|column| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or_default())
        .collect();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(i, cell)| format!("{cell:<width$}", width = widths.get(i).copied().unwrap_or(0)))
            .collect();
        output::line(cells.join("  ").trim_end())?;
    }
    output::line("")?;
    let addresses = outcome.hosts;
    let end = match &outcome.status {
        Completeness::Complete => "complete".to_owned(),
        Completeness::Cancelled => "stopped before the end".to_owned(),
        Completeness::Partial { reason, .. } => format!("partial: {reason}"),
    };
    output::line(&format!("{} devices at {addresses} addresses; {end}", devices.len()))?;
    for limitation in &outcome.limitations {
        output::line(&format!("note: {limitation}"))?;
    }
    Ok(())
}

/// A row for the device, and one for each further address.
fn device_rows(group: &[HostReport]) -> Vec<[String; 5]> {
    group
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let guess = &host.guess;
            let what: Vec<&str> = [guess.role.as_deref(), guess.model.as_deref().or(guess.vendor.as_deref())]
                .into_iter()
                .flatten()
                .collect();
            let services: Vec<String> = host.services.iter().map(service).collect();
            [
                if index == 0 { host.address.to_string() } else { format!("  {}", host.address) },
                if index == 0 { guess.name.clone() } else { String::new() },
                what.join(", "),
                host.mac.clone().unwrap_or_default(),
                services.join(", "),
            ]
        })
        .collect()
}

fn service(service: &cb_collect::ServiceReport) -> String {
    let port = format!("{}/{}", service.port, service.protocol.as_str());
    match (&service.product, &service.version) {
        (Some(product), Some(version)) => format!("{port} {product} {version}"),
        (Some(product), None) => format!("{port} {product}"),
        (None, _) if service.confidence < 50 => format!("{port} {}?", service.name),
        (None, _) => format!("{port} {}", service.name),
    }
}
