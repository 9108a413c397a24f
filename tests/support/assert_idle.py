"""Whether a server has come to rest after whatever was done to it."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from support.protocol_client import say
from support.server import Host
from voxwire_protocol import messages as m

MIB = 1 << 20
GAUGES = ("voxwire_contexts", "voxwire_sessions", "voxwire_clauses")
REST_SECONDS_MAX = 60.0
PROBE_SECONDS = 0.02


def eventually(condition, seconds: float = REST_SECONDS_MAX) -> None:
    """Ask again and again until `condition()` is true; fails with its last answer."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, found
        time.sleep(PROBE_SECONDS)


def assert_calm(host: Host) -> None:
    """The server is alive, speaks, and holds nothing of anybody any more."""
    with urllib.request.urlopen(f"{host.http}/health", timeout=60) as answer:
        assert answer.status == 200
    heard = asyncio.run(say(host.url, "All is well.", pacing=m.PacingRequest(mode="burst")))
    assert heard.of(m.Done)[0].reason is m.DoneReason.COMPLETED
    assert len(heard.pcm()) > 24000
    gauges: dict[str, float] = {}

    def at_rest() -> bool:
        found = host.metrics()
        gauges.update({name: found[name] for name in GAUGES})
        return not any(gauges.values())

    try:
        eventually(at_rest)
    except AssertionError:
        raise AssertionError(gauges) from None


@contextmanager
def unharmed(host: Host, mib_max: float) -> Iterator[None]:
    """What is done inside leaves the server calm, and no more than `mib_max` MiB larger."""
    assert_calm(host)
    before = host.memory()
    yield
    assert_calm(host)
    grown = (host.memory() - before) / MIB
    assert grown <= mib_max, f"{grown:.1f} MiB"
