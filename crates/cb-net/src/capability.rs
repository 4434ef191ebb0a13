//! What the kernel permits this program to do with sockets, and how a person permits more.

/// How to give this program a capability of capabilities(7), such as `cap_net_raw`; continues a sentence with "grant it".
pub fn grant(capability: &str) -> String {
    let program = std::env::current_exe()
        .ok()
        .and_then(|path| path.to_str().map(str::to_owned))
        .unwrap_or_else(|| "$(command -v cb)".to_owned());
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    way(capability, &program, gains_nothing(&status))
}

fn way(capability: &str, program: &str, gains_nothing: bool) -> String {
    if gains_nothing {
        let name = capability.to_ascii_uppercase();
        format!(
            "grant it where the program is started, because new privileges are turned off there, so setcap has no effect (systemd: AmbientCapabilities={name} and CapabilityBoundingSet={name}; containers: cap_add: {name}), and start again"
        )
    } else {
        format!("grant it with `setcap {capability}+ep {program}` and start again")
    }
}

/// Whether the process may not get what its file has (`no_new_privs`, prctl(2)).
fn gains_nothing(status: &str) -> bool {
    status.lines().any(|line| line.strip_prefix("NoNewPrivs:").is_some_and(|value| value.trim() == "1"))
}

#[cfg(test)]
mod tests {
    use super::{gains_nothing, way};

    #[test]
    fn advice_is_of_use_where_the_program_runs() {
        assert!(gains_nothing("Name:\tcb\nNoNewPrivs:\t1\nSeccomp:\t0\n"));
        assert!(!gains_nothing("Name:\tcb\nNoNewPrivs:\t0\n") && !gains_nothing(""));
        assert!(way("cap_net_raw", "/usr/bin/cb", false).contains("`setcap cap_net_raw+ep /usr/bin/cb`"));
        let unit = way("cap_net_raw", "/usr/bin/cb", true);
        assert!(unit.contains("AmbientCapabilities=CAP_NET_RAW") && !unit.contains("setcap cap_"), "{unit}");
    }
}
