"""The rows of scripts/bench about streams: 2,000 WebSockets over TLS on two servers over one PostgreSQL, Redis and NATS. What an idle
one costs, how soon a change reaches all of them, and how soon the end of their sessions closes them, with NATS and without."""

import contextlib
import os
import platform
import re
import resource
import selectors
import shutil
import socket
import ssl
import struct
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cbserver import CONTEXT, PASSWORD, Server, session_cookie
from engines import Nats, Redis
from postgres import Postgres

STREAMS = 2000
USERS, SESSIONS_OF_ONE = 5, 100
SETTLE_SECONDS, IDLE_SECONDS = 10, 30
CHANGES = 30
SHARED_KEYS = ("vault-key", "audit-key", "jwt-secret")
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Stream:
    """One WebSocket, as far as it is needed here."""

    def __init__(self, server, cookie, source):
        plain = socket.create_connection((server.address, server.https), timeout=20, source_address=(source, 0))
        self.socket = CONTEXT.wrap_socket(plain, server_hostname="localhost")
        self.socket.sendall(
            f"GET /api/v1/topology/stream HTTP/1.1\r\nHost: {server.address}:{server.https}\r\nOrigin: {server.url}\r\n"
            f"Cookie: {cookie}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        self.bytes = b""
        while b"\r\n\r\n" not in self.bytes:
            self.read()
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        if not head.startswith(b"HTTP/1.1 101"):
            raise RuntimeError(head.decode(errors="replace")[:500])
        self.socket.setblocking(False)
        self.code = None

    def read(self):
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the server closed the connection")
        self.bytes += piece

    def frames(self):
        """What has come, as (kind, payload)."""
        try:
            while True:
                self.read()
        except ssl.SSLWantReadError:
            pass
        except (ConnectionError, OSError):
            self.code = self.code or 1006
        while len(self.bytes) >= 2:
            length, at = self.bytes[1] & 127, 2
            if length == 126:
                length, at = struct.unpack(">H", self.bytes[2:4])[0] if len(self.bytes) >= 4 else 1 << 40, 4
            elif length == 127:
                length, at = struct.unpack(">Q", self.bytes[2:10])[0] if len(self.bytes) >= 10 else 1 << 40, 10
            if len(self.bytes) < at + length:
                return
            kind, payload = self.bytes[0] & 15, self.bytes[at : at + length]
            self.bytes = self.bytes[at + length :]
            yield kind, payload

    def pong(self):
        with contextlib.suppress(OSError):
            self.socket.send(bytes([0x80 | PONG, 0x80, 0, 0, 0, 0]))


class Crowd:
    """All streams, read by one loop."""

    def __init__(self):
        self.selector, self.streams = selectors.EpollSelector(), []

    def add(self, stream):
        self.streams.append(stream)
        self.selector.register(stream.socket, selectors.EVENT_READ, stream)

    def read_for(self, seconds, text=lambda _stream, _payload: None, over=lambda: False):
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0 and not over():
            for key, _ in self.selector.select(min(left, 0.1)):
                stream = key.data
                for kind, payload in stream.frames():
                    if kind == PING:
                        stream.pong()
                    elif kind == CLOSE:
                        stream.code = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else 1005
                    elif kind == TEXT:
                        text(stream, payload)
                if stream.code:
                    stream.closed_at = time.monotonic()
                    self.selector.unregister(stream.socket)
                    stream.socket.close()

    def close(self):
        for stream in self.streams:
            stream.socket.close()
        self.selector.close()


def cpu_seconds(server):
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def machine():
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return f"{os.cpu_count()} cores of {found[1] if found else platform.machine()}"


def quantile(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)]


def sign_in(server, username):
    own = Server.beside(server)
    headers = {"Authorization": "", "Origin": server.url}
    status, data = own.request("POST", "/api/v1/auth/login", {"username": username, "password": PASSWORD}, headers)
    cookie = session_cookie(own.last_headers)
    own.close()
    if status != 200 or not cookie:
        raise RuntimeError(f"login: status {status}: {data[:200]}")
    return cookie


