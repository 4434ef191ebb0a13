"""Not a disturbance: breaks each law by hand, and sees that the look at everything finds it."""

import contextlib
import json
import subprocess
import time

import law
from calls import Call
from cbserver import session_cookie
from sessions import PASSWORD

LOAD_SECONDS = 8
# What must be found, by words of the sentence that says so.
FOUND = (
    "acknowledged and lost", "writes: 1 half there", "writes: 1 refused and there all the same", "not once in the audit log",
    "the audit chain", "sessions: a1 lets in a session", "sessions: a1 lets in a token", "streams: the stream of a1 is silent", "deliveries were not made within",
    "1 deliveries are noted as done twice", "1 deliveries came more often", "messages were not signed", "1 accepted scans are lost", "scans have not one end in the audit log",
    "two servers ran 1 scans at the same time", "rotations were acknowledged", "503 without Retry-After", "500 to",
)  # fmt: skip


def the_law_itself(chaos):
    """Answers what is not found."""
    time.sleep(LOAD_SECONDS)
    if before := chaos.look() + chaos.wrong_answers():
        return [f"before anything was broken: {what}" for what in before]
    chaos.gate.hold()
    writes, deliveries, scans = chaos.writers, chaos.deliveries, chaos.scans
    gone = {w.name for w in writes.ledger.of("delete")}
    made = [w for w in writes.ledger.of("asset", law.ACKNOWLEDGED) if w.name not in gone]
    finished = next(iter(scans.accepted.values()))
    with contextlib.closing(chaos.cluster.postgres.connect("cluster")) as db, db.cursor() as cursor:
        # Without its triggers, which refuse just this.
        cursor.execute("SET session_replication_role = replica")
        cursor.execute("DELETE FROM assets WHERE id = %s", (made[0].id,))
        cursor.execute("UPDATE assets SET notes = 'half' WHERE id = %s", (made[1].id,))
        cursor.execute("UPDATE assets SET name = name || ' again', name_key = name_key || ' again' WHERE id = %s", (made[2].id,))
        cursor.execute("DELETE FROM audit_log WHERE entity_id = %s", (made[3].id,))
        cursor.execute("DELETE FROM audit_log WHERE entity_id = %s AND action = 'scan_finished'", (finished,))
        cursor.execute("SELECT id, attempts FROM deliveries WHERE state = 'delivered' LIMIT 1")
        ((delivery, attempts),) = cursor.fetchall()
        twice = json.dumps(json.loads(attempts) * 2)
        cursor.execute("UPDATE deliveries SET attempts = %s WHERE id = %s", (twice, delivery))
        cursor.execute("SELECT notice_id FROM deliveries WHERE state = 'delivered' AND id <> %s LIMIT 1", (delivery,))
        ((notice,),) = cursor.fetchall()
    heard = deliveries.receiver.heard[str(notice)]
    # The worker notes one try of those that were not refused.
    heard += [heard[-1]] * 2
    deliveries.receiver.names.pop(made[4].name, None)
    deliveries.receiver.forged += 1
    scans.accepted["10.78.99.1"] = "no such scan"
    one, other = (node.server.inside for node in chaos.cluster.nodes[:2])
    for inside in (one, other, one):
        subprocess.run([*inside, "ping", "-c", "1", "-W", "1", "10.78.99.2"], check=True, capture_output=True)
    session, token = signed_in(chaos)
    chaos.sessions.revoked += [(session, time.monotonic()), (token, time.monotonic())]
    ear = chaos.streams.ears[0]
    ear.seen.pop(made[5].id, None)
    ear.fresh.clear()
    chaos.rotations.acknowledged += 1
    for status in (500, 503):
        chaos.calls.judge(Call("a1", "POST /never", 0, status=status), {"detail": "A whole sentence, and no header."}, {}, ())
    deliveries.patience = 3
    found = chaos.look() + chaos.wrong_answers()
    print("  found when the law was broken by hand:", *found, sep="\n        ", flush=True)
    return [f"the law does not see: {what}" for what in FOUND if not any(what in sentence for sentence in found)]


def signed_in(chaos):
    """A session and a token that nobody has ended, as headers."""
    node, name = chaos.cluster.apis[0], next(iter(chaos.sessions.users))
    chaos.sessions.patch(node, name, {"disabled": False})
    headers = {"Authorization": "", "Origin": node.server.url}
    _, answer, told = chaos.calls.ask(node, "POST", "/auth/login", {"username": name, "password": PASSWORD}, headers)
    session = {"Authorization": "", "Cookie": session_cookie(told["set-cookies"])}
    _, token = chaos.sessions.make_token({**session, "X-CSRF-Token": answer["csrf_token"]})
    return session, token
