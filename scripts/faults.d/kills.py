"""kill -9: at random moments, at named points, in a first start, in an upgrade, in a rotation. SIGHUP, and two starts at once."""

import signal
import socket
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import law
import schemas
import shim
from cbserver import START_SECONDS, Refused
from engines import Nats, Redis
from run import POSTGRES, SQLITE, Skipped, ends

WAL, FILE = "circuit-breaker.db-wal", "circuit-breaker.db"
# Where in a write the process dies: at which call, before or after it, on which file. The last number is the highest count: the
# process dies at one of the calls from the first to that one.
POINTS = {
    SQLITE: {
        "before commit": (shim.WRITE, shim.KILL_BEFORE, WAL, 200),
        "in commit, written": (shim.WRITE, shim.KILL_AFTER, WAL, 200),
        "in commit, not yet synced": (shim.SYNC, shim.KILL_BEFORE, WAL, 40),
        "after commit, not yet answered": (shim.SYNC, shim.KILL_AFTER, WAL, 40),
        "in a checkpoint": (shim.WRITE, shim.KILL_BEFORE, FILE, 20),
        "in a checkpoint, not yet synced": (shim.SYNC, shim.KILL_BEFORE, FILE, 1),
    },
    POSTGRES: {
        "before commit": (shim.SEND, shim.KILL_BEFORE, "", 40),
        "in commit": (shim.SEND, shim.KILL_AFTER, "", 40),
        "after commit, not yet answered": (shim.ANSWER, shim.KILL_AFTER, "", 40),
    },
}


def killed(run):
    """At a random moment under load, more than once."""
    run.kills = True
    site = run.site()
    with run.under_load(site):
        for _ in range(2 if run.short else 4):
            run.pause(0.1, 1.2)
            run.begin()
            run.kill(site)
            run.start(site)
            run.end()
            run.recover(site)


def killed_at_a_point(run):
    """At each of the named points of a write."""
    run.kills = True
    site = run.site()
    run.start(site)
    points = list(POINTS[run.database].items())
    run.rng.shuffle(points)
    if run.short:
        points = points[:3]
    with run.load(site).running() as load:
        for name, (calls, mode, suffix, most) in points:
            run.pause(0.1, 0.3)
            site.shim.hit(calls, mode, nth=run.rng.randint(1, most), suffix=suffix, port=run.harness.postgres.port if run.database == POSTGRES else 0)
            run.begin()
            reached = ends(site.server.process, 10) is not None and site.shim.spare() > 0
            run.bit(reached, name)
            run.kill(site)
            site.shim.spare()
            run.start(site)
            run.end()
            run.recover(site)
        run.settle(site, load)


def hung_up(run):
    """SIGHUP, as from a terminal that is closed: the server answers what it has been asked, and ends with status 0."""
    site = run.site()
    with run.under_load(site):
        run.pause(0.3, 0.6)
        run.begin()
        run.signaled = time.monotonic()
        site.server.process.send_signal(signal.SIGHUP)
        status = ends(site.server.process, 15)
        run.bit(status is not None)
        if status:
            run.broken.append(f"SIGHUP ended it with status {status}")
        if status == 0:
            # As a supervisor does.
            run.start(site)
        run.end()
        run.recover(site)


def callers_gone(run):
    """Callers that hang up in the middle of their writes, beside others that wait."""
    site = run.site()
    with run.under_load(site, rude=4):
        run.begin()
        run.pause(0.7 if run.short else 1.0, 1.0 if run.short else 2.0)
        run.end()
        run.bit(run.ledger.count(law.UNKNOWN))
        run.recover(site)


def measured(run, what, site):
    """How many calls an undisturbed start of `what` makes until it serves, and how many seconds it takes; measured once for all runs."""
    if what not in run.harness.starts:
        calls, port = everything(run)
        site.shim.hit(calls, shim.COUNT, chance=1.0, port=port)
        began = time.monotonic()
        site.server.spawn()
        run.harness.processes.append(site.server.process)
        while not serves(site):
            if ends(site.server.process, 0) is not None or time.monotonic() > began + START_SECONDS:
                raise RuntimeError(f"an undisturbed start does not serve: {site.server.tail().strip()[-300:]}")
            time.sleep(0.002)
        run.harness.starts[what] = (site.shim.spare(), time.monotonic() - began)
        run.kill(site)


def everything(run):
    """All kinds of call that write to the database, and the port that they go to."""
    return (shim.WRITE | shim.SYNC, 0) if run.database == SQLITE else (shim.TALK, run.harness.postgres.port)


