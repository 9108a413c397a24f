"""Ports on loopback."""

from __future__ import annotations

import itertools
import secrets
import socket

PORTS = range(20000, 32000)
"""Below those that systems give to connections that go out, so that none of them takes a port before it is used."""

# Every process begins elsewhere: tests that run side by side rarely ask for the same one.
_numbers = itertools.count(secrets.randbelow(len(PORTS)))


def free_port() -> int:
    """A port that nobody listens on now, another one each time."""
    for number in itertools.islice(_numbers, len(PORTS)):
        port = PORTS[number % len(PORTS)]
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("all ports are taken")


def listening(port: int) -> bool:
    """Whether somebody accepts connections on `port`."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
