"""A PostgreSQL of a script's own, as the tests have one: its own folder, a free loopback port, a password, never root."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

# A password of the cluster that is made below, listens on loopback and lives as long as the script.
PASSWORD = "Wd8kPz3RxN6vTq9LmC4hYs7GbF2jUe5A"
START_SECONDS = 20


class Postgres:
    def __init__(self, folder, settings=(), address=None):
        """Several can stand below the same folder. `settings` are lines such as `max_connections=60`. `address`: where it listens,
        beside loopback, for the network of that address."""
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name))
        if not found:
            raise RuntimeError("PostgreSQL is not installed: apt-get install -y postgresql")
        self.bin, self.settings, self.process, self.address = found[-1], settings, None, address
        self.data = Path(tempfile.mkdtemp(prefix="postgres-", dir=folder))
        for above in (folder, self.data):
            above.chmod(0o755)
        self.as_owner = []
        if os.geteuid() == 0:
            shutil.chown(self.data, "postgres", "postgres")
            self.as_owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        password = self.data / "password"
        password.write_text(PASSWORD)
        argv = [self.bin / "initdb", "-D", self.data / "db", "-U", "cb", "-A", "scram-sha-256", f"--pwfile={password}",
                "--encoding=UTF8", "--locale=C.UTF-8"]  # fmt: skip
        subprocess.run([*self.as_owner, *argv], check=True, capture_output=True, timeout=120, cwd="/")
        if address:
            with open(self.data / "db/pg_hba.conf", "a") as rules:
                rules.write("host all all samenet scram-sha-256\n")
        self.url = self.url_of("postgres")
        self.start()

    def start(self):
        """Answers once it takes connections."""
        listen = ",".join(["127.0.0.1", *([self.address] if self.address else [])])
        argv = [self.bin / "postgres", "-D", self.data / "db", "-p", str(self.port), "-c", f"listen_addresses={listen}",
                "-c", "unix_socket_directories="]  # fmt: skip
        for setting in self.settings:
            argv += ["-c", setting]
        self.process = subprocess.Popen(
            [*self.as_owner, *argv], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
        )
        until = time.monotonic() + START_SECONDS
        ready = [self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while time.monotonic() < until:
            if subprocess.run(ready, check=False).returncode == 0:
                return
            if self.process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended with status {self.process.returncode}")
            time.sleep(0.02)
        raise RuntimeError("PostgreSQL does not answer")

    def url_of(self, database, port=None, address="127.0.0.1"):
        return f"postgres://cb:{PASSWORD}@{address}:{port or self.port}/{database}"

    def connect(self, database="postgres"):
        """Debian's python3-psycopg2; imported here, so that others can do without. Each statement is its own transaction."""
        import psycopg2

        connection = psycopg2.connect(self.url_of(database), connect_timeout=5)
        connection.autocommit = True
        return connection

    def run(self, *statements, database="postgres"):
        """Answers the rows of the last one, if it has any."""
        with contextlib.closing(self.connect(database)) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def end(self, how=signal.SIGQUIT):
        """SIGQUIT: at once. SIGINT: connections are ended first. SIGKILL: its children too, as when the machine fails."""
        if self.process is None or self.process.poll() is not None:
            return
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        self.process.send_signal(how)
        if how == signal.SIGKILL:
            for child in children:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(child), signal.SIGKILL)
        self.process.wait(30)

    def stop(self):
        self.end()
