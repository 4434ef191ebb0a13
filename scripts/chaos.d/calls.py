"""Every request of the load: who asked whom, when, how long it took, and what is wrong with the answer itself."""

import itertools
import json
import random
import threading
import time
from dataclasses import dataclass

from cbserver import Server

# An answer that takes longer is a request that hangs.
HANGS_SECONDS = 10
AWAY = (503, 507)
# The server closes a connection on which nothing is asked for some seconds.
IDLE_SECONDS = 3


@dataclass
class Call:
    node: str
    what: str
    began: float
    seconds: float = 0.0
    status: int = 0  # 0: no answer
    said: str = ""
    writes: bool = False


class Calls:
    """Shared by all threads; an append is one step."""

    def __init__(self, cluster):
        self.cluster, self.all, self.problems = cluster, [], {}
        self.turn = itertools.count()
        self.lines = threading.local()

    def next_node(self):
        """One api after the other, over all threads: the load balancer. It knows whose cable is pulled."""
        apis = [n for n in self.cluster.apis if n.plugged]
        return apis[next(self.turn) % len(apis)]

    def line(self, node):
        """The connection of this thread to that server; another one when the server was away since, or may have closed it as idle."""
        mine, now = self.lines.__dict__.setdefault("of", {}), time.monotonic()
        line, lives, used = mine.get(node.name, (None, None, 0.0))
        if line is None or lives != node.lives() or now - used > IDLE_SECONDS:
            if line:
                line.close()
            line = Server.beside(node.server, timeout=HANGS_SECONDS + 5)
        mine[node.name] = (line, node.lives(), now)
        return line

    def problem(self, text):
        self.problems[text] = self.problems.get(text, 0) + 1

    def ask(self, node, method, path, body=None, headers=None, about="", fine=()):
        """Returns the call, the JSON of its answer and its headers. What is wrong with any answer is noted here; `fine` are further
        statuses that are no problem."""
        line = self.line(node)
        call = Call(node.name, f"{method} {about or path}", time.monotonic(), writes=method != "GET")
        self.all.append(call)
        data, answered = b"", []
        try:
            status, data = line.request(method, f"/api/v1{path}", body, headers)
            answered = line.last_headers
        except Exception as error:
            line.close()
            call.seconds, call.said = time.monotonic() - call.began, f"{type(error).__name__}: {error}"
            if not node.gone(call.began, call.seconds):
                self.problem(f"{node.name}: no answer to {call.what} after {call.seconds:.0f} s: {call.said[:120]}")
            return call, None, {}
        call.seconds, call.status = time.monotonic() - call.began, status
        told = {name.lower(): value for name, value in answered}
        answer = None
        try:
            answer = json.loads(data) if data else None
        except ValueError:
            self.problem(f"{status} to {call.what} is no JSON: {data[:80]!r}")
        if status >= 400:
            call.said = data[:300].decode(errors="replace")
            self.judge(call, answer or {}, told, fine)
        if call.seconds > HANGS_SECONDS:
            self.problem(f"{node.name}: {call.what} hung for {call.seconds:.0f} s (bound {HANGS_SECONDS} s)")
        # The cookies are needed whole.
        told["set-cookies"] = [(n, v) for n, v in answered if n.lower() == "set-cookie"]
        return call, answer, told

    def judge(self, call, problem, headers, fine):
        if call.status in AWAY:
            unknown = problem.get("type") == "/problems/outcome_unknown"
            if len(problem.get("detail", "")) < 20:
                self.problem(f"{call.status} without words to {call.what}: {call.said[:120]}")
            elif call.status == 503 and not unknown and "retry-after" not in headers:
                self.problem(f"503 without Retry-After to {call.what}: {call.said[:160]}")
        elif call.status >= 500 or call.status not in (409, 412, 429, *fine):
            self.problem(f"{call.status} to {call.what}: {call.said[:160]}")

    # ---- figures ----

    def within(self, start, end=None):
        return [c for c in self.all if (end is None or c.began < end) and c.began + c.seconds > start]

    def first_write(self, node, since):
        """When the first write after that time was acknowledged by this server; None if none was."""
        for call in self.all[-4000:]:
            if call.writes and call.node == node.name and call.began >= since and 200 <= call.status < 300:
                return call.began + call.seconds
        return None


def chosen(rng: random.Random, weights):
    return rng.choices(list(weights), list(weights.values()))[0]
