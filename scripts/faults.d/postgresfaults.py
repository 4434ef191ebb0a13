"""Faults of PostgreSQL and of the way to it."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import law
from cbserver import Server
from postgres import Postgres
from proxy import CUT, KEEPALIVE_SECONDS, PASS, RESET, STALL, Proxy
from run import EFFECT_SECONDS, RECOVERED_SECONDS, ends, filled

STOPPED_SECONDS = 20


def away(how, least, most):
    """The server of the database ends and comes back."""

    def fault(run):
        postgres, site = run.harness.postgres, run.site()
        with run.under_load(site):
            for _ in range(1 if run.short else 3):
                run.pause(0.3, 0.8)
                run.begin()
                try:
                    postgres.end(how)
                    run.pause(least, most)
                finally:
                    postgres.start()
                run.end()
                run.recover(site)

    return fault


killed = away(signal.SIGKILL, 0.2, 4)
restarted = away(signal.SIGINT, 0, 0.5)


def disk_full(run):
    """The disk of PostgreSQL is full for a while. PostgreSQL refuses, or it ends and is started again when there is room."""
    disk = run.mount("200m")
    postgres = Postgres(disk, ["max_connections=60", "fsync=off", "max_wal_size=48MB", "min_wal_size=32MB", "log_min_messages=panic"])
    try:
        run.harness.template(run.database)
        postgres.run("CREATE DATABASE full_soon")
        url = postgres.url_of("full_soon")
        said = subprocess.run([postgres.bin / "pg_dump", run.harness.postgres.url_of("filled")], capture_output=True, check=True, timeout=60)
        # psql prints notices that do not matter. If the copy were not whole, the writers would not find their counters.
        subprocess.run([postgres.bin / "psql", "-q", url], input=said.stdout, capture_output=True, check=True, timeout=60)
        site = run.site(url=url)
        with run.under_load(site):
            for _ in range(1 if run.short else 2):
                run.pause(0.3, 0.8)
                run.begin()
                ballast = filled(disk)
                run.pause(1, 4)
                ballast.unlink()
                if postgres.process.poll() is not None:
                    run.notes.append("it ended")
                    postgres.start()
                run.end()
                run.recover(site)
    finally:
        postgres.end()


def tables_full(run):
    """The disk of the tables is full, and the one of PostgreSQL's log is not: PostgreSQL goes on, and what fits into its pages is kept."""
    disk = run.mount("96m")
    disk.chmod(0o755)
    place = disk / "tables"
    place.mkdir()
    shutil.chown(place, "postgres", "postgres")
    postgres, name = run.harness.postgres, f"narrow_{run.harness.number}"
    run.harness.template(run.database)
    postgres.run(f"CREATE TABLESPACE {name} LOCATION '{place}'", f"CREATE DATABASE {name} TEMPLATE filled TABLESPACE {name}")
    try:
        site = run.site(url=postgres.url_of(name))
        with run.under_load(site):
            for _ in range(1 if run.short else 3):
                run.pause(0.3, 0.8)
                run.begin()
                ballast = filled(disk)
                run.tells(site, "is full")
                stays_full(run, site)
                ballast.unlink()
                run.end()
                run.recover(site)
        said = site.server.log.read_text(errors="replace")
        tries = len(run.windows)
        if said.count("because the disk of the database is full") > 2 * tries:
            run.broken.append(f"it said more than once in each of {tries} times that the disk is full")
    finally:
        for one in run.sites:
            one.server.stop()
        postgres.run(f"DROP DATABASE {name} WITH (FORCE)", f"DROP TABLESPACE {name}")


def stays_full(run, site):
    """A small write that is kept does not mean that there is room."""
    until, ready = time.monotonic() + run.rng.uniform(3, 5), set()
    while time.monotonic() < until:
        with contextlib.closing(Server.beside(site.server, timeout=5)) as probe:
            ready.add(probe.request("GET", "/api/v1/ready")[0])
        time.sleep(0.05)
    if ready != {503}:
        run.broken.append(f"on a full disk it answers {sorted(ready)} at /ready")


@contextlib.contextmanager
def taken(run):
    """Others take every connection that is left, and one that is given back at once. Yields those that they have."""
    import psycopg2

    postgres, others, stop, full = run.harness.postgres, [], threading.Event(), threading.Event()

    def take():
        while not stop.is_set():
            try:
                others.append(postgres.connect())
            except psycopg2.OperationalError:
                full.set()
                time.sleep(0.005)

    takers = [threading.Thread(target=take) for _ in range(3)]
    for taker in takers:
        taker.start()
    try:
        if not full.wait(EFFECT_SECONDS):
            run.broken.append(f"nothing went wrong: {len(others)} connections were not too many")
        yield others
    finally:
        stop.set()
        for taker in takers:
            taker.join()
        for other in others:
            other.close()
        run.notes.append(f"{len(others)} connections taken")


