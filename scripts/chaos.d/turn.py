"""One turn of one disturbance: when it began and ended, whether it had an effect, and how soon every api wrote again and a worker
told of what was made since."""

import random
import statistics
import time
from contextlib import closing, suppress

from cbserver import Refused

RECOVERED_SECONDS = 10
SAID_SECONDS = 10
# PostgreSQL ends a transaction in which nothing has happened for ten seconds.
OTHERS_SECONDS = 14


class Turn:
    def __init__(self, chaos, disturbance, number):
        self.chaos, self.disturbance, self.cluster, self.short = chaos, disturbance, chaos.cluster, chaos.short
        # scripts/faults.d/postgresfaults.py looks for the database there.
        self.harness = chaos.cluster
        self.rng = random.Random(f"{disturbance.name} {chaos.seed} {number}")
        self.broken, self.notes, self.bites, self.recovered, self.worked, self.window = [], [], [], [], [], None

    def pause(self, least, most):
        time.sleep(self.rng.uniform(least, most))

    def pick(self, nodes):
        return self.rng.choice(nodes)

    def begin(self):
        """From here on something is wrong."""
        self.window = [time.monotonic(), None]
        self.chaos.names[id(self.window)] = self.disturbance.name
        self.chaos.windows.append(self.window)
        self.marks = self.cluster.marks()

    def end(self):
        """The cause has ended."""
        self.window[1] = time.monotonic()

    def bit(self, did):
        self.bites.append(bool(did))

    def calls(self):
        return self.chaos.calls.within(*self.window)

    def shown(self):
        """Whether a request was not carried out since the beginning."""
        return any(c.status in (0, 503, 507) and c.seconds > 0 for c in self.chaos.calls.within(self.window[0]))

    def shows(self, seconds, least=0.0):
        """Waits until the effect shows in an answer; at least `least` and at most `seconds`."""
        time.sleep(least)
        until = time.monotonic() + seconds
        while not self.shown() and time.monotonic() < until:
            time.sleep(0.02)
        self.bit(self.shown())

    def says(self, nodes, *words, seconds=SAID_SECONDS):
        """Each of these servers must say in its log, since the beginning, one of these words."""
        until, silent = time.monotonic() + seconds, list(nodes)
        while silent and time.monotonic() < until:
            silent = [n for n in silent if not any(self.cluster.said(n, w, self.marks[n.name]) for w in words)]
            time.sleep(0.05)
        self.bit(len(silent) < len(nodes))
        if silent:
            self.broken.append(f"{', '.join(n.name for n in silent)} did not say within {seconds} s: {words[0]}")

    def tells(self, nodes, what, told, seconds=SAID_SECONDS):
        """Each of these servers must say so over its API. `told` asks one of them, over a connection of its own."""
        until, silent = time.monotonic() + seconds, [n for n in nodes if n.serves]
        while silent and time.monotonic() < until:
            for node in list(silent):
                with suppress(OSError, Refused), closing(self.cluster.probe(node, 4)) as probe:
                    if told(probe):
                        silent.remove(node)
            time.sleep(0.1)
        if silent:
            self.broken.append(f"{', '.join(n.name for n in silent)} did not say within {seconds} s over the API: {what}")

    def cannot_save(self, nodes):
        """They say that nothing can be saved, and that requests are to go elsewhere."""
        self.tells(nodes, "nothing can be saved", lambda probe: probe.ask("GET", "/storage")["trouble"])
        self.tells(nodes, "not ready", lambda probe: not probe.ask("GET", "/ready", expect=(200, 503))["ready"])

    def degraded(self, nodes, code):
        """They say on the page Operations what is degraded."""
        said = lambda probe: any(one["code"] == code for one in probe.ask("GET", "/operations")["degraded"])  # noqa: E731
        self.tells(nodes, f"{code} is degraded", said)

    def others_go_on(self, but):
        """The servers that are not cut off must acknowledge writes. A session that is cut off can hold a lock that all of them need,
        until PostgreSQL ends it; so the longest time in which they acknowledged none has a bound."""
        names = {n.name for n in self.cluster.apis} - {n.name for n in but}
        times = sorted(c.began + c.seconds for c in self.calls() if c.writes and c.node in names and 200 <= c.status < 300)
        edges = [self.window[0], *times, self.window[1]]
        longest = max(after - before for before, after in zip(edges, edges[1:], strict=False))
        self.notes.append(f"the others kept nothing for {longest:.1f} s at a time")
        if longest > OTHERS_SECONDS:
            self.broken.append(f"while {', '.join(n.name for n in but)} was cut off, the other servers kept nothing for {longest:.1f} s")

    def recover(self):
        """Every api must acknowledge a write that was sent after the end."""
        ended, left = self.window[1], list(self.cluster.apis)
        while left and time.monotonic() < ended + RECOVERED_SECONDS + 5:
            for node in list(left):
                at = self.chaos.calls.first_write(node, ended)
                if at:
                    left.remove(node)
                    self.recovered.append(at - ended)
                elif node.server.process.poll() is not None:
                    status = node.server.process.returncode
                    self.broken.append(f"{node.name} ended by itself with status {status}: {node.server.tail().strip()[-300:]}")
                    left.remove(node)
                    self.cluster.kill(node)
                    self.cluster.again(node)
            time.sleep(0.02)
        ready = lambda probe: probe.ask("GET", "/ready", expect=(200, 503))["ready"]  # noqa: E731
        self.tells(self.cluster.apis, "ready", ready, RECOVERED_SECONDS)
        late = max(self.recovered, default=0.0)
        if left or late > RECOVERED_SECONDS:
            who = f"{', '.join(n.name for n in left)} acknowledged no write" if left else f"the last api wrote after {late:.1f} s"
            self.broken.append(f"{RECOVERED_SECONDS} s after the end {who}")
        self.work_again(ended)

    def work_again(self, ended):
        """A worker must deliver what was made after the end."""
        while not (told := self.chaos.deliveries.first_told(ended)) and time.monotonic() < ended + RECOVERED_SECONDS + 5:
            time.sleep(0.02)
        late = told - ended if told else None
        if late is not None:
            self.worked.append(late)
        if late is None or late > RECOVERED_SECONDS:
            said = "told of nothing that was made since" if late is None else f"told of what was made since after {late:.1f} s"
            self.broken.append(f"{RECOVERED_SECONDS} s after the end the workers {said}")

    def judge(self):
        """Called once, when it has ended."""
        if not self.bites and not self.broken:
            self.broken.append("nothing went wrong: nobody looked for an effect")
        elif not all(self.bites) and self.disturbance.sure:
            self.broken.append(f"nothing went wrong in {self.bites.count(False)} of {len(self.bites)} tries")
        if not self.disturbance.refuses:
            refused = [c for c in self.calls() if c.status in (503, 507)]
            if refused:
                self.broken.append(f"{len(refused)} requests were refused, which need not be: {refused[0].what} {refused[0].said[:160]}")
        for node in self.cluster.nodes:
            if node.server.process.poll() is not None:
                self.broken.append(f"{node.name} has ended with status {node.server.process.returncode}: {node.server.tail().strip()[-300:]}")
                self.cluster.kill(node)
                self.cluster.again(node)


