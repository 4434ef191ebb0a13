"""The rows of scripts/bench about writing: how fast, beside SQLite alone, and beside the binary of an earlier commit when CB_BENCH_PEER
names one; a backup of 60 MB while 100 writes a second go on; audited writes on PostgreSQL, by one server and by three, beside those on SQLite."""

import contextlib
import os
import re
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from benchcluster import APIS, WORKERS, cluster
from cbserver import TOKEN, Server
from postgres import Postgres

MEGABYTES = 60
WRITES_A_SECOND = 100
WRITERS = 4
SECONDS_BEFORE = 3
ROUNDS, ROUND_SECONDS = 8, 2
AUDITED_ROUNDS, AUDITED_SECONDS = 3, 5
MEMORY = Path("/dev/shm")
# What a write keeps: an asset and its entry in the audit log (bytes, as scripts/scale finds them).
ASSET, ENTRY = 550, 500


def fill(file):
    """Notes of assets, as somebody who documents much has them."""
    base = sqlite3.connect(file)
    columns = [row[1] for row in base.execute("PRAGMA table_info(assets)")]
    base.execute("CREATE TEMP TABLE one AS SELECT * FROM assets LIMIT 1")
    wanted = {"id": "randomblob(16)", "name": "'filled ' || value", "name_key": "'filled ' || value",
              "notes": "hex(randomblob(8192))"}  # fmt: skip
    values = ", ".join(wanted.get(column, f"one.{column}") for column in columns)
    count = MEGABYTES * 1024 * 1024 // 16_800
    base.execute(
        f"WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {count}) "
        f"INSERT INTO assets SELECT {values} FROM n, one"
    )
    base.commit()
    base.close()


class Writers:
    """Assets at an even pace; what each answer took."""

    def __init__(self, server):
        self.server, self.took, self.over = server, [], threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(n,)) for n in range(WRITERS)]

    def write(self, number):
        own = Server.beside(self.server)
        due, n = time.monotonic(), 0
        while not self.over.is_set():
            due += WRITERS / WRITES_A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
            began = time.monotonic()
            own.ask("POST", "/assets", {"name": f"written {number} {n}", "kind": "device"})
            self.took.append((began, time.monotonic() - began))
            n += 1

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join()


def bench_backup(binary, folder, row):
    server = Server(binary, folder)
    server.start()
    server.set_up()
    server.ask("POST", "/assets", {"name": "first", "kind": "device"})
    server.stop()
    file = folder / "data" / "circuit-breaker.db"
    fill(file)
    server.start()
    try:
        with Writers(server) as writers:
            time.sleep(SECONDS_BEFORE)
            began = time.monotonic()
            done = subprocess.run(
                [str(binary), "backup", str(folder / "copy.tar")], env=server.environment, capture_output=True, text=True,
                timeout=120, check=False,
            )  # fmt: skip
            ended = time.monotonic()
        if done.returncode != 0:
            raise RuntimeError(f"cb backup: {done.stderr.strip()}")
        meanwhile = [took for at, took in writers.took if began - took <= at <= ended]
        before = [took for at, took in writers.took if at < began - took]
        size = file.stat().st_size / 1024 / 1024
        took, worst, usual = ended - began, max(meanwhile) * 1000, max(before) * 1000
        note = f"{size:.0f} MB, {len(meanwhile) / took:.0f} writes/s meanwhile; the slowest write before: {usual:.0f} ms"
        row("backup under writes", f"{took:.2f} s", "< 2 s", took < 2, note)
        row("slowest write during a backup", f"{worst:.0f} ms", "< 100 ms", worst < 100, f"of {len(meanwhile)}")
    finally:
        server.stop()


def bench_writes(binary, folder, row):
    """Assets by eight callers, in turns with the peer and with SQLite alone, since a machine has better and worse minutes. A disk is
    quicker in one place than in another, so only files in memory tell five percent."""
    peer = os.environ.get("CB_BENCH_PEER")
    kinds = {"cb": binary, **({"peer": peer} if peer else {})}
    in_memory = MEMORY.is_dir()
    with tempfile.TemporaryDirectory(prefix="cb-bench-", dir=MEMORY if in_memory else folder) as memory:
        places = [("in memory", Path(memory), 0.95, 0.045)] if in_memory else []
        places.append(("on the disk", folder, None if in_memory else 0.95, 0.12))
        for name, place, least, of_alone in places:
            found = rates(kinds, place)
            part = found["cb"] / found["alone"]
            note = f"SQLite alone {found['alone']:.0f}/s: an asset and its audit entry in a transaction"
            row(f"writes, {name}, cb : SQLite alone", f"{part:.3f}", f">= {of_alone}", part >= of_alone, note)
            if not peer:
                row(f"writes, {name}", f"{found['cb']:.0f}/s", "-", None, "CB_BENCH_PEER names the binary of an earlier commit")
                continue
            ours, theirs = found["cb"], found["peer"]
            bar = (f">= {least}", ours / theirs >= least) if least else ("-", None)
            note = f"of 8 callers: cb {ours:.0f}/s, peer {theirs:.0f}/s; medians of {ROUNDS} turns"
            row(f"writes, {name}, cb : peer", f"{ours / theirs:.2f}", *bar, note)


