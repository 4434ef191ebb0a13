"""Disturbances of the servers themselves and of the network between them and the engines."""

import subprocess
import time
from contextlib import closing, suppress

import law
from engine_faults import NATS, REDIS, stopped
from websocket import Stream

# A worker that is cut off from the database loses its leases after 30 s.
LEASE_SECONDS = 30
# What the kernel keeps of a connection that is not read: least, at first, most.
SMALL, USUAL = "4096 8192 8192", "4096 16384 4194304"
# A server compares its own clock with PostgreSQL's each ten seconds, and says what it found.
CLOCK_SECONDS = 20
OWN_CLOCK = "the clock of this machine is ahead of PostgreSQL's by so much"
OWN_CLOCK_AGAIN = "the clock of this machine is the same as PostgreSQL's again"
# So many deliveries are refused while a clock is wrong. The next try is five seconds later.
RETRIED, LATE_SECONDS = 5, 15
LEASED_SECONDS = 20
# A request that was sent so long before SIGTERM has arrived, and is answered.
ARRIVED_SECONDS = 0.05


def killed(nodes, count):
    """kill -9, and started again a moment later."""

    def disturb(turn):
        chosen = turn.rng.sample(nodes(turn.cluster), count(turn.cluster))
        for _ in range(1 if turn.short else 2):
            turn.begin()
            for node in chosen:
                turn.cluster.kill(node)
                turn.bit(node.server.process.poll() is not None)
            turn.pause(0.2, 2)
            for node in chosen:
                node.server.spawn()
            for node in chosen:
                turn.cluster.await_(node)
                node.away[-1][1] = time.monotonic() + 0.05
            turn.end()
            turn.recover()
            turn.pause(0.5, 1.5)

    return disturb


worker_killed = killed(lambda c: c.workers, lambda c: 1)
workers_killed = killed(lambda c: c.workers, lambda c: len(c.workers))
api_killed = killed(lambda c: [n for n in c.nodes if n.name.startswith("a")], lambda c: 1)
all_killed = killed(lambda c: c.nodes, lambda c: len(c.nodes))


def restarted_in_turn(turn):
    """Each server is asked to end and started again, one after the other, as for a new version."""
    turn.begin()
    for node in turn.cluster.nodes:
        began = time.monotonic()
        stopped(turn.cluster, node)
        cut_off = [c for c in turn.calls() if c.node == node.name and c.status == 0 and began - 1 < c.began < began - ARRIVED_SECONDS]
        if cut_off:
            turn.broken.append(f"{node.name} was asked to end and left {len(cut_off)} requests without an answer: {cut_off[0].what}")
        status = node.server.process.returncode
        turn.bit(True)
        if status != 0:
            turn.broken.append(f"SIGTERM ended {node.name} with status {status} after {time.monotonic() - began:.1f} s")
        turn.cluster.again(node)
    turn.end()
    turn.recover()


def cut(nodes, engine, words=(), least=0.0, lease=False):
    """Every packet between some servers and one engine is lost; nobody is told. `words`: what those servers must say."""

    def disturb(turn):
        cluster, chosen = turn.cluster, nodes(turn)
        port = getattr(cluster, engine).port
        turn.notes.append(f"{', '.join(n.name for n in chosen)} from {engine}")
        turn.begin()
        cluster.network.cut([(n.server.address, port) for n in chosen])
        try:
            if words:
                turn.says(chosen, *words)
                turn.degraded(chosen, engine)
            elif any(n.serves for n in chosen):
                turn.shows(6, least=least)
            # In the long form leases end, and others take the work over.
            turn.pause(least, least + 2)
            if lease and not turn.short:
                turn.pause(LEASE_SECONDS, LEASE_SECONDS + 8)
        finally:
            dropped = cluster.network.dropped()
            cluster.network.heal()
        turn.bit(dropped)
        turn.end()
        turn.recover()
        turn.notes.append(f"{dropped} packets lost")
        if engine == "postgres":
            turn.others_go_on(chosen)

    return disturb


def one_api(turn):
    return [turn.pick([n for n in turn.cluster.nodes if n.name.startswith("a")])]


def one_worker(turn):
    return [turn.pick(turn.cluster.workers)]


def all_workers(turn):
    return turn.cluster.workers


cut_worker_nats = cut(all_workers, "nats", NATS)
cut_api_nats = cut(one_api, "nats", NATS)
cut_api_redis = cut(one_api, "redis", REDIS)
cut_api_postgres = cut(one_api, "postgres", least=3)
cut_worker_postgres = cut(one_worker, "postgres", least=4, lease=True)