def killed_in_start(run, site, what):
    """Kills a start before it serves, at one of its calls or at a moment. Answers whether the kill came in time, and how it was done."""
    count, seconds = run.harness.starts[what]
    by_call = run.rng.random() < 0.7
    if by_call:
        calls, port = everything(run)
        # A start does not make the same number of calls each time; the last few might not be reached.
        at = run.rng.randint(1, max(1, count * 9 // 10))
        site.shim.hit(calls, run.rng.choice([shim.KILL_BEFORE, shim.KILL_AFTER]), nth=at, port=port)
        how = f"killed at call {at} of {count}"
    else:
        # The next start can be much quicker on a machine that has other work.
        moment = run.rng.uniform(0.005, max(0.01, seconds * 0.6))
        how = f"killed after {moment * 1000:.0f} ms"
    site.server.spawn()
    run.harness.processes.append(site.server.process)
    if by_call:
        until = time.monotonic() + START_SECONDS
        while ends(site.server.process, 0) is None and not serves(site) and time.monotonic() < until:
            time.sleep(0.002)
    else:
        time.sleep(moment)
    inside = not serves(site)
    if not inside and not by_call:
        # This start was quicker than the one that was measured. The next kills come earlier.
        run.harness.starts[what] = (count, moment)
    run.kill(site)
    if site.server.process.returncode != -signal.SIGKILL:
        run.broken.append(f"it ended by itself with status {site.server.process.returncode} and was to be {how}: {site.server.tail()[-300:]}")
    return inside and (not by_call or site.shim.spare() > 0), how


def serves(site):
    """Whether it takes connections already."""
    with suppress(OSError):
        socket.create_connection((site.server.address, site.server.plain), 0.2).close()
        return True
    return False


def first_start_killed(run):
    """An empty place, killed somewhere in its first start. Then a plain start offers setup."""
    run.kills = True
    run.runs = (4 if run.short else 20) if run.database == SQLITE else (1 if run.short else 10)
    what = (run.database, "first start")
    if what not in run.harness.starts:
        site = run.site(empty=True, name="measured")
        measured(run, what, site)
        run.close_site(site)
    failed = 0
    for number in range(run.runs):
        site = run.site(empty=True, name=f"site-{number}")
        inside, how = killed_in_start(run, site, what)
        run.bit(inside)
        site.shim.spare()
        began = time.monotonic()
        if not run.offers_setup(site, f"first start {how}"):
            failed += 1
        else:
            run.recovered.append(time.monotonic() - began)
        run.close_site(site)
    if failed:
        run.notes.append(f"{failed} of {run.runs} folders do not start again")


def upgrade_killed(run):
    """A filled database of each earlier schema, killed somewhere in its upgrade. Then it starts, and all is there."""
    run.kills = True
    earlier = schemas.earlier(run.database, run.harness.newest_schema(run.database))
    if not earlier:
        raise Skipped("there is no earlier schema")
    run.rng.shuffle(earlier)
    if run.short:
        earlier = earlier[: 2 if run.database == SQLITE else 1]
    run.runs, failed = len(earlier), 0
    for schema in earlier:
        what = (run.database, f"upgrade from schema {schema}")
        if what not in run.harness.starts:
            site = run.site(empty=True, name=f"measured-{schema}")
            schemas.Old(run, site, schema)
            measured(run, what, site)
            run.close_site(site)
        site = run.site(empty=True, name=f"site-{schema}")
        old = schemas.Old(run, site, schema)
        before = old.rows()
        inside, how = killed_in_start(run, site, what)
        run.bit(inside, f"schema {schema:2}")
        how = f"upgrade from schema {schema} {how}"
        site.shim.spare()
        began = time.monotonic()
        try:
            run.start(site)
            run.recovered.append(time.monotonic() - began)
            if site.server.ask("GET", "/setup")["required"]:
                run.broken.append(f"{how}: it offers setup over a database that is in use")
            names = {a["name"] for a in site.server.all("/assets")}
            if not schemas.NAMES <= names:
                run.broken.append(f"{how}: {schemas.NAMES - names} are gone")
                run.verdict.lost.update(schemas.NAMES - names)
            chain = site.server.ask("GET", "/audit-log/verify")
            if not chain["ok"]:
                run.verdict.chain = chain["reason"]
                run.broken.append(f"{how}: {chain['reason']}")
            run.stop(site)
            missing = old.missing(before)
            if missing:
                run.verdict.lost.update(missing)
                run.broken.append(f"{how}: rows are gone or changed: {missing[:3]}")
        except (RuntimeError, OSError, Refused) as error:
            failed += 1
            run.broken.append(f"{how}: {str(error).strip()[-400:]}")
        run.close_site(site)
    if failed:
        run.notes.append(f"{failed} of {run.runs} do not start again")


def rotation_killed(run):
    """`cb vault rotate` beside the server, killed somewhere. Afterwards every secret opens, and the webhook is still signed."""
    run.kills = True
    site = run.site()
    run.start(site)
    # The command has a shim of its own, so that the server goes on without faults.
    hits = shim.Shim(run.harness.library, run.folder / "rotation.control", site.data, run.rng.getrandbits(30))
    with run.load(site).running() as load:
        for _ in range(2 if run.short else 5):
            run.pause(0.1, 0.3)
            run.begin()
            mode = run.rng.choice([shim.KILL_BEFORE, shim.KILL_AFTER])
            # A rotation makes about 20 calls on the log, and more than that to PostgreSQL.
            if run.database == SQLITE:
                hits.hit(shim.WRITE | shim.SYNC, mode, nth=run.rng.randint(1, 16), suffix=WAL)
            else:
                calls, most = run.rng.choice([(shim.SEND, 1), (shim.TALK, 20)])
                hits.hit(calls, mode, nth=run.rng.randint(1, most), port=run.harness.postgres.port)
            process = run.command(site, "vault", "rotate", under=hits)
            if ends(process, 10) is None:
                process.kill()
            said, _ = process.communicate()
            if "try again" in said:
                run.notes.append("a rotation waited too long for the writers")
            elif process.returncode not in (0, -signal.SIGKILL):
                run.broken.append(f"cb vault rotate ended with status {process.returncode}: {said.strip()[-300:]}")
            run.bit(process.returncode == -signal.SIGKILL and hits.spare() > 0)
            run.end()
            run.recover(site)
        try:
            if (told := site.server.ask("POST", "/vault/rotate"))["sealed"] < 1:
                run.broken.append(f"after the kills nothing is sealed: {told}")
        except Refused as error:
            run.broken.append(f"after the kills the vault does not rotate: {error}")
        run.settle(site, load)


def two_starts(run):
    """Two servers of a cluster start at once on one empty PostgreSQL. Both must serve."""
    run.kills = True
    with tempfile.TemporaryDirectory(prefix="cb-faults-") as folder, ExitStack() as engines:
        Path(folder).chmod(0o755)
        redis, nats = Redis(Path(folder)), Nats(Path(folder))
        for engine in (redis, nats):
            engines.callback(engine.stop)
        start_twice(run, {"CB_REDIS_URL": redis.url, "CB_NATS_URL": nats.url})


def start_twice(run, cluster):
    run.runs = 2 if run.short else 5
    for number in range(run.runs):
        first = run.site(empty=True, name=f"first-{number}")
        second = run.site(empty=True, name=f"second-{number}", database=run.database_name)
        # Two servers on one database share their secrets.
        common = {
            "CB_VAULT_KEY": "q1Yx0sWcE3vRt5NuJ7iKo9LpMzQaXbDeFgHhZwCyVkA=", "CB_JWT_SECRET": "b7Rk2VtQz9WmXc4NpLs8HdYf3JgUe6Ta",
            "CB_SETUP_CODE": "KQZW-HNTR-XPLD-VMCB", **cluster,
        }  # fmt: skip
        for site in (first, second):
            site.server.environment.update(common)
        began = time.monotonic()
        first.server.spawn()
        time.sleep(run.rng.choice([0, 0, run.rng.random() * 0.1]))
        run.bit(not serves(first))
        second.server.spawn()
        for site in (first, second):
            run.harness.processes.append(site.server.process)
        try:
            for site in (first, second):
                run.serves(site)
            run.recovered.append(time.monotonic() - began)
            body = {"code": common["CB_SETUP_CODE"], "username": "maria", "password": "seven green kettles sing"}
            for site, expected in ((first, 201), (second, 409)):
                status, data = site.server.request("POST", "/api/v1/setup", body, {"Authorization": "", "Origin": site.server.url})
                if status != expected:
                    run.broken.append(f"setup at one of two servers answers {status}: {data[:200].decode(errors='replace')}")
            second.server.ask("POST", "/assets", {"name": "of the second", "kind": "device"})
            if [a["name"] for a in first.server.all("/assets")] != ["of the second"]:
                run.broken.append("the first server does not see what the second has written")
            for site in (first, second):
                run.stop(site)
        except (RuntimeError, OSError, Refused) as error:
            run.broken.append(f"two starts at once: {str(error).strip()[-400:]}")
        for site in (first, second):
            run.close_site(site)

