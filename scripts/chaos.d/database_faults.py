"""Disturbances of PostgreSQL. A request may be refused with words and a time to try again; nothing is lost."""

import contextlib
import signal
import time

from postgresfaults import taken


def away(how, least, most):
    def disturb(turn):
        postgres = turn.cluster.postgres
        for _ in range(1 if turn.short else 2):
            turn.begin()
            try:
                postgres.end(how)
                turn.pause(least, most)
            finally:
                postgres.start()
            turn.end()
            turn.bit(turn.shown())
            turn.recover()
            turn.pause(0.5, 1.5)

    return disturb


restarted = away(signal.SIGINT, 0, 0.5)
killed = away(signal.SIGKILL, 0.3, 3)


def read_only(turn):
    postgres = turn.cluster.postgres
    turn.begin()
    try:
        postgres.run("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        turn.shows(5, least=1)
        turn.cannot_save(turn.cluster.apis)
    finally:
        # A session of a read-only database can still choose to write.
        postgres.run("SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
    turn.end()
    turn.recover()


def crowded(turn):
    """Others take every connection, and those of the servers are ended."""
    with contextlib.closing(turn.cluster.postgres.connect()) as other, other.cursor() as cursor:
        turn.begin()
        with taken(turn):
            until = time.monotonic() + (2 if turn.short else 5)
            while time.monotonic() < until:
                cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'cluster'")
                turn.pause(0.1, 0.3)
            turn.bit(turn.shown())
    turn.end()
    turn.recover()


def few_connections(turn):
    """PostgreSQL is started with fewer connections than the servers want, and later with enough."""
    postgres = turn.cluster.postgres
    enough = postgres.settings
    turn.begin()
    try:
        postgres.end(signal.SIGINT)
        postgres.settings = [s for s in enough if not s.startswith("max_connections")] + ["max_connections=14"]
        postgres.start()
        turn.shows(8, least=2)
        kept = [c for c in turn.calls() if c.writes and 200 <= c.status < 300]
        turn.notes.append(f"{len(kept)} writes were kept meanwhile")
    finally:
        postgres.end(signal.SIGINT)
        postgres.settings = enough
        postgres.start()
    turn.end()
    turn.recover()


def tables_locked(turn):
    """Every connection of every pool waits for a lock."""
    with contextlib.closing(turn.cluster.postgres.connect("cluster")) as other, other.cursor() as cursor:
        turn.begin()
        cursor.execute("BEGIN")
        cursor.execute("LOCK TABLE assets, sessions IN ACCESS EXCLUSIVE MODE")
        turn.shows(6, least=3)
        cursor.execute("ROLLBACK")
        turn.end()
    turn.recover()


def open_transaction(turn):
    """Somebody else's transaction stays open, and has changed a row. Only that row waits."""
    counter = turn.chaos.writers.site.counters[0]["id"]
    with contextlib.closing(turn.cluster.postgres.connect("cluster")) as other, other.cursor() as cursor:
        turn.begin()
        cursor.execute("BEGIN")
        cursor.execute("UPDATE assets SET updated_at = updated_at WHERE id = %s", (counter,))
        turn.pause(6, 8) if turn.short else turn.pause(60, 90)
        kept = [c for c in turn.calls() if c.what == "POST /assets" and 200 <= c.status < 300]
        turn.bit(turn.shown())
        turn.notes.append(f"{len(kept)} assets were made meanwhile")
        if not kept:
            turn.broken.append("no asset was made while another client held one row")
        cursor.execute("ROLLBACK")
        turn.end()
    turn.recover()


def absent_at_start(turn):
    """A worker is started while PostgreSQL is not there: it waits, or it ends and says why. With PostgreSQL it starts."""
    cluster, node = turn.cluster, turn.pick(turn.cluster.workers)
    turn.begin()
    cluster.kill(node)
    cluster.postgres.end(signal.SIGINT)
    try:
        node.server.spawn()
        turn.pause(2, 4)
        status = node.server.process.poll()
        turn.bit(True)
        if status is not None:
            turn.notes.append(f"it ended with status {status}")
            said = node.server.tail().strip().splitlines()[-1:]
            if status in (0, 101) or status < 0 or not said or "CB_DB_URL" not in said[0]:
                turn.broken.append(f"without PostgreSQL it ended with status {status}: {said}")
    finally:
        cluster.postgres.start()
    if node.server.process.poll() is not None:
        node.server.spawn()
    cluster.await_(node)
    node.away[-1][1] = time.monotonic() + 0.05
    turn.end()
    turn.recover()
