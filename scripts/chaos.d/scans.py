"""Small scans, each of an address that is scanned once: every accepted one ends, once, and no two servers are at it at a time."""

import time
import uuid
from collections import Counter

from network import Sniffer

AT_ONCE = 6
PACE = 0.5
# A worker that dies keeps its lease for 30 s; then another one takes the scan, which takes some seconds.
END_SECONDS = 90
OVER = ("completed", "partial", "failed", "cancelled")


class Scans:
    name = "scans"

    def __init__(self, chaos):
        self.chaos, self.calls = chaos, chaos.calls
        self.number, self.accepted, self.unknown, self.open = 0, {}, set(), {}
        self.seconds, self.ends = [], Counter()
        # What was found wrong before: each is said once.
        self.known = set()

    def prepare(self, probe):
        self.sniffer = Sniffer()

    def start(self, gate):
        gate.start(self.turn)

    def turn(self):
        if len(self.open) < AT_ONCE:
            self.ask()
        for target, (scan, began) in list(self.open.items()):
            call, answer, _ = self.calls.ask(self.calls.next_node(), "GET", f"/scans/{scan}", about="/scans/{id}")
            if call.status == 200 and answer["status"] in OVER:
                del self.open[target]
                self.seconds.append(time.monotonic() - began)
        return PACE

    def ask(self):
        self.number += 1
        target = f"10.78.{self.number // 250}.{1 + self.number % 250}"
        key = {"Idempotency-Key": str(uuid.uuid4())}
        for _ in range(3):
            call, answer, _ = self.calls.ask(self.calls.next_node(), "POST", "/scans", {"targets": [target], "probes": ["icmp", "ports"]}, key)
            if call.status == 202:
                self.accepted[target] = answer["id"]
                self.unknown.discard(target)
                self.open[target] = (answer["id"], time.monotonic())
                return
            if call.status == 0 or "outcome_unknown" in call.said:
                self.unknown.add(target)
            self.chaos.pause(0.2)

    def check(self, probe, waits):
        until, said = time.monotonic() + (END_SECONDS if waits else 0), []
        while True:
            there = {scan["targets"][0]: scan for scan in probe.all("/scans")}
            waiting = [t for t, s in there.items() if s["status"] not in OVER]
            if not waiting or time.monotonic() > until:
                break
            time.sleep(0.3)
        lost = self.new("lost", (t for t, scan in self.accepted.items() if there.get(t, {}).get("id") != scan))
        surplus = self.new("surplus", (t for t in there if t not in self.accepted and t not in self.unknown))
        if lost:
            said.append(f"{len(lost)} accepted scans are lost: {lost[:3]}")
            self.chaos.verdict.lost.update(f"scan {t}" for t in lost)
        if surplus:
            said.append(f"{len(surplus)} scans that were refused are there: {surplus[:3]}")
        if waiting and waits:
            said.append(f"{len(waiting)} scans have not ended {END_SECONDS} s later: {[(t, there[t]['status']) for t in waiting[:3]]}")
        self.ends = Counter(s["status"] for s in there.values())
        failed = self.new("failed", (t for t, s in there.items() if s["status"] == "failed"))
        if failed:
            said.append(f"{len(failed)} scans failed: {there[failed[0]]['error']}")
        finished = Counter(e["entity_id"] for e in probe.all("/audit-log", action="scan_finished"))
        twice = self.new("twice", (s["id"] for s in there.values() if finished[s["id"]] != 1 and s["status"] in OVER))
        if twice:
            said.append(f"{len(twice)} scans have not one end in the audit log: {finished[twice[0]]} of {twice[0]}")
        beside = self.new("beside", self.sniffer.beside())
        if beside:
            said.append(f"two servers ran {len(beside)} scans at the same time: {beside[:3]}")
        for target in [t for t in self.open if t not in waiting]:
            del self.open[target]
        return said

    def new(self, what, found):
        found = [one for one in found if (what, one) not in self.known]
        self.known.update((what, one) for one in found)
        return found

    def figures(self):
        return {
            "accepted": len(self.accepted), **self.ends, "seen on two servers": self.sniffer.taken_over(),
            "packets": self.sniffer.packets, "longest": f"{max(self.seconds, default=0):.1f} s",
        }  # fmt: skip
