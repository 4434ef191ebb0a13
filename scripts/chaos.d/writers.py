"""Audited writes of several kinds, each with its name in a ledger. A POST without a clear answer is sent again, with its key, to another
server."""

import json
import random
import threading
import uuid
from types import SimpleNamespace

import law
from calls import AWAY, chosen

WRITERS = 6
TRIES = 5
# Seconds between two writes of one writer. It keeps small what the law must look through.
PACE = 0.06
# Few tags: with each new one every client reads the map again, and then a stream that is silent about an asset would not be found.
KINDS = {"asset": 57, "tag": 3, "patch": 25, "delete": 15}


class Writers:
    name = "writes"

    def __init__(self, chaos):
        self.chaos, self.calls = chaos, chaos.calls
        self.ledger = law.Ledger()
        self.again, self.stuck = 0, 0
        self.numbers = [0] * WRITERS

    def prepare(self, probe):
        mark = f"chaos {self.chaos.seed} "
        tags = [probe.ask("POST", "/tags", {"name": f"always {n}", "color": law.COLOR})["id"] for n in (1, 2)]
        counters = [probe.ask("POST", "/assets", {"name": f"counter {n}", "kind": "device"}) for n in range(WRITERS)]
        # What scripts/faults.d/law.py compares with.
        self.site = SimpleNamespace(mark=mark, tags=tags, counters=[{k: c[k] for k in ("id", "name", "version")} for c in counters])
        self.versions = [c["version"] for c in counters]
        self.mine = [[] for _ in range(WRITERS)]
        self.lock = threading.Lock()

    def start(self, gate):
        for number in range(WRITERS):
            gate.start(self.turn, number, random.Random(f"writer {self.chaos.seed} {number}"))
        gate.start(self.read)

    def turn(self, number, rng):
        kind, mine = chosen(rng, KINDS), self.mine[number]
        self.numbers[number] += 1
        name = f"{self.site.mark}w{number}-{self.numbers[number]}"
        if kind == "asset":
            write = law.Write("asset", name, 0)
            body = {"name": name, "kind": "device", "notes": name, "tags": self.site.tags}
            answer = self.send(write, "POST", "/assets", body)
            if answer:
                write.id = answer["id"]
                mine.append(write)
        elif kind == "tag":
            write = law.Write("tag", name, 0)
            answer = self.send(write, "POST", "/tags", {"name": name, "color": law.COLOR})
            if answer:
                write.id = answer["id"]
        elif kind == "delete" and mine:
            made = mine.pop(rng.randrange(len(mine)))
            write = law.Write("delete", made.name, 0, id=made.id)
            self.send(write, "DELETE", f"/assets/{made.id}")
        else:
            write = self.patch(number)
        return PACE if write.outcome == law.ACKNOWLEDGED else max(PACE, 0.1)

    def patch(self, number):
        """The notes of a counter say its version, so that a lost or a half change shows."""
        counter, version = self.site.counters[number], self.versions[number]
        path = f"/assets/{counter['id']}"
        write = law.Write("patch", f"{counter['name']} {version + 1}", 0, id=counter["id"], number=version + 1)
        if self.send(write, "PATCH", path, {"notes": str(version + 1)}, {"If-Match": f'"{version}"'}):
            self.versions[number] = version + 1
        elif write.outcome == law.UNKNOWN or write.status == 412:
            call, answer, _ = self.calls.ask(self.calls.next_node(), "GET", path, about="/assets/{id}")
            if call.status == 200:
                self.versions[number] = answer["version"]
        return write

    def send(self, write, method, path, body=None, headers=None):
        """Sends a write, and a POST again until it has a clear answer. Notes its outcome; returns the JSON of a yes."""
        key = {"Idempotency-Key": str(uuid.uuid4())} if method == "POST" else {}
        about = path if method == "POST" else "/assets/{id}"
        outcomes, answer = [], None
        for attempt in range(TRIES if key else 1):
            call, said, _ = self.calls.ask(self.calls.next_node(), method, path, body, {**(headers or {}), **key}, about)
            if attempt == 0:
                write.began = call.began
                self.ledger.writes.append(write)
            write.seconds, write.status, write.said = call.seconds, call.status, call.said
            if 200 <= call.status < 300:
                outcomes.append(law.ACKNOWLEDGED)
                answer = said or {}
                # The id before the outcome: another thread that sees the outcome needs it.
                write.id = answer.get("id", write.id)
                break
            unknown = call.status == 0 or '"/problems/outcome_unknown"' in call.said
            if call.status == 409 and attempt and "Idempotency-Key" in call.said:
                # Another server still does it, or nobody knows how it ended.
                self.stuck += outcomes == [law.REFUSED]
            else:
                outcomes.append(law.UNKNOWN if unknown else law.REFUSED)
            if call.status not in (0, 409, 429, *AWAY) or (call.status == 409 and not attempt):
                break
            self.again += 1
            if self.chaos.gate.ending:
                break
            self.chaos.pause(0.1 * (attempt + 1))
        order = (law.ACKNOWLEDGED, law.UNKNOWN, law.REFUSED)
        write.outcome = next(o for o in order if o in outcomes)
        return answer

    def read(self):
        """A list from each server in turn."""
        self.calls.ask(self.calls.next_node(), "GET", "/assets?limit=20", about="/assets")
        return 0.05

    # ---- the law ----

    def check(self, probe, _waits):
        found, before = law.check(probe, self.ledger, self.site, None), self.chaos.verdict
        new = law.Verdict()
        new.merge(found)
        # What was found before is said once.
        for name in ("lost", "half", "surplus", "log"):
            getattr(new, name).difference_update(getattr(before, name))
        before.merge(found)
        return new.broken()

    def figures(self):
        said = {o: self.ledger.count(o) for o in (law.ACKNOWLEDGED, law.REFUSED, law.UNKNOWN)}
        said |= {"sent again": self.again, "refused with 503, and its key is kept": self.stuck}
        return said

    def saved(self):
        return [json.dumps({**vars(w), "cookie": ""}) for w in self.ledger.writes]
