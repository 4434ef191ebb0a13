"""Every fault, in one place. To add one: a function that takes a Run, and a line here.

`bound`: what an answer may take while the fault lasts, in seconds. `reads`: whether reads must go on meanwhile. `short`: whether the
short form runs it, and on which databases.
"""

from dataclasses import dataclass

import disk
import kills
import postgresfaults
import process
import proof
from run import POSTGRES, SQLITE

BOTH = (SQLITE, POSTGRES)
# Less than 3 s, and what eight writers in Python on two busy cores may add to what they measure.
BOUND = 3.5


@dataclass(frozen=True)
class Fault:
    name: str
    work: object
    databases: tuple
    short: tuple = ()
    bound: float = 0.0
    reads: bool = False


FAULTS = [
    Fault("the-law-itself", proof.the_law_itself, (SQLITE,), (SQLITE,)),
    Fault("disk-full", disk.disk_full, (SQLITE,), (SQLITE,), bound=BOUND, reads=True),
    Fault("disk-full-at-start", disk.disk_full_at_start, (SQLITE,), (SQLITE,)),
    Fault("disk-full-at-stop", disk.disk_full_at_stop, (SQLITE,), (SQLITE,)),
    Fault("io-error", disk.io_error, (SQLITE,), (SQLITE,), bound=BOUND),
    Fault("io-error-sync", disk.io_error_sync, (SQLITE,), (), bound=BOUND),
    Fault("io-error-killed", disk.io_error_killed, (SQLITE,), (SQLITE,)),
    Fault("short-write", disk.short_write, (SQLITE,), (SQLITE,), bound=BOUND),
    Fault("enospc", disk.no_space, (SQLITE,), (), bound=BOUND, reads=True),
    Fault("database-locked", disk.database_locked, (SQLITE,), (SQLITE,), bound=BOUND, reads=True),
    Fault("folder-gone", disk.folder_gone, (SQLITE,), (SQLITE,)),
    Fault("kill", kills.killed, BOTH, BOTH),
    Fault("kill-named", kills.killed_at_a_point, BOTH, BOTH),
    Fault("hung-up", kills.hung_up, BOTH, (SQLITE,)),
    Fault("callers-gone", kills.callers_gone, BOTH, (SQLITE,)),
    Fault("first-start-killed", kills.first_start_killed, BOTH, BOTH),
    Fault("upgrade-killed", kills.upgrade_killed, BOTH, BOTH),
    Fault("rotation-killed", kills.rotation_killed, BOTH, (SQLITE,)),
    Fault("backup-killed", kills.backup_killed, BOTH, (SQLITE,)),
    Fault("two-starts", kills.two_starts, (POSTGRES,), (POSTGRES,)),
    Fault("postgres-killed", postgresfaults.killed, (POSTGRES,), (POSTGRES,), bound=BOUND),
    Fault("postgres-restarted", postgresfaults.restarted, (POSTGRES,), (), bound=BOUND),
    Fault("postgres-disk-full", postgresfaults.disk_full, (POSTGRES,), (), bound=BOUND),
    Fault("postgres-crowded", postgresfaults.crowded, (POSTGRES,), (POSTGRES,), bound=BOUND),
    Fault("postgres-read-only", postgresfaults.read_only, (POSTGRES,), (POSTGRES,), bound=BOUND, reads=True),
    Fault("postgres-locked", postgresfaults.locked, (POSTGRES,), (POSTGRES,), bound=BOUND, reads=True),
    Fault("postgres-terminated", postgresfaults.terminated, (POSTGRES,), (POSTGRES,), bound=BOUND),
    Fault("network-stalls", postgresfaults.network_stalls, (POSTGRES,), (POSTGRES,), bound=BOUND),
    Fault("network-resets", postgresfaults.network_resets, (POSTGRES,), (), bound=BOUND),
    # A yes may come late: whoever has lost an answer looks whether the write was kept, and may lose that answer too.
    Fault("network-cut", postgresfaults.network_cut, (POSTGRES,), (POSTGRES,), bound=2 * BOUND),
    Fault("log-full", process.log_full, (SQLITE,), (SQLITE,)),
    Fault("log-reader-gone", process.log_reader_gone, (SQLITE,), (SQLITE,)),
    Fault("log-nobody-reads", process.log_nobody_reads, (SQLITE,), (SQLITE,)),
    Fault("clock-back", process.clock_back, BOTH, (SQLITE,)),
    Fault("clock-forward", process.clock_forward, BOTH, (SQLITE,)),
]
