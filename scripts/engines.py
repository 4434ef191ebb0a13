"""A Redis and a NATS of a script's own, as the tests have them: their own folder, a free loopback port, a password, never root."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

# Of servers that listen on loopback and live as long as the script.
PASSWORD = "Ye5mKt8QvN2xRc7LhJ4dWs9GzB3pUf6T"
START_SECONDS = 20


class Engine:
    """`stop` and `start` may be called again and again; the port stays."""

    user, programs, package = "", (), ""

    def __init__(self, folder):
        found = [path for path in self.programs if os.access(path, os.X_OK)]
        if not found:
            raise RuntimeError(f"{self.package} is not installed: apt-get install -y {self.package}")
        self.program, self.process = found[0], None
        self.folder = Path(tempfile.mkdtemp(prefix=f"{self.user}-", dir=folder))
        for above in (Path(folder), self.folder):
            above.chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        room, settings = self.folder / "room", self.folder / "settings"
        room.mkdir()
        settings.write_text(self.settings(room))
        settings.chmod(0o600)
        self.as_owner = []
        if os.geteuid() == 0:
            for path in (room, settings):
                shutil.chown(path, self.user, self.user)
            self.as_owner = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        self.start()

    def settings(self, room):
        raise NotImplementedError

    def arguments(self):
        return [str(self.folder / "settings")]

    def start(self):
        """Answers once it takes connections."""
        self.process = subprocess.Popen(
            [*self.as_owner, self.program, *self.arguments()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.package} ended with status {self.process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        raise RuntimeError(f"{self.package} does not answer")

    def stop(self, how=signal.SIGKILL):
        if self.process and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(30)


class Redis(Engine):
    user, programs, package = "redis", ("/usr/bin/redis-server", "/usr/local/bin/redis-server"), "redis-server"

    def settings(self, room):
        return f'bind 127.0.0.1\nport {self.port}\ndir {room}\nrequirepass {PASSWORD}\nsave ""\nappendonly no\n'

    @property
    def url(self):
        return f"redis://:{PASSWORD}@127.0.0.1:{self.port}"


class Nats(Engine):
    user, programs, package = "nats", ("/usr/sbin/nats-server", "/usr/bin/nats-server"), "nats-server"

    def settings(self, room):
        user = f'{{ user: "cb", password: "{PASSWORD}" }}'
        return f'listen: "127.0.0.1:{self.port}"\nauthorization {{ users: [ {user} ] }}\n'

    def arguments(self):
        return ["-c", *super().arguments()]

    @property
    def url(self):
        return f"nats://cb:{PASSWORD}@127.0.0.1:{self.port}"
