"""Eight writers, one reader and one who signs in, each with a connection of its own; one who only sleeps; and the receiver of a webhook."""

import http.client
import json
import random
import threading
import time
from contextlib import contextmanager

import law
from cbserver import CONTEXT, PASSWORD, USER, Server, session_cookie
from receiver import listen

WRITERS = 8
# No answer may take this long: a server without an answer by then hangs and is not only slow.
TIMEOUT = 20
# The pause of a writer after a yes, and the most writes that it makes. They keep small what a run must look through.
PACE = 0.02
MOST_EACH = 3000
LOGINS_MOST = 30
NAP = 0.02


class Receiver:
    """Hears what a webhook tells; remembers the names of the assets."""

    def __init__(self):
        self.names, self.status = set(), 204
        self.server = listen("127.0.0.1", self.hear)
        self.port = self.server.server_address[1]

    def hear(self, _, body):
        if self.status == 204:
            told = json.loads(body)
            if told["type"] == "asset.created":
                self.names.add(told["data"]["name"])
        return self.status

    def told(self):
        return set(self.names)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Line(Server):
    """A connection of a writer; knows when the last byte of its newest request was sent."""

    sent = 0.0

    def request(self, method, path, body=None, headers=None):
        self.sent = 0.0
        if self.connection is None:
            self.connection = Noting(self)
        return super().request(method, path, body, headers)


class Noting(http.client.HTTPSConnection):
    def __init__(self, line):
        super().__init__(line.address, line.https, timeout=line.timeout, context=CONTEXT)
        self.line = line

    def request(self, *what):
        super().request(*what)
        self.line.sent = time.monotonic()


