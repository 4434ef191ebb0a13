"""kill -9: at random moments, at named points, in a first start, in an upgrade, in a rotation, in a backup; and two starts at once."""

import signal
import subprocess
import time

import law
import schemas
import shim
from cbserver import Refused
from run import POSTGRES, SQLITE, Skipped, ends

WAL, FILE = "circuit-breaker.db-wal", "circuit-breaker.db"
# Where in a write the process dies: which call, on which file, before or after it, and at most the how-manieth.
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
    run.start(site)
    with run.load(site).running() as load:
        for _ in range(2 if run.short else 4):
            run.pause(0.1, 1.2)
            run.begin()
            run.kill(site)
            run.start(site)
            run.end()
            run.recover(site)
        run.settle(site, load)


def killed_at_a_point(run):
    """At each of the named points of a write."""
    run.kills = True
    site = run.site()
    run.start(site)
    points = list(POINTS[run.database].items())
    run.rng.shuffle(points)
    if run.short:
        points = points[:3]
    missed = 0
    with run.load(site).running() as load:
        for name, (calls, mode, suffix, most) in points:
            run.pause(0.1, 0.3)
            site.shim.hit(calls, mode, nth=run.rng.randint(1, most), suffix=suffix, port=run.harness.postgres.port if run.database == POSTGRES else 0)
            run.begin()
            if ends(site.server.process, 4) is None:
                site.shim.spare()
                run.notes.append(f"not reached: {name}")
                missed += 1
                run.kill(site)
            site.shim.spare()
            run.start(site)
            run.end()
            run.recover(site)
        run.settle(site, load)
    if missed == len(points):
        run.broken.append("no point was reached: the library that kills was not asked")


def hung_up(run):
    """SIGHUP, as from a terminal that is closed: it goes on, or ends as well as on SIGTERM."""
    run.kills = True
    site = run.site()
    run.start(site)
    with run.load(site).running() as load:
        run.pause(0.3, 0.6)
        run.begin()
        site.server.process.send_signal(signal.SIGHUP)
        if ends(site.server.process, 3) not in (None, 0):
            run.broken.append(f"SIGHUP ended it with status {site.server.process.returncode}")
        run.end()
        run.recover(site)
        run.settle(site, load)


def callers_gone(run):
    """Callers that hang up in the middle of their writes, beside others that wait."""
    site = run.site()
    run.start(site)
    with run.load(site, rude=4).running() as load:
        run.begin()
        run.pause(1.0, 2.0)
        run.end()
        run.recover(site)
        run.settle(site, load)


def first_start_killed(run):
    """On nothing at all: killed somewhere in its first start, at a moment or at a call. Then a plain start offers setup."""
    run.kills = True
    run.runs = (4 if run.short else 20) if run.database == SQLITE else (1 if run.short else 5)
    failed = 0
    for number in range(run.runs):
        site = run.site(empty=True, name=f"site-{number}")
        by_call = run.rng.random() < 0.5
        if by_call:
            at = run.rng.randint(1, 400)
            if run.database == SQLITE:
                calls, mode = run.rng.choice([(shim.WRITE, shim.KILL_BEFORE), (shim.WRITE, shim.KILL_AFTER), (shim.SYNC, shim.KILL_AFTER)])
                at = at if calls == shim.WRITE else 1 + at // 4
                site.shim.hit(calls, mode, nth=at)
            else:
                at = 1 + at // 30
                site.shim.hit(shim.SEND, run.rng.choice([shim.KILL_BEFORE, shim.KILL_AFTER]), nth=at, port=run.harness.postgres.port)
            how = f"killed at call {at} of its first start"
        site.server.spawn()
        run.harness.processes.append(site.server.process)
        if by_call:
            ends(site.server.process, 1.5)
        else:
            moment = run.rng.uniform(0.005, 0.15 if run.database == SQLITE else 0.5)
            how = f"killed {moment * 1000:.0f} ms into its first start"
            time.sleep(moment)
        run.kill(site)
        site.shim.spare()
        began = time.monotonic()
        if not run.offers_setup(site, how):
            failed += 1
        else:
            run.recovered.append(time.monotonic() - began)
        run.close_site(site)
    if failed:
        run.notes.append(f"{failed} of {run.runs} folders do not start again")


