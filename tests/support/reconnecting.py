"""Runs a session against one scripted server per connection, and compares the stream that its caller gets."""

from __future__ import annotations

from support.scripted_server import FRAME_SAMPLES, play, scripted
from voxwire_client import Audio, connect
from voxwire_protocol import messages as m

TEXT = "Hi you there."
CLAUSE = m.ClauseStarted(context="a", chars=(0, 13), pts=0)
HI = m.WordTiming(text="Hi", chars=(0, 2), pts=0, end_pts=400)
YOU = m.WordTiming(text="you", chars=(3, 6), pts=480, end_pts=900)
THERE = m.WordTiming(text="there", chars=(7, 12), pts=960, end_pts=2000)
WORDS = m.Timing(context="a", words=(HI, YOU, THERE))


def run_session(*scripts, action, window_ms=30_000, heartbeat_ms=60_000, **options):
    """Run `action(session)` against a server that plays one script per connection; returns what it returns."""

    async def run():
        async with (
            scripted(*scripts, resume_window_ms=window_ms, heartbeat_ms=heartbeat_ms) as url,
            connect(url, **options) as session,
        ):
            return await action(session)

    return play(run)


async def speak(session, **options):
    """All events of TEXT, spoken as context "a"."""
    return [event async for event in session.speak(TEXT, context="a", **options)]


def heard(events):
    """The audio of a stream: number, pts and first bytes of each frame."""
    return [(event.seq, event.pts, event.payload[:4]) for event in events if isinstance(event, Audio)]


def frames(count):
    """What `heard` returns for the first `count` frames of `Peer.frames`."""
    return [(seq, seq * FRAME_SAMPLES, seq.to_bytes(4, "little")) for seq in range(count)]


def kinds(events):
    """The types of all events but audio."""
    return [type(event) for event in events if not isinstance(event, Audio)]
