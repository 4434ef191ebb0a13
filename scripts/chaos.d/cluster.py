"""Several servers over one PostgreSQL, one Redis and one NATS, each in a network namespace of its own."""

import random
import shutil
import subprocess
import time
from contextlib import closing, suppress
from pathlib import Path

import shim
from cbserver import Refused, Server
from engines import Nats, Redis
from network import HUB, Network
from postgres import Postgres

SECRETS = ("jwt-secret", "audit-key", "vault-key")
HTTPS, PLAIN = 8443, 8080
READY_SECONDS = 20


class Node:
    """One server: where it is, what it does, and when it was not there."""

    def __init__(self, name, role, server, hits):
        self.name, self.role, self.server, self.shim = name, role, server, hits
        # [from, to] in which the harness had ended it or was starting it; a request may go without an answer then.
        self.away = []
        self.serves, self.plugged = role != "worker", True

    def lives(self):
        """Changes with each life: connections from before are broken."""
        return len(self.away), bool(self.away) and self.away[-1][1] is None

    def gone(self, began, seconds):
        """Whether a request at that time may have gone without an answer."""
        return any(began < (end or time.monotonic()) and began + seconds > start for start, end in self.away)


class Cluster:
    def __init__(self, binary, folder, apis, workers, seed, older=None):
        # Of several servers every second one is of the version before, also the first: it makes the database.
        binaries = [str(older or binary), binary]
        self.folder, self.seed = Path(folder), seed
        self.network = Network()
        self.library = shim.compiled(folder)
        # Without fsync there are more writes in a run. A kill -9 loses nothing: the kernel keeps what the process has written.
        room = [f"max_connections={40 + 22 * (apis + workers)}", "log_min_messages=panic", "fsync=off"]
        self.postgres = Postgres(self.folder, room, address=HUB)
        self.postgres.run("CREATE DATABASE cluster")
        self.redis, self.nats = Redis(self.folder, HUB), Nats(self.folder, HUB)
        rng = random.Random(seed)
        self.nodes = [self.node(f"a{n + 1}", "api", rng, binaries[n % 2]) for n in range(apis)]
        self.nodes += [self.node(f"w{n + 1}", "worker", rng, binaries[n % 2]) for n in range(workers)]

    def node(self, name, role, rng, binary):
        address = self.network.host(name)
        settings = {
            "CB_DB_URL": self.postgres.url_of("cluster", address=HUB),
            "CB_REDIS_URL": self.redis.url,
            "CB_NATS_URL": self.nats.url,
        }
        server = Server(binary, self.folder / name, HTTPS, PLAIN, address, settings=settings, timeout=30)
        server.inside = self.network.inside(name)
        # Not `--role`: the other commands of the binary must know it too.
        server.environment["CB_ROLE"] = role
        hits = shim.Shim(self.library, self.folder / f"{name}.control", server.folder, rng.getrandbits(30))
        server.environment.update(hits.environment)
        return Node(name, role, server, hits)

    @property
    def apis(self):
        return [n for n in self.nodes if n.serves]

    @property
    def workers(self):
        """Those that the harness calls workers, whatever they do besides."""
        return [n for n in self.nodes if n.name.startswith("w")]

    def start(self):
        """The first server makes the secrets; the others have copies."""
        first, *others = self.nodes
        first.server.start()
        first.server.set_up()
        for node in others:
            data = node.server.folder / "data"
            data.mkdir(mode=0o700)
            for name in SECRETS:
                if (first.server.folder / "data" / name).exists():
                    shutil.copy2(first.server.folder / "data" / name, data / name)
            node.server.spawn()
        for node in others:
            self.await_(node)

    def await_(self, node, seconds=READY_SECONDS):
        """Waits until it answers over its API; for a server without one, until `cb healthcheck` finds it."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if node.server.process.poll() is not None:
                raise RuntimeError(f"{node.name} ended with status {node.server.process.returncode}: {node.server.tail().strip()[-600:]}")
            if not node.serves:
                argv = [*node.server.inside, node.server.binary, "healthcheck"]
                if subprocess.run(argv, env=node.server.environment, capture_output=True, check=False).returncode == 0:
                    return
                time.sleep(0.2)
                continue
            probe = Server.beside(node.server, timeout=3)
            with suppress(OSError, Refused), closing(probe):
                probe.ask("GET", "/health")
                return
            time.sleep(0.02)
        raise RuntimeError(f"{node.name} does not answer within {seconds} s: {node.server.tail().strip()[-600:]}")

    def kill(self, node):
        """As a machine that fails. The node counts as away until it answers again."""
        node.away.append([time.monotonic() - 0.05, None])
        node.server.kill()

    def again(self, node):
        node.server.spawn()
        self.await_(node)
        node.away[-1][1] = time.monotonic() + 0.05

    def probe(self, node=None, timeout=30):
        """A connection of one's own."""
        node = node or next(n for n in self.apis if n.server.process.poll() is None)
        return Server.beside(node.server, timeout)

    def said(self, node, words, since=0):
        """Whether its log has these words, from a position on."""
        with open(node.server.log, "rb") as log:
            log.seek(since)
            return words.encode() in log.read()

    def marks(self):
        return {n.name: n.server.log.stat().st_size for n in self.nodes}

    def stop(self):
        """Asks every server to end; returns those that did not end with status 0."""
        bad = []
        for node in self.nodes:
            took = node.server.stop()
            if node.server.process.returncode != 0:
                bad.append(f"{node.name} ended with status {node.server.process.returncode} after {took:.1f} s")
        return bad

    def close(self):
        for node in self.nodes:
            if node.server.process and node.server.process.poll() is None:
                node.server.kill()
        for engine in (self.redis, self.nats):
            engine.stop()
        self.postgres.end()
