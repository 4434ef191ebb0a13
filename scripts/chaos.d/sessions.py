"""Sign-ins, API tokens and their ends: by signing out, by an administrator, by a user who is disabled or gets another role, by deleting the
token. What was ended is refused by every api soon, and from then on always."""

import json
import random
import time

from cbserver import session_cookie
from websocket import Closed, Stream

USERS = 4
PASSWORD = "nine quiet lanterns drift"
SIGN_IN_PACE, LOOK_PACE = 0.5, 0.02
# Every api must refuse it within a second at the 99th percentile, and at the latest so long after the answer.
P99_SECONDS, LATEST_SECONDS = 1.0, 4.0
SHUT_OUT_SECONDS = 15
# How often a session ends in which way, and has a token beside it.
WAYS = {"signed out": 45, "ended by an administrator": 20, "user disabled": 15, "role changed": 20}
TOKEN_SHARE = 0.3
# A request without an answer may still be carried out for so long.
UNSURE_SECONDS = 30


class Sessions:
    name = "sessions"

    def __init__(self, chaos):
        self.chaos, self.calls = chaos, chaos.calls
        # (headers, when every api refused them)
        self.revoked, self.unknown, self.signed_in, self.looks = [], 0, 0, 0
        # (when, seconds until the last api refused it)
        self.times, self.stream_times, self.broken = [], [], []
        # user → since when their right password is answered 429
        self.shut = {}
        # Users to be enabled again, and until when it is not known which role a user has.
        self.disabled, self.unsure = set(), {}
        self.ways = dict.fromkeys([*WAYS, "token deleted"], 0)
        self.rng = random.Random(f"sessions {chaos.seed}")

    def prepare(self, probe):
        self.users = {}
        for number in range(USERS):
            made = probe.ask("POST", "/users", {"username": f"user{number}", "role": "editor", "password": PASSWORD})
            self.users[f"user{number}"] = made["id"]

    def start(self, gate):
        for name in self.users:
            gate.start(self.turn, name)
        gate.start(self.look)

    def turn(self, name):
        node = self.calls.next_node()
        if name in self.disabled and not self.patch(node, name, {"disabled": False}):
            return 1.0
        self.disabled.discard(name)
        who = {"username": name, "password": PASSWORD}
        anonymous = {"Authorization": "", "Origin": node.server.url}
        call, answer, headers = self.calls.ask(node, "POST", "/auth/login", who, anonymous)
        if call.status == 429:
            self.shut_out(name, call)
        if call.status != 200:
            return 1.0
        self.shut.pop(name, None)
        self.signed_in += 1
        key = {"Authorization": "", "Cookie": session_cookie(headers["set-cookies"])}
        writes = {**key, "X-CSRF-Token": answer["csrf_token"]}
        self.is_let_in(key, f"a session of {node.name}")
        token = self.make_token(writes) if self.rng.random() < TOKEN_SHARE else None
        where, stream = self.open_stream(key) if self.rng.random() < 0.3 else (None, None)
        # A moment of life, so that every server has it in its cache.
        time.sleep(self.rng.uniform(0, 0.3))
        self.end(name, key, writes, token, where, stream)
        return self.rng.uniform(0.5, 1.5) * SIGN_IN_PACE * USERS

    def is_let_in(self, key, what):
        for one in self.reachable():
            if self.me(one, key) == 401:
                self.broken.append(f"{what} is refused by {one.name} right after it was made")

    def make_token(self, writes):
        """The ID of a token, and the headers that it is."""
        node = self.calls.next_node()
        wanted = {"name": "chaos", "scopes": ["inventory:read"], "expires_in_days": 1}
        call, answer, _ = self.calls.ask(node, "POST", "/tokens", wanted, {**writes, "Origin": node.server.url})
        if call.status != 201:
            return None
        key = {"Authorization": f"Bearer {answer['secret']}"}
        self.is_let_in(key, f"a token of {node.name}")
        return answer["id"], key

    def patch(self, node, name, change):
        call, _, _ = self.calls.ask(node, "PATCH", f"/users/{self.users[name]}", change, about="/users/{id}")
        return call.status == 200

    def shut_out(self, name, call):
        """The right password may wait a moment after an attempt that a kill has cut short, and not longer."""
        since = self.shut.setdefault(name, call.began)
        if call.began - since > SHUT_OUT_SECONDS:
            self.shut[name] = float("inf")
            self.broken.append(f"the right password of {name} is refused for {SHUT_OUT_SECONDS} s: {call.said[:160]} ({self.chaos.moment(since)})")

    def reachable(self):
        return [node for node in self.chaos.cluster.apis if node.plugged]

    def me(self, node, key):
        """A page for sessions, and one for tokens."""
        path = "/auth/me" if "Cookie" in key else "/tags"
        call, _, _ = self.calls.ask(node, "GET", path, headers=key, fine=(401,))
        return call.status

    def open_stream(self, key):
        node = self.calls.next_node()
        try:
            stream = Stream(node, "/topology/stream", key["Cookie"])
        except (OSError, Closed):
            return None, None
        if stream.status != 101:
            stream.close()
            return None, None
        return node, stream

    def end(self, name, key, writes, token, where, stream):
        node, way = self.calls.next_node(), self.rng.choices(list(WAYS), WAYS.values())[0]
        if way == "role changed" and time.monotonic() < self.unsure.get(name, 0):
            way = "signed out"
        if token and way != "user disabled":
            self.delete_token(token, writes)
        done = self.end_session(node, name, way, writes)
        ended = time.monotonic()
        if not done:
            self.unknown += 1
            self.unsure[name] = ended + UNSURE_SECONDS
            if stream:
                stream.close()
            return
        self.ways[way] += 1
        self.wait_for_end(key, ended, f"a session that was ended on {node.name} ({way})")
        if token and way == "user disabled":
            self.wait_for_end(token[1], ended, f"a token whose user was disabled on {node.name}")
        if stream:
            self.wait_for_close(where, stream, ended)

    def end_session(self, node, name, way, writes):
        if way == "signed out":
            call, _, _ = self.calls.ask(node, "POST", "/auth/logout", {}, {**writes, "Origin": node.server.url})
            return 200 <= call.status < 300
        if way == "ended by an administrator":
            call, _, _ = self.calls.ask(node, "DELETE", f"/users/{self.users[name]}/sessions", about="/users/{id}/sessions")
            return 200 <= call.status < 300
        if way == "user disabled":
            self.disabled.add(name)
            return self.patch(node, name, {"disabled": True})
        call, answer, _ = self.calls.ask(node, "GET", f"/users/{self.users[name]}", about="/users/{id}")
        if call.status != 200:
            return False
        return self.patch(node, name, {"role": "viewer" if answer["role"] == "editor" else "editor"})

    def delete_token(self, token, writes):
        node, (number, key) = self.calls.next_node(), token
        headers = {**writes, "Origin": node.server.url, "Content-Type": "application/json"}
        call, _, _ = self.calls.ask(node, "DELETE", f"/tokens/{number}", headers=headers, about="/tokens/{id}")
        if call.status != 204:
            self.unknown += 1
            return
        self.ways["token deleted"] += 1
        self.wait_for_end(key, time.monotonic(), f"a token that was deleted on {node.name}")

    def wait_for_end(self, key, ended, what):
        """Asks every api until each has refused it, and notes when the last one still let it in."""
        last, left = ended, self.reachable()
        while left and time.monotonic() < ended + LATEST_SECONDS + 6:
            for node in list(left):
                began = time.monotonic()
                status = self.me(node, key)
                if status == 200:
                    last = began
                elif status == 401:
                    left.remove(node)
                elif node.server.process.poll() is not None or not node.plugged:
                    # It does not run, or nobody reaches it: it lets nobody in.
                    left.remove(node)
            time.sleep(0.01)
        took = last - ended
        self.times.append((ended, took))
        if took > LATEST_SECONDS:
            self.broken.append(f"{what} was let in for {took:.1f} s more ({self.chaos.moment(ended)})")
        self.revoked.append((key, time.monotonic()))

    def wait_for_close(self, node, stream, ended):
        # The end may have come while the apis were asked; then it was not seen when.
        timed, until = time.monotonic() < ended + 1, max(ended + LATEST_SECONDS + 2, time.monotonic() + 1)
        try:
            while time.monotonic() < until:
                stream.next(0.2)
            # Whoever is cut off from a server hears nothing from it.
            if not node.gone(ended, LATEST_SECONDS + 2):
                self.broken.append(f"the stream of a session that was ended is open on {node.name} {LATEST_SECONDS + 2} s later ({self.chaos.moment(ended)})")
        except (Closed, OSError, json.JSONDecodeError):
            if timed:
                self.stream_times.append((ended, time.monotonic() - ended))
        finally:
            stream.close()

    def look(self):
        """Tries what has ended, on any api, again and again."""
        if not self.revoked:
            return 0.1
        key, since = self.rng.choice(self.revoked[-30:] if self.rng.random() < 0.5 else self.revoked)
        node = self.calls.next_node()
        self.looks += 1
        if self.me(node, key) == 200:
            kind = "session" if "Cookie" in key else "token"
            self.broken.append(f"{node.name} lets in a {kind} {time.monotonic() - since:.1f} s after every api had refused it ({self.chaos.moment(time.monotonic())})")
        return LOOK_PACE

    def check(self, probe, _waits):
        for key, _ in self.revoked[-60:]:
            for node in self.chaos.cluster.apis:
                if self.me(node, key) == 200:
                    kind = "session" if "Cookie" in key else "token"
                    self.broken.append(f"{node.name} lets in a {kind} that was ended")
        said, self.broken = self.broken, []
        counted = {}
        for one in said:
            counted[one] = counted.get(one, 0) + 1
        return [f"{count} times {one}" if count > 1 else one for one, count in list(counted.items())[:6]]

    def slow(self):
        """Said once, at the end: a percentile of one moment is none."""
        p99 = percentile([t for _, t in self.times], 99)
        return [f"99 % of the ended sessions and tokens were refused everywhere only after {p99:.2f} s"] if p99 > P99_SECONDS else []

    def figures(self):
        said = {"signed in": self.signed_in, "ended": len(self.times), **self.ways, "end unknown": self.unknown, "tried again": self.looks}
        quiet = [t for at, t in self.times if self.chaos.quiet(at)]
        for name, times in (("refused everywhere after", [t for _, t in self.times]), ("the same, undisturbed", quiet),
                            ("their streams closed after", [t for _, t in self.stream_times])):  # fmt: skip
            if times:
                said[f"{name}, p50 / p99 / worst"] = " / ".join(f"{percentile(times, p) * 1000:.0f}" for p in (50, 99, 100)) + " ms"
        return said


def percentile(times, percent):
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0
