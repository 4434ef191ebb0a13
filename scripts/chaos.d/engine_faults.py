"""Disturbances of Redis and NATS. No request may be refused because of them."""

import signal
import time

REDIS = ('"link":"Redis"',)
NATS = ('"link":"Nats"',)


def redis_flushed(turn):
    redis = turn.cluster.redis
    turn.begin()
    for _ in range(2 if turn.short else 6):
        turn.bit(int(redis.command("DBSIZE").lstrip(":")))
        redis.command("FLUSHALL")
        turn.pause(0.3, 1.2)
    turn.end()
    turn.recover()


def away(engine, words, wipe=False, hang=False):
    """It is killed, or it stands still, until every server has said so; it comes back empty."""

    def disturb(turn):
        one = getattr(turn.cluster, engine)
        turn.begin()
        if hang:
            one.signal(signal.SIGSTOP)
        else:
            one.stop(signal.SIGKILL)
            if wipe:
                one.wipe()
        try:
            turn.says(turn.cluster.nodes, *words)
            turn.degraded(turn.cluster.nodes, engine)
            turn.pause(0, 2 if turn.short else 8)
        finally:
            # What is said from here on is that it is back.
            turn.marks = turn.cluster.marks()
            if hang:
                one.signal(signal.SIGCONT)
            else:
                one.start()
        turn.end()
        turn.recover()
        turn.says(turn.cluster.nodes, *words)

    return disturb


redis_killed = away("redis", REDIS)
redis_hangs = away("redis", REDIS, hang=True)
nats_killed = away("nats", NATS, wipe=True)
nats_hangs = away("nats", NATS, hang=True)


def redis_full(turn):
    redis = turn.cluster.redis
    redis.command("CONFIG", "SET", "maxmemory-policy", "noeviction")
    turn.begin()
    redis.command("CONFIG", "SET", "maxmemory", "1")
    turn.says(turn.cluster.nodes, "out of memory")
    turn.degraded(turn.cluster.nodes, "redis")
    turn.pause(0, 2)
    redis.command("CONFIG", "SET", "maxmemory", "0")
    turn.end()
    turn.recover()


def both_killed(turn):
    """Redis and NATS at once, and one comes back before the other."""
    engines = [turn.cluster.redis, turn.cluster.nats]
    turn.begin()
    for one in engines:
        one.stop(signal.SIGKILL)
    turn.says(turn.cluster.nodes, *REDIS)
    turn.says(turn.cluster.nodes, *NATS)
    turn.rng.shuffle(engines)
    for one in engines:
        turn.pause(0, 2)
        one.start()
    turn.end()
    turn.recover()


def wrong_passwords(turn):
    """A worker is started with the wrong passwords of both. It works, and says what is wrong; then with the right ones."""
    cluster, node = turn.cluster, turn.pick(turn.cluster.workers)
    turn.begin()
    stopped(cluster, node)
    right = dict(node.server.environment)
    node.server.environment.update(CB_REDIS_URL=cluster.redis.url_with("not-the-right-one-at-all"), CB_NATS_URL=cluster.nats.url_with("nor-is-this-one-at-all"))
    try:
        cluster.again(node)
        turn.says([node], "Redis refuses the user or the password")
        turn.says([node], "NATS refuses the user or the password")
    finally:
        stopped(cluster, node)
        node.server.environment = right
        cluster.again(node)
    turn.end()
    turn.recover()


def absent_at_start(turn):
    """Every server starts while Redis and NATS are not there, and finds them later."""
    cluster = turn.cluster
    turn.begin()
    for node in cluster.nodes:
        stopped(cluster, node)
    cluster.redis.stop()
    cluster.nats.stop()
    try:
        for node in cluster.nodes:
            node.server.spawn()
        for node in cluster.nodes:
            cluster.await_(node)
            node.away[-1][1] = time.monotonic() + 0.05
        turn.says(cluster.nodes, *REDIS)
        turn.says(cluster.nodes, *NATS)
        turn.marks = cluster.marks()
    finally:
        cluster.redis.start()
        cluster.nats.start()
    turn.end()
    turn.recover()
    turn.says(cluster.nodes, *REDIS)
    turn.says(cluster.nodes, *NATS)


def stopped(cluster, node):
    node.away.append([time.monotonic() - 0.05, None])
    node.server.stop()
