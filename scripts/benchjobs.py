"""The rows of scripts/bench about jobs: three workers drain 10,000 that do nothing, an hour of steady load by count, and ten
minutes of it beside a transaction that stays open."""

import contextlib
import re
import subprocess
import tempfile
from pathlib import Path

from postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent
JOBS_A_SECOND = 3000
# An hour passes in a minute here, so PostgreSQL looks for dead rows each second instead of each minute.
SETTINGS = ("max_connections=100", "autovacuum_naptime=1s")
# Five times what comes in.
BESIDE_OPEN = 250
DEAD_ROWS, KILOBYTES = 60_000, 32_768


def bench_jobs(row):
    build = ["cargo", "bench", "-q", "--locked", "-p", "cb-app", "--bench", "jobs"]
    subprocess.run([*build, "--no-run"], cwd=ROOT, check=True, timeout=3600)
    with contextlib.ExitStack() as ends:
        # The user of PostgreSQL must reach its folder, so it is not below the bench's own.
        place = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="cb-bench-")))
        postgres = Postgres(place, SETTINGS)
        ends.callback(postgres.stop)
        said = subprocess.run([*build, "--", postgres.url], cwd=ROOT, capture_output=True, text=True, check=True, timeout=1200).stdout
    rate, twice = map(int, re.search(r"(\d+) a second, (\d+) twice", said).groups())
    row("10,000 empty jobs by three workers", f"{rate}/s", f">= {JOBS_A_SECOND}/s", rate >= JOBS_A_SECOND and twice == 0, f"{twice} twice")
    dead, size = map(int, re.search(r"at most (\d+) dead rows, (\d+) kB", said).groups())
    good = dead <= DEAD_ROWS and size <= KILOBYTES
    row("dead rows of jobs, an hour of 50/s", f"{dead}", f"<= {DEAD_ROWS}", good, f"at most {size} kB with its indexes (bar {KILOBYTES} kB)")
    rate, dead, twice = map(int, re.search(r"open transaction: (\d+) a second, (\d+) dead rows, (\d+) twice", said).groups())
    good = rate >= BESIDE_OPEN and twice == 0
    row("the same after ten minutes beside an open transaction", f"{rate}/s", f">= {BESIDE_OPEN}/s", good, f"{dead} dead rows, {twice} twice")
