//! Keys stand in this process's memory: neither a crash nor another process of the same user writes it out.

use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, setrlimit};

/// Before anything secret is read. Also inherited limits that permit a core file go, for good.
pub fn keep() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    set_dumpable(false)
}
