"""A network between the server and PostgreSQL that can stand still, be reset, be cut right behind a COMMIT, or swallow everything."""

import socket
import struct
import threading
import time
from contextlib import suppress

PASS, STALL, RESET, CUT = "pass", "stall", "reset", "cut behind a commit"
# Every byte is lost in both directions, also the end of a connection. Neither side hears anything.
BLACK_HOLE = "black hole"
# PostgreSQL learns of a client that is out of reach by the keepalives that `cb` asks it for: 10 s, then 3 times 5 s.
KEEPALIVE_SECONDS = 25


class Proxy:
    def __init__(self, port, record=None):
        """`record` is called with each connection and what the client sends there, before it is passed on."""
        self.to, self.mode, self.record, self.cuts, self.swallowed = port, PASS, record, 0, 0
        self.pairs, self.muted, self.closing = set(), set(), False
        # Connections in the black hole. They stay there when the way is whole again, because bytes of them are lost.
        self.dark = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.closing:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.mode == RESET:
                reset(client)
                continue
            if self.mode == BLACK_HOLE:
                # Kept open and never read.
                self.dark.add((client, client))
                continue
            try:
                # While the network stands still, a new connection waits like the others.
                server = socket.create_connection(("127.0.0.1", self.to), 5)
            except OSError:
                reset(client)
                continue
            for one in (client, server):
                one.settimeout(None)
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            self.pairs.add(pair)
            for source, sink, up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.pump, args=(source, sink, up, pair), daemon=True).start()

    def pump(self, source, sink, up, pair):
        with suppress(OSError):
            while data := source.recv(65536):
                while self.mode == STALL and not self.closing:
                    time.sleep(0.005)
                if self.mode == BLACK_HOLE:
                    self.dark.add(pair)
                if pair in self.dark:
                    self.swallowed += len(data)
                    continue
                if up and self.record:
                    self.record(pair, data)
                cut = up and self.mode == CUT and b"COMMIT" in data
                if cut:
                    self.muted.add(pair)
                if up or pair not in self.muted:
                    sink.sendall(data)
                if cut:
                    # The COMMIT arrives. The answer of PostgreSQL is lost.
                    self.cuts += 1
                    time.sleep(0.02)
                    break
        if self.closing or not (self.mode == BLACK_HOLE or pair in self.dark):
            self.drop(pair)

    def drop(self, pair):
        for those in (self.pairs, self.muted, self.dark):
            those.discard(pair)
        for one in pair:
            reset(one)

    def set(self, mode):
        self.mode = mode
        if mode == RESET:
            for pair in list(self.pairs):
                self.drop(pair)

    def black_hole(self, host_off):
        """From now on everything is lost. `host_off`: the machine of PostgreSQL is off, so its sessions have ended. Otherwise the way
        between them forgot the connections, and PostgreSQL keeps the sessions until its keepalives fail."""
        self.mode = BLACK_HOLE
        swallowed = list(self.pairs)
        self.dark.update(swallowed)

        def end_sessions():
            for _, server in swallowed:
                reset(server)

        if host_off:
            end_sessions()
        else:
            timer = threading.Timer(KEEPALIVE_SECONDS, end_sessions)
            timer.daemon = True
            timer.start()

    def forget(self):
        """Breaks the connections that are in the black hole: the other side is there again and does not know them."""
        for pair in list(self.dark):
            self.drop(pair)

    def close(self):
        self.closing = True
        self.listener.close()
        self.set(RESET)
        self.forget()


def reset(one):
    """Breaks a connection with an RST instead of an orderly end."""
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
