"""Faults of PostgreSQL and of the way to it."""

import contextlib
import signal
import subprocess
import threading
import time

from postgres import Postgres
from proxy import CUT, PASS, RESET, STALL, Proxy
from run import filled


def away(how, least, most):
    """The server of the database ends and comes back."""

    def fault(run):
        postgres, site = run.harness.postgres, run.site()
        run.start(site)
        with run.load(site).running() as load:
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
            run.settle(site, load)

    return fault


killed = away(signal.SIGKILL, 0.2, 4)
restarted = away(signal.SIGINT, 0, 0.5)


def disk_full(run):
    """PostgreSQL's own disk is full for a while; it refuses, or ends and is started again when there is room."""
    disk = run.mount("200m")
    postgres = Postgres(disk, ["max_connections=60", "fsync=off", "max_wal_size=48MB", "min_wal_size=32MB", "log_min_messages=panic"])
    try:
        run.harness.template(run.database)
        postgres.run("CREATE DATABASE full_soon")
        url = postgres.url_of("full_soon")
        said = subprocess.run([postgres.bin / "pg_dump", run.harness.postgres.url_of("filled")], capture_output=True, check=True, timeout=60)
        # Its notices are of no interest; that it went well shows in the counters, which every writer needs.
        subprocess.run([postgres.bin / "psql", "-q", url], input=said.stdout, capture_output=True, check=True, timeout=60)
        site = run.site(url=url)
        run.start(site)
        with run.load(site).running() as load:
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
            run.settle(site, load)
    finally:
        postgres.end()


def crowded(run):
    """Others take every connection, and the server's own ones are ended."""
    postgres = run.harness.postgres
    site = run.site()
    run.start(site)
    with run.load(site).running() as load:
        run.pause(0.3, 0.6)
        others, stop = [], threading.Event()

        def take():
            while not stop.is_set():
                try:
                    others.append(postgres.connect())
                except Exception:
                    # Full; somebody's that ends is taken again.
                    time.sleep(0.005)

        run.begin()
        takers = [threading.Thread(target=take) for _ in range(3)]
        for taker in takers:
            taker.start()
        time.sleep(0.5)
        ending = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
        until = time.monotonic() + run.rng.uniform(2, 5)
        with contextlib.suppress(Exception), others[0].cursor() as cursor:
            while time.monotonic() < until:
                cursor.execute(ending, (run.database_name,))
                time.sleep(0.3)
        stop.set()
        for taker in takers:
            taker.join()
        for other in others:
            other.close()
        run.end()
        run.notes.append(f"{len(others)} connections taken")
        run.recover(site)
        run.settle(site, load)


def read_only(run):
    """The database takes no writes for a while, as a standby or one whose disk is guarded."""
    postgres, site = run.harness.postgres, run.site()
    run.start(site)
    with run.load(site).running() as load:
        run.pause(0.3, 0.6)
        run.begin()
        try:
            postgres.run("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
            run.pause(1, 4)
        finally:
            # A session of this kind may still say for itself that it writes.
            postgres.run(
                "SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()"
            )
        run.end()
        run.recover(site)
        run.settle(site, load)


def locked(run):
    """Another client holds the row that every write needs."""
    postgres, site = run.harness.postgres, run.site()
    run.start(site)
    with run.load(site).running() as load:
        run.pause(0.3, 0.6)
        with contextlib.closing(postgres.connect(run.database_name)) as other, other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT * FROM audit_head FOR UPDATE")
            run.begin()
            time.sleep(5)
            cursor.execute("ROLLBACK")
            run.end()
        run.recover(site)
        run.settle(site, load)


def terminated(run):
    """Somebody ends the server's sessions, one at a time, while they commit."""
    postgres, site = run.harness.postgres, run.site()
    run.start(site)
    with run.load(site).running() as load:
        run.pause(0.2, 0.4)
        run.begin()
        until, ended = time.monotonic() + (1.5 if run.short else 3), 0
        with contextlib.closing(postgres.connect()) as other, other.cursor() as cursor:
            while time.monotonic() < until:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND state <> 'idle' ORDER BY random() LIMIT 1",
                    (run.database_name,),
                )
                ended += cursor.rowcount
                run.pause(0.005, 0.08)
        run.end()
        run.notes.append(f"{ended} sessions ended")
        run.recover(site)
        run.settle(site, load)


def network(mode, seconds):
    """What lies between the server and PostgreSQL goes wrong for a while."""

    def fault(run):
        proxy = Proxy(run.harness.postgres.port)
        try:
            site = run.site(port=proxy.port)
            run.start(site)
            with run.load(site).running() as load:
                for _ in range(1 if run.short else 2):
                    run.pause(0.3, 0.6)
                    run.begin()
                    proxy.set(mode)
                    run.pause(seconds / 2, seconds)
                    proxy.set(PASS)
                    run.end()
                    run.recover(site)
                if mode == CUT:
                    run.notes.append(f"{proxy.cuts} commits without an answer")
                    if not proxy.cuts:
                        run.broken.append("nothing went wrong: no commit went over the network")
                run.settle(site, load)
        finally:
            proxy.close()

    return fault


network_stalls = network(STALL, 6)
network_resets = network(RESET, 3)
network_cut = network(CUT, 2)
