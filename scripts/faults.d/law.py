"""What was asked and answered during a run, and what must be true afterwards.

Every acknowledged write is there, whole, with exactly one entry in the audit log. A refused one is not there, and the log does not
know of it. One whose outcome is unknown (no answer, or 503 `outcome_unknown`) is there wholly or not at all. The webhook was told
of every asset that is there. A session that was made is a session. The chain verifies.
"""

import json
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

ACKNOWLEDGED, REFUSED, UNKNOWN = "acknowledged", "refused", "unknown"
# The answers of a server that cannot write. Each must say why in words.
AWAY = (503, 507)
TOLD_SECONDS = 40


@dataclass
class Write:
    kind: str  # asset, tag, patch, delete, login
    name: str
    began: float
    outcome: str = UNKNOWN
    status: int = 0
    seconds: float = 0.0
    sent: float = 0.0  # when its last byte was sent; 0: never
    said: str = ""
    id: str = ""
    cookie: str = ""
    number: int = 0


@dataclass
class Ledger:
    """Many threads append to these lists; an append is one step."""

    writes: list = field(default_factory=list)
    reads: list = field(default_factory=list)  # (began, seconds, status); status 0: no answer
    late: list = field(default_factory=list)  # (when, seconds): how late the machine woke a thread that slept
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, kind, *outcomes):
        return [w for w in self.writes if w.kind == kind and (not outcomes or w.outcome in outcomes)]

    def count(self, outcome):
        return sum(w.outcome == outcome for w in self.writes)


def judged(write, status, data, headers):
    """Notes in the write what the answer says about it. Returns what is wrong with the answer itself, or None."""
    write.status = status
    write.said = data[:300].decode(errors="replace")
    wrong = None
    if 200 <= status < 300:
        write.outcome = ACKNOWLEDGED
        return wrong
    try:
        problem = json.loads(data)
    except ValueError:
        problem = {}
    write.outcome = UNKNOWN if problem.get("type") == "/problems/outcome_unknown" else REFUSED
    if status in (409, 412, 429):
        return wrong
    if status not in AWAY:
        wrong = f"{status} to a {write.kind}: {write.said[:160]}"
    elif len(problem.get("detail", "")) < 20:
        wrong = f"{status} without words to a {write.kind}: {write.said[:160]}"
    elif status == 503 and write.outcome == REFUSED and not any(name.lower() == "retry-after" for name, _ in headers):
        wrong = f"503 without Retry-After to a {write.kind}: {write.said[:160]}"
    return wrong


class Verdict:
    """What a look at the server found. The sets hold names of writes."""

    def __init__(self):
        self.lost, self.half, self.surplus, self.untold, self.sessions = set(), set(), set(), set(), set()
        self.log, self.chain = set(), "whole"

    def merge(self, other):
        for name in ("lost", "half", "surplus", "untold", "sessions", "log"):
            getattr(self, name).update(getattr(other, name))
        if other.chain != "whole":
            self.chain = other.chain

    def broken(self):
        """What is wrong, in words; empty when the law is kept."""
        sets = [
            (self.lost, "acknowledged and lost"), (self.half, "half there"), (self.surplus, "refused and there all the same"),
            (self.untold, "there and never told to the webhook"), (self.sessions, "a session that was made and is none"),
            (self.log, "not once in the audit log"),
        ]  # fmt: skip
        said = [f"{len(names)} {what}: {', '.join(sorted(names)[:4])}" for names, what in sets if names]
        if self.chain != "whole":
            said.append(f"the audit chain: {self.chain}")
        return said