def crowded(run):
    """Others take every connection, and the server's own ones are ended."""
    site = run.site()
    with run.under_load(site):
        run.pause(0.3, 0.6)
        # Connects first, because later there is no connection left.
        with contextlib.closing(run.harness.postgres.connect()) as other, other.cursor() as cursor:
            run.begin()
            with taken(run):
                least = time.monotonic() + (0.3 if run.short else run.rng.uniform(2, 5))
                until = least + EFFECT_SECONDS
                while time.monotonic() < least or (not run.shown() and time.monotonic() < until):
                    cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (run.database_name,))
                    time.sleep(0.1 if run.short else 0.3)
        run.end()
        run.recover(site)


def no_room(run):
    """Others take every connection that is left, and the server keeps those that it has: it is not cut off, and goes on."""
    site = run.site()
    with run.under_load(site):
        run.pause(0.3, 0.6)
        run.begin()
        with taken(run) as others:
            began = time.monotonic()

            def keeps():
                return any(w.began >= began and w.outcome == law.ACKNOWLEDGED for w in run.ledger.writes[:])

            kept = run.awaits(keeps, run.rng.uniform(0.5 if run.short else 3, 1 if run.short else 6))
            run.bit(len(others))
            if not kept:
                run.broken.append("with the connections that it has it keeps nothing")
        run.end()
        if "The database does not answer." in site.server.log.read_text(errors="replace"):
            run.broken.append("it says that the database does not answer, which it does")
        run.recover(site)


def read_only(run):
    """The database takes no writes for a while, like a standby."""
    postgres, site = run.harness.postgres, run.site()
    with run.under_load(site):
        run.pause(0.3, 0.6)
        run.begin()
        try:
            postgres.run("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
            run.shows(0 if run.short else run.rng.uniform(1, 4))
        finally:
            # A session of a read-only database can still choose to write.
            postgres.run(
                "SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"
            )
        run.end()
        run.recover(site)


def standby_gone(run):
    """Each commit waits for a standby that is not there."""
    postgres, site = run.harness.postgres, run.site()
    with run.under_load(site):
        run.pause(0.3, 0.6)
        run.begin()
        try:
            postgres.run("ALTER SYSTEM SET synchronous_standby_names = 'gone'", "SELECT pg_reload_conf()")
            run.shows(0 if run.short else run.rng.uniform(1, 6))
        finally:
            postgres.run("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        run.end()
        run.recover(site)


def lock(what, told=False):
    """Another client holds `what`. `told`: nothing can be written, so the server must say so."""

    def fault(run):
        postgres, site = run.harness.postgres, run.site()
        with run.under_load(site):
            run.pause(0.3, 0.6)
            with contextlib.closing(postgres.connect(run.database_name)) as other, other.cursor() as cursor:
                cursor.execute("BEGIN")
                run.begin()
                cursor.execute(what)
                run.shows(0 if run.short else 5)
                if told:
                    run.tells(site)
                cursor.execute("ROLLBACK")
                run.end()
            run.recover(site)

    return fault


# The row that every write needs.
locked = lock("SELECT * FROM audit_head FOR UPDATE", told=True)
# As VACUUM FULL and most changes of a table take it: reads wait, too.
table_locked = lock("LOCK TABLE assets IN ACCESS EXCLUSIVE MODE")


def state_of(pid):
    """The letter of proc(5) behind the name."""
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]


def session_stopped(run):
    """One session of the server stops in the middle of its transaction, and every other write waits for it."""
    postgres, site = run.harness.postgres, run.site()
    # Who waits for the row of the head has the lock of its table too, and is not idle.
    asked = """SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l USING (pid)
        WHERE a.datname = %s AND a.state = 'idle in transaction' AND l.relation = 'audit_head'::regclass AND l.mode = 'RowShareLock'"""
    with run.under_load(site):
        run.pause(0.3, 0.6)
        with contextlib.closing(postgres.connect(run.database_name)) as other, other.cursor() as cursor:
            def holders():
                cursor.execute(asked, (run.database_name,))
                return {pid for (pid,) in cursor.fetchall()}

            until, stopped = time.monotonic() + EFFECT_SECONDS, None
            run.begin()
            while not stopped and time.monotonic() < until:
                for pid in holders():
                    os.kill(pid, signal.SIGSTOP)
                    # In the middle of a commit it holds what this question needs too, and must go on.
                    released = threading.Timer(1, os.kill, (pid, signal.SIGCONT))
                    released.start()
                    # It may have gone on before it was stopped.
                    there = pid in holders()
                    released.cancel()
                    released.join()
                    if there and state_of(pid) == "T":
                        stopped = pid
                        break
                    os.kill(pid, signal.SIGCONT)
        if not stopped:
            run.broken.append("no session was in the middle of a transaction")
            return
        try:
            run.shows()
            run.tells(site)
        finally:
            os.kill(stopped, signal.SIGCONT)
        run.end()
        run.recover(site)


def terminated(run):
    """Somebody ends the server's sessions, one at a time, while they commit."""
    postgres, site = run.harness.postgres, run.site()
    with run.under_load(site):
        run.pause(0.2, 0.4)
        run.begin()
        began, ended = time.monotonic(), 0
        with contextlib.closing(postgres.connect()) as other, other.cursor() as cursor:
            while time.monotonic() < began + ((1.5 if run.short else 3) if ended else EFFECT_SECONDS):
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND state <> 'idle' ORDER BY random() LIMIT 1",
                    (run.database_name,),
                )
                ended += cursor.rowcount
                run.pause(0.005, 0.08)
        run.end()
        run.bit(ended)
        run.notes.append(f"{ended} sessions ended")
        run.recover(site)


