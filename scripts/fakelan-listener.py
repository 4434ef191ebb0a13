#!/usr/bin/python3
"""The small servers of the fake LAN, all in one process: sockets opened in many network namespaces.

usage: fakelan-listener.py CONFIG COUNTS READY

CONFIG  JSON list of {netns, name, address, port, kind, ...}; kinds are the functions marked @dialogue below
COUNTS  JSON written here after each change: {"name:port": {"connections": n, "bytes": n, "first": hex}}
        for the ports of kind `record`, which accept, count and never answer
READY   made when every socket listens
"""

import asyncio
import ctypes
import json
import os
import socket
import ssl
import struct
import sys
import time
from html import escape
from pathlib import Path

CLONE_NEWNET = 0x40000000
IDLE_SECONDS = 20
MOST_BYTES = 16 * 1024
libc = ctypes.CDLL(None, use_errno=True)

DIALOGUES = {}
DATAGRAMS = {}


def dialogue(function):
    DIALOGUES[function.__name__] = function
    return function


def datagram(function):
    DATAGRAMS[function.__name__] = function
    return function


class Counts:
    """What was sent to ports that must never be sent anything."""

    def __init__(self, path):
        self.path = Path(path)
        self.ports = {}

    def add(self, key, connections=0, data=b""):
        one = self.ports.setdefault(key, {"connections": 0, "bytes": 0, "first": ""})
        one["connections"] += connections
        one["bytes"] += len(data)
        if data and not one["first"]:
            one["first"] = data[:32].hex()

    def write(self):
        new = self.path.with_suffix(".new")
        new.write_text(json.dumps(self.ports, indent=1, sort_keys=True))
        new.rename(self.path)


async def take(reader, size=MOST_BYTES):
    return await asyncio.wait_for(reader.read(size), IDLE_SECONDS)


async def take_head(reader):
    """Bytes up to the empty line that ends the head of an HTTP or RTSP request."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), IDLE_SECONDS)
    except asyncio.IncompleteReadError as error:
        head = error.partial
    return head.decode("latin-1")


@dialogue
async def banner(service, reader, writer):
    writer.write(service["text"].encode("latin-1"))
    await writer.drain()
    await take(reader)


@dialogue
async def telnet(service, reader, writer):
    # IAC DO TERMINAL-TYPE, IAC WILL ECHO, IAC WILL SUPPRESS-GO-AHEAD
    writer.write(b"\xff\xfd\x18\xff\xfb\x01\xff\xfb\x03" + service["text"].encode("latin-1"))
    await writer.drain()
    await take(reader)


@dialogue
async def http(service, reader, writer):
    head = await take_head(reader)
    request = head.split("\r\n", 1)[0].split(" ")
    if len(request) != 3:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        return
    method, path, _ = request
    known = path.split("?")[0] in (service.get("paths") or ["/", "/index.html"])
    status = service.get("status", 200) if known else 404
    title = service.get("title", "")
    page = f"<!DOCTYPE html><html><head><title>{escape(title)}</title></head><body><h1>{escape(title)}</h1></body></html>"
    body = (service.get("body") or page) if known else "not found"
    body = body.encode()
    lines = [f"HTTP/1.1 {status} {'OK' if status == 200 else 'Answer'}"]
    if service.get("server"):
        lines.append(f"Server: {service['server']}")
    lines += [f"{k}: {v}" for k, v in (service.get("headers") or {}).items()]
    lines.append(f"Content-Type: {service.get('type', 'text/html; charset=utf-8')}")
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    writer.write("\r\n".join(lines).encode("latin-1") + (b"" if method == "HEAD" else body))
    await writer.drain()


@dialogue
async def rtsp(service, reader, writer):
    for _ in range(8):
        head = await take_head(reader)
        if not head:
            return
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
        answer = [f"CSeq: {fields.get('CSeq', '1')}", f"Server: {service['server']}"]
        if head.startswith("OPTIONS"):
            answer = ["RTSP/1.0 200 OK", *answer, "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"]
        else:
            challenge = f'WWW-Authenticate: Digest realm="{service["realm"]}", nonce="6a1f"'
            answer = ["RTSP/1.0 401 Unauthorized", *answer, challenge]
        writer.write(("\r\n".join(answer) + "\r\n\r\n").encode("latin-1"))
        await writer.drain()


@dialogue
async def mysql(service, reader, writer):
    """The server's greeting, protocol version 10, and an error to whatever comes next."""
    salt = b"q;J0{k2]"
    body = b"\x0a" + service["version"].encode() + b"\x00" + struct.pack("<I", 41) + salt + b"\x00"
    body += struct.pack("<HBHHB", 0xF7FE, 45, 2, 0x81BF, 21) + bytes(10) + b"wE5k@zY!8nRt\x00mysql_native_password\x00"
    writer.write(struct.pack("<I", len(body))[:3] + b"\x00" + body)
    await writer.drain()
    if await take(reader):
        error = b"\xff" + struct.pack("<H", 1045) + b"#28000Access denied"
        writer.write(struct.pack("<I", len(error))[:3] + b"\x02" + error)
        await writer.drain()


