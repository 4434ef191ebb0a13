"""`cb backup` beside a server under load: killed, on a disk that fills up, and restored."""

import subprocess
import time

import law
from run import filled

FILE = "circuit-breaker.db"
PASSPHRASE = "seven green kettles sing in the hall"
# What a server or a backup may have in the data folder at one time and not at another.
COMES_AND_GOES = {"backup.lock", f"{FILE}-wal", f"{FILE}-shm", "audit-checkpoint.json"}
# A backup of these small databases takes far less.
SECONDS = 60


def protection(run, encrypted):
    """The arguments for a backup or a restore with or without a passphrase."""
    if not encrypted:
        return []
    file = run.folder / "passphrase"
    file.write_text(PASSPHRASE)
    file.chmod(0o600)
    return ["--passphrase-file", str(file)]


def named(encrypted):
    return "encrypted" if encrypted else "plain"


def backup(run, site, file, encrypted=False):
    """Runs a backup to its end: (status, what it said)."""
    process = run.command(site, "backup", str(file), *protection(run, encrypted))
    said, _ = process.communicate(timeout=SECONDS)
    return process.returncode, said.strip()


def backed_up(run, site, file, encrypted=False):
    """Makes a backup that must succeed. Returns when it began, or None."""
    began = time.monotonic()
    status, said = backup(run, site, file, encrypted)
    if status != 0 or not file.exists():
        run.broken.append(f"cb backup ({named(encrypted)}): status {status}: {said[-300:]}")
        return None
    return began


def acknowledged_before(run, moment):
    """The assets that were acknowledged by then and were never deleted."""
    deleted = {w.name for w in run.ledger.of("delete")}
    return {w.name for w in run.ledger.of("asset", law.ACKNOWLEDGED) if w.began + w.seconds < moment} - deleted


def restored(run, file, names, encrypted=False):
    """Restores a backup into an empty place. It must verify there and hold these assets."""
    site = run.site(empty=True, name=f"restored-{file.stem}")
    process = run.command(site, "restore", str(file), *protection(run, encrypted))
    said, _ = process.communicate(timeout=SECONDS)
    if process.returncode != 0:
        run.broken.append(f"cb restore {file.name}: status {process.returncode}: {said.strip()[-300:]}")
        return
    if run.verify_offline(site):
        run.start(site)
        gone = names - {a["name"] for a in site.server.all("/assets")}
        if gone:
            run.verdict.lost.update(gone)
            run.broken.append(f"{len(gone)} writes from before the backup are not in {file.name}: {sorted(gone)[:3]}")
        run.stop(site)


def left_in_data(run, site, before, who):
    """A backup leaves nothing in the data folder, above all no copy of the database."""
    more = {p.name for p in site.data.iterdir()} - before - COMES_AND_GOES
    if more:
        run.broken.append(f"{who} left {sorted(more)} in the data folder")


def killed(run):
    """Killed somewhere: there is no half file under the name, and the next backup is whole."""
    run.kills = True
    site = run.site()
    run.start(site)
    folder = run.folder / "backups"
    folder.mkdir()
    before, files = {p.name for p in site.data.iterdir()}, []
    # A passphrase takes seconds, so the short form has none here.
    encrypted = not run.short and run.rng.random() < 0.5
    run.notes.append(named(encrypted))
    with run.load(site).running() as load:
        began = time.monotonic()
        backed_up(run, site, folder / "first.backup", encrypted)
        whole = time.monotonic() - began
        for number in range(2 if run.short else 5):
            run.pause(0.05, 0.2)
            run.begin()
            file = folder / f"{number}.backup"
            files.append(file)
            process = run.command(site, "backup", str(file), *protection(run, encrypted))
            began = time.monotonic()
            try:
                process.wait(run.rng.uniform(0.005, whole * 0.7))
                # The machine is faster than it was before.
                whole = min(whole, time.monotonic() - began)
            except subprocess.TimeoutExpired:
                run.bit(True)
                process.kill()
            else:
                run.bit(False)
            process.communicate()
            run.end()
        began = backed_up(run, site, folder / "whole.backup", encrypted)
        left_in_data(run, site, before, f"after kills, a whole {named(encrypted)} backup")
        run.settle(site, load)
    if began is not None:
        restored(run, folder / "whole.backup", acknowledged_before(run, began), encrypted)
    # A killed backup has no file, or a whole one.
    for file in files:
        if file.exists():
            restored(run, file, set(), encrypted)


