"""Two hosts and a bad network between them: network namespaces, joined by a process that mistreats their packets.

Needs root and Linux (`permitted` tells). Everything that one host sends goes through a TUN device to a thread here,
which delays, drops, squeezes or swallows it before it comes out of the other host's TUN device.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
CLONE_NEWNET = 0x40000000
MTU = 1400
SYN = 2
QUEUE_SECONDS_MAX = 1.0
"""What a full modem's queue holds; more is dropped."""


@dataclass
class Link:
    """How the network treats packets, changeable any time. Times are in seconds, one way; `loss` is a probability."""

    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    bits_per_second: float | None = None
    up: bool = True


@dataclass
class Network:
    """The two hosts: their namespaces and addresses."""

    server_namespace: str
    client_namespace: str
    server_address: str
    client_address: str
    link: Link = field(default_factory=Link)
    dropped: int = 0
    passed: int = 0
    _forgotten: set[int] = field(default_factory=set)
    _seen: set[int] = field(default_factory=set)

    def command(self, namespace: str, *arguments: str) -> list[str]:
        """A command to be run on a host."""
        return ["ip", "netns", "exec", namespace, *arguments]

    def change_cell(self) -> None:
        """The client gets another address, as a phone does: its connections are dead, and nobody tells either side."""
        self._forgotten |= self._seen
        self._seen.clear()

    def swallows(self, packet: bytes, from_client: bool) -> bool:
        """Whether a packet belongs to a connection from before the last change of cells, or is lost."""
        if packet[0] >> 4 == 4 and packet[9] == 6:
            header = (packet[0] & 15) * 4
            ports = struct.unpack("!HH", packet[header : header + 4])
            port = ports[0] if from_client else ports[1]
            if from_client and packet[header + 13] & SYN:
                # The system takes a number again for a connection of today.
                self._forgotten.discard(port)
            if port in self._forgotten:
                return True
            self._seen.add(port)
        return not self.link.up or random.random() < self.link.loss


def permitted() -> bool:
    """Whether this machine lets us make namespaces and TUN devices."""
    name = f"vwprobe{os.getpid()}"
    try:
        subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
        subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return os.access("/dev/net/tun", os.R_OK | os.W_OK)


@contextlib.contextmanager
def network() -> Iterator[Network]:
    """Make two hosts with a perfect network between them; change `link` to make it worse."""
    tag = f"vw{os.getpid() % 10000}"
    net = Network(f"{tag}s", f"{tag}c", "10.77.77.1", "10.77.77.2")
    names = (net.server_namespace, net.client_namespace)
    try:
        for name in names:
            _run("ip", "netns", "add", name)
        ends = [_tun(name, "tun0") for name in names]
        for name, address in zip(names, (net.server_address, net.client_address), strict=True):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "tun0")
            _run("ip", "-n", name, "link", "set", "tun0", "mtu", str(MTU), "up")
            _run("ip", "-n", name, "link", "set", "lo", "up")
        stop = threading.Event()
        carrier = threading.Thread(target=_carry, args=(net, ends, stop), daemon=True)
        carrier.start()
        yield net
        stop.set()
        carrier.join()
        for end in ends:
            os.close(end)
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _carry(net: Network, ends: list[int], stop: threading.Event) -> None:
    """Move packets from one end to the other when their time has come. In order, as jitter in a modem's queue is."""
    waiting: list[tuple[float, int, int, bytes]] = []
    order = itertools.count()
    free_at = [0.0, 0.0]
    last_at = [0.0, 0.0]
    while not stop.is_set():
        timeout = min(0.05, max(0.0, waiting[0][0] - time.monotonic())) if waiting else 0.05
        for end in select.select(ends, [], [], timeout)[0]:
            side, packet = ends.index(end), os.read(end, 65536)
            now, link = time.monotonic(), net.link
            if net.swallows(packet, from_client=side == 1):
                net.dropped += 1
                continue
            start = max(now, free_at[side])
            if link.bits_per_second is not None:
                if start - now > QUEUE_SECONDS_MAX:
                    net.dropped += 1
                    continue
                start += len(packet) * 8 / link.bits_per_second
                free_at[side] = start
            at = max(last_at[side], start + link.delay + random.random() * link.jitter)
            last_at[side] = at
            heapq.heappush(waiting, (at, next(order), ends[1 - side], packet))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, out, packet = heapq.heappop(waiting)
            with contextlib.suppress(OSError):
                os.write(out, packet)
                net.passed += 1


def _tun(namespace: str, name: str) -> int:
    """A TUN device in a namespace; its file descriptor works from here."""
    made: list[int | OSError] = []

    def make() -> None:
        # A thread of its own, because the namespace is the thread's.
        try:
            there = os.open(f"/var/run/netns/{namespace}", os.O_RDONLY)
            if ctypes.CDLL(None, use_errno=True).setns(there, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            os.close(there)
            end = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(end, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN_NO_PI))
            made.append(end)
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    return made[0]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