def upgrade_killed(run):
    """A filled database of an earlier schema, killed somewhere in its upgrade. Then it starts, and all is there."""
    run.kills = True
    earlier = schemas.known(run.database)
    if not earlier:
        raise Skipped("scripts/faults.d/schemas holds no earlier schema of it")
    run.runs = (2 if run.short else 10) if run.database == SQLITE else (1 if run.short else 5)
    failed = 0
    for number in range(run.runs):
        schema = run.rng.choice(earlier)
        site = run.site(empty=True, name=f"site-{number}")
        old = schemas.Old(run, site, schema)
        before = old.rows()
        if run.rng.random() < 0.5:
            at = run.rng.randint(1, 120)
            if run.database == SQLITE:
                site.shim.hit(run.rng.choice([shim.WRITE, shim.SYNC]), run.rng.choice([shim.KILL_BEFORE, shim.KILL_AFTER]), nth=at)
            else:
                site.shim.hit(shim.SEND, run.rng.choice([shim.KILL_BEFORE, shim.KILL_AFTER]), nth=1 + at // 10, port=run.harness.postgres.port)
            how = f"schema {schema} killed at call {at} of its upgrade"
            site.server.spawn()
            run.harness.processes.append(site.server.process)
            ends(site.server.process, 1.5)
        else:
            moment = run.rng.uniform(0.005, 0.15 if run.database == SQLITE else 0.5)
            how = f"schema {schema} killed {moment * 1000:.0f} ms into its upgrade"
            site.server.spawn()
            run.harness.processes.append(site.server.process)
            time.sleep(moment)
        run.kill(site)
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


def command(run, site, *arguments, under=None):
    """A command of the binary on the server's data, beside it; `under` a shim of its own, or none."""
    environment = {k: v for k, v in site.server.environment.items() if k not in ("LD_PRELOAD", "CB_FAULTS_CONTROL")}
    environment.update(under.environment if under else {})
    process = subprocess.Popen([run.harness.binary, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    run.harness.processes.append(process)
    return process


def rotation_killed(run):
    """`cb vault rotate` beside the server, killed somewhere; every secret opens afterwards, and the webhook is signed on."""
    run.kills = True
    site = run.site()
    run.start(site)
    # A page of the shim is one process's: the server goes on without faults, the command has them.
    hits = shim.Shim(run.harness.library, run.folder / "rotation.control", site.data, run.rng.getrandbits(30))
    with run.load(site).running() as load:
        for _ in range(2 if run.short else 5):
            run.pause(0.1, 0.3)
            run.begin()
            if run.database == SQLITE:
                hits.hit(run.rng.choice([shim.WRITE, shim.SYNC]), run.rng.choice([shim.KILL_BEFORE, shim.KILL_AFTER]), nth=run.rng.randint(1, 12), suffix=WAL)
            else:
                hits.hit(shim.SEND, run.rng.choice([shim.KILL_BEFORE, shim.KILL_AFTER]), nth=1, port=run.harness.postgres.port)
            process = command(run, site, "vault", "rotate", under=hits)
            moment = run.rng.uniform(0.05, 1.0)
            if ends(process, moment if run.rng.random() < 0.5 else 10) is None:
                process.kill()
            said, _ = process.communicate()
            if process.returncode not in (0, -signal.SIGKILL):
                run.broken.append(f"cb vault rotate ended with status {process.returncode}: {said.strip()[-300:]}")
            run.notes.append("killed" if process.returncode == -signal.SIGKILL else "rotated")
            run.end()
            run.recover(site)
        try:
            if (told := site.server.ask("POST", "/vault/rotate"))["sealed"] < 1:
                run.broken.append(f"after the kills nothing is sealed: {told}")
        except Refused as error:
            run.broken.append(f"after the kills the vault does not rotate: {error}")
        run.settle(site, load)


def backup_killed(run):
    """`cb backup FILE` beside the server, killed somewhere: no half file under the name, and the next one is whole."""
    run.kills = True
    site = run.site()
    said = subprocess.run([run.harness.binary, "--help"], capture_output=True, text=True, check=False).stdout
    if "  backup" not in said:
        raise Skipped("this binary has no `cb backup`")
    run.start(site)
    backups = run.folder / "backups"
    backups.mkdir()
    with run.load(site).running() as load:
        for number in range(2 if run.short else 5):
            run.pause(0.05, 0.2)
            run.begin()
            file = backups / f"{number}.backup"
            process = command(run, site, "backup", str(file))
            time.sleep(run.rng.uniform(0.01, 0.4))
            process.kill()
            process.wait()
            run.end()
            if file.exists():
                run.notes.append(f"{number} was done before")
        file = backups / "whole.backup"
        asked = time.monotonic()
        process = command(run, site, "backup", str(file))
        said, _ = process.communicate(timeout=60)
        if process.returncode != 0 or not file.exists():
            run.broken.append(f"cb backup after the kills: status {process.returncode}: {said.strip()[-300:]}")
        run.settle(site, load)
    deleted = {w.name for w in run.ledger.of("delete")}
    before = {w.name for w in run.ledger.of("asset", law.ACKNOWLEDGED) if w.began + w.seconds < asked} - deleted
    for file in sorted(backups.glob("*.backup")):
        restored(run, file, before if file.stem == "whole" else set())


def restored(run, file, names):
    """What stands under a backup's name is a whole one: it restores into an empty place, verifies there, and starts with what it held."""
    site = run.site(empty=True, name=f"restored-{file.stem}")
    process = command(run, site, "restore", str(file))
    said, _ = process.communicate(timeout=60)
    if process.returncode != 0:
        run.broken.append(f"cb restore {file.name}: status {process.returncode}: {said.strip()[-300:]}")
        return
    if run.verify_offline(site):
        run.start(site)
        gone = names - {a["name"] for a in site.server.all("/assets")}
        if gone:
            run.verdict.lost.update(gone)
            run.broken.append(f"{len(gone)} writes from before the backup are not in it: {sorted(gone)[:3]}")
        run.stop(site)


def two_starts(run):
    """Two servers start at once on one empty PostgreSQL: both serve."""
    run.kills = True
    run.runs = 2 if run.short else 5
    for number in range(run.runs):
        first = run.site(empty=True, name=f"first-{number}")
        second = run.site(empty=True, name=f"second-{number}", database=run.database_name)
        # What two servers on one database have in common.
        common = {
            "CB_VAULT_KEY": "q1Yx0sWcE3vRt5NuJ7iKo9LpMzQaXbDeFgHhZwCyVkA=", "CB_JWT_SECRET": "b7Rk2VtQz9WmXc4NpLs8HdYf3JgUe6Ta",
            "CB_SETUP_CODE": "KQZW-HNTR-XPLD-VMCB",
        }  # fmt: skip
        for site in (first, second):
            site.server.environment.update(common)
        began = time.monotonic()
        first.server.spawn()
        time.sleep(run.rng.choice([0, 0, run.rng.random() * 0.1]))
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
            # Two servers on one database are no cluster yet: the second learns of the setup when it starts.
            run.stop(second)
            run.start(second)
            second.server.ask("POST", "/assets", {"name": "of the second", "kind": "device"})
            if [a["name"] for a in first.server.all("/assets")] != ["of the second"]:
                run.broken.append("the first server does not see what the second has written")
            for site in (first, second):
                run.stop(site)
        except (RuntimeError, OSError, Refused) as error:
            run.broken.append(f"two starts at once: {str(error).strip()[-400:]}")
        for site in (first, second):
            run.close_site(site)