def kept(run):
    """Made under load, plain and encrypted: each holds everything that was acknowledged before it began."""
    site = run.site()
    run.start(site)
    folder, made = run.folder / "backups", []
    folder.mkdir()
    with run.load(site).running() as load:
        for encrypted in (False, True):
            run.pause(0.2, 0.5)
            file = folder / f"{named(encrypted)}.backup"
            run.begin()
            began = backed_up(run, site, file, encrypted)
            run.end()
            # It was a backup under load if a write was acknowledged meanwhile.
            run.bit(any(began and w.began > began and w.outcome == law.ACKNOWLEDGED for w in run.ledger.writes[-2000:]), named(encrypted))
            if began:
                made.append((file, began, encrypted))
            run.recover(site)
        run.settle(site, load)
    if sorted(p.name for p in folder.iterdir()) != sorted(file.name for file, _, _ in made):
        run.broken.append(f"beside the backups there is something else: {sorted(p.name for p in folder.iterdir())}")
    for file, began, encrypted in made:
        restored(run, file, acknowledged_before(run, began), encrypted)


def disk_full(run):
    """To a disk that fills up: the backup says so and leaves nothing behind, the server goes on, and with room the next one works."""
    disk = run.mount("16m")
    site = run.site()
    run.start(site)
    file, made = disk / "night.backup", []
    with run.load(site).running() as load:
        for encrypted in [run.rng.random() < 0.5] if run.short else (False, True):
            run.pause(0.1, 0.3)
            # The size of a good one says how little room is too little for the next.
            if backed_up(run, site, file, encrypted) is None:
                continue
            size = file.stat().st_size
            file.unlink()
            room = run.rng.choice([0, run.rng.randrange(size * 9 // 10)])
            ballast = filled(disk)
            with open(ballast, "r+b") as opened:
                opened.truncate(ballast.stat().st_size - room)
            before = {p.name for p in site.data.iterdir()}
            run.begin()
            status, said = backup(run, site, file, encrypted)
            run.end()
            run.bit(status != 0, named(encrypted))
            judge(run, disk, status, said, f"a {named(encrypted)} backup of {size} bytes with room for {room}")
            left_in_data(run, site, before, f"the {named(encrypted)} backup")
            ballast.unlink()
            run.recover(site)
            began = backed_up(run, site, file, encrypted)
            if began is not None:
                moved = run.folder / f"{named(encrypted)}.backup"
                moved.write_bytes(file.read_bytes())
                file.unlink()
                made.append((moved, began, encrypted))
        refused = [w for w in run.ledger.writes if w.outcome != law.ACKNOWLEDGED and w.seconds and w.status not in (409, 412, 429)]
        if refused:
            run.broken.append(f"{len(refused)} writes were not acknowledged, and the server's own disk had room: {refused[0].said}")
        run.settle(site, load)
    for file, began, encrypted in made:
        restored(run, file, acknowledged_before(run, began), encrypted)


def judge(run, disk, status, said, what):
    """A backup that has no room must fail, name its disk, and leave nothing there."""
    if status is None or status < 0 or status == 101:
        run.broken.append(f"{what} ended with status {status}: {said[-300:]}")
    elif status != 0 and (str(disk) not in said or not any(word in said.lower() for word in ("space", "full", "room"))):
        run.broken.append(f"{what} does not say that this disk is full: {said[-300:]}")
    left = {p.name for p in disk.iterdir()} - {"ballast"}
    if left and status != 0:
        run.broken.append(f"{what} left {sorted(left)} on that disk")
