"""A Redis and a NATS of a script's own, as the tests have them: their own folder, a free port, a password, never root.

They can be killed, stopped and started again on the same port, with nothing from before.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

# A password of servers that live as long as the script.
PASSWORD = "Ht5mWq9ZcK2xPb7RvL4nJd8GsF3yUa6E"
START_SECONDS = 20


class Engine:
    """One process and its settings file. A kind says its user, its programs, what is said to it and how it answers."""

    user, programs, package, say, hear = "", (), "", b"", b""

    def settings(self):
        raise NotImplementedError

    def url_with(self, password):
        raise NotImplementedError

    def __init__(self, folder, address="127.0.0.1"):
        """`address`: where it listens, beside loopback."""
        self.program = next((p for p in self.programs if os.path.exists(p)), None)
        if self.program is None:
            raise RuntimeError(f"{self.package} is not installed: apt-get install -y {self.package}")
        self.address, self.process = address, None
        place = Path(tempfile.mkdtemp(prefix=f"{self.user}-", dir=folder))
        self.room, self.conf = place / "room", place / "conf"
        place.chmod(0o755)
        self.room.mkdir(mode=0o700)
        self.as_owner = []
        if os.geteuid() == 0:
            shutil.chown(self.room, self.user, self.user)
            self.as_owner = ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--init-groups"]
        with socket.socket() as free:
            free.bind((address, 0))
            self.port = free.getsockname()[1]
        self.password = PASSWORD
        self.start()

    def addresses(self):
        return dict.fromkeys(("127.0.0.1", self.address))

    def write(self, text):
        self.conf.write_text(text)
        self.conf.chmod(0o600)
        if self.as_owner:
            shutil.chown(self.conf, self.user, self.user)

    def start(self):
        """Answers once it takes connections."""
        self.write(self.settings())
        argv = [*self.as_owner, self.program, *self.arguments(), self.conf]
        self.process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
        )
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self.answers():
                return
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.package} ended with status {self.process.returncode}")
            time.sleep(0.02)
        raise RuntimeError(f"{self.package} does not answer")

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as line:
                line.settimeout(2)
                line.sendall(self.say)
                return line.recv(len(self.hear)) == self.hear
        except OSError:
            return False

    def arguments(self):
        return []

    @property
    def url(self):
        return self.url_with(self.password)

    def stop(self, how=signal.SIGKILL):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        self.process.wait(30)

    def wipe(self):
        """Removes whatever it has stored. It must not run."""
        for one in self.room.iterdir():
            shutil.rmtree(one) if one.is_dir() else one.unlink()

    def signal(self, how):
        self.process.send_signal(how)


class Redis(Engine):
    user, package = "redis", "redis-server"
    programs = ("/usr/bin/redis-server", "/usr/local/bin/redis-server")
    say, hear = b"PING\r\n", b"-NOAUTH"

    def settings(self):
        return (
            f"bind {' '.join(self.addresses())}\nport {self.port}\ndir {self.room}\nrequirepass {self.password}\n"
            'save ""\nappendonly no\n'
        )

    def url_with(self, password):
        return f"redis://:{password}@{self.address}:{self.port}"

    def command(self, *words):
        """What it answers to one command: a simple line or a number; other answers only as far as their first line."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as line:
            line.settimeout(5)
            reader = line.makefile("rb")
            for said in (("AUTH", self.password), words):
                line.sendall(b"*%d\r\n" % len(said) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in said))
                answer = reader.readline().decode().strip()
                if answer.startswith("-"):
                    raise RuntimeError(f"Redis answers {answer} to {said[0]}")
            return answer


class Nats(Engine):
    user, package = "nats", "nats-server"
    programs = ("/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server")
    hear = b"INFO "

    def settings(self):
        # NATS listens at one address or at all; in a network namespace of the script these are its own.
        listen = self.address if self.address == "127.0.0.1" else "0.0.0.0"
        # JetStream has the folder, so that there is something to wipe. Nobody uses it.
        return (
            f'listen: "{listen}:{self.port}"\njetstream {{ store_dir: "{self.room}" }}\n'
            f'authorization {{ users: [ {{ user: "cb", password: "{self.password}" }} ] }}\n'
        )

    def arguments(self):
        return ["-c"]

    def url_with(self, password):
        return f"nats://cb:{password}@{self.address}:{self.port}"
