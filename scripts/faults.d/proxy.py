"""A network between the server and PostgreSQL that can stand still, be reset, or be cut right behind a COMMIT."""

import socket
import struct
import threading
import time
from contextlib import suppress

PASS, STALL, RESET, CUT = "pass", "stall", "reset", "cut behind a commit"


class Proxy:
    def __init__(self, port, record=None):
        """`record` is called with each connection and what the client sends there, before it is passed on."""
        self.to, self.mode, self.record, self.cuts = port, PASS, record, 0
        self.pairs, self.muted, self.closing = set(), set(), False
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
            try:
                # While it stands still nobody hears of a new connection either; it waits like the others.
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
                if up and self.record:
                    self.record(pair, data)
                cut = up and self.mode == CUT and b"COMMIT" in data
                if cut:
                    self.muted.add(pair)
                if up or pair not in self.muted:
                    sink.sendall(data)
                if cut:
                    # It arrives there; what PostgreSQL says to it arrives nowhere.
                    self.cuts += 1
                    time.sleep(0.02)
                    break
        self.drop(pair)

    def drop(self, pair):
        self.pairs.discard(pair)
        self.muted.discard(pair)
        for one in pair:
            reset(one)

    def set(self, mode):
        self.mode = mode
        if mode == RESET:
            for pair in list(self.pairs):
                self.drop(pair)

    def close(self):
        self.closing = True
        self.listener.close()
        self.set(RESET)


def reset(one):
    """Not an orderly end: the other side's connection breaks."""
    with suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
