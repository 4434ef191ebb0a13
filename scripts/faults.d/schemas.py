"""Databases as earlier versions left them, from the texts in schemas/, with a row of every table of the first schema.

There is one text for each migration and database. A text of SQLite is the whole schema after that migration. A text of PostgreSQL is
what that migration adds to the one before.

    /usr/bin/python3 scripts/faults.d/schemas.py CB     writes the texts that this binary can still tell and that are not there

Run it after each new migration, and commit the one new file of each database. It must be each one: all migrations are one transaction,
so a first start of SQLite shows only its newest schema. A text that is there is never written again: it says what was released,
and a migration that is changed later shows as an upgrade that fails.
"""

import contextlib
import hashlib
import json
import re
import shutil
import signal
import socket
import sqlite3
import struct
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCHEMAS = HERE / "schemas"
SQLITE, POSTGRES = "sqlite", "postgres"
FILE = "circuit-breaker.db"
# Names of assets in rows.sql.
NAMES = {"Küche", "nas"}
ENTRIES = 5
# Tables that a server changes by itself when it starts. For example it forgets sessions that are over and jobs that are done.
CHANGES = {"seaql_migrations", "schema_reach", "servers", "sessions", "audit_head", "jobs"}
# The columns of the settings that it does not change when it starts.
COLUMNS = {"settings": "id, auth_enabled, instance_name, created_at"}


def earlier(database, newest):
    """The numbers of the schemas that the binary upgrades from. `newest` is the number of its newest migration."""
    numbers = sorted(int(p.stem[1:]) for p in (SCHEMAS / database).glob("m*.sql"))
    if numbers != list(range(1, newest + 1)):
        raise RuntimeError(
            f"the binary has {newest} migrations, and schemas/{database} has the texts of {numbers}: run scripts/faults.d/schemas.py CB "
            "with a binary of each migration that has none, and commit the new file"
        )
    return numbers[:-1]


def rows(database):
    """The statements that fill a database. `u(1)` is an id, in the form of that database."""
    text = (SCHEMAS / "rows.sql").read_text()
    literal = (lambda n: f"X'{n:032x}'") if database == SQLITE else (lambda n: f"'00000000-0000-0000-0000-{n:012x}'")
    text = re.sub(r"\bu\((\d+)\)", lambda m: literal(int(m[1])), text)
    return [*(s for s in (one.strip() for one in text.split(";\n")) if s), *chain()]


