"""Rotations of the vault, one after the other on any api: each that was acknowledged is there once, and everything still opens."""

import random

from calls import AWAY

CREDENTIALS = 60
PACE = (2.0, 5.0)


class Rotations:
    name = "rotations"

    def __init__(self, chaos):
        self.chaos, self.calls = chaos, chaos.calls
        self.acknowledged, self.unknown, self.entries = 0, 0, 0
        self.rng = random.Random(f"rotations {chaos.seed}")

    def prepare(self, probe):
        for number in range(CREDENTIALS):
            made = {"name": f"switch {number}", "kind": "snmp_v2c", "secret": {"community": f"a secret of switch {number}"}, "hosts": ["10.0.0.0/24"]}
            probe.ask("POST", "/credentials", made)
        self.sealed = probe.ask("GET", "/vault")["sealed"]
        self.before = self.rotated(probe)

    def start(self, gate):
        gate.start(self.turn)

    def turn(self):
        # 409: another rotation has just changed what this one wanted to change.
        call, _, _ = self.calls.ask(self.calls.next_node(), "POST", "/vault/rotate")
        if 200 <= call.status < 300:
            self.acknowledged += 1
        elif call.status not in (409, *AWAY) or "outcome_unknown" in call.said:
            self.unknown += 1
        return self.rng.uniform(*PACE)

    def rotated(self, probe):
        """(from, to) of each, the oldest first."""
        entries = probe.all("/audit-log", action="vault_key_rotated")
        return [(e["detail"]["from"], e["detail"]["to"]) for e in sorted(entries, key=lambda e: e["seq"])]

    def check(self, probe, _waits):
        said, vault = [], probe.ask("GET", "/vault")
        chain = self.rotated(probe)
        self.entries = len(chain) - len(self.before)
        if not self.acknowledged <= self.entries <= self.acknowledged + self.unknown:
            said.append(f"{self.acknowledged} rotations were acknowledged, {self.unknown} are unknown, and {self.entries} are in the audit log")
        broken = [(a, b) for (_, a), (b, _) in zip(chain, chain[1:], strict=False) if a != b]
        if broken:
            said.append(f"{len(broken)} rotations do not begin with the key of the one before: {broken[0]}")
        if chain and chain[-1][1] != vault["current_key_id"]:
            said.append(f"the newest rotation made the key {chain[-1][1]}, and the current one is {vault['current_key_id']}")
        # One current key seals everything: no rotation was done by half.
        current = next(k for k in vault["keys"] if k["id"] == vault["current_key_id"])
        if not current["secrets"] == vault["sealed"] >= self.sealed:
            said.append(f"{current['secrets']} of {vault['sealed']} secrets are sealed with the current key; there were {self.sealed}")
        # It opens every secret before it changes anything.
        call, _, _ = self.calls.ask(self.calls.next_node(), "POST", "/vault/rotate")
        if call.status == 200:
            self.acknowledged += 1
        else:
            said.append(f"a last rotation, which opens every secret, answers {call.status}: {call.said[:200]}")
            self.unknown += 1
        return said

    def figures(self):
        return {"acknowledged": self.acknowledged, "unknown": self.unknown, "done": self.entries}
