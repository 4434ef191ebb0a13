"""Not a fault: breaks the law by hand in each way, and sees that the check finds it each time."""

import contextlib
import sqlite3
import uuid

import law

SHOULD_FIND = ("lost", "half", "surplus", "untold", "sessions", "log")


def the_law_itself(run):
    site = run.site()
    run.start(site)

    def told():
        return {w.name for w in run.ledger.of("asset", law.ACKNOWLEDGED)} & run.harness.receiver.told()

    with run.load(site).running() as load:
        # More than are broken below, and told: what the webhook hears later would not be missed.
        run.awaits(lambda: len(run.ledger.of("login", law.ACKNOWLEDGED)) >= 2 and len(told()) >= 30)
    load.stop()
    run.stop(site)
    made = [w for w in run.ledger.of("asset", law.ACKNOWLEDGED) if w.name not in {d.name for d in run.ledger.of("delete")}]
    blob = lambda w: uuid.UUID(w.id).bytes  # noqa: E731
    with contextlib.closing(sqlite3.connect(site.data / "circuit-breaker.db")) as db, db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f'DROP TRIGGER "{name}"')
        db.execute("DELETE FROM assets WHERE id = ?", (blob(made[0]),))
        db.execute("DELETE FROM asset_tags WHERE asset_id = ?", (blob(made[1]),))
        db.execute("UPDATE assets SET name = name || ' again', name_key = name_key || ' again' WHERE id = ?", (blob(made[2]),))
        db.execute("DELETE FROM sessions WHERE id = (SELECT MAX(id) FROM sessions)")
        db.execute("DELETE FROM audit_log WHERE entity_id = ?", (str(uuid.UUID(made[3].id)),))
    untold = next(w.name for w in made[4:] if w.name in told())
    run.harness.receiver.names.discard(untold)
    run.start(site)
    found = law.check(site.server, run.ledger, site, run.harness.receiver.told, patience=0)
    run.stop(site)
    for what in SHOULD_FIND:
        run.bit(getattr(found, what))
        if not getattr(found, what):
            run.broken.append(f"the law does not see what is {what}")
    if found.chain == "whole":
        run.broken.append("the law does not see a broken chain")
    for name, seen in ((made[0].name, found.lost), (made[1].name, found.half), (made[2].name + " again", found.surplus), (untold, found.untold)):
        if name not in seen:
            run.broken.append(f"the law does not see {name}")
    run.notes.append("; ".join(found.broken())[:300])