def unplugged(turn):
    """The cable of one api is pulled: it reaches nothing, and nobody reaches it."""
    cluster, (node,) = turn.cluster, one_api(turn)
    turn.begin()
    node.away.append([time.monotonic() - 0.05, None])
    cluster.network.unplug(node.name)
    node.plugged = False
    try:
        turn.pause(4, 6) if turn.short else turn.pause(20, 40)
        with closing(cluster.probe(node, 1)) as line:
            try:
                line.ask("GET", "/health")
                turn.bit(False)
            except OSError:
                turn.bit(True)
    finally:
        cluster.network.plug(node.name)
        node.plugged = True
    # TCP sends again what was lost, and waits longer each time.
    node.away[-1][1] = time.monotonic() + 5
    turn.end()
    turn.recover()
    turn.others_go_on([node])


def clock_skewed(seconds):
    """The clock of the machine is wrong that sends the webhook's deliveries. The worker goes by PostgreSQL's clock (ADR 21): it says that
    its own differs, and no delivery is late, also none that failed while the clock was wrong and is tried again when it is right."""

    def disturb(turn):
        node = deliverer(turn)
        turn.notes.append(node.name)
        turn.begin()
        node.shim.clock(seconds)
        try:
            turn.says([node], OWN_CLOCK, seconds=CLOCK_SECONDS)
            turn.pause(4, 6) if turn.short else turn.pause(40, 60)
            refused(turn)
            none_late(turn)
            refused(turn)
            # The worker writes down when the next try is, by the clock that is wrong.
            time.sleep(1.5)
        finally:
            # What is said from here on is that it is right again.
            turn.marks = turn.cluster.marks()
            node.shim.clock(0)
        turn.end()
        turn.recover()
        none_late(turn)
        turn.says([node], OWN_CLOCK_AGAIN, seconds=CLOCK_SECONDS)

    return disturb


def refused(turn):
    """The receiver refuses some deliveries, so that the worker decides when they are tried again."""
    receiver, until = turn.chaos.deliveries.receiver, time.monotonic() + LATE_SECONDS
    receiver.refuse_next = RETRIED
    while receiver.refuse_next and time.monotonic() < until:
        time.sleep(0.02)
    turn.bit(not receiver.refuse_next)


def none_late(turn):
    """What was made since the beginning must be delivered soon."""
    made = {w.name for w in turn.chaos.writers.ledger.of("asset", law.ACKNOWLEDGED) if w.began > turn.window[0]}
    late = turn.chaos.deliveries.late(made, LATE_SECONDS)
    if late:
        turn.broken.append(f"{len(late)} of {len(made)} deliveries were not made within {LATE_SECONDS} s: {', '.join(sorted(late)[:3])}")


def deliverer(turn):
    """The worker that sends the webhook's deliveries, by the leases in the database. All of one webhook are one worker's."""
    until = time.monotonic() + LEASED_SECONDS
    while time.monotonic() < until:
        rows = turn.cluster.postgres.run("SELECT lease_owner FROM deliveries WHERE lease_owner IS NOT NULL", database="cluster")
        ids = {owner.split("/")[0] for (owner,) in rows}
        found = [n for n in turn.cluster.workers if (n.server.folder / "data" / "server-id").read_text().strip() in ids]
        if len(found) == 1:
            return found[0]
        time.sleep(0.02)
    raise RuntimeError(f"no worker sent deliveries for {LEASED_SECONDS} s")


# More than the lease on a delivery (a minute), and less than what is brought back because no wait is so long (five).
WRONG_SECONDS = 270
clock_ahead, clock_behind = clock_skewed(WRONG_SECONDS), clock_skewed(-WRONG_SECONDS)


def slow_consumer(turn):
    """On each api somebody opens a stream and reads nothing. The server ends that stream, and the others go on."""
    cluster, streams = turn.cluster, []
    turn.begin()
    try:
        for node in cluster.apis:
            # Small buffers in the kernel, so that a stream is full in seconds.
            buffers(node, SMALL)
            for _ in range(3):
                with suppress(OSError):
                    streams.append((node, Stream(node, "/topology/stream", buffer=2048)))
        until = time.monotonic() + 45
        turn.bit(held(streams) == len(streams) > 0)
        while time.monotonic() < until and held(streams):
            time.sleep(0.5)
        ended = len(streams) - held(streams)
        turn.notes.append(f"{ended} of {len(streams)} ended after {time.monotonic() - turn.window[0]:.0f} s")
        if ended < len(streams):
            turn.broken.append(f"{len(streams) - ended} of {len(streams)} streams that nobody reads are open 45 s later")
    finally:
        for _, stream in streams:
            stream.close()
        for node in cluster.apis:
            buffers(node, USUAL)
    turn.end()
    turn.recover()


def buffers(node, sizes):
    argv = [*node.server.inside, "sysctl", "-qw", f"net.ipv4.tcp_wmem={sizes}"]
    subprocess.run(argv, check=True, capture_output=True)


def held(streams):
    """How many of them their servers hold open. The client does not hear of the end: it is behind what it does not read."""
    count = 0
    for node in {node for node, _ in streams}:
        argv = [*node.server.inside, "ss", "-Htn", "state", "established"]
        peers = {line.split()[-1] for line in subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()}
        count += sum("{}:{}".format(*s.socket.getsockname()) in peers for n, s in streams if n is node)
    return count
