"""A webhook that hears of every asset: each message comes at least once, signed, and is noted as delivered once. It comes no more often
than tries of it are noted, unless a worker died between the try and the note."""

import base64
import hashlib
import hmac
import json
import random
import threading
import time

import law
from network import HUB
from receiver import listen

# So many of the messages are answered 503 at first, so that retries are at work all the time. The next try is after five seconds.
REFUSES = 0.02
PATIENCE_SECONDS = 60
# So many of the last writes are looked at for what was made a moment ago.
LAST_WRITES = 2_000
# A worker that was ended so long before a message came, or after it, may have sent it and not noted that.
DIED_SECONDS = 10


class Receiver:
    def __init__(self, seed):
        # When each asset was first told of.
        self.names = {}
        self.answered, self.forged, self.secret, self.requests = {}, 0, "", 0
        # When each message came.
        self.heard = {}
        self.lock, self.rng, self.refused = threading.Lock(), random.Random(seed), set()
        # So many of the next messages are refused at first, whatever the dice say.
        self.refuse_next = 0
        self.server = listen(HUB, self.hear)
        self.port = self.server.server_address[1]

    def hear(self, headers, body):
        """Answers the status."""
        with self.lock:
            self.requests += 1
            message = headers["webhook-id"]
            self.heard.setdefault(message, []).append(time.monotonic())
            if not self.verified(headers, body):
                self.forged += 1
            elif message not in self.answered and message not in self.refused and self.refuses():
                self.refused.add(message)
                return 503
            else:
                self.answered[message] = self.answered.get(message, 0) + 1
                told = json.loads(body)
                if told["type"] == "asset.created":
                    self.names.setdefault(told["data"]["name"], time.monotonic())
            return 204

    def refuses(self):
        if self.refuse_next:
            self.refuse_next -= 1
            return True
        return self.rng.random() < REFUSES

    def verified(self, headers, body):
        """The secret is sealed in the vault: a signature that is right says that it opens."""
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.digest(base64.b64decode(self.secret.removeprefix("whsec_")), signed, hashlib.sha256)).decode()
        return any(hmac.compare_digest(f"v1,{mac}", one) for one in headers["webhook-signature"].split())


class Deliveries:
    name = "deliveries"

    def __init__(self, chaos):
        self.chaos = chaos
        self.receiver = Receiver(f"receiver {chaos.seed}")
        self.twice, self.noted, self.patience = 0, 0, PATIENCE_SECONDS

    def prepare(self, probe):
        hook = {"name": "Harness", "url": f"http://{HUB}:{self.receiver.port}/", "events": ["asset.created"]}
        made = probe.ask("POST", "/webhooks", hook)
        self.id, self.receiver.secret = made["id"], made["secret"]

    def start(self, gate):
        """The receiver is a server: there is nothing to turn."""

    def check(self, probe, waits):
        said = self.untold(probe) if waits else []
        dead = self.state(probe, "dead")
        if dead:
            said.append(f"{len(dead)} deliveries were given up: {dead[0]['attempts'][-1:]}")
        done = self.state(probe, "delivered")
        # Completed twice: two attempts of one delivery are noted as successful.
        twice = [d["id"] for d in done if sum(a["error"] is None for a in d["attempts"]) > 1]
        again = len({d["notice_id"] for d in done}) != len(done)
        if twice or again:
            said.append(f"{len(twice)} deliveries are noted as done twice: {twice[:2]}")
        more = [d["id"] for d in done if self.told_again(d)]
        if more:
            said.append(f"{len(more)} deliveries came more often than tries are noted, and no worker had died: {more[:2]}")
        if self.receiver.forged:
            said.append(f"{self.receiver.forged} messages were not signed with the webhook's secret")
        self.twice, self.noted = len(twice), len(done)
        return said

    def told_again(self, delivery):
        """Whether it came more often than its tries say, and no worker died meanwhile."""
        with self.receiver.lock:
            heard = list(self.receiver.heard.get(delivery["notice_id"], ()))
        if len(heard) <= len(delivery["attempts"]):
            return False
        first, last = heard[0] - DIED_SECONDS, heard[-1] + DIED_SECONDS
        return not any(node.gone(first, last - first) for node in self.chaos.cluster.workers)

    def untold(self, probe):
        """Waits until everything was told and noted."""
        said, patience = [], self.patience
        expected = {w.name for w in self.chaos.writers.ledger.of("asset", law.ACKNOWLEDGED)}
        left = self.late(expected, patience)
        if left:
            said.append(f"{len(left)} of {len(expected)} deliveries were not made within {patience} s: {', '.join(sorted(left)[:3])}")
            open_ = [(d["next_at"], d["attempts"]) for d in self.state(probe, "waiting") if d["payload"]["data"].get("name") in left]
            said.append(f"they wait so: {open_[:2]}; now it is {time.strftime('%H:%M:%S', time.gmtime())}")
        # What was told a moment ago is written down a moment later.
        until = time.monotonic() + 10
        while (waiting := self.state(probe, "waiting")) and time.monotonic() < until:
            time.sleep(0.2)
        if waiting and not left:
            said.append(f"{len(waiting)} deliveries were made and still wait")
        return said

    def late(self, names, patience):
        """Those of the names that the receiver was not told within so many seconds."""
        return law.untold(names, lambda: set(self.receiver.names), patience)

    def first_told(self, since):
        """When the receiver was first told of an asset that was made after this time."""
        writes = self.chaos.writers.ledger.writes[-LAST_WRITES:]
        made = (w.name for w in writes if w.kind == "asset" and w.outcome == law.ACKNOWLEDGED and w.began >= since)
        return min((at for name in made if (at := self.receiver.names.get(name))), default=None)

    def state(self, probe, state):
        return probe.all(f"/webhooks/{self.id}/deliveries", state=state)

    def figures(self):
        doubled = sum(count > 1 for count in self.receiver.answered.values())
        return {"told": len(self.receiver.answered), "told more than once": doubled, "noted as done twice": self.twice, "requests": self.receiver.requests}
