"""The rows of scripts/bench about webhooks: how many signed deliveries a second leave a real server for a receiver on loopback.

    benchwebhooks.py receive    is that receiver: prints its port, reads the secrets by path, tells on EOF what has come
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import subprocess
import sys
import time
import uuid
from pathlib import Path

WEBHOOKS = 10
DELIVERIES = 20_000
SECONDS = 120
# As the server writes a time in SQLite.
AT = "2026-01-01T12:00:00+00:00"


# ---- the receiver, a process of its own ----


class Receiver(asyncio.Protocol):
    def __init__(self, heard):
        self.heard, self.bytes = heard, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.bytes += data
        head, end, body = self.bytes.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:])
        if len(body) < int(fields["content-length"]):
            return
        self.heard.append((time.monotonic(), lines[0].split(" ")[1], fields, body))
        self.transport.write(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n")
        self.transport.close()


def verified(secrets, path, fields, body):
    key = base64.b64decode(secrets[path].removeprefix("whsec_"))
    signed = f"{fields['webhook-id']}.{fields['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return hmac.compare_digest(f"v1,{mac}", fields["webhook-signature"])


async def receive():
    heard, loop = [], asyncio.get_running_loop()
    server = await loop.create_server(lambda: Receiver(heard), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    secrets = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    told = loop.run_in_executor(None, sys.stdin.read)
    while not told.done():
        print(len(heard), flush=True)
        await asyncio.sleep(0.2)
    good = {(path, fields["webhook-id"]) for _, path, fields, body in heard if verified(secrets, path, fields, body)}
    times = [at for at, *_ in heard]
    print(json.dumps({"good": len(good), "all": len(heard), "seconds": max(times) - min(times) if times else 0}), flush=True)


# ---- the row ----


def fill(database, hooks):
    """So many deliveries that are due, as notices of a busy day would leave them."""
    each = DELIVERIES // len(hooks)
    with contextlib.closing(database.connect()) as connection, connection:
        cursor = connection.cursor()
        for number in range(each):
            notice = uuid.uuid4()
            data = json.dumps({"asset_id": str(notice), "kind": "device", "name": f"node-{number}", "source": "manual"})
            row = (database.blob(notice), "asset.created", AT, "info", f"node-{number} was added", "Added by maria.", "/inventory", data)
            insert(cursor, database, "notices (id, kind, at, severity, title, text, path, data)", row)
            for hook in hooks:
                row = (database.blob(uuid.uuid4()), database.blob(notice), database.blob(uuid.UUID(hook)), "waiting", 0, AT, "[]", AT)
                columns = "deliveries (id, notice_id, webhook_id, state, tries, next_at, attempts, created_at)"
                insert(cursor, database, columns, row)


def insert(cursor, database, columns, row):
    cursor.execute(f"INSERT INTO {columns} VALUES ({', '.join([database.mark] * len(row))})", row)


def delivered(database):
    with contextlib.closing(database.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT COUNT(*) FROM deliveries WHERE state = 'delivered'")
        return cursor.fetchone()[0]


def bench(row, name, Server, binary, folder, https, plain, database_of, url=None):
    argv = [sys.executable, str(Path(__file__).resolve()), "receive"]
    receiver = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    port = int(receiver.stdout.readline())
    settings = {"CB_OUTBOUND_ALLOW": f"127.0.0.1:{port}", **({"CB_DB_URL": url} if url else {})}
    server = Server(binary, folder / f"webhooks-{name}", https, plain, settings=settings)
    try:
        server.start()
        server.set_up()
        made = [server.ask("POST", "/webhooks", {"name": f"hook {n}", "url": f"http://127.0.0.1:{port}/{n}"}) for n in range(WEBHOOKS)]
        receiver.stdin.write(json.dumps({f"/{n}": one["secret"] for n, one in enumerate(made)}) + "\n")
        receiver.stdin.flush()
        server.stop()
        database = database_of(server.folder / "data")
        fill(database, [one["id"] for one in made])
        server.start()
        until = time.monotonic() + SECONDS
        while int(receiver.stdout.readline()) < DELIVERIES and time.monotonic() < until:
            pass
        # What has come is written down a moment later.
        while delivered(database) < DELIVERIES and time.monotonic() < until:
            time.sleep(0.1)
        noted = delivered(database)
    finally:
        server.stop()
        receiver.stdin.close()
        told = receiver.stdout.read().strip().splitlines()
        receiver.wait(30)
    told = json.loads(told[-1])
    rate = told["good"] / told["seconds"] if told["seconds"] else 0
    whole = told["good"] == told["all"] == noted == DELIVERIES
    note = f"{told['good']:,} verified of {told['all']:,} requests in {told['seconds']:.2f} s, {noted:,} noted; {WEBHOOKS} webhooks, the receiver on the same cores"
    row(f"webhook deliveries in {name}", f"{rate:,.0f}/s", ">= 1,000/s", whole and rate >= 1000, note)


def bench_webhooks(row, binary, folder, https, plain):
    from benchvault import Psycopg, Sqlite
    from cbserver import Server
    from postgres import Postgres

    bench(row, "SQLite", Server, binary, folder, https, plain, Sqlite)
    postgres = Postgres(folder)
    try:
        bench(row, "PostgreSQL", Server, binary, folder, https, plain, lambda _: Psycopg(postgres.url), postgres.url)
    finally:
        postgres.stop()


if __name__ == "__main__" and sys.argv[1:] == ["receive"]:
    asyncio.run(receive())