class Load:
    def __init__(self, site, ledger, seed, logins=True, rude=0, paced=PACE):
        """`rude`: how many of the writers sometimes hang up before they have their answer. `paced`: seconds between two writes of one."""
        self.site, self.ledger, self.stopping, self.paced = site, ledger, threading.Event(), paced
        # A second load on the same server has names of its own.
        site.loads += 1
        self.mark = f"{site.mark}{site.loads} "
        self.problems = []  # (when, what is wrong with an answer)
        self.threads = [
            threading.Thread(target=self.guard, args=(self.write, n, random.Random(seed * 31 + n), n < rude)) for n in range(WRITERS)
        ]
        self.threads += [threading.Thread(target=self.guard, args=(work,)) for work in (self.read, self.nap)]
        if logins:
            self.threads.append(threading.Thread(target=self.guard, args=(self.sign_in,)))

    def guard(self, work, *arguments):
        try:
            work(*arguments)
        except Exception as error:  # a fault of the harness must not pass as silence
            self.problems.append((time.monotonic(), f"the harness itself: {type(error).__name__}: {error}"))
            raise

    def start(self):
        for one in self.threads:
            one.start()

    def stop(self):
        self.stopping.set()
        for one in self.threads:
            one.join(TIMEOUT + 10)

    @contextmanager
    def running(self):
        self.start()
        try:
            yield self
        finally:
            self.stop()

    def send(self, line, write, method, path, body, headers=None):
        """Sends a request and notes its outcome. Returns the JSON of a yes, else None."""
        write.began = time.monotonic()
        self.ledger.writes.append(write)
        try:
            status, data = line.request(method, f"/api/v1{path}", body, headers)
        except Exception as error:
            write.seconds, write.sent = time.monotonic() - write.began, line.sent
            write.said = f"{type(error).__name__}: {error}"
            line.close()
            return None
        write.seconds, write.sent = time.monotonic() - write.began, line.sent
        # The id first: another thread that sees the outcome also needs the id.
        answer = json.loads(data) if 200 <= status < 300 and data else None
        if answer and write.kind in ("asset", "tag"):
            write.id = answer["id"]
        wrong = law.judged(write, status, data, line.last_headers)
        if wrong:
            self.problems.append((write.began, wrong))
        return answer

    def write(self, number, rng, rude):
        line = Line.beside(self.site.server, TIMEOUT)
        counter, mine = self.site.counters[number], []
        version = self.version_now(line, counter, counter["version"]) if self.site.loads > 1 else counter["version"]
        for n in range(MOST_EACH):
            if self.stopping.is_set():
                break
            name = f"{self.mark}w{number}-{n}"
            dice = rng.random()
            if rude and dice < 0.2:
                self.hang_up(line, name, rng)
                continue
            if dice < 0.55:
                write = law.Write("asset", name, 0)
                body = {"name": name, "kind": "device", "notes": name, "tags": self.site.tags}
                if self.send(line, write, "POST", "/assets", body):
                    mine.append(write)
            elif dice < 0.7:
                write = law.Write("tag", name, 0)
                self.send(line, write, "POST", "/tags", {"name": name, "color": law.COLOR})
            elif dice < 0.85 or not mine:
                write = law.Write("patch", f"{counter['name']} {version + 1}", 0, id=counter["id"], number=version + 1)
                if self.send(line, write, "PATCH", f"/assets/{counter['id']}", {"notes": str(version + 1)}, {"If-Match": f'"{version}"'}):
                    version += 1
                elif write.outcome == law.UNKNOWN or write.status == 412:
                    version = self.version_now(line, counter, version)
            else:
                made = mine.pop(rng.randrange(len(mine)))
                write = law.Write("delete", made.name, 0, id=made.id)
                self.send(line, write, "DELETE", f"/assets/{made.id}", None)
            # After a refusal it waits a little longer, as a client would.
            self.stopping.wait(self.paced if write.outcome == law.ACKNOWLEDGED else max(self.paced, 0.05))
        line.close()

    def hang_up(self, line, name, rng):
        """Sends a request and closes the connection at once, or a moment later."""
        write = law.Write("asset", name, time.monotonic())
        self.ledger.writes.append(write)
        try:
            if line.connection is None:
                line.request("GET", "/api/v1/health")
            body = json.dumps({"name": name, "kind": "device", "notes": name, "tags": self.site.tags})
            headers = {"Authorization": f"Bearer {self.site.token}", "Content-Type": "application/json"}
            line.connection.request("POST", "/api/v1/assets", body, headers)
            time.sleep(rng.random() * 0.01)
        except OSError:
            pass
        finally:
            line.close()

    def version_now(self, line, counter, version):
        """Asks for the version of the counter until there is an answer or the load ends."""
        while not self.stopping.is_set():
            try:
                status, data = line.request("GET", f"/api/v1/assets/{counter['id']}")
                if status == 200:
                    return json.loads(data)["version"]
            except Exception:
                line.close()
            time.sleep(0.05)
        return version

    def read(self):
        line = Line.beside(self.site.server, TIMEOUT)
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                status, _ = line.request("GET", "/api/v1/assets?limit=20")
            except Exception:
                status = 0
                line.close()
            self.ledger.reads.append((began, time.monotonic() - began, status))
            time.sleep(0.02)
        line.close()

    def nap(self):
        """Notes how late its sleeps end: so late the machine, and not the server, makes an answer."""
        while not self.stopping.is_set():
            due = time.monotonic() + NAP
            time.sleep(NAP)
            woken = time.monotonic()
            self.ledger.late.append((woken, woken - due))

    def sign_in(self):
        line = Line.beside(self.site.server, TIMEOUT)
        for n in range(LOGINS_MOST):
            if self.stopping.is_set():
                break
            write = law.Write("login", f"login {n}", 0)
            headers = {"Authorization": "", "Origin": self.site.server.url}
            if self.send(line, write, "POST", "/auth/login", {"username": USER, "password": PASSWORD}, headers):
                write.cookie = session_cookie(line.last_headers)
            self.stopping.wait(0.15)
        line.close()
