"""One open stream of the topology on each api. It hears of every asset that any server has made, or that it has missed something.

Silence is the only failure: a stream that says `resync`, or that was closed and begins again with `hello`, has said that its client
must read afresh.
"""

import json
import threading
import time

import law
from websocket import Closed, Stream

HEARD_SECONDS = 8


class Ear:
    """What one api has told."""

    def __init__(self, node):
        self.node, self.seen, self.fresh, self.resyncs, self.opened, self.closed = node, {}, [], 0, 0, {}
        self.stream = None

    def listen(self):
        """One turn: a message, or another try to open."""
        if self.stream is None:
            try:
                self.stream = Stream(self.node, "/topology/stream")
                if self.stream.status != 101:
                    self.drop(self.stream.status)
                    return 0.3
                self.opened += 1
            except (OSError, Closed):
                self.stream = None
                return 0.2
        try:
            text = self.stream.next(0.5)
        except (OSError, Closed) as error:
            self.drop(getattr(error, "code", type(error).__name__))
            return 0.1
        if text is None:
            return 0
        message, now = json.loads(text), time.monotonic()
        if message["type"] in ("hello", "resync"):
            self.fresh.append(now)
            self.resyncs += message["type"] == "resync"
        elif message["type"] == "node":
            self.seen.setdefault(message["data"]["id"], now)
        return 0

    def drop(self, why):
        self.closed[why] = self.closed.get(why, 0) + 1
        if self.stream:
            self.stream.close()
        self.stream = None


class Streams:
    name = "streams"

    def __init__(self, chaos):
        self.chaos, self.ears, self.late, self.ending = chaos, [], [], False

    def prepare(self, probe):
        self.ears = [Ear(node) for node in self.chaos.cluster.apis]

    def start(self, gate):
        """Not held with the writers: what they have written is still told."""
        for ear in self.ears:
            threading.Thread(target=self.run, args=(ear,), daemon=True).start()

    def run(self, ear):
        while not self.chaos.gate.ending:
            time.sleep(ear.listen())

    def check(self, probe, _waits):
        """Every asset was told on every api, or the stream said that something was missed."""
        gone = {w.id for w in self.chaos.writers.ledger.of("delete")}
        made = [w for w in self.chaos.writers.ledger.of("asset", law.ACKNOWLEDGED) if w.id not in gone]
        until, said = time.monotonic() + HEARD_SECONDS, []
        for ear in self.ears:
            while True:
                last = max(ear.fresh, default=0)
                silent = [w for w in made if w.id not in ear.seen and w.began > last]
                if not silent or time.monotonic() > until:
                    break
                time.sleep(0.1)
            if silent:
                said.append(f"the stream of {ear.node.name} is silent about {len(silent)} of {len(made)} assets: {silent[0].name}")
        return said

    def figures(self):
        """The times from the answer of a write to its message elsewhere are those of quiet moments."""
        quiet, late = self.chaos.quiet, []
        for write in self.chaos.writers.ledger.of("asset", law.ACKNOWLEDGED):
            if quiet(write.began):
                late += [ear.seen[write.id] - write.began - write.seconds for ear in self.ears if write.id in ear.seen]
        late.sort()
        times = {"told after, p99": f"{late[len(late) * 99 // 100] * 1000:.0f} ms"} if late else {}
        return {"opened": sum(e.opened for e in self.ears), "resyncs": sum(e.resyncs for e in self.ears), **times}
