"""A WebSocket that only listens (RFC 6455), for the streams of a server."""

import base64
import os
import socket
import struct
import time

from cbserver import CONTEXT, TOKEN

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Closed(Exception):
    """The other side has closed it, with this code; 0: without one."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class Stream:
    def __init__(self, node, path, cookie=None, timeout=5, buffer=0):
        server = node.server
        raw = socket.socket()
        raw.settimeout(timeout)
        if buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.socket = raw
        try:
            raw.connect((server.address, server.https))
            self.socket = CONTEXT.wrap_socket(raw)
            proof = f"Cookie: {cookie}" if cookie else f"Authorization: Bearer {TOKEN}"
            key = base64.b64encode(os.urandom(16)).decode()
            self.socket.sendall(
                f"GET /api/v1{path} HTTP/1.1\r\nHost: {server.address}:{server.https}\r\nOrigin: {server.url}\r\n{proof}\r\nConnection: Upgrade\r\n"
                f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            self.bytes = b""
            while b"\r\n\r\n" not in self.bytes:
                self.fill()
            head, _, self.bytes = self.bytes.partition(b"\r\n\r\n")
            self.status = int(head.split(b" ", 2)[1])
        except BaseException:
            self.close()
            raise

    def fill(self):
        more = self.socket.recv(65536)
        if not more:
            raise Closed(0)
        self.bytes += more

    def take(self, count):
        while len(self.bytes) < count:
            self.fill()
        taken, self.bytes = self.bytes[:count], self.bytes[count:]
        return taken

    def next(self, seconds):
        """The next message, or None when none came in that time."""
        until = time.monotonic() + seconds
        while True:
            # A part of a frame stays in the buffer when the time is over.
            self.socket.settimeout(max(0.001, until - time.monotonic()))
            try:
                kind, text = self.frame()
            except TimeoutError:
                return None
            if kind == TEXT:
                return text
            if kind == CLOSE:
                raise Closed(struct.unpack(">H", text[:2])[0] if len(text) >= 2 else 0)
            if kind == PING:
                self.answer(PONG, text)

    def frame(self):
        while len(self.bytes) < 2:
            self.fill()
        length, at = self.bytes[1] & 127, 2
        if length > 125:
            at = 4 if length == 126 else 10
            while len(self.bytes) < at:
                self.fill()
            length = int.from_bytes(self.bytes[2:at], "big")
        while len(self.bytes) < at + length:
            self.fill()
        return self.take(at)[0] & 15, self.take(length)

    def answer(self, kind, text):
        mask = os.urandom(4)
        self.socket.sendall(bytes([128 | kind, 128 | len(text)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(text)))

    def close(self):
        self.socket.close()
