"""Compiles shim.c and controls it through a mapped page that says what goes wrong from now on."""

import errno
import mmap
import os
import struct
import subprocess
from pathlib import Path

# SEND: a COMMIT goes to PostgreSQL; ANSWER: its answer comes back; TALK: anything goes to PostgreSQL.
WRITE, SYNC, TRUNCATE, SEND, ANSWER, TALK = 1, 2, 4, 8, 16, 32
# COUNT: nothing goes wrong, the calls are only counted.
COUNT, ERRNO, SHORT, KILL_BEFORE, KILL_AFTER, STOP_AFTER = 0, 1, 2, 3, 4, 5
EIO, ENOSPC = errno.EIO, errno.ENOSPC

# struct control of shim.c
CALLS, MODE, ERROR, CHANCE, COUNTDOWN, PORT, RANDOM, HITS = range(0, 32, 4)
CLOCK, FOLDER, SUFFIX = 32, 40, 552


def compiled(folder):
    library = Path(folder) / "shim.so"
    if not library.exists():
        argv = ["gcc", "-O2", "-shared", "-fPIC", "-o", library, Path(__file__).with_name("shim.c"), "-ldl"]
        subprocess.run(argv, check=True, timeout=120)
    return library


class Shim:
    def __init__(self, library, file, folder, seed):
        """Only files below `folder` are hit."""
        self.library, self.file = library, Path(file)
        self.file.write_bytes(bytes(4096))
        with open(self.file, "r+b") as opened:
            self.page = mmap.mmap(opened.fileno(), 4096)
        self.put(RANDOM, (seed & 0x7FFFFFFF) or 1)
        # The kernel names files by their real path.
        self.text(FOLDER, os.path.realpath(folder), 512)

    @property
    def environment(self):
        return {"LD_PRELOAD": str(self.library), "CB_FAULTS_CONTROL": str(self.file)}

    def put(self, at, value):
        self.page[at : at + 4] = struct.pack("<i", value)

    def get(self, at):
        return struct.unpack("<i", self.page[at : at + 4])[0]

    def text(self, at, value, room):
        self.page[at : at + room] = value.encode().ljust(room, b"\0")

    def hit(self, calls, mode, error=0, chance=0.0, nth=0, suffix="", port=0):
        """From now on such calls are hit: each by `chance`, or only the `nth` one from here (1 is the next)."""
        self.put(CALLS, 0)
        self.put(MODE, mode)
        self.put(ERROR, error)
        self.put(CHANCE, int(chance * 1_000_000))
        self.put(COUNTDOWN, nth)
        self.put(PORT, port)
        self.put(HITS, 0)
        self.text(SUFFIX, suffix, 64)
        self.put(CALLS, calls)

    def spare(self):
        """Ends it; returns how many calls were hit."""
        self.put(CALLS, 0)
        return self.hits()

    def hits(self):
        return self.get(HITS)

    def clock(self, seconds):
        """From now on the wall clock is off by so many seconds."""
        self.page[CLOCK : CLOCK + 8] = struct.pack("<q", int(seconds * 1_000_000_000))
