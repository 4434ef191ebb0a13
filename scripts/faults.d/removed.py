"""Files that are removed or moved away while the server works with them."""

import contextlib
import shutil
import signal
import sqlite3
import time

import backups
import law
from run import ends

FOLDER_SECONDS = 65


def folder_gone(run):
    """The data folder is moved away, or removed, while the server runs. It must notice within a minute."""
    site = run.site()
    run.start(site)
    moved = run.rng.random() < 0.5
    away = run.folder / "away"
    load = run.load(site, logins=False, paced=0.3)
    load.start()
    run.pause(0.3, 0.8)
    run.begin()
    gone = time.monotonic()
    if moved:
        site.data.rename(away)
    else:
        # The server can make a new file in it meanwhile.
        for _ in range(5):
            shutil.rmtree(site.data, ignore_errors=True)
    run.notes.append("moved away" if moved else "removed")
    refused = None
    while time.monotonic() < gone + FOLDER_SECONDS and not refused:
        time.sleep(0.1)
        refused = next((w for w in run.ledger.writes[-100:] if w.began >= gone and w.seconds and w.outcome != law.ACKNOWLEDGED), None)
        if site.server.process.poll() is not None:
            break
    if refused:
        run.notes.append(f"refused after {refused.began - gone:.1f} s")
        time.sleep(1.5)
    load.stop()
    run.end()
    after = [w for w in run.ledger.writes if w.began > gone]
    lied = [w for w in after if refused and w.began > refused.began + 0.5 and w.outcome == law.ACKNOWLEDGED]
    if site.server.process.poll() is not None:
        run.ended_with_words(site)
    elif not refused:
        yes = sum(w.outcome == law.ACKNOWLEDGED for w in after)
        run.broken.append(f"after {FOLDER_SECONDS} s it still acknowledges ({yes} writes since the folder has gone)")
        run.verdict.lost.update(w.name for w in after if w.outcome == law.ACKNOWLEDGED and not moved)
    if lied:
        run.broken.append(f"{len(lied)} writes were acknowledged after the first was refused")
        run.verdict.lost.update(w.name for w in lied)
    run.answers(load)
    run.says_in_log(site)
    if ends(site.server.process, 0) is None:
        site.server.process.send_signal(signal.SIGTERM)
        if ends(site.server.process, 15) is None:
            run.broken.append("without its folder it does not end when asked")
            site.server.kill()
    if moved:
        # Everything that was acknowledged until the server noticed is in the folder that was moved.
        shutil.rmtree(site.data, ignore_errors=True)
        away.rename(site.data)
        if run.verify_offline(site):
            run.start(site)
            run.look(site, "after the folder was put back")
            run.stop(site)


def log_removed(run):
    """The log of the SQLite database is removed under the server, sometimes while another program reads an older state. Whatever was
    acknowledged is in the database once the server says so; until then, no backup is made of the rest."""
    site, file = run.site(), "circuit-breaker.db"
    run.start(site)
    parts = run.rng.choice([["-wal", "-shm"], ["-wal"]])
    reader = None
    with contextlib.ExitStack() as leaves, run.load(site, logins=False, paced=0.1).running() as load:
        run.pause(0.3, 0.8)
        if run.rng.random() < 0.5:
            reader = leaves.enter_context(contextlib.closing(sqlite3.connect(site.data / file, isolation_level=None)))
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM assets").fetchone()
            run.pause(0.2, 0.5)
        run.notes.append(f"{' and '.join(parts)} removed{', while another reads' if reader else ''}")
        run.begin()
        for part in parts:
            (site.data / f"{file}{part}").unlink()
        status, said = backups.backup(run, site, run.folder / "without-log.backup")
        if status == 0:
            run.broken.append(f"a backup was made without the log: {said}")
        if reader:
            run.tells(site, "a restart now may lose")
            reader.close()
        run.tells(site, "Everything that was saved before is safe")
        # Whoever opens the database now makes a log of its own.
        with contextlib.closing(sqlite3.connect(site.data / file)) as other:
            other.execute("SELECT count(*) FROM assets").fetchone()
        process = run.command(site, "user", "create", "grace")
        said, _ = process.communicate(timeout=30)
        if process.returncode == 0:
            run.broken.append(f"a command wrote beside the server: {said}")
        run.tells(site, "Everything that was saved before is safe")
        load.stop()
    run.answers(load)
    run.says_in_log(site)
    run.rng.choice([run.stop, run.kill])(site)
    if run.verify_offline(site):
        run.start(site)
        run.end()
        run.look(site, "after a restart")
        run.stop(site)