def bench_streams(binary, row):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))
    with contextlib.ExitStack() as ends:
        ends.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        place = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="cb-bench-")))
        postgres, redis, nats = Postgres(place, ("max_connections=80",)), Redis(place), Nats(place)
        for engine in (postgres, redis, nats):
            ends.callback(engine.stop)
        settings = {"CB_DB_URL": postgres.url, "CB_REDIS_URL": redis.url, "CB_NATS_URL": nats.url}
        first = Server(binary, place / "first", 18443, 18080, settings=settings)
        second = Server(binary, place / "second", 18444, 18081, settings=settings)
        for server in (first, second):
            ends.callback(server.stop)
        first.start()
        first.set_up()
        (second.folder / "data").mkdir(mode=0o700)
        for key in SHARED_KEYS:
            shutil.copy(first.folder / "data" / key, second.folder / "data" / key)
        users = [
            first.ask("POST", "/users", {"username": f"user{n}", "role": "viewer", "password": PASSWORD})["id"] for n in range(USERS)
        ]
        asset = first.ask("POST", "/assets", {"name": "first", "kind": "device"})["id"]
        with ThreadPoolExecutor(2) as pool:
            names = [f"user{n}" for n in range(USERS) for _ in range(SESSIONS_OF_ONE)]
            cookies = list(pool.map(lambda name: sign_in(first, name), names))
        # Memory that signing in has taken and given back is not to be counted as free room for streams.
        first.stop()
        for server in (first, second):
            server.start()
        crowd = Crowd()
        ends.callback(crowd.close)
        idle_rows(row, crowd, (first, second), postgres, cookies)
        change_rows(row, crowd, first, asset)
        for what, without in (("", False), (", without NATS", True)):
            if without:
                nats.stop()
                crowd.read_for(8)
            revoke_row(row, crowd, first, users.pop(), what)


def idle_rows(row, crowd, servers, postgres, cookies):
    for server in servers:
        server.ask("GET", "/assets")
        for number in range(20):
            Stream(server, cookies[number], "127.0.0.9").socket.close()
    time.sleep(SETTLE_SECONDS)
    before = [server.memory_mb() for server in servers]
    began = time.monotonic()
    for number in range(STREAMS):
        stream = Stream(servers[number % 2], cookies[number % len(cookies)], f"127.0.1.{number % 200 + 1}")
        stream.user = number % len(cookies) // SESSIONS_OF_ONE
        crowd.add(stream)
        if number % 100 == 99:
            crowd.read_for(0.01)
    opened = time.monotonic() - began
    crowd.read_for(SETTLE_SECONDS)
    after = [server.memory_mb() for server in servers]
    each = (sum(after) - sum(before)) * 1024 / STREAMS
    count = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = 'postgres'"
    reads, spent, began = postgres.run(count)[0][0], sum(map(cpu_seconds, servers)), time.monotonic()
    crowd.read_for(IDLE_SECONDS)
    took = time.monotonic() - began
    share = (sum(map(cpu_seconds, servers)) - spent) / took * 100
    reads = (postgres.run(count)[0][0] - reads) / took
    lost = sum(1 for stream in crowd.streams if stream.code)
    note = f"{' and '.join(f'{b:.0f} -> {a:.0f} MB' for b, a in zip(before, after, strict=True))}; opened in {opened:.0f} s; {lost} lost"
    row(f"{STREAMS} idle streams on two servers, memory of each", f"{each:.1f} kB", "<= 40 kB", each <= 40 and not lost, note)
    note = f"of one core, both servers; {reads:.1f} transactions/s of both; {machine()}"
    row(f"{STREAMS} idle streams, processor", f"{share:.1f} %", "< 5 %", share < 5, note)


def change_rows(row, crowd, server, asset):
    took = []
    # The server has closed its connection, which was silent for a while.
    server.close()
    server.ask("GET", f"/assets/{asset}")
    for number in range(CHANGES):
        heard, mark = {}, f"change {number:03}".encode()

        def text(stream, payload, heard=heard, mark=mark):
            if mark in payload:
                heard[stream] = time.monotonic()

        began = time.monotonic()
        server.ask("PATCH", f"/assets/{asset}", {"name": mark.decode()})
        crowd.read_for(5, text, lambda heard=heard: len(heard) == STREAMS)
        took += [at - began for at in heard.values()]
        crowd.read_for(0.2)
    lost = CHANGES * STREAMS - len(took)
    p99 = quantile(took, 0.99) * 1000
    note = f"median {quantile(took, 0.5) * 1000:.0f} ms, worst {max(took) * 1000:.0f} ms of {CHANGES} changes; {lost} not heard"
    row(f"one change reaches {STREAMS} streams, p99", f"{p99:.0f} ms", "< 250 ms", p99 < 250 and not lost, note)


def revoke_row(row, crowd, server, user, what):
    server.close()
    number = int(server.ask("GET", f"/users/{user}")["username"].removeprefix("user"))
    theirs = [stream for stream in crowd.streams if stream.user == number]
    server.ask("DELETE", f"/users/{user}/sessions")
    began = time.monotonic()
    crowd.read_for(10, over=lambda: all(stream.code for stream in theirs))
    took = [max(stream.closed_at - began, 0) for stream in theirs if stream.code == 4401]
    others = sum(1 for stream in crowd.streams if stream.code and stream not in theirs and stream.code != 4401)
    p99 = quantile(took, 0.99) * 1000 if took else float("inf")
    good = p99 < 1000 and len(took) == len(theirs) and not others
    note = f"{len(took)} of {len(theirs)} on both servers; {others} others closed"
    row(f"sessions ended, streams closed{what}, p99", f"{p99:.0f} ms", "< 1000 ms", good, note)