def check(server, ledger, site, told, patience=TOLD_SECONDS):
    """Compares the server with the ledger, over its API. `told` answers the names that the webhook has heard; None: do not ask."""
    verdict = Verdict()
    assets = {a["id"]: a for a in server.all("/assets")}
    ours = {a["name"]: a for a in assets.values() if a["name"].startswith(site.mark)}
    tags = {t["id"]: t for t in server.all("/tags") if t["name"].startswith(site.mark)}
    actions = defaultdict(Counter)
    created = Counter()
    for entry in server.all("/audit-log"):
        actions[entry["entity_id"]][entry["action"]] += 1
        name = entry["detail"].get("name", "")
        if entry["action"] in ("asset_created", "tag_created") and isinstance(name, str):
            created[name] += 1

    deleted = {w.name: w for w in ledger.of("delete")}
    look = (verdict, ledger, actions, created)
    compare(*look, "asset", ours, deleted, lambda a: whole(a, site))
    compare(*look, "tag", {t["name"]: t for t in tags.values()}, {}, lambda t: t["color"] == COLOR)
    for write in deleted.values():
        times = actions[write.id]["asset_deleted"]
        gone = write.id not in assets
        if write.outcome == REFUSED and gone:
            verdict.surplus.add(f"delete {write.name}")
        if times != (1 if gone else 0):
            verdict.log.add(f"delete {write.name}")
    for counter in site.counters:
        compare_counter(verdict, ledger, assets.get(counter["id"]), counter, actions)
    for write in ledger.of("login", ACKNOWLEDGED):
        status, _ = server.request("GET", "/api/v1/auth/me", headers={"Authorization": "", "Cookie": write.cookie})
        if status != 200:
            verdict.sessions.add(f"{write.name} ({status})")

    # A write that is lost is lost with its entry. Count it once.
    verdict.log -= verdict.lost
    chain = server.ask("GET", "/audit-log/verify")
    if not chain["ok"]:
        verdict.chain = chain["reason"] or "the chain is broken"
    if told:
        verdict.untold = untold({w.name for w in ledger.of("asset", ACKNOWLEDGED)} | set(ours), told, patience)
    return verdict


COLOR = "#d97706"


def whole(asset, site):
    return asset["notes"] == asset["name"] and {t["id"] for t in asset["tags"]} == set(site.tags)


def compare(verdict, ledger, actions, created, kind, there, deleted, complete):
    asked = {w.name: w for w in ledger.of(kind)}
    for name, write in asked.items():
        thing, end = there.get(name), deleted.get(name)
        if write.outcome == ACKNOWLEDGED:
            # A delete that was refused and happened all the same is found with the deletes, above.
            if thing is None and end is None:
                verdict.lost.add(name)
            if thing is not None and end is not None and end.outcome == ACKNOWLEDGED:
                verdict.lost.add(f"delete {name}")
            if actions[write.id][f"{kind}_created"] != 1:
                verdict.log.add(name)
        elif write.outcome == REFUSED:
            if thing is not None:
                verdict.surplus.add(name)
            if created[name]:
                verdict.log.add(name)
        elif created[name] != (1 if thing is not None else 0):
            verdict.log.add(name)
        if thing is not None and not complete(thing):
            verdict.half.add(name)
    # Nobody asked for these in this run.
    verdict.surplus.update(name for name in there if name not in asked)


def compare_counter(verdict, ledger, asset, counter, actions):
    """Each change writes its new version into the notes, so that a half change shows."""
    changes = [w for w in ledger.of("patch") if w.id == counter["id"]]
    reached = max([w.number for w in changes if w.outcome == ACKNOWLEDGED], default=counter["version"])
    possible = {reached} | {w.number for w in changes if w.outcome == UNKNOWN}
    if asset is None:
        verdict.lost.add(counter["name"])
        return
    version = asset["version"]
    if version < reached:
        verdict.lost.add(f"{counter['name']} {version} of {reached}")
    elif version not in possible:
        verdict.surplus.add(f"{counter['name']} {version} of {reached}")
    if asset["notes"] != str(version) and version != counter["version"]:
        verdict.half.add(f"{counter['name']} {version}: {asset['notes']}")
    if actions[counter["id"]]["asset_updated"] != version - counter["version"]:
        verdict.log.add(counter["name"])


def untold(names, told, patience):
    """Waits until the webhook was told all these names; returns those that it was not told."""
    until = time.monotonic() + patience
    while True:
        left = names - told()
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.05)
