"""One run of one fault: a server on a folder of its own, what is asked of it, and the law afterwards."""

import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import bite
import law
import shim
from cbserver import START_SECONDS, TOKEN, Refused, Server
from load import WRITERS, Load, Receiver
from postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent.parent
RECOVERED_SECONDS = 20
# A server whose secrets are not those of the servers before it waits so long for a sign of them.
WATCH_SECONDS = 35
# An idle server looks every five seconds, one in trouble every second.
TELLS_SECONDS = 20
# The effect of a fault is waited for so long. It comes at once or within 3 s, but not on a busy machine.
EFFECT_SECONDS = 30
# The words of the product in its log.
SAYS = r"Nothing can be (read or )?saved|cannot save anything"
KEPT = 20
SQLITE, POSTGRES = "sqlite", "postgres"


def free_port(rng=random.Random()):
    """A port below the range of outgoing connections, so that it is still free when the server starts again."""
    while True:
        port = rng.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Harness:
    """Shared by all runs: the binary, the receiver, a PostgreSQL, and a filled database of each kind to copy."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.receiver, self.library = Receiver(), shim.compiled(folder)
        self.processes, self.mounts, self.filled = [], [], {}
        self._postgres, self.number = None, 0
        # How long starts take: see kills.measured.
        self.starts = {}

    @property
    def postgres(self):
        if self._postgres is None:
            # Without fsync there are more writes in a run. A kill -9 loses nothing: the kernel keeps what the process has written.
            self._postgres = Postgres(self.folder, ["max_connections=60", "log_min_messages=panic", "fsync=off"])
        elif self._postgres.process.poll() is not None:
            # An earlier run ended it.
            self._postgres.start()
        return self._postgres

    def template(self, database):
        """A folder, and in PostgreSQL a database, with an administrator, a webhook, two tags and a counter for each writer."""
        if database not in self.filled:
            folder = self.folder / f"template-{database}"
            if database == POSTGRES:
                self.postgres.run("CREATE DATABASE filled")
            settings = self.settings(self.postgres.url_of("filled") if database == POSTGRES else None)
            server = Server(self.binary, folder, free_port(), free_port(), settings=settings)
            server.start()
            self.processes.append(server.process)
            server.set_up()
            hook = {"name": "Harness", "url": f"http://127.0.0.1:{self.receiver.port}/", "events": ["asset.created"]}
            server.ask("POST", "/webhooks", hook)
            tags = [server.ask("POST", "/tags", {"name": f"always {n}", "color": law.COLOR})["id"] for n in (1, 2)]
            counters = [server.ask("POST", "/assets", {"name": f"counter {n}", "kind": "device"}) for n in range(WRITERS)]
            server.stop()
            self.filled[database] = (folder / "data", tags, [{k: c[k] for k in ("id", "name", "version")} for c in counters])
        return self.filled[database]

    def newest_schema(self, database):
        """The number of the binary's newest migration."""
        data, _, _ = self.template(database)
        asked = "SELECT count(*) FROM seaql_migrations"
        if database == POSTGRES:
            return self.postgres.run(asked, database="filled")[0][0]
        # The folder of a server that has ended.
        with closing(sqlite3.connect(data / "circuit-breaker.db")) as db:
            return db.execute(asked).fetchone()[0]

    def settings(self, url):
        allow = {"CB_OUTBOUND_ALLOW": f"127.0.0.1:{self.receiver.port}"}
        return {**allow, **({"CB_DB_URL": url} if url else {})}

    def close(self):
        for process in self.processes:
            if process.poll() is None:
                with suppress(OSError):
                    process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()
        for mount in reversed(self.mounts):
            subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
        self.mounts.clear()
        if self._postgres:
            self._postgres.end()
        self.receiver.close()


class Site:
    """A server with its data, and the tags and counters that were there before the first writer."""

    def __init__(self, server, mark, tags, counters, hits):
        self.server, self.mark, self.tags, self.counters, self.shim = server, mark, tags, counters, hits
        self.token, self.loads = TOKEN, 0


class Skipped(Exception):
    """The fault is not possible on this machine; the message says why."""


