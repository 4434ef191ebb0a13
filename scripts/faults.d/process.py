"""Faults of what a process has around it: where its log goes, and what time it is."""

import fcntl
import os
import signal
import struct
import termios
import time
from datetime import datetime

import law
from cbserver import PASSWORD, USER, Server, session_cookie
from run import POSTGRES, SQLITE, ends, filled

DAY = 24 * 3600
# The longest wait of the throttle.
LONGEST_WAIT = 900
# A pipe holds 64 KiB. No line of the log is longer than the rest.
PIPE_FULL = 60 * 1024
# A delivery that failed once is tried again after about five seconds.
RETRY_SECONDS = 15
# A server over PostgreSQL compares its own clock each ten seconds, and says what it found.
LOOKS_SECONDS = 25
OWN_CLOCK = "the clock of this machine is ahead of PostgreSQL's by so much"
OWN_CLOCK_AGAIN = "the clock of this machine is the same as PostgreSQL's again"


def log_unwritable(where):
    """The log cannot be written: its disk is full, its reader is gone, or its reader reads nothing."""

    def fault(run):
        site, reader, disk = run.site(), None, None
        # From the start on, or after the start.
        later = where != "stuck" and run.rng.random() < 0.5
        if where == "full" and later:
            disk = run.mount("64k")
            log = os.open(disk / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        elif where == "full":
            log = os.open("/dev/full", os.O_WRONLY)
        else:
            reader, log = os.pipe()
            if where == "gone" and not later:
                os.close(reader)
                reader = None
        run.notes.append("later" if later else "from the start on")
        run.begin()
        try:
            try:
                run.start(site, stderr=log)
            except RuntimeError as error:
                status = site.server.process.poll()
                run.broken.append(f"with a log that cannot be written it does not start (status {status}): {str(error)[-200:]}")
                return
            if disk:
                filled(disk)
            elif later:
                os.close(reader)
                reader = None
            with run.load(site).running() as load:
                def answered():
                    return sum(w.status > 0 for w in run.ledger.writes[:])

                # More requests than a pipe has room for.
                run.awaits(lambda: len(run.ledger.writes) >= (450 if run.short else 1500), seconds=12)
                # Each request writes a line. After that many, a pipe that nobody reads must be full.
                run.bit(run.awaits(lambda: waiting(reader) > PIPE_FULL if where == "stuck" else answered() > 300, seconds=60))
                run.end()
                run.recover(site)
            run.answers(load)
            run.notes.append(f"{answered()} of {len(run.ledger.writes)} answered")
            began = time.monotonic()
            site.server.process.send_signal(signal.SIGTERM)
            if ends(site.server.process, 15) is None:
                run.broken.append("SIGTERM was not obeyed within 15 s")
                site.server.kill()
            elif site.server.process.returncode != 0:
                run.broken.append(f"SIGTERM ended it with status {site.server.process.returncode}")
            run.notes.append(f"ended in {time.monotonic() - began:.1f} s")
            site.server.close()
        finally:
            os.close(log)
            if reader is not None:
                os.close(reader)
        run.start(site)
        run.look(site, "after a start with a good log")
        run.stop(site)
        run.verify_offline(site)

    return fault


log_full = log_unwritable("full")
log_reader_gone = log_unwritable("gone")
log_nobody_reads = log_unwritable("stuck")


def waiting(reader):
    """The bytes in a pipe that nobody has read."""
    return struct.unpack("i", fcntl.ioctl(reader, termios.FIONREAD, bytes(4)))[0]


def sign_in(line, password):
    headers = {"Authorization": "", "Origin": line.url}
    status, _ = line.request("POST", "/api/v1/auth/login", {"username": USER, "password": password}, headers)
    return status, {name.lower(): value for name, value in line.last_headers}


def logged(site, words, seconds):
    """Whether the server says so in its log within so many seconds."""
    until = time.monotonic() + seconds
    while words not in site.server.log.read_text(errors="replace"):
        if time.monotonic() > until:
            return False
        time.sleep(0.1)
    return True


def told_time(line):
    """How far what a server writes is off, in seconds."""
    made = line.ask("POST", "/assets", {"name": f"tells the time {time.time()}", "kind": "other"})["created_at"]
    return datetime.fromisoformat(made.replace("Z", "+00:00")).timestamp() - time.time()


def clock_jumps(days):
    """The wall clock jumps under load, while deliveries wait and an address has sent wrong passwords. On PostgreSQL the server goes by
    PostgreSQL's clock (ADR 21): it says that its own differs, and nothing that it writes does."""

    def fault(run):
        site = run.site()
        run.start(site)
        receiver, line = run.harness.receiver, Server.beside(site.server)
        sign_in(line, PASSWORD)
        cookie = session_cookie(line.last_headers)
        with run.load(site, logins=False, paced=0.1).running() as load:
            receiver.status = 503
            run.pause(0.5, 1.0)
            for _ in range(5):
                sign_in(line, "not the right one at all")
            run.begin()
            site.shim.clock(days * DAY)
            receiver.status = 204
            run.pause(0.2, 0.5)
            jumped = time.monotonic()
            status, waits = 0, []
            while time.monotonic() < jumped + 40:
                status, headers = sign_in(line, PASSWORD)
                if status != 429:
                    break
                waits.append(int(headers.get("retry-after", 0)))
                time.sleep(min(waits[-1], 3))
            if max(waits, default=0) > LONGEST_WAIT:
                run.broken.append(f"a right password has to wait {max(waits)} s")
            if status != 200:
                run.broken.append(f"a right password is answered {status} for 40 s after the jump, then told to wait {waits[-1:]}")
            run.notes.append(f"let in after {time.monotonic() - jumped:.1f} s")
            if run.database == POSTGRES:
                # It looks at its own clock each ten seconds. Without this line the fault had no effect.
                run.bit(logged(site, OWN_CLOCK, LOOKS_SECONDS))
            # A session from before the jump still lives. Where the server goes by its own clock, a jump forward may have ended it.
            status, _ = line.request("GET", "/api/v1/auth/me", headers={"Authorization": "", "Cookie": cookie})
            if status not in ((200,) if days < 0 or run.database == POSTGRES else (200, 401)):
                run.broken.append(f"a session from before the jump answers {status}")
            off = told_time(line)
            if run.database == SQLITE:
                run.bit(abs(off - days * DAY) < 60)
            elif abs(off) > 60:
                run.broken.append(f"what it writes is {off:.0f} s off, although PostgreSQL's clock is right")
            run.end()
            run.recover(site)
            load.stop()
            waiting = {w.name for w in run.ledger.of("asset", law.ACKNOWLEDGED)}
            left = law.untold(waiting, receiver.told, RETRY_SECONDS)
            if left:
                run.broken.append(f"{len(left)} of {len(waiting)} deliveries still wait {RETRY_SECONDS} s after the jump")
                run.verdict.untold.update(left)
            line.close()
            # Back again, so that everything after this is judged by the right time.
            site.shim.clock(0)
            if run.database == POSTGRES and not logged(site, OWN_CLOCK_AGAIN, LOOKS_SECONDS):
                run.broken.append("it did not say that the clock of its machine is right again")
            run.settle(site, load, more=0)

    return fault


clock_back = clock_jumps(-1)
clock_forward = clock_jumps(1)
