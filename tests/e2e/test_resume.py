"""Connections that are cut anywhere, at real servers: the listener hears the undisturbed stream, byte for byte."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.server import serving
from support.tcp_proxy import Proxy
from voxwire_client import Audio, ConnectionLost, Done, Flushed, Interrupted, Reconnected, Timing, backoff, connect

TEXT = "Hello there, listener. This is the second sentence, and it is a bit longer than the first one was."
SECOND = "And this is another utterance. It is short."
SETTINGS = ("engines.enabled=tone,tone-frames", "engines.default=tone", "scheduling.utilisation_max=100")
SEED = 7


@dataclass(frozen=True)
class Heard:
    """All that a listener can tell two streams apart by."""

    frames: tuple[tuple[int, int, bytes], ...] = field(repr=False)
    words: tuple[tuple[str, int, int, tuple[int, int]], ...]
    flushed: tuple[tuple[str | None, int | None], ...]
    done: tuple[object, ...]


def heard(events) -> Heard:
    *_, done = events
    assert isinstance(done, Done)
    return Heard(
        tuple((event.seq, event.pts, event.payload) for event in events if isinstance(event, Audio)),
        tuple((w.text, w.pts, w.end_pts, w.chars) for e in events if isinstance(e, Timing) for w in e.words),
        tuple((event.id, event.seq) for event in events if isinstance(event, Flushed)),
        (done.reason, done.frames, done.samples, done.chars),
    )


@pytest.fixture(scope="module")
def server():
    # Sessions that were left behind are not waited for.
    with serving(*SETTINGS, "server.drain_seconds=0") as running:
        yield running


@pytest.fixture(scope="module")
def other():
    # Sessions that were left behind are not waited for.
    with serving(*SETTINGS, "server.drain_seconds=0") as running:
        yield running


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Attempts follow each other so closely that the server does not settle for half a word meanwhile."""
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.001)
    monkeypatch.setattr(backoff, "STEP_SECONDS", 0.002)


async def connected(port, **options):
    """A session; the very first connection may be cut, and the client does not try that one again by itself."""
    while True:
        try:
            return await connect(f"ws://127.0.0.1:{port}", **options)
        except ConnectionLost as lost:
            if not lost.retryable:
                raise


async def written(session, name, **options):
    """Two utterances, written by hand."""
    async with session.context(context=name, seed=SEED, pacing="burst", **options) as spoken:
        await spoken.text(TEXT)
        await spoken.flush("first")
        await spoken.text(SECOND)
        await spoken.end()
        return [event async for event in spoken]


async def everything(port, *, encoding="msgpack", **options):
    """What is heard of three contexts at once."""
    session = await connected(port, encoding=encoding)
    async with session:
        return await asyncio.gather(
            written(session, "a", voice="tone-low", **options),
            written(session, "b", voice="tone-high", codec="mulaw"),
            written(session, "c", voice="tone-low", codec="opus", bitrate=24000),
        )


def play(action, seconds=40):
    async def run():
        async with asyncio.timeout(seconds):
            return await action()

    return asyncio.run(run())


@pytest.fixture(scope="module")
def undisturbed(server):
    return [heard(events) for events in play(lambda: everything(server.port))]


CUT = st.one_of(
    st.tuples(st.integers(0, 2500), st.none()),
    st.tuples(st.none(), st.integers(0, 2500)),
    st.tuples(st.none(), st.integers(0, 600_000)),
    st.tuples(st.integers(0, 2500), st.integers(0, 100_000)),
)
"""After so many bytes (up, down) of a connection: in handshakes, in frames, between any two bytes."""


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(schedule=st.lists(CUT, max_size=12), encoding=st.sampled_from(["json", "msgpack"]))
def test_whatever_is_cut_the_stream_is_the_undisturbed_one(server, undisturbed, schedule, encoding):
    async def action():
        async with Proxy(server.port) as proxy:
            proxy.cut_each(*schedule)
            return await everything(proxy.port, encoding=encoding)

    assert [heard(events) for events in play(action)] == undisturbed