def network(mode, seconds):
    """What lies between the server and PostgreSQL goes wrong for a while."""

    def fault(run):
        proxy = Proxy(run.harness.postgres.port)
        try:
            site = run.site(port=proxy.port)
            with run.under_load(site):
                for _ in range(1 if run.short else 2):
                    run.pause(0.3, 0.6)
                    run.begin()
                    cuts = proxy.cuts
                    proxy.set(mode)
                    least = 0.3 if run.short else run.rng.uniform(seconds / 2, seconds)
                    if mode == CUT:
                        # Most writes get their answer in the end, so nothing is refused that could be waited for.
                        run.bit(run.awaits(lambda before=cuts: proxy.cuts > before, least))
                    else:
                        run.shows(least)
                    proxy.set(PASS)
                    run.end()
                    if mode == CUT:
                        run.notes.append(f"{proxy.cuts - cuts} commits without an answer")
                    run.recover(site)
        finally:
            proxy.close()

    return fault


network_stalls = network(STALL, 6)
network_resets = network(RESET, 3)
network_cut = network(CUT, 2)


def into_the_dark(run, proxy):
    """Begins a black hole; whether the host is off. In the short form it is: otherwise old sessions hold their locks for long."""
    host_off = run.short or run.rng.random() < 0.5
    run.notes.append("its host is off" if host_off else "the way forgot the connections")
    run.begin()
    proxy.black_hole(host_off)
    return host_off


def network_black_hole(run):
    """Every byte between the server and PostgreSQL is lost for a while. After that new connections work."""
    proxy = Proxy(run.harness.postgres.port)
    try:
        site = run.site(port=proxy.port)
        with run.under_load(site):
            run.pause(0.3, 0.6)
            host_off = into_the_dark(run, proxy)
            run.shows(0.3 if run.short else run.rng.uniform(1, 6))
            proxy.set(PASS)
            # The old connections break, or they stay silent.
            silent, bound = run.rng.random() < 0.5, RECOVERED_SECONDS
            run.notes.append("old connections stay silent" if silent else "old connections break")
            if not silent:
                proxy.forget()
            elif not host_off:
                # The old sessions may hold the lock that every write needs until PostgreSQL ends them.
                bound += KEEPALIVE_SECONDS
            run.end()
            run.recover(site, bound)
    finally:
        proxy.close()


def stopped_in_the_dark(run):
    """Asked to end while every byte between the server and PostgreSQL is lost. The server must end in time all the same."""
    proxy = Proxy(run.harness.postgres.port)
    try:
        site = run.site(port=proxy.port)
        run.start(site)
        load = run.load(site)
        with load.running():
            run.pause(0.3, 0.6)
            into_the_dark(run, proxy)
            run.pause(0, 0.5 if run.short else 4)
            run.kills = True
            asked = time.monotonic()
            site.server.process.send_signal(signal.SIGTERM)
            status = ends(site.server.process, STOPPED_SECONDS)
        took = time.monotonic() - asked
        run.bit(proxy.swallowed)
        said = site.server.tail().strip().splitlines()
        if status is None:
            run.broken.append(f"asked to end in a black hole it went on for {STOPPED_SECONDS} s: {said[-1:]}")
            site.server.kill()
        elif status < 0 or status == 101 or (status and not said):
            run.broken.append(f"asked to end in a black hole it ended with status {status}: {said[-1:]}")
        else:
            run.notes.append(f"ended with status {status} after {took:.1f} s")
        proxy.set(PASS)
        proxy.forget()
        run.end()
        with run.under_load(site, logins=False):
            run.recover(site)
    finally:
        proxy.close()
