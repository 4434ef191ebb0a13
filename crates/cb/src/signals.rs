//! The signals that stop the server in order: SIGTERM, SIGINT (Ctrl-C) and SIGHUP (its terminal was closed).
//!
//! SIGINT and SIGHUP stay ignored where whoever started the server has them ignored, as `nohup` does and shells do for jobs in
//! the background. SIGQUIT is left as it is: it ends the process at once.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

pub struct Stop {
    term: Signal,
    interrupt: Option<Signal>,
    hangup: Option<Signal>,
}

impl Stop {
    pub fn listen() -> io::Result<Self> {
        let ignored = ignored();
        let unless_ignored = |kind: SignalKind| {
            let bit = 1_u64.checked_shl(kind.as_raw_value().cast_unsigned() - 1).unwrap_or_default();
            (ignored & bit == 0).then(|| signal(kind)).transpose()
        };
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            interrupt: unless_ignored(SignalKind::interrupt())?,
            hangup: unless_ignored(SignalKind::hangup())?,
        })
    }

    /// Waits for one of them, and names it.
    pub async fn asked(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            () = heard(self.interrupt.as_mut()) => "SIGINT",
            () = heard(self.hangup.as_mut()) => "SIGHUP",
        }
    }
}

async fn heard(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// The signals that this process was started to ignore, a bit each; none where the system does not say.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}