def bench_audited(binary, row):
    """Assets by 16 callers on a PostgreSQL that waits for its disk, by one server and by a cluster with three servers of the role api, in
    turns with SQLite, and with the peer where CB_BENCH_PEER names one."""
    peer = os.environ.get("CB_BENCH_PEER")
    kinds = {
        "postgres": lambda place, ends: one_server(binary, place, ends, True),
        "cluster": lambda place, ends: cluster(binary, place, ends)[0],
        "sqlite": lambda place, ends: one_server(binary, place, ends, False),
        **({"peer": lambda place, ends: one_server(peer, place, ends, True)} if peer else {}),
    }
    found = {name: [] for name in kinds}
    for turn in range(AUDITED_ROUNDS):
        for name in sorted(kinds, reverse=turn % 2 == 1):
            with contextlib.ExitStack() as ends:
                # The user of PostgreSQL must reach its folder, so it is not below the bench's own.
                place = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="cb-bench-")))
                found[name].append(rate(kinds[name](place, ends), name, callers=16, seconds=AUDITED_SECONDS))
    of = {name: statistics.median(rates) for name, rates in found.items()}
    note = f"of 16 callers; medians of {AUDITED_ROUNDS} turns"
    row("audited writes, PostgreSQL", f"{of['postgres']:.0f}/s", ">= 1500/s", of["postgres"] >= 1500, f"one server, {note}")
    with_others = f"with {WORKERS} workers, Redis and NATS, {note}"
    row(f"audited writes, PostgreSQL, {APIS} api servers", f"{of['cluster']:.0f}/s", ">= 1500/s", of["cluster"] >= 1500, with_others)
    ratio = of["postgres"] / of["sqlite"]
    row("audited writes, PostgreSQL : SQLite", f"{ratio:.2f}", "-", None, f"SQLite {of['sqlite']:.0f}/s")
    if peer:
        ratio = of["postgres"] / of["peer"]
        row("audited writes, cb : peer", f"{ratio:.2f}", ">= 1", ratio >= 1, f"peer {of['peer']:.0f}/s")


def one_server(program, place, ends, on_postgres):
    settings = {}
    if on_postgres:
        postgres = Postgres(place, ("max_connections=60",))
        ends.callback(postgres.stop)
        settings = {"CB_DB_URL": postgres.url}
    server = Server(program, place / "server", settings=settings)
    server.start()
    ends.callback(server.stop)
    server.set_up()
    return [server]


def rates(kinds, place):
    """For each kind of server, and for SQLite alone, the writes per second of the median turn. A turn has new files, and another kind
    is the first."""
    found = {name: [] for name in (*kinds, "alone")}
    for turn in range(ROUNDS):
        found["alone"].append(alone(place / f"alone-{turn}.db"))
        for name in sorted(kinds, reverse=turn % 2 == 1):
            server = Server(kinds[name], place / f"{name}-{turn}")
            server.start()
            server.set_up()
            found[name].append(rate([server], name))
            server.stop()
    return {name: statistics.median(of) for name, of in found.items()}


def alone(file):
    """Transactions per second of SQLite with the settings of the product, one after the other."""
    file.parent.mkdir(parents=True, exist_ok=True)
    base = sqlite3.connect(file, isolation_level=None)
    with contextlib.closing(base):
        for statement in (
            "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE TABLE assets(id BLOB PRIMARY KEY, body TEXT)",
            "CREATE TABLE entries(seq INTEGER PRIMARY KEY, body TEXT)", "CREATE TABLE head(one INTEGER PRIMARY KEY, seq INTEGER)",
            "INSERT INTO head VALUES (1, 0)",
        ):  # fmt: skip
            base.execute(statement)
        began, n = time.monotonic(), 0
        while (took := time.monotonic() - began) < ROUND_SECONDS:
            n += 1
            base.execute("BEGIN IMMEDIATE")
            base.execute("INSERT INTO assets VALUES (?, ?)", (os.urandom(16), "a" * ASSET))
            base.execute("INSERT INTO entries VALUES (?, ?)", (n, "e" * ENTRY))
            base.execute("UPDATE head SET seq = ?", (n,))
            base.execute("COMMIT")
    return n / took


LUA = """
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", nil, nil, string.format('{"name": "%s %d", "kind": "device"}', NAME, n))
end
"""


def rate(servers, name, callers=8, seconds=ROUND_SECONDS):
    """Writes per second over all servers, each with a part of the callers."""
    def write(number, server):
        own = callers // len(servers) + (number < callers % len(servers))
        script = server.folder / "write.lua"
        script.write_text(LUA.replace("NAME", f"'{name} {number}'"))
        return subprocess.Popen(
            ["wrk", "-t1", f"-c{own}", f"-d{seconds}s", "-s", str(script), "-H", f"Authorization: Bearer {TOKEN}",
             "-H", "Content-Type: application/json", f"{server.url}/api/v1/assets"], stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    total = 0.0
    for process in [write(number, server) for number, server in enumerate(servers)]:
        said, _ = process.communicate(timeout=60)
        if process.returncode != 0 or "Non-2xx" in said:
            raise RuntimeError(said)
        total += float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
    return total
