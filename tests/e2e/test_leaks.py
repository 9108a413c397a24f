"""After hundreds of sessions that end in every way there is, a server holds what it held before them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from support.assert_idle import MIB
from support.chaos_clients import Visits
from support.ports import free_port
from support.server import Host, serving
from voxwire_server.app import Application
from voxwire_server.audio.encoder_pool import OpusStream
from voxwire_server.audio.pipeline import AudioPipeline
from voxwire_server.config import load_config
from voxwire_server.scheduling.request import SynthesisRequest
from voxwire_server.serving import make_server
from voxwire_server.session.context import Context
from voxwire_server.session.core import SessionCore
from voxwire_server.session.driver import Driver
from voxwire_server.session.resume import ReplayLog
from voxwire_server.transport.connection import Connection
from voxwire_server.transport.websocket_protocol import WebSocketProtocol

WINDOW_SECONDS = 1.0
SESSIONS = 300
SETTLING_SECONDS = 20.0
"""A connection whose peer takes nothing any more is held ten seconds; a session whose client is away, its window."""

SETTINGS = (
    "engines.enabled=tone",
    "engines.default=tone",
    "scheduling.utilisation_max=100",
    "scheduling.queue_seconds_max=60",
    f"resume.window_seconds={WINDOW_SECONDS}",
    "limits.slow_reader_seconds=0.5",
)

SESSION_BYTES_MAX = 40 * 1024
"""What a session may leave behind in allocators and caches that still fill up. What it holds while it lives is an
answer in its replay log, 200 kB and more: were those kept, it would be seen. What is smaller is counted by `LIVING`."""

LIVING = (
    Driver,
    SessionCore,
    Context,
    ReplayLog,
    AudioPipeline,
    OpusStream,
    SynthesisRequest,
    Connection,
    WebSocketProtocol,
)
"""What a session is made of."""

HELD = (
    "voxwire_sessions",
    "voxwire_sessions_away",
    "voxwire_contexts",
    "voxwire_clauses",
    'voxwire_engine_listeners{engine="tone"}',
    'voxwire_engine_waiting{engine="tone"}',
    'voxwire_executor_running{executor="cpu"}',
)


@pytest.fixture(scope="module")
def host():
    with serving(*SETTINGS) as running:
        yield running


async def make_visits(visits: Visits, count: int) -> None:
    """So many visits, 24 at once, every kind among them."""
    kinds = [*visits.kinds, *([None] * (count - len(visits.kinds)))]
    left = iter(kinds)

    async def visitor() -> None:
        for kind in left:
            await visits.one(kind)

    await asyncio.gather(*(visitor() for _ in range(24)))


def visited(port: int, count: int, seed: int) -> Visits:
    visits = Visits(port, random.Random(seed), window_seconds=WINDOW_SECONDS, slow_reader_seconds=0.5)
    asyncio.run(make_visits(visits, count))
    return visits


def held(host: Host) -> dict[str, float]:
    found = host.metrics()
    return {name: found[name] for name in HELD}


def settled(host: Host, handles: int) -> bool:
    """Wait until nothing is held for anybody, and no more handles than before."""
    until = time.monotonic() + SETTLING_SECONDS
    while time.monotonic() < until:
        if not any(held(host).values()) and host.process.num_fds() <= handles:
            return True
        time.sleep(0.1)
    return False


def test_sessions_of_every_kind_leave_nothing_behind(host):
    quiet_handles = host.process.num_fds()
    threads = host.process.num_threads()
    warm = visited(host.port, SESSIONS, seed=1)
    assert settled(host, quiet_handles), (held(host), host.process.num_fds(), quiet_handles)
    memory = host.memory()
    visits = visited(host.port, SESSIONS, seed=2)
    assert settled(host, quiet_handles), (held(host), host.process.num_fds(), quiet_handles)
    assert visits.unexpected == warm.unexpected == []
    assert set(visits.counts) == {kind.__name__ for kind in visits.kinds}
    # Some of those that start a server end by themselves.
    assert host.process.num_threads() <= threads
    assert host.memory() - memory < max(8 * MIB, SESSIONS * SESSION_BYTES_MAX)


@contextlib.contextmanager
def in_this_process(*settings: str) -> Iterator[Application]:
    """A server on a thread of this process."""
    given = dict(setting.split("=", 1) for setting in settings)
    application = Application(load_config(flags={"server.port": str(free_port())} | given))
    server = make_server(application.config, application)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + 20
        while not (server.started and application.ready):
            assert time.monotonic() < until
            time.sleep(0.02)
        yield application
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def living() -> Counter[str]:
    gc.collect()
    kinds = set(LIVING)
    return Counter(type(each).__name__ for each in gc.get_objects() if type(each) in kinds)


def test_no_part_of_a_session_lives_on():
    # Other tests of this process may still hold some.
    before = living()
    with in_this_process(*SETTINGS) as application:
        visits = visited(application.config.server.port, 150, seed=3)
        assert visits.unexpected == []
        until = time.monotonic() + SETTLING_SECONDS
        while (left := living() - before) and time.monotonic() < until:
            time.sleep(0.5)
        assert not left
