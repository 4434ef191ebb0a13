"""The rows of scripts/bench about a cluster: three servers with the role api and three with the role worker over one PostgreSQL, Redis and
NATS, beside one server with everything inside; and how soon a session that is ended on one of them is refused by the others."""

import contextlib
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from benchstreams import SHARED_KEYS, cpu_seconds, machine, quantile, sign_in
from cbserver import PASSWORD, TOKEN, Server
from engines import Nats, Redis
from postgres import Postgres

APIS, WORKERS = 3, 3
ASSETS = 1000
ROUNDS, SECONDS, CALLERS = 3, 6, 24
SESSIONS = 30


class Processor:
    """What processes and their children have used."""

    def __init__(self, servers, engines=()):
        self.servers = servers
        self.engines = [engine.process.pid for engine in engines]

    def seconds(self):
        return sum(map(cpu_seconds, self.servers)) + sum(map(tree_seconds, self.engines))


def tree_seconds(pid):
    """Of a process with its children: PostgreSQL has one for each connection. Those that have ended are counted by their parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") + sum(map(tree_seconds, children))


def fill(server):
    for number in range(ASSETS):
        server.ask("POST", "/assets", {"name": f"node-{number:05}", "kind": "device", "vendor": f"Vendor {number % 17}"})


def load(servers):
    """Requests per second over all of them, each with a part of the callers."""
    def ask(server):
        return subprocess.Popen(
            ["wrk", "-t1", f"-c{CALLERS // len(servers)}", f"-d{SECONDS}s", "-H", f"Authorization: Bearer {TOKEN}",
             f"{server.url}/api/v1/assets"], stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    rate = 0.0
    for process in [ask(server) for server in servers]:
        said, _ = process.communicate(timeout=60)
        if "Non-2xx" in said or "Socket errors" in said:
            raise RuntimeError(said)
        rate += float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])
    return rate


def cluster(binary, place, ends):
    postgres = Postgres(place, (f"max_connections={20 + 20 * (APIS + WORKERS)}",))
    redis, nats = Redis(place), Nats(place)
    for engine in (postgres, redis, nats):
        ends.callback(engine.stop)
    servers = []
    for number in range(APIS + WORKERS):
        role = "api" if number < APIS else "worker"
        settings = {"CB_DB_URL": postgres.url, "CB_REDIS_URL": redis.url, "CB_NATS_URL": nats.url, "CB_ROLE": role}
        servers.append(Server(binary, place / f"{role}-{number}", 18443 + number, 18080 + number, settings=settings))
    first, *others = servers
    ends.callback(first.stop)
    first.start()
    first.set_up()
    for server in others:
        (server.folder / "data").mkdir(mode=0o700)
        for key in SHARED_KEYS:
            shutil.copy(first.folder / "data" / key, server.folder / "data" / key)
        ends.callback(server.stop)
        if server.environment["CB_ROLE"] == "api":
            server.start()
        else:
            server.spawn()
    return servers[:APIS], servers[APIS:], (postgres, redis, nats)


def bench_cluster(binary, row):
    with contextlib.ExitStack() as ends:
        place = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="cb-bench-")))
        alone = Server(binary, place / "alone", 18463, 18090)
        ends.callback(alone.stop)
        alone.start()
        alone.set_up()
        apis, workers, engines = cluster(binary, place, ends)
        for server in (alone, apis[0]):
            fill(server)
        throughput_rows(row, alone, apis, workers, engines)
        for what, without in (("", None), (", without NATS", engines[2]), (", without NATS and Redis", engines[1])):
            if without:
                without.stop()
                time.sleep(8)
            revocation_row(row, apis, what)


def throughput_rows(row, alone, apis, workers, engines):
    kinds = {"alone": ([alone], Processor([alone])), "cluster": (apis, Processor([*apis, *workers], engines))}
    rates, costs = {name: [] for name in kinds}, {name: [] for name in kinds}
    for turn in range(ROUNDS):
        for name in sorted(kinds, reverse=turn % 2 == 1):
            servers, processor = kinds[name]
            before = processor.seconds()
            rate = load(servers)
            rates[name].append(rate)
            costs[name].append(rate * SECONDS / (processor.seconds() - before))
    rate, cost = ({name: statistics.median(of) for name, of in found.items()} for found in (rates, costs))
    ratio = cost["cluster"] / cost["alone"]
    note = (
        f"{cost['cluster']:.0f} against {cost['alone']:.0f} requests for each second of a core, PostgreSQL, Redis and NATS counted; "
        f"{rate['cluster']:.0f} against {rate['alone']:.0f} requests/s with wrk on the same {machine()}"
    )
    row(f"API of {APIS} + {WORKERS} servers : one server, per core", f"{ratio:.2f}", ">= 0.60", ratio >= 0.60, note)


def revocation_row(row, apis, what):
    """Each session is used on every server, ended on one, and asked for on the others until they refuse it."""
    name = f"leaves{len(what)}"
    # The server has closed this connection, which was silent for a while.
    apis[0].close()
    user = apis[0].ask("POST", "/users", {"username": name, "role": "viewer", "password": PASSWORD})["id"]
    took, late = [], 0
    for number in range(SESSIONS):
        cookie = sign_in(apis[number % APIS], name)
        own = [Server.beside(server) for server in apis]
        headers = {"Authorization": "", "Cookie": cookie}
        for server in own:
            if server.request("GET", "/api/v1/assets?limit=1", headers=headers)[0] != 200:
                raise RuntimeError("a new session was refused")
        own[(number + 1) % APIS].ask("DELETE", f"/users/{user}/sessions")
        began = time.monotonic()
        for server in own:
            while server.request("GET", "/api/v1/assets?limit=1", headers=headers)[0] == 200:
                if time.monotonic() - began > 5:
                    late += 1
                    break
                time.sleep(0.005)
            took.append(time.monotonic() - began)
            server.close()
    p99 = quantile(took, 0.99) * 1000
    note = f"median {quantile(took, 0.5) * 1000:.0f} ms of {SESSIONS} sessions on {APIS} servers; {late} still good after 5 s"
    row(f"a session ended on one server is refused by all{what}, p99", f"{p99:.0f} ms", "< 1000 ms", p99 < 1000 and not late, note)
