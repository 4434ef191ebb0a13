"""Every fault, in one place. To add one: a function that takes a Run, and a line here.

`bites`: how the effect of the fault shows. `sure`: whether each try has an effect by construction (both: see bite.py). `short`: on which
databases the short form runs it. `bound`: how many seconds an answer may take while the fault lasts. `reads`: whether reads must go on
meanwhile. `told`: whether the short form, too, waits until the running server has told the webhook everything.
"""

from dataclasses import dataclass

import backups
import disk
import kills
import postgresfaults
import process
import proof
import removed
from bite import COUNTED, HELD, REFUSED
from run import POSTGRES, SQLITE

BOTH = (SQLITE, POSTGRES)
SURE, MAY_MISS = True, False
# The product answers in less than 3 s. Eight writers in Python can measure a little more, and a busy machine adds its own: Run.machine.
BOUND = 3.5


@dataclass(frozen=True)
class Fault:
    name: str
    work: object
    databases: tuple
    bites: str
    sure: bool
    short: tuple = ()
    bound: float = 0.0
    reads: bool = False
    told: bool = False


FAULTS = [
    Fault("the-law-itself", proof.the_law_itself, (SQLITE,), COUNTED, SURE, (SQLITE,)),
    Fault("disk-full", disk.disk_full, (SQLITE,), REFUSED, SURE, (SQLITE,), bound=BOUND, reads=True),
    Fault("disk-full-at-start", disk.disk_full_at_start, (SQLITE,), COUNTED, MAY_MISS, (SQLITE,)),
    Fault("disk-full-at-stop", disk.disk_full_at_stop, (SQLITE,), COUNTED, SURE, (SQLITE,)),
    Fault("io-error", disk.io_error, (SQLITE,), COUNTED, SURE, (SQLITE,), bound=BOUND),
    Fault("io-error-sync", disk.io_error_sync, (SQLITE,), COUNTED, SURE, (), bound=BOUND),
    Fault("io-error-killed", disk.io_error_killed, (SQLITE,), COUNTED, SURE, (SQLITE,)),
    Fault("short-write", disk.short_write, (SQLITE,), COUNTED, SURE, (SQLITE,), bound=BOUND),
    Fault("enospc", disk.no_space, (SQLITE,), COUNTED, SURE, (), bound=BOUND, reads=True),
    Fault("database-locked", disk.database_locked, (SQLITE,), REFUSED, SURE, (SQLITE,), bound=BOUND, reads=True),
    Fault("folder-gone", removed.folder_gone, BOTH, REFUSED, SURE, BOTH),
    Fault("log-removed", removed.log_removed, (SQLITE,), REFUSED, SURE, (SQLITE,), bound=BOUND, reads=True),
    Fault("kill", kills.killed, BOTH, REFUSED, SURE, BOTH),
    Fault("kill-named", kills.killed_at_a_point, BOTH, COUNTED, MAY_MISS, BOTH),
    Fault("hung-up", kills.hung_up, BOTH, COUNTED, SURE, (SQLITE,)),
    Fault("callers-gone", kills.callers_gone, BOTH, COUNTED, SURE, (SQLITE,)),
    Fault("first-start-killed", kills.first_start_killed, BOTH, COUNTED, MAY_MISS, BOTH),
    Fault("upgrade-killed", kills.upgrade_killed, BOTH, COUNTED, MAY_MISS, BOTH),
    Fault("rotation-killed", kills.rotation_killed, BOTH, COUNTED, MAY_MISS, (SQLITE,)),
    Fault("backup-killed", backups.killed, BOTH, COUNTED, MAY_MISS, (SQLITE,)),
    Fault("backup-kept", backups.kept, BOTH, COUNTED, MAY_MISS, (SQLITE,)),
    Fault("backup-disk-full", backups.disk_full, BOTH, COUNTED, SURE, (SQLITE,)),
    Fault("two-starts", kills.two_starts, (POSTGRES,), COUNTED, MAY_MISS, (POSTGRES,)),
    Fault("postgres-killed", postgresfaults.killed, (POSTGRES,), REFUSED, MAY_MISS, (POSTGRES,), bound=BOUND, told=True),
    Fault("postgres-restarted", postgresfaults.restarted, (POSTGRES,), REFUSED, MAY_MISS, (), bound=BOUND),
    Fault("postgres-disk-full", postgresfaults.disk_full, (POSTGRES,), REFUSED, MAY_MISS, (), bound=BOUND),
    Fault("postgres-tables-full", postgresfaults.tables_full, (POSTGRES,), REFUSED, MAY_MISS, (POSTGRES,), bound=BOUND, reads=True),
    Fault("postgres-crowded", postgresfaults.crowded, (POSTGRES,), REFUSED, SURE, (POSTGRES,), bound=BOUND),
    Fault("postgres-no-room", postgresfaults.no_room, (POSTGRES,), COUNTED, SURE, (POSTGRES,), bound=BOUND),
    Fault("postgres-read-only", postgresfaults.read_only, (POSTGRES,), REFUSED, SURE, (POSTGRES,), bound=BOUND, reads=True),
    Fault("postgres-locked", postgresfaults.locked, (POSTGRES,), REFUSED, SURE, (POSTGRES,), bound=BOUND, reads=True),
    Fault("postgres-table-locked", postgresfaults.table_locked, (POSTGRES,), REFUSED, SURE, (), bound=BOUND),
    # A write can wait for the head of the log, and then for its own commit.
    Fault("postgres-standby-gone", postgresfaults.standby_gone, (POSTGRES,), REFUSED, SURE, (), bound=BOUND + 1.5),
    # The write in that session waits with it, as long as its caller does.
    Fault("postgres-session-stopped", postgresfaults.session_stopped, (POSTGRES,), REFUSED, SURE, (POSTGRES,)),
    Fault("postgres-terminated", postgresfaults.terminated, (POSTGRES,), COUNTED, SURE, (POSTGRES,), bound=BOUND),
    Fault("network-stalls", postgresfaults.network_stalls, (POSTGRES,), HELD, SURE, (POSTGRES,), bound=BOUND),
    Fault("network-resets", postgresfaults.network_resets, (POSTGRES,), HELD, SURE, (), bound=BOUND),
    # An answer may come late: the server asks whether a commit without an answer was kept, and can lose that answer too.
    Fault("network-cut", postgresfaults.network_cut, (POSTGRES,), COUNTED, SURE, (POSTGRES,), bound=2 * BOUND),
    Fault("network-black-hole", postgresfaults.network_black_hole, (POSTGRES,), HELD, SURE, (POSTGRES,), bound=BOUND),
    Fault("stopped-in-the-dark", postgresfaults.stopped_in_the_dark, (POSTGRES,), COUNTED, SURE, (POSTGRES,)),
    Fault("log-full", process.log_full, (SQLITE,), COUNTED, SURE, (SQLITE,)),
    Fault("log-reader-gone", process.log_reader_gone, (SQLITE,), COUNTED, SURE, (SQLITE,)),
    Fault("log-nobody-reads", process.log_nobody_reads, (SQLITE,), COUNTED, SURE, (SQLITE,)),
    Fault("clock-back", process.clock_back, BOTH, COUNTED, SURE, (SQLITE,)),
    Fault("clock-forward", process.clock_forward, BOTH, COUNTED, SURE, (SQLITE,)),
]