def test_a_session_of_many_drops_loses_and_repeats_nothing(server):
    """Realtime pacing, a drop every hundred milliseconds or so, while it speaks."""

    async def speak(port):
        async with connect(f"ws://127.0.0.1:{port}") as session:
            return [event async for event in session.speak(TEXT, voice="tone-low", seed=SEED)]

    async def action():
        async with Proxy(server.port) as proxy:

            async def cut_often():
                while True:
                    await proxy.accepted()
                    await asyncio.sleep(0.1)
                    proxy.cut()

            cutter = asyncio.create_task(cut_often())
            try:
                return await speak(proxy.port), proxy.cuts
            finally:
                cutter.cancel()

    async def calm():
        return await speak(server.port)

    events, cuts = play(action)
    assert cuts >= 10
    assert all(event.resumed for event in events if isinstance(event, Reconnected))
    assert heard(events) == heard(play(calm))


def told(events):
    """Words by the documented rule: where speech begins anew, timings from there on count no more."""
    words = []
    for event in events:
        match event:
            case Timing():
                words += event.words
            case Reconnected(resumed=False, pts=pts):
                words = [word for word in words if word.end_pts <= pts]
            case _:
                pass
    return words


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=st.lists(st.integers(0, 400_000), min_size=1, max_size=3))
def test_a_node_that_is_gone_costs_no_word(server, other, moves):
    """Each time the connection is cut the next one comes to the other node, which knows nothing of the session."""

    async def action():
        async with Proxy(server.port) as proxy:
            nodes = [other.port, server.port]

            def moved(event):
                if isinstance(event, Interrupted):
                    proxy.target_port = nodes[proxy.cuts % 2 - 1]
                    if moves_left:
                        proxy.cut_each((None, moves_left.pop()))

            moves_left = list(moves[1:])
            proxy.cut_each((None, 1200 + moves[0]))
            async with connect(f"ws://127.0.0.1:{proxy.port}", on_change=moved) as session:
                return await written(session, "a", voice="tone-low")

    events = play(action)
    audio = [event for event in events if isinstance(event, Audio)]
    assert [(event.seq, event.pts) for event in audio] == [(i, i * 480) for i in range(len(audio))]
    words = told(events)
    assert [word.text for word in words] == (TEXT + " " + SECOND).split()
    assert all((TEXT + SECOND)[slice(*word.chars)] == word.text for word in words)
    assert [word.pts for word in words] == sorted(word.pts for word in words)
    assert [event.id for event in events if isinstance(event, Flushed)] == ["first"]
    assert events[-1].frames == len(audio)
    assert events[-1].chars == len(TEXT + SECOND)


def test_a_draining_server_finishes_its_speech_across_a_drop_and_new_speech_goes_elsewhere(other):
    async def action(stopping):
        async with Proxy(stopping.port) as proxy, connect(f"ws://127.0.0.1:{proxy.port}") as session:
            got, others = [], []
            async for event in session.speak(TEXT, voice="tone-low", seed=SEED):
                got.append(event)
                if isinstance(event, Audio) and event.seq == 10:
                    stopping.stop()
                if session.draining is not None and proxy.cuts == 0:
                    proxy.cut()
                if isinstance(event, Reconnected):
                    proxy.target_port = other.port
                    others.append(asyncio.create_task(written(session, "other", voice="tone-low")))
            return got, [await each for each in others]

    with serving(*SETTINGS) as stopping:
        got, (elsewhere,) = play(lambda: action(stopping))
    assert [event.resumed for event in got if isinstance(event, Reconnected)] == [True]
    assert heard(got).words[-1][0] == "was."
    assert [frame[0] for frame in heard(got).frames] == list(range(got[-1].frames))
    assert heard(elsewhere).done[0] == got[-1].reason
