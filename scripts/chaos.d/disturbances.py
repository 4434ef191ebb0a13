"""Every disturbance, in one place. To add one: a function that takes a Turn, and a line here.

The function calls `begin` when something is wrong, `end` when the cause has ended, `bit` for each try that had an effect or had none,
and `recover` last. `short`: whether the short form runs it. `refuses`: whether requests may be refused meanwhile. `sure`: whether each
try has an effect by construction.
"""

from dataclasses import dataclass

import database_faults as database
import engine_faults as engine
import server_faults as server

SHORT, LONG = True, False


@dataclass(frozen=True)
class Disturbance:
    name: str
    work: object
    short: bool
    refuses: bool = True
    sure: bool = True


DISTURBANCES = [
    Disturbance("postgres-restarted", database.restarted, SHORT, sure=False),
    Disturbance("postgres-killed", database.killed, SHORT),
    Disturbance("postgres-read-only", database.read_only, SHORT),
    Disturbance("postgres-crowded", database.crowded, SHORT),
    Disturbance("postgres-few-connections", database.few_connections, LONG),
    Disturbance("postgres-tables-locked", database.tables_locked, SHORT),
    Disturbance("postgres-open-transaction", database.open_transaction, SHORT),
    Disturbance("postgres-absent-at-start", database.absent_at_start, LONG),
    Disturbance("redis-flushed", engine.redis_flushed, SHORT, refuses=False, sure=False),
    Disturbance("redis-killed", engine.redis_killed, SHORT, refuses=False),
    Disturbance("redis-hangs", engine.redis_hangs, LONG, refuses=False),
    Disturbance("redis-full", engine.redis_full, SHORT, refuses=False),
    Disturbance("nats-killed-and-wiped", engine.nats_killed, SHORT, refuses=False),
    Disturbance("nats-hangs", engine.nats_hangs, LONG, refuses=False),
    Disturbance("redis-and-nats-killed", engine.both_killed, LONG, refuses=False),
    Disturbance("wrong-passwords", engine.wrong_passwords, SHORT, refuses=False),
    Disturbance("engines-absent-at-start", engine.absent_at_start, LONG),
    Disturbance("worker-killed", server.worker_killed, SHORT),
    Disturbance("all-workers-killed", server.workers_killed, SHORT),
    Disturbance("api-killed", server.api_killed, SHORT),
    Disturbance("all-killed", server.all_killed, LONG),
    Disturbance("restarted-in-turn", server.restarted_in_turn, LONG),
    Disturbance("workers-cut-from-nats", server.cut_worker_nats, SHORT, refuses=False),
    Disturbance("api-cut-from-nats", server.cut_api_nats, LONG, refuses=False),
    Disturbance("api-cut-from-redis", server.cut_api_redis, SHORT, refuses=False),
    Disturbance("api-cut-from-postgres", server.cut_api_postgres, SHORT),
    Disturbance("worker-cut-from-postgres", server.cut_worker_postgres, SHORT),
    Disturbance("api-unplugged", server.unplugged, SHORT),
    Disturbance("clock-ahead", server.clock_ahead, SHORT),
    Disturbance("clock-behind", server.clock_behind, LONG),
    Disturbance("slow-consumer", server.slow_consumer, SHORT),
]
