//! The process itself, under the names that all programs use.

use std::fs;

use super::Page;
use crate::app::App;

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(super) fn metrics(app: &App, page: &mut Page) {
    page.gauge("cb_build_info", "The version of this server.").value(&[("version", VERSION)], 1_u64);
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 are exact enough in 53 bits")]
    let started = app.started_at().timestamp_micros() as f64 / 1e6;
    page.gauge("process_start_time_seconds", "When the server started, as seconds since 1970.")
        .value(&[], started);
    page.gauge("cb_uptime_seconds", "How long the server has run.").value(&[], app.uptime().as_secs_f64());
    let mut memory = page.gauge("process_resident_memory_bytes", "Memory that the server uses.");
    if let Some(bytes) = resident_bytes() {
        memory.value(&[], bytes);
    }
    let mut files = page.gauge("process_open_fds", "Files and connections that the server has open.");
    if let Ok(open) = fs::read_dir("/proc/self/fd") {
        // The look itself is one of them.
        files.value(&[], open.count().saturating_sub(1));
    }
    let mut threads = page.gauge("process_threads", "Threads of the server.");
    if let Some(count) = status("Threads:") {
        threads.value(&[], count);
    }
}

/// Memory that this process has, without what was swapped out.
pub(crate) fn resident_bytes() -> Option<u64> {
    status("VmRSS:").map(|kilobytes| kilobytes * 1_024)
}

/// What this machine calls itself.
pub(crate) fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// A number of `/proc/self/status`.
fn status(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{host, resident_bytes};

    #[test]
    fn the_process_knows_its_memory_and_its_host() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1_000_000));
        assert!(!host().is_empty());
    }
}
