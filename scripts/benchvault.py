"""The rows of scripts/bench about the vault: Fernet, and a rotation of many secrets, against the same in Python."""

import contextlib
import re
import shutil
import sqlite3
import statistics
import subprocess
import threading
import time
import uuid
from pathlib import Path

from cbserver import Server
from postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
SECRETS = 100_000
READERS = 4
FIELD = "users.totp_secret"


def python_fernet():
    # Debian's python3-cryptography; imported here, so that the other rows can do without.
    from cryptography.fernet import Fernet

    return Fernet


def bench_fernet(row):
    argv = ["cargo", "bench", "-q", "--locked", "-p", "cb-vault", "--bench", "fernet"]
    said = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=1200).stdout
    ours = int(re.search(r"(\d+) ns", said)[1])
    fernet = python_fernet()(python_fernet().generate_key())
    plain, times = b"\7" * 200, []
    for _ in range(20):
        began = time.perf_counter_ns()
        for _ in range(500):
            fernet.decrypt(fernet.encrypt(plain))
        times.append((time.perf_counter_ns() - began) / 500)
    theirs = statistics.median(times)
    note = f"sealing and opening 200 bytes on one core: cb {ours / 1000:.2f} us, python3-cryptography {theirs / 1000:.2f} us"
    row("Fernet, Python : cb", f"{theirs / ours:.1f}", ">= 5", theirs / ours >= 5, note)


class Sqlite:
    """The two databases speak alike from here on."""

    mark, blob = "?", staticmethod(lambda one: one.bytes)

    def __init__(self, data):
        self.file = data / "circuit-breaker.db"

    def connect(self):
        return sqlite3.connect(self.file)

    def copied(self, folder):
        """Python's loop writes into a copy."""
        other = Sqlite(folder)
        shutil.copy(self.file, other.file)
        return other


class Psycopg:
    mark, blob = "%s", str

    def __init__(self, url):
        self.url = url

    def connect(self):
        import psycopg2

        return psycopg2.connect(self.url)

    def copied(self, _folder):
        return self


def fill(database, root):
    """So many users with a secret each, sealed as the server does."""
    Fernet = python_fernet()
    with contextlib.closing(database.connect()) as connection, connection:
        cursor = connection.cursor()
        cursor.execute("SELECT id, wrapped FROM vault_keys WHERE retired_at IS NULL")
        key_id, wrapped = cursor.fetchone()
        key_id = uuid.UUID(bytes=key_id) if isinstance(key_id, bytes) else uuid.UUID(str(key_id))
        data_key = Fernet(Fernet(root).decrypt(wrapped.encode()).split(b"\n", 1)[1])
        cursor.execute("SELECT * FROM users LIMIT 1")
        columns = [one[0] for one in cursor.description]
        like = dict(zip(columns, cursor.fetchone()))

        def users():
            for number in range(SECRETS):
                one = uuid.UUID(int=(1 << 100) + number)
                secret = f"{FIELD}/{one}\n{number:032}".encode()
                token = f"v1:{key_id}:{data_key.encrypt(secret).decode()}"
                name = f"crowd{number}"
                yield tuple({**like, "id": database.blob(one), "username": name, "username_key": name, "totp_secret": token}.values())

        statement = f"INSERT INTO users ({', '.join(columns)}) VALUES ({', '.join([database.mark] * len(columns))})"
        if isinstance(database, Psycopg):
            from psycopg2.extras import execute_values

            execute_values(cursor, f"INSERT INTO users ({', '.join(columns)}) VALUES %s", users(), page_size=1000)
        else:
            cursor.executemany(statement, users())


def python_loop(database, old):
    """Opens, seals with a new key and updates each in one transaction; answers the seconds."""
    Fernet = python_fernet()
    new = Fernet(Fernet.generate_key())
    with contextlib.closing(database.connect()) as connection:
        cursor = connection.cursor()
        began = time.perf_counter()
        cursor.execute("SELECT id, totp_secret FROM users WHERE totp_secret IS NOT NULL")
        update = f"UPDATE users SET totp_secret = {database.mark} WHERE id = {database.mark}"
        for row, text in cursor.fetchall():
            head, token = text.rsplit(":", 1)
            cursor.execute(update, (f"{head}:{new.encrypt(old.decrypt(token.encode())).decode()}", row))
        took = time.perf_counter() - began
        if isinstance(database, Sqlite):
            began = time.perf_counter()
            connection.commit()
            took += time.perf_counter() - began
        else:
            # It is the server's own database: taken back, and the commit is a present.
            connection.rollback()
    return took


def reader(server, stop, times):
    mine = Server.beside(server)
    while not stop.is_set():
        began = time.perf_counter()
        mine.ask("GET", "/assets?limit=50")
        times.append((time.perf_counter() - began) * 1000)
    mine.close()


def bench_rotation(row, name, binary, folder, https, plain, url=None):
    settings = {"CB_DB_URL": url} if url else {}
    server = Server(binary, folder / f"vault-{name}", https, plain, settings=settings)
    server.start()
    try:
        server.set_up()
        for number in range(200):
            server.ask("POST", "/assets", {"name": f"node-{number:04}", "kind": "device"})
        data = server.folder / "data"
        root = (data / "vault-key").read_text().strip()
        database = Psycopg(url) if url else Sqlite(data)
        fill(database, root)
        stop, times = threading.Event(), []
        readers = [threading.Thread(target=reader, args=(server, stop, times)) for _ in range(READERS)]
        quiet = rotated(server)
        for one in readers:
            one.start()
        time.sleep(0.5)
        times.clear()
        busy = rotated(server)
        measured = sorted(times)
        stop.set()
        for one in readers:
            one.join()
        again = rotated(server)
        took = statistics.median([quiet, busy, again])
    finally:
        server.stop()
    copy = folder / f"copy-{name}"
    copy.mkdir()
    # Each in turn with the same key: the copy holds what the last rotation has sealed.
    with contextlib.closing(database.connect()) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT wrapped FROM vault_keys WHERE retired_at IS NULL")
        wrapped = cursor.fetchone()[0]
    Fernet = python_fernet()
    data_key = Fernet(Fernet(root).decrypt(wrapped.encode()).split(b"\n", 1)[1])
    loop = python_loop(database.copied(copy), data_key)
    note = f"cb {took:.2f} s (every text probed first), the same loop in Python {loop:.2f} s"
    row(f"{SECRETS:,} secrets sealed anew in {name}, Python : cb", f"{loop / took:.1f}", ">= 10", loop / took >= 10, note)
    p99 = measured[int(len(measured) * 0.99)] if measured else float("inf")
    note = f"median {statistics.median(measured):.1f} ms, worst {measured[-1]:.0f} ms of {len(measured)} by {READERS} readers during {busy:.2f} s"
    row(f"a list while they are sealed anew in {name}, p99", f"{p99:.0f} ms", "< 50 ms", p99 < 50, note)


def rotated(server):
    began = time.perf_counter()
    told = Server.beside(server).ask("POST", "/vault/rotate")
    took = time.perf_counter() - began
    if told["sealed"] != SECRETS or told["keys"][0]["secrets"] != SECRETS:
        raise RuntimeError(f"not everything is sealed anew: {told['sealed']}, {told['keys'][0]}")
    return took


def bench_vault(row, binary, folder, https, plain):
    bench_rotation(row, "SQLite", binary, folder, https, plain)
    postgres = Postgres(folder)
    try:
        bench_rotation(row, "PostgreSQL", binary, folder, https, plain, postgres.url)
    finally:
        postgres.stop()