@dialogue
async def rdp(_service, reader, writer):
    if (await take(reader))[:1] == b"\x03":
        # X.224 connection confirm, RDP negotiation response: CredSSP (MS-RDPBCGR 2.2.1.2)
        writer.write(bytes.fromhex("030000130ed000001234000209080002000000"))
        await writer.drain()
        await take(reader)


@datagram
def ntp(_service, data):
    if len(data) < 48 or data[0] & 7 != 3:
        return None
    now = int((time.time() + 2208988800) * 2**32)
    return struct.pack("!BBbbII4s", 0x24, 2, 6, -20, 0, 0, b"\x7f\x7f\x01\x00") + struct.pack(
        "!Q8sQQ", now, data[40:48], now, now
    )


@datagram
def ssdp(service, data):
    text = data.decode("latin-1")
    if not text.startswith("M-SEARCH"):
        return None
    wanted = next((line[3:].strip() for line in text.split("\r\n") if line.upper().startswith("ST:")), "")
    mine = ["upnp:rootdevice", f"uuid:{service['uuid']}", service["device"]]
    if wanted != "ssdp:all" and wanted not in mine:
        return None
    kind = "upnp:rootdevice" if wanted == "ssdp:all" else wanted
    lines = ["HTTP/1.1 200 OK", "CACHE-CONTROL: max-age=1800", "EXT:"]
    lines.append(f"LOCATION: http://{service['address']}:{service['description_port']}/description.xml")
    lines += [f"SERVER: {service['server']}", f"ST: {kind}", f"USN: uuid:{service['uuid']}::{kind}", "", ""]
    return "\r\n".join(lines).encode("latin-1")


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, service):
        self.service = service

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, address):
        answer = DATAGRAMS[self.service["kind"]](self.service, data)
        if answer:
            self.transport.sendto(answer, address)


async def record(service, reader, counts):
    key = f"{service['name']}:{service['port']}"
    counts.add(key, connections=1)
    total = 0
    try:
        while total < MOST_BYTES and (data := await take(reader)):
            total += len(data)
            counts.add(key, data=data)
    finally:
        counts.write()  # Also when the connection was torn down, as scanners do.


def stream(service, counts):
    async def serve(reader, writer):
        try:
            if service["kind"] == "record":
                await record(service, reader, counts)
            else:
                await DIALOGUES[service["kind"]](service, reader, writer)
        except (TimeoutError, asyncio.TimeoutError, OSError, asyncio.LimitOverrunError, ValueError):
            pass  # A client may leave, dawdle or send nonsense at any moment.
        finally:
            writer.close()

    return serve


def socket_in(service, home):
    """A bound socket in the namespace of the host; the process itself stays at home."""
    with open(f"/run/netns/{service['netns']}") as namespace:
        if libc.setns(namespace.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter {service['netns']}")
    try:
        udp = service.get("udp", False)
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.setblocking(False)
        # A multicast request is not addressed to the host's own address.
        one.bind(("" if service["kind"] == "ssdp" else service["address"], service["port"]))
        if service["kind"] == "ssdp":
            group = socket.inet_aton("239.255.255.250") + socket.inet_aton(service["address"])
            one.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        return one
    finally:
        if libc.setns(home.fileno(), CLONE_NEWNET) != 0:
            os._exit(3)  # In the wrong namespace nothing that follows would be true.


async def main(config, counts_path, ready):
    services = json.loads(Path(config).read_text())
    counts = Counts(counts_path)
    loop = asyncio.get_running_loop()
    servers = []
    with open("/proc/self/ns/net") as home:
        for service in services:
            one = socket_in(service, home)
            if service.get("udp"):
                await loop.create_datagram_endpoint(lambda s=service: Datagrams(s), sock=one)
                continue
            if service["kind"] == "record":
                counts.add(f"{service['name']}:{service['port']}")
            secure = None
            if service.get("tls"):
                secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                secure.load_cert_chain(service["cert"], service["key"])
            servers.append(
                await asyncio.start_server(stream(service, counts), sock=one, ssl=secure, limit=MOST_BYTES)
            )
    counts.write()
    Path(ready).touch()
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    asyncio.run(main(*sys.argv[1:]))
