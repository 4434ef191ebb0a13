"""What audited writes cost when PostgreSQL is far away: every byte between a server and its database takes half of a round trip."""

import queue
import socket
import threading
import time

from cbserver import Refused, Server

ROUND_TRIPS_MS = (0, 10, 50)
SECONDS = 8
CALLERS = 8


class Far:
    """Listens on loopback, and passes everything on to `port`, `delay` seconds later."""

    def __init__(self, port, delay):
        self.target, self.delay = ("127.0.0.1", port), delay
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.target)
            for one in (near, far):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.pass_on(near, far)
            self.pass_on(far, near)

    def pass_on(self, source, sink):
        under_way = queue.Queue()

        def read():
            try:
                while data := source.recv(65536):
                    under_way.put((time.monotonic() + self.delay, data))
            except OSError:
                pass
            under_way.put((0, b""))

        def write():
            try:
                while True:
                    due, data = under_way.get()
                    if not data:
                        sink.shutdown(socket.SHUT_WR)
                        return
                    time.sleep(max(due - time.monotonic(), 0))
                    sink.sendall(data)
            except OSError:
                pass

        for work in (read, write):
            threading.Thread(target=work, daemon=True).start()

    def close(self):
        self.listener.close()


WRITES = {
    "beside each other (assets)": lambda own, n: own.ask("POST", "/assets", {"name": f"far-{n}", "kind": "device"}),
    "alone (networks)": lambda own, n: own.ask("POST", "/networks", {"name": f"far-{n}", "cidr": f"10.{n >> 8 & 255}.{n & 255}.0/24"}),
}


def rate(server, write):
    """Of all callers: writes a second, and refusals (503) a second."""
    until, done, refused = time.monotonic() + SECONDS, [0] * CALLERS, [0] * CALLERS

    def call(who):
        own = Server.beside(server, timeout=60)
        while time.monotonic() < until:
            try:
                write(own, who + (done[who] + refused[who]) * CALLERS)
                done[who] += 1
            except Refused as why:
                if why.status != 503:
                    raise
                refused[who] += 1
        own.close()

    threads = [threading.Thread(target=call, args=(who,)) for who in range(CALLERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(done) / SECONDS, sum(refused) / SECONDS


def far_costs(binary, folder, postgres):
    """Rows: the round trip in ms, what is written, how many a second, how many are refused."""
    rows = []
    for trip in ROUND_TRIPS_MS:
        database = f"far{trip}"
        postgres.run(f"CREATE DATABASE {database}")
        server = Server(
            binary, folder / database, 18643, 18680, settings={"CB_DB_URL": postgres.url_of(database)}, timeout=120
        )
        server.start()
        server.set_up()
        server.stop()
        far = Far(postgres.port, trip / 2000)
        server.environment["CB_DB_URL"] = postgres.url_of(database, port=far.port)
        server.start()
        try:
            rows += [(trip, what, *rate(server, write)) for what, write in WRITES.items()]
        finally:
            server.stop()
            far.close()
    return rows
