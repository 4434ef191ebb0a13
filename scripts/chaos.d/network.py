"""The network of the cluster: a bridge, and a network namespace for each server. The engines and the load are at the hub, 10.77.0.1.

All of it is inside a namespace of the harness, so nothing touches the machine's own network. The process namespace is its own too:
when the harness ends in whatever way, the kernel ends everything that it has started.
"""

import os
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

HUB = "10.77.0.1"
# Every address of this range answers, and nothing listens there: the targets of scans.
TARGETS = "10.78.0.0/16"
SPACES = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]


def permitted():
    """Ends the program where there can be no namespaces."""
    if os.geteuid() == 0 and subprocess.run([*SPACES, "true"], check=False, capture_output=True).returncode == 0:
        Path("/run/netns").mkdir(exist_ok=True)
        return
    why = "it needs root and network namespaces, to cut servers off from each other"
    if os.environ.get("CB_CHAOS_MAY_SKIP") == "1":
        print(f"SKIPPED: {why}.")
        sys.exit(0)
    sys.exit(f"The cluster was not disturbed: {why}. Skip it with CB_CHAOS_MAY_SKIP=1")


def enter():
    """Within the namespaces: the names of those of the servers are seen here only."""
    run("mount -t tmpfs tmpfs /run/netns")


def run(line, **how):
    subprocess.run(line.split(), check=True, capture_output=True, **how)


class Network:
    def __init__(self):
        run("ip link set lo up")
        run("ip link add br0 type bridge")
        run(f"ip addr add {HUB}/24 dev br0")
        run("ip link set br0 up")
        run(f"ip route add local {TARGETS} dev lo")
        rules = "add table inet chaos; {}".format(
            "; ".join(f"add chain inet chaos {way} {{ type filter hook {way} priority 0; }}" for way in ("input", "output"))
        )
        run("nft -f -", input=rules.encode())
        self.hosts = 0

    def host(self, name):
        """A namespace on the bridge; returns its address."""
        self.hosts += 1
        address = f"10.77.0.{10 + self.hosts}"
        run(f"ip netns add {name}")
        run(f"ip link add {name} type veth peer name eth0 netns {name}")
        run(f"ip link set {name} master br0 up")
        run(f"ip -n {name} link set lo up")
        run(f"ip -n {name} addr add {address}/24 dev eth0")
        run(f"ip -n {name} link set eth0 up")
        run(f"ip -n {name} route add default via {HUB}")
        return address

    def inside(self, name):
        return ["nsenter", f"--net=/run/netns/{name}"]

    def cut(self, pairs):
        """From now on every packet between an address and a port of the hub is lost. Nobody is told."""
        rules = []
        for address, port in pairs:
            rules.append(f"add rule inet chaos input ip saddr {address} tcp dport {port} counter drop")
            rules.append(f"add rule inet chaos output ip daddr {address} tcp sport {port} counter drop")
        run("nft -f -", input="\n".join(rules).encode())

    def dropped(self):
        """How many packets the cuts have swallowed."""
        said = subprocess.run(["nft", "list", "table", "inet", "chaos"], capture_output=True, text=True, check=True).stdout
        return sum(int(line.split("packets ")[1].split()[0]) for line in said.splitlines() if "packets " in line)

    def heal(self):
        run("nft flush table inet chaos")

    def unplug(self, name):
        run(f"ip link set {name} down")

    def plug(self, name):
        run(f"ip link set {name} up")


class Sniffer:
    """Hears which server sends to which target, so that two servers at one scan are seen whatever the database says."""

    # Loads the destination and keeps what goes to TARGETS, in the kernel: the rest of the traffic is not looked at.
    FILTER = [(0x20, 0, 0, 30), (0x54, 0, 0, 0xFFFF0000), (0x15, 0, 1, 0x0A4E0000), (0x06, 0, 0, 64), (0x06, 0, 0, 0)]
    SO_ATTACH_FILTER, ETH_P_IP = 26, 0x0800
    # The same source again so soon, with another one between, is no taking over.
    BESIDE_SECONDS = 5.0

    def __init__(self):
        import ctypes

        program = b"".join(struct.pack("HBBI", *step) for step in self.FILTER)
        self.kept = ctypes.create_string_buffer(program)
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(self.ETH_P_IP))
        attached = struct.pack("HL", len(self.FILTER), ctypes.addressof(self.kept))
        self.socket.setsockopt(socket.SOL_SOCKET, self.SO_ATTACH_FILTER, attached)
        self.socket.bind(("br0", self.ETH_P_IP))
        # target → [(first, last, source)], one for each uninterrupted series of one source
        self.heard, self.packets = {}, 0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            packet = self.socket.recv(64)
            self.packets += 1
            source, target, now = socket.inet_ntoa(packet[26:30]), socket.inet_ntoa(packet[30:34]), time.monotonic()
            series = self.heard.setdefault(target, [])
            if series and series[-1][2] == source:
                series[-1][1] = now
            else:
                series.append([now, now, source])

    def beside(self):
        """target → how long two servers were at it at the same time."""
        found = {}
        for target, series in list(self.heard.items()):
            for (_, before, first), _, (after, _, third) in zip(series, series[1:], series[2:], strict=False):
                if first == third and after - before < self.BESIDE_SECONDS:
                    found[target] = after - before
        return found

    def taken_over(self):
        return sum(len({source for _, _, source in series}) > 1 for series in self.heard.values())
