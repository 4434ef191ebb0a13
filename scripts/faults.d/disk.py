"""Faults of the disk and of the file: full, broken, locked by somebody else."""

import contextlib
import signal
import sqlite3

import law
import shim
from run import ends, filled


def disk_full(run):
    """Full for a moment, again and again."""
    disk = run.mount("24m")
    site = run.site(on=disk)
    with run.under_load(site):
        run.pause(0.3, 0.8)
        for _ in range(2 if run.short else 3):
            run.begin()
            ballast = filled(disk)
            # A write that fits into the log as it is needs no room, so it can take seconds until one is refused.
            run.shows(run.rng.uniform(0.05, 0.5 if run.short else 3))
            ballast.unlink()
            run.end()
            run.recover(site)
            run.pause(0.1, 0.4)
        run.says_in_log(site)


def disk_full_at_start(run):
    """The first start has little or no room on its disk. Once there is room, the folder can be set up."""
    disk = run.mount("8m")
    site = run.site(empty=True, on=disk)
    run.kills = True
    ballast = filled(disk)
    room = run.rng.choice([0, run.rng.randrange(700_000)])
    if room:
        with open(ballast, "r+b") as file:
            file.truncate(ballast.stat().st_size - room)
    try:
        run.start(site)
        run.notes.append(f"{room} bytes were enough to start")
        run.bit(False)
        site.server.kill()
    except RuntimeError:
        run.bit(True)
        process = site.server.process
        if ends(process, 0) is None:
            run.broken.append("it neither serves nor ends on a full disk")
            site.server.kill()
        elif process.returncode in (101,) or process.returncode < 0:
            run.broken.append(f"on a full disk it ended with status {process.returncode}")
        elif "chown" in site.server.tail() or not site.server.tail().strip():
            run.broken.append(f"on a full disk it gives wrong advice: {site.server.tail().strip()[-200:]}")
    ballast.unlink()
    run.begin()
    run.end()
    run.offers_setup(site, f"with {room} bytes at the first start, then room")


def disk_full_at_stop(run):
    """Asked to end while the disk is full."""
    disk = run.mount("24m")
    site = run.site(on=disk)
    run.start(site)
    load = run.load(site)
    load.start()
    run.pause(0.3, 0.8)
    run.begin()
    ballast = filled(disk)
    # Counted here: once the server is asked to end, writes go without an answer whatever the disk does.
    run.bit(run.shows(run.rng.uniform(0.05, 0.3)))
    run.kills = True
    site.server.process.send_signal(signal.SIGTERM)
    if ends(site.server.process, 15) is None:
        run.broken.append("asked to end on a full disk it went on for 15 s")
        site.server.kill()
    load.stop()
    ballast.unlink()
    run.end()
    run.start(site)
    load = run.load(site, logins=False)
    load.start()
    run.recover(site)
    run.settle(site, load)


def broken_files(calls, mode, error=0, chances=(0.02, 0.1, 0.5)):
    """Some of the calls on the database's files go wrong for a while."""

    def fault(run):
        site = run.site()
        with run.under_load(site):
            run.pause(0.3, 0.6)
            for _ in range(1 if run.short else 4):
                chance = run.rng.choice(chances)
                run.begin()
                site.shim.hit(calls, mode, error, chance=chance)
                run.awaits(site.shim.hits, run.rng.uniform(0.3, 1.0 if run.short else 2.5))
                hits = site.shim.spare()
                run.bit(hits)
                run.end()
                run.notes.append(f"{hits} calls at {chance}")
                run.recover(site)

    return fault


io_error = broken_files(shim.WRITE | shim.SYNC | shim.TRUNCATE, shim.ERRNO, shim.EIO)
io_error_sync = broken_files(shim.SYNC, shim.ERRNO, shim.EIO, chances=(0.2, 0.5, 1.0))
short_write = broken_files(shim.WRITE, shim.SHORT, chances=(0.02, 0.2))
no_space = broken_files(shim.WRITE, shim.ERRNO, shim.ENOSPC)


def io_error_killed(run):
    """The log cannot be synced, and the process dies before it writes anything over the part that is not safe."""
    run.kills = True
    site = run.site()
    with run.under_load(site):
        for _ in range(2 if run.short else 5):
            run.pause(0.2, 0.5)
            run.begin()
            site.shim.hit(shim.SYNC, shim.ERRNO, shim.EIO, chance=1.0, suffix="-wal")
            run.awaits(site.shim.hits, run.rng.uniform(0.02, 0.3))
            run.kill(site)
            run.bit(site.shim.spare())
            run.start(site)
            run.end()
            run.recover(site)


def database_locked(run):
    """Another process holds the database's only lock for writing."""
    site = run.site()
    with run.under_load(site):
        run.pause(0.3, 0.6)
        run.begin()
        with contextlib.closing(sqlite3.connect(site.data / "circuit-breaker.db", timeout=5, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            run.shows(0 if run.short else 5)
            other.execute("ROLLBACK")
        run.end()
        run.recover(site)