def chain():
    """The statements for a few entries of the audit log, as the first version wrote them."""
    previous = "0" * 64
    for seq in range(1, ENTRIES + 1):
        entry = {
            "action": "asset_created", "actor_id": "00000000-0000-0000-0000-000000000001", "actor_kind": "user", "actor_name": "Maria",
            "at": "2026-01-01T12:00:00.000000Z", "detail": '{"name":"Küche"}', "entity_id": None, "entity_kind": "asset",
            "request_id": None, "seq": seq,
        }  # fmt: skip
        text = json.dumps(entry, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256((previous + text).encode()).hexdigest()
        values = ", ".join("NULL" if v is None else str(v) if isinstance(v, int) else f"'{v}'" for v in entry.values())
        yield f"INSERT INTO audit_log ({', '.join(entry)}, prev_hash, hash) VALUES ({values}, '{previous}', '{digest}')"
        previous = digest
    yield f"UPDATE audit_head SET seq = {ENTRIES}, hash = '{previous}'"


class Old:
    """Puts a filled database of an earlier schema where a site has its own."""

    def __init__(self, run, site, schema):
        self.run, self.site = run, site
        self.database = run.database
        texts = [(SCHEMAS / self.database / f"m{n:04}.sql").read_text() for n in range(1, schema + 1)]
        if self.database == SQLITE:
            site.data.mkdir(mode=0o700)
            with contextlib.closing(self.connect()) as db:
                # Nobody cuts the power while the harness makes it.
                db.execute("PRAGMA synchronous = OFF")
                db.executescript(texts[-1])
                db.execute("PRAGMA journal_mode = WAL")
                for statement in rows(SQLITE):
                    db.execute(statement)
                db.commit()
        else:
            run.harness.postgres.run(*texts, *rows(POSTGRES), database=run.database_name)

    def connect(self):
        if self.database == SQLITE:
            return sqlite3.connect(self.site.data / FILE)
        return self.run.harness.postgres.connect(self.run.database_name)

    def rows(self):
        """Table → its columns, and each row as text."""
        with contextlib.closing(self.connect()) as db:
            cursor = db.cursor()
            if self.database == SQLITE:
                cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
            else:
                cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'")
            found = {}
            for (table,) in cursor.fetchall():
                if table not in CHANGES:
                    cursor.execute(f"SELECT {COLUMNS.get(table, '*')} FROM {table}")
                    columns = [one[0] for one in cursor.description]
                    found[table] = (columns, {repr(row) for row in cursor.fetchall()})
            return found

    def missing(self, before):
        """The rows of `before` that are gone."""
        gone = []
        with contextlib.closing(self.connect()) as db:
            cursor = db.cursor()
            for table, (columns, old) in before.items():
                cursor.execute(f"SELECT {', '.join(columns)} FROM {table}")
                gone += [f"{table}: {row[:80]}" for row in old - {repr(row) for row in cursor.fetchall()}]
        return gone


# ---- writing the texts ----


def dumped(file):
    """The whole database as SQL, the same in each run."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        lines = [line for line in db.iterdump() if line not in ("BEGIN TRANSACTION;", "COMMIT;") and "sqlite_sequence" not in line]
    return stamped("\n".join(lines) + "\n")


def stamped(text):
    """Replaces each time by one fixed time, so that a second run writes the same text."""
    text = re.sub(r"(INSERT INTO \"?seaql_migrations\"? VALUES\('\w+',)\d+", r"\g<1>1767268800", text)
    return re.sub(r"'20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d[^']*'", "'2026-01-01T12:00:00+00:00'", text)


def passed_in_sqlite(binary, folder):
    """Stops a first start after the sync that commits the migrations, before anything else is in it: newest number → its text."""
    import shim
    from cbserver import Server

    server = Server(binary, folder, 18463, 18493)
    hits = shim.Shim(shim.compiled(folder), folder / "control", folder / "data", 1)
    server.environment.update(hits.environment)
    hits.hit(shim.SYNC, shim.STOP_AFTER, chance=1.0, suffix="-wal")
    server.spawn()
    found, copy = {}, folder / "copy"
    # Without a commit there is no schema: the server is stopped after each sync until there is one.
    status = Path(f"/proc/{server.process.pid}/stat")
    while server.process.poll() is None and not found:
        # The letter of the state follows the name. T: all threads are stopped.
        if status.read_text().rsplit(")", 1)[1].split()[0] != "T":
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", server.plain), 0.1).close()
                break
            time.sleep(0.001)
            continue
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in (FILE, f"{FILE}-wal"):
            shutil.copy(folder / "data" / name, copy / name)
        with contextlib.closing(sqlite3.connect(copy / FILE)) as db, contextlib.suppress(sqlite3.OperationalError):
            number = db.execute("SELECT COUNT(*) FROM seaql_migrations").fetchone()[0]
            if number:
                found[number] = dumped(copy / FILE)
        if not found:
            server.process.send_signal(signal.SIGCONT)
    server.kill()
    return found


class Said:
    """Collects the SQL that a client sends over its connections, in order."""

    def __init__(self):
        self.rest, self.prepared, self.statements = {}, {}, []

    def hear(self, connection, data):
        # The request for TLS (8 bytes) and the start message do not begin with a letter.
        rest, begun = self.rest.get(connection, (b"", False))
        rest += data
        while len(rest) >= 5:
            letter = rest[:1] if begun else b""
            length = struct.unpack(">i", rest[len(letter) : len(letter) + 4])[0] + len(letter)
            if len(rest) < length:
                break
            message, rest = rest[len(letter) + 4 : length], rest[length:]
            begun = begun or length != 8
            if letter == b"Q":
                self.statements.append(message.rstrip(b"\0").decode())
            elif letter == b"P":
                name, sql = message.split(b"\0")[:2]
                self.prepared[connection, name] = sql.decode()
            elif letter == b"B":
                # A statement that is bound is executed next. One that was prepared once can be bound more than once.
                self.statements.append(self.prepared[connection, message.split(b"\0")[1]])
        self.rest[connection] = (rest, begun)


def passed_in_postgres(binary, folder):
    """Listens to a first start on an empty PostgreSQL: number of each migration → what it says."""
    from cbserver import Server
    from postgres import Postgres
    from proxy import Proxy

    postgres, said = Postgres(folder), Said()
    proxy = Proxy(postgres.port, said.hear)
    try:
        server = Server(binary, folder / "pg", 18463, 18493, settings={"CB_DB_URL": postgres.url_of("postgres", proxy.port)})
        server.start()
        server.stop()
        versions = [row[0] for row in postgres.run("SELECT version FROM seaql_migrations ORDER BY version")]
    finally:
        proxy.close()
        postgres.end()
    found, text, wanted = {}, "", list(versions)
    for sql in said.statements:
        if re.match(r'INSERT INTO "seaql_migrations"', sql):
            text += f"INSERT INTO seaql_migrations (version, applied_at) VALUES ('{wanted.pop(0)}', 1767268800);\n"
            found[len(versions) - len(wanted)], text = text, ""
        elif re.match(r"\s*(CREATE|ALTER|DROP|INSERT|UPDATE|COMMENT)\b", sql) and wanted:
            text += sql.strip().rstrip(";") + ";\n"
    return found


def main(binary):
    sys.path.insert(0, str(HERE.parent))
    for database, passed in ((SQLITE, passed_in_sqlite), (POSTGRES, passed_in_postgres)):
        folder = Path(tempfile.mkdtemp(prefix="cb-schemas-"))
        try:
            found = passed(binary, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        (SCHEMAS / database).mkdir(parents=True, exist_ok=True)
        for number, text in sorted(found.items()):
            file = SCHEMAS / database / f"m{number:04}.sql"
            print(f"{file}: {'is there' if file.exists() else f'{len(text)} bytes'}")
            if not file.exists():
                file.write_text(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    main(str(Path(sys.argv[1]).resolve()))
