"""A real `cb serve` for scripts: started on a folder, asked over its API, stopped by its own process id."""

import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import time
import urllib.parse
from pathlib import Path

START_SECONDS = 20
STOP_SECONDS = 15
# Long enough for the server's own judgement of secrets, and the same in every run.
TOKEN = "Qm7vXc2LpR9tYw4ZsK8nBd6HfJ3gTe5U"
USER, PASSWORD = "maria", "seven green kettles sing"


class Refused(Exception):
    """An answer other than the expected one."""

    def __init__(self, method, path, status, body):
        super().__init__(f"{method} {path} answered {status}: {body}")
        self.status = status


# A local CA made a minute ago: what is tested here is not the trust in it.
CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTEXT.check_hostname = False
CONTEXT.verify_mode = ssl.CERT_NONE


def session_cookie(headers):
    """Of the answer to a sign-in. Beside it is a cookie by which the browser is known."""
    cookies = (value.split(";")[0] for name, value in headers if name.lower() == "set-cookie")
    return next((cookie for cookie in cookies if cookie.startswith("__Host-cb_session=")), None)


class Server:
    def __init__(self, binary, folder, https=8443, plain=8080, address="127.0.0.1", token=True, settings=None, timeout=30):
        self.binary = str(Path(binary).resolve())
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address, self.https, self.plain = address, https, plain
        self.url = f"https://{address}:{https}"
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("CB_")},
            "CB_DATA_DIR": str(self.folder / "data"),
            "CB_HTTPS_ADDR": f"{address}:{https}",
            "CB_HTTP_ADDR": f"{address}:{plain}",
            # The provider of OpenID Connect that the walk signs in at.
            "CB_OUTBOUND_ALLOW": "127.0.0.1",
            **({"CB_API_TOKEN": TOKEN} if token else {}),
            **(settings or {}),
        }
        self.log = self.folder / "server.log"
        # What stands before the command line, such as the way into a network namespace.
        self.inside = []
        # Of one answer.
        self.timeout = timeout
        self.process = None
        self.connection = None
        self.last_headers = []

    @classmethod
    def beside(cls, other, timeout=30):
        """Another connection to the same server."""
        twin = cls(other.binary, other.folder, other.https, other.plain, other.address, timeout=timeout)
        twin.process = other.process
        return twin

    def spawn(self, stderr=None):
        """Starts it and waits for nothing. Its errors and its log go to `stderr`, where one is given."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*self.inside, self.binary, "serve"], cwd=self.folder, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log if stderr is None else stderr,
            )  # fmt: skip

    def start(self, stderr=None, seconds=START_SECONDS):
        """Answers the seconds until the first answer of /health, which must come in time."""
        began = time.monotonic()
        self.spawn(stderr)
        while time.monotonic() - began < seconds:
            if self.process.poll() is not None:
                raise RuntimeError(f"cb serve ended with status {self.process.returncode}:\n{self.tail()}")
            try:
                health = http.client.HTTPConnection(self.address, self.plain, timeout=5)
                health.request("GET", "/api/v1/health")
                if health.getresponse().status == 200:
                    return time.monotonic() - began
            except OSError:
                pass
            time.sleep(0.005)
        raise RuntimeError(f"cb serve gave no answer within {seconds} s:\n{self.tail()}")

    def tail(self):
        return self.log.read_text(errors="replace")[-3000:]

    def setup_code(self):
        """The code of the printed link; the server may print a little after it answers."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            found = re.findall(r"https://\S+/setup#code=([A-Za-z0-9-]+)", self.log.read_text(errors="replace"))
            if found:
                return found[-1]
            time.sleep(0.02)
        raise RuntimeError(f"no setup link was printed:\n{self.tail()}")

    def stop(self):
        """Asks the server to end; answers how long that took."""
        if self.process is None or self.process.poll() is not None:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        self.close()
        return time.monotonic() - began

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.close()

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def memory_mb(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024

    # ---- the API ----

    def request(self, method, path, body=None, headers=None):
        if self.connection is None:
            self.connection = http.client.HTTPSConnection(self.address, self.https, timeout=self.timeout, context=CONTEXT)
        # An empty one says: not that header.
        sent = {k: v for k, v in {"Authorization": f"Bearer {TOKEN}", **(headers or {})}.items() if v}
        if body is not None:
            sent["Content-Type"] = "application/json"
        try:
            self.connection.request(method, path, None if body is None else json.dumps(body), sent)
            response = self.connection.getresponse()
            data = response.read()
            self.last_headers = response.getheaders()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        return response.status, data

    def ask(self, method, path, body=None, expect=(200, 201, 202, 204)):
        status, data = self.request(method, f"/api/v1{path}", body)
        if status not in expect:
            raise Refused(method, path, status, data.decode(errors="replace")[:500])
        return json.loads(data) if data else None

    def set_up(self):
        body = {"code": self.setup_code(), "username": USER, "password": PASSWORD}
        status, data = self.request("POST", "/api/v1/setup", body, {"Authorization": "", "Origin": self.url})
        if status != 201:
            raise Refused("POST", "/setup", status, data.decode(errors="replace")[:500])

    def all(self, path, **query):
        """Every item of a list, over its pages."""
        items, cursor = [], None
        while True:
            page = self.ask("GET", f"{path}?" + urllib.parse.urlencode(
                {"limit": 500, **query, **({"cursor": cursor} if cursor else {})}))
            items += page["items"]
            cursor = page.get("next_cursor")
            if not cursor:
                return items

    def scan(self, targets, seconds=240):
        """Starts a scan and waits for its end."""
        job = self.ask("POST", "/scans", {"targets": targets})
        return self.await_scan(job["id"], seconds)

    def await_scan(self, scan_id, seconds=240):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            job = self.ask("GET", f"/scans/{scan_id}")
            if job["status"] not in ("queued", "running"):
                return job
            time.sleep(0.2)
        raise RuntimeError(f"scan {scan_id} still {job['status']} after {seconds} s")