class Run:
    def __init__(self, harness, fault, database, seed, short):
        self.harness, self.fault, self.database, self.seed, self.short = harness, fault, database, seed, short
        self.rng = random.Random(f"{fault.name} {database} {seed}")
        harness.number += 1
        self.folder = harness.folder / f"run-{harness.number}"
        self.folder.mkdir(mode=0o755)
        self.ledger, self.verdict = law.Ledger(), law.Verdict()
        self.broken, self.notes, self.windows, self.recovered = [], [], [], []
        self.sites, self.runs = [], 1
        # Set where the harness itself kills the server: connections are lost, and that is no fault of the product.
        self.kills = False
        # Set where the harness asks the server to end: only a request that was sent after this time may go without an answer.
        self.signaled = None
        # (whether a try of the fault had an effect, what it was made on); see bite.py.
        self.bites = []
        self.database_name = None

    # ---- the server ----

    def mount(self, size):
        """A file system of its own; needs root."""
        place = self.folder / "disk"
        place.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", place], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["no reason given"])[0]
            raise Skipped(f"no file system of its own can be mounted: {said}")
        self.harness.mounts.append(place)
        return place

    def site(self, empty=False, on=None, port=None, settings=None, name="site", database=None, url=None):
        """Makes a server and does not start it. `on`: the folder for its data. `port`: the port of PostgreSQL; `url`: its whole URL."""
        harness, place = self.harness, self.folder / name
        place.mkdir(exist_ok=True)
        tags, counters = [], []
        if not empty:
            data, tags, counters = harness.template(self.database)
        if self.database == POSTGRES and url is None:
            self.database_name = database or f"run_{harness.number}_{len(self.sites)}"
            if database is None:
                harness.postgres.run(f"CREATE DATABASE {self.database_name}" + ("" if empty else " TEMPLATE filled"))
            url = harness.postgres.url_of(self.database_name, port)
        server = Server(harness.binary, place, free_port(self.rng), free_port(self.rng), timeout=30)
        folder = (on or place) / "data"
        server.environment.update(harness.settings(url), CB_DATA_DIR=str(folder), **(settings or {}))
        if not empty:
            shutil.copytree(data, folder, dirs_exist_ok=True)
            folder.chmod(0o700)
        hits = shim.Shim(harness.library, self.folder / f"{name}.control", folder, self.rng.getrandbits(30))
        server.environment.update(hits.environment)
        # The receiver hears the names of all runs, so a name says which run it belongs to.
        one = Site(server, f"{self.fault.name} {self.database} {harness.number} {self.seed} ", tags, counters, hits)
        one.data = folder
        self.sites.append(one)
        return one

    def start(self, site, stderr=None, seconds=START_SECONDS):
        try:
            return site.server.start(stderr, seconds)
        finally:
            if site.server.process:
                self.harness.processes.append(site.server.process)

    def command(self, site, *arguments, under=None):
        """Starts a command of the binary on the server's data, beside the server; with `under`, a shim of its own."""
        environment = {k: v for k, v in site.server.environment.items() if k not in ("LD_PRELOAD", "CB_FAULTS_CONTROL")}
        environment.update(under.environment if under else {})
        argv = [self.harness.binary, *arguments]
        process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.harness.processes.append(process)
        return process

    def load(self, site, **how):
        return Load(site, self.ledger, self.rng.getrandbits(30), **how)

    @contextmanager
    def under_load(self, site, **how):
        """The server of `site` and the load on it. The block begins and ends the fault; behind it comes the look at everything."""
        self.start(site)
        with self.load(site, **how).running() as load:
            yield load
            self.settle(site, load)

    def pause(self, least, most):
        time.sleep(self.rng.uniform(least, most))

    # ---- the fault ----

    def begin(self):
        self.windows.append([time.monotonic(), None])

    def end(self):
        self.windows[-1][1] = time.monotonic()

    def bit(self, did, on=""):
        """Notes whether one try of the fault had an effect. `on` groups the tries in the table."""
        self.bites.append((bool(did), on))

    def awaits(self, effect, least=0.0, seconds=EFFECT_SECONDS):
        """Waits at least `least` and at most `seconds` until the fault has had its effect. Answers whether it has."""
        began = time.monotonic()
        time.sleep(least)
        while not effect() and time.monotonic() < began + seconds:
            time.sleep(0.02)
        return effect()

    def shows(self, least=0.0):
        """The same for an effect that shows in an answer."""
        return self.awaits(self.shown, least)

    def tells(self, site, words="", seconds=TELLS_SECONDS):
        """The server must say that it does not keep what it is given, in these words."""
        until, state = time.monotonic() + seconds, {}
        while time.monotonic() < until:
            probe = Server.beside(site.server, timeout=5)
            with suppress(OSError, Refused), closing(probe):
                state = probe.ask("GET", "/storage")
                if state["trouble"] and words in state["trouble"]:
                    return
            time.sleep(0.1)
        self.broken.append(f"within {seconds} s it did not say '{words or 'what the trouble is'}': {state}")

    def shown(self):
        """Whether a write of the newest window was not acknowledged."""
        return any(bite.shows(w, bite.REFUSED) for w in bite.in_window(self, self.windows[-1]))

    def during(self, began, seconds):
        return any(began < (end or time.monotonic()) and began + seconds > start for start, end in self.windows)

    def recover(self, site, bound=RECOVERED_SECONDS):
        """Waits for the first write that is acknowledged after the end of the fault. Starts the server if it has ended."""
        ended = self.windows[-1][1] or time.monotonic()
        until = time.monotonic() + bound
        while time.monotonic() < until:
            if site.server.process.poll() is not None:
                self.ended_with_words(site)
                self.start(site)
            later = [w.began + w.seconds for w in self.ledger.writes[-200:] if w.outcome == law.ACKNOWLEDGED and w.began >= ended]
            if later:
                self.recovered.append(min(later) - ended)
                return
            time.sleep(0.01)
        self.broken.append(f"no write was acknowledged within {bound} s after the end of the fault")

    def ended_with_words(self, site):
        """A server that ended by itself must have said why."""
        status = site.server.process.returncode
        self.notes.append(f"ended by itself with status {status}")
        if self.kills or status == -signal.SIGKILL:
            return
        if status <= 0 or status == 101:
            self.broken.append(f"the server ended with status {status}: {site.server.tail()[-300:]}")

    # ---- the law ----

    def settle(self, site, load, more=0.4):
        """Lets the load go on a little after the fault and stops it. Then looks at everything: on the running server, and after a
        SIGTERM and a kill -9 (the short form does one of the two)."""
        time.sleep(more)
        load.stop()
        self.answers(load)
        # After a fault of the database the worker pauses for some seconds. Most runs of the short form do not wait for that: they see
        # what the webhook was told after the next start.
        self.look(site, "on the running server", told=self.fault.told or not self.short)
        ends = [self.stop, self.kill]
        self.rng.shuffle(ends)
        for end in ends[:1] if self.short else ends:
            end(site)
            if not self.verify_offline(site):
                return
            self.start(site)
            self.look(site, f"after {'SIGTERM' if end == self.stop else 'kill -9'}", patience=10)
        self.stop(site)

    def look(self, site, when, patience=law.TOLD_SECONDS, told=True):
        probe = Server.beside(site.server)
        try:
            if self.verdict.untold:
                patience = 0
            found = law.check(probe, self.ledger, site, self.harness.receiver.told if told else None, patience)
        except (OSError, Refused, ValueError, KeyError) as error:
            self.broken.append(f"{when} nothing can be looked at: {type(error).__name__}: {error}")
            return
        finally:
            probe.close()
        self.broken += [f"{when}: {what}" for what in found.broken()]
        self.verdict.merge(found)

    def answers(self, load):
        """What was wrong with the answers themselves."""
        fault = self.fault
        said = {}
        for _, wrong in load.problems:
            said[wrong] = said.get(wrong, 0) + 1
        self.broken += [f"{count} times {wrong}" for wrong, count in sorted(said.items(), key=lambda p: -p[1])[:3]]
        if not self.kills:
            silent = [w for w in self.ledger.writes if w.status == 0 and w.said and not self.sent_too_late(w)]
            if silent:
                self.broken.append(f"{len(silent)} writes had no answer: {silent[0].said}")
        if fault.bound:
            slow = [(seconds, which) for began, seconds, which in self.timed() if seconds > fault.bound + self.machine(began, seconds)]
            if slow:
                seconds, which = max(slow)
                self.broken.append(f"the slowest answer took {seconds:.1f} s, more than {fault.bound} s and what the machine adds: {which}")
        if fault.reads:
            during = [r for r in self.ledger.reads if self.during(r[0], r[1])]
            bad = [r for r in during if r[2] != 200]
            if bad or not during:
                said = sorted({f"{r[2] or 'no answer'} after {r[1]:.1f} s" for r in bad})[:3]
                self.broken.append(f"reads did not go on: {len(bad)} of {len(during)} failed: {', '.join(said)}")

    def sent_too_late(self, write):
        """Whether the server was already asked to end when the last byte of the request was sent."""
        return self.signaled is not None and not 0 < write.sent < self.signaled

    def says_in_log(self, site):
        """The log must say that nothing is saved, not only the answers."""
        if any(w.status in law.AWAY for w in self.ledger.writes) and not re.search(SAYS, site.server.log.read_text(errors="replace")):
            self.broken.append("the log does not say that nothing can be saved")

    def slowest(self):
        return max((seconds for _, seconds, _ in self.timed()), default=0.0)

    def timed(self):
        """The answers during the fault: when they were asked for, how many seconds they took, and what they were."""
        timed = [(w.began, w.seconds, f"{w.kind} {w.name}: {w.status or w.said}") for w in self.ledger.writes]
        timed += [(r[0], r[1], f"read: {r[2]}") for r in self.ledger.reads]
        return [one for one in timed if self.during(one[0], one[1])]

    def machine(self, began, seconds):
        """What a busy or slow machine adds to an answer: as long as the slowest one before the fault, and the time for which a thread
        that wanted to go on could not."""
        before = [(w.began, w.seconds) for w in self.ledger.writes] + [(r[0], r[1]) for r in self.ledger.reads]
        calm = max((took for at, took in before if self.windows and at + took < self.windows[0][0]), default=0.0)
        return calm + sum(late for at, late in self.ledger.late if began < at < began + seconds)

    def stop(self, site):
        """Asks the server to end. It must end with status 0."""
        if site.server.process.poll() is not None:
            self.broken.append(f"the server had ended with status {site.server.process.returncode}")
            return
        took = site.server.stop()
        status = site.server.process.returncode
        if status != 0:
            self.broken.append(f"SIGTERM ended it with status {status} after {took:.1f} s: {site.server.tail().strip().splitlines()[-1:]}")

    def kill(self, site):
        if site.server.process.poll() is None:
            site.server.kill()

    def verify_offline(self, site):
        """`cb audit-log verify`, without a server."""
        environment = {k: v for k, v in site.server.environment.items() if k not in ("LD_PRELOAD", "CB_FAULTS_CONTROL")}
        argv = [self.harness.binary, "audit-log", "verify"]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            self.verdict.chain = (done.stderr or done.stdout).strip()[-200:]
            self.broken.append(f"cb audit-log verify: {self.verdict.chain}")
        return done.returncode == 0

    def offers_setup(self, site, what):
        """Starts the server on the folder as it is. It must start, offer setup, and save."""
        site.server.log.unlink(missing_ok=True)
        site.server.close()
        try:
            # Killed between the commit and its files, it makes other secrets, and watches first whether somebody has the old ones.
            self.start(site, seconds=START_SECONDS + WATCH_SECONDS)
            if not site.server.ask("GET", "/setup")["required"]:
                self.broken.append(f"{what}: setup is not offered")
                return False
            site.server.set_up()
            site.server.ask("POST", "/assets", {"name": "first", "kind": "device"})
            chain = site.server.ask("GET", "/audit-log/verify")
            if not chain["ok"]:
                self.broken.append(f"{what}: {chain['reason']}")
            return chain["ok"]
        except (RuntimeError, OSError, Refused) as error:
            self.broken.append(f"{what}: {str(error).strip()[-400:]}")
            return False
        finally:
            if site.server.process.poll() is None:
                self.stop(site)

    def serves(self, site):
        """Waits until a server that was spawned answers; a RuntimeError says why it does not."""
        until = time.monotonic() + RECOVERED_SECONDS
        while time.monotonic() < until:
            if site.server.process.poll() is not None:
                raise RuntimeError(f"it ended with status {site.server.process.returncode}: {site.server.tail().strip()[-300:]}")
            with suppress(OSError, Refused):
                site.server.ask("GET", "/health")
                return
            time.sleep(0.01)
        raise RuntimeError(f"it does not answer within {RECOVERED_SECONDS} s: {site.server.tail().strip()[-300:]}")

    # ---- the end ----

    def close_site(self, site):
        """Ends one of many sites of a run."""
        self.kill(site)
        if not self.broken:
            shutil.rmtree(site.server.folder, ignore_errors=True)

    def close(self):
        for site in self.sites:
            process = site.server.process
            if process and process.poll() is None:
                with suppress(OSError):
                    process.send_signal(signal.SIGCONT)
                site.server.kill()
        if self.broken:
            self.keep()
        for place in [m for m in self.harness.mounts if m.is_relative_to(self.folder)]:
            subprocess.run(["umount", place], check=False, capture_output=True)
            self.harness.mounts.remove(place)
        if self.database == POSTGRES:
            with suppress(Exception):
                for n in range(len(self.sites)):
                    self.harness.postgres.run(f"DROP DATABASE IF EXISTS run_{self.harness.number}_{n} WITH (FORCE)")
        shutil.rmtree(self.folder, ignore_errors=True)

    def keep(self):
        """Keeps the folder of a run that failed. Only the newest few are kept."""
        kept = ROOT / "build" / "faults"
        kept.mkdir(parents=True, exist_ok=True)
        place = kept / f"{self.fault.name}-{self.database}-{self.seed}"
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError, shutil.Error):
            shutil.copytree(self.folder, place, ignore=shutil.ignore_patterns("ballast", "lock"))
        writes = [{**vars(w), "cookie": bool(w.cookie)} for w in self.ledger.writes]
        with suppress(OSError):
            (place / "writes.json").write_text("\n".join(map(json.dumps, writes)))
            (place / "broken.txt").write_text("\n".join(self.broken))
        olds = sorted((p for p in kept.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
        for old in olds[: max(0, len(olds) - KEPT)]:
            shutil.rmtree(old, ignore_errors=True)


def ends(process, seconds):
    """Waits for its end; the status, or None if it still runs."""
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode


def filled(place):
    """Fills the file system to the last byte; returns the file that does."""
    ballast = place / "ballast"
    handle = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while os.write(handle, bytes(size)) == size:
                    pass
    finally:
        os.close(handle)
    return ballast