class Row:
    """What is remembered of a turn."""

    def __init__(self, turn, seconds):
        self.name, self.broken, self.notes, self.bites, self.recovered = turn.disturbance.name, turn.broken, turn.notes, turn.bites, turn.recovered
        self.worked, self.seconds, calls = turn.worked, seconds, turn.calls() if turn.window else []
        writes = [c for c in calls if c.writes]
        self.acknowledged = sum(200 <= c.status < 300 for c in writes)
        self.refused = sum(c.status in (503, 507) for c in calls)
        self.silent = sum(c.status == 0 for c in calls)
        self.slowest = max((c.seconds for c in calls), default=0.0)
        start, end = turn.window or (0, 0)
        times = [took for at, took in turn.chaos.sessions.times if start <= at <= (end or 0) + 3]
        self.ended = max(times, default=None)

    def line(self):
        said = [f"{self.acknowledged} acknowledged, {self.refused} refused, {self.silent} without an answer, slowest {self.slowest:.2f} s"]
        if self.recovered:
            said.append(f"every api wrote again after {max(self.recovered):.2f} s")
        if self.worked:
            said.append(f"a worker told of what was made since after {max(self.worked):.2f} s")
        said += self.notes
        lines = [f"  {'FAIL' if self.broken else 'ok  '}  {self.name}: {'; '.join(said)} ({self.seconds:.1f} s)"]
        lines += [f"        {what}" for what in self.broken[:8]]
        return "\n".join(lines)


HEAD = "disturbance | runs | bitten | failed | acknowledged | refused | no answer | slowest answer | every api wrote again after, median / worst | a worker worked again after, median / worst | ended sessions refused after, worst"


def table(rows):
    lines, groups = [f"| {HEAD} |", "|" + " --- |" * len(HEAD.split("|"))], {}
    for row in rows:
        groups.setdefault(row.name, []).append(row)
    for name, group in groups.items():
        bites = [b for r in group for b in r.bites]
        found = [[t for r in group for t in getattr(r, kind)] for kind in ("recovered", "worked")]
        ends = [r.ended for r in group if r.ended is not None]
        cells = [
            name, len(group), f"{sum(bites)} of {len(bites)}", sum(bool(r.broken) for r in group), sum(r.acknowledged for r in group),
            sum(r.refused for r in group), sum(r.silent for r in group), f"{max(r.slowest for r in group):.2f} s",
            *(f"{statistics.median(times):.2f} / {max(times):.2f} s" if times else "-" for times in found), f"{max(ends) * 1000:.0f} ms" if ends else "-",
        ]  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)
