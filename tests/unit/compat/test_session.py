"""Vendors' sessions: events come in order, nothing is left behind, and text without speech gives silence."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from support.async_tests import on_loop
from support.in_process_app import running
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.containers import Container
from voxwire_server.compat.session import (
    BACKLOG_HIGH_BYTES,
    ENCODED_SECONDS_MAX,
    CompatSession,
    EncodedAudio,
    OutputFormat,
    SessionClosed,
)
from voxwire_server.session.quotas import ClientIdentity

PCM = OutputFormat(sample_rate=24000)
TEXT = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."


async def until(session: CompatSession, kind, context: str = "a") -> list:
    """Events up to the first of a kind about a context, that one included."""
    events = []
    while True:
        event = await session.next_event()
        events.append(event)
        if isinstance(event, SessionClosed) or (isinstance(event, kind) and event.context == context):
            return events


def audio_of(events) -> list[EncodedAudio]:
    return [event for event in events if isinstance(event, EncodedAudio)]


def open_session(app, *, format: OutputFormat = PCM, paced: bool = False, **start) -> CompatSession:
    session = CompatSession(app, ClientIdentity())
    session.start(m.Start(context="a", **start), format, paced=paced)
    return session


@on_loop
async def test_audio_comes_in_order_without_a_gap():
    async with running() as app:
        session = open_session(app)
        session.forward(m.Text(context="a", text=TEXT), m.End(context="a"))
        events = await until(session, m.Done)
        audio = audio_of(events)
        assert audio[0].pts == 0
        assert all(b.pts == a.end_pts for a, b in pairwise(audio))
        assert sum(len(part.payload) for part in audio) == 2 * audio[-1].end_pts
        assert audio[-1].end_pts >= events[-1].samples > 24000


@on_loop
async def test_timings_come_no_later_than_their_audio():
    async with running() as app:
        session = open_session(app)
        session.forward(m.Text(context="a", text=TEXT), m.End(context="a"))
        heard_pts, words = 0, []
        for event in await until(session, m.Done):
            if isinstance(event, EncodedAudio):
                heard_pts = event.end_pts
            elif isinstance(event, m.Timing):
                assert all(word.pts >= heard_pts for word in event.words)
                words += [word.text for word in event.words]
        assert " ".join(words).split() == TEXT.split()


@on_loop
@pytest.mark.parametrize("text", ["🙂", "...", "🙂 🎉\n"])
async def test_text_without_speakable_words_gives_a_little_silence(text):
    async with running() as app:
        session = open_session(app)
        session.forward(m.Text(context="a", text=text), m.Flush(context="a"))
        audio = audio_of(await until(session, m.Flushed))
        assert b"".join(part.payload for part in audio) == bytes(2 * 4800)
        session.forward(m.Text(context="a", text="Hello there."), m.End(context="a"))
        events = await until(session, m.Done)
        after = audio_of(events)
        assert after[0].pts == 4800
        assert next(event for event in events if isinstance(event, m.Timing)).words[0].pts >= 4800


@on_loop
async def test_visemes_are_shifted_by_added_silence():
    async with running() as app:
        session = open_session(app, timings=("viseme",))
        session.forward(m.Text(context="a", text="..."), m.Flush(context="a"))
        heard_pts = audio_of(await until(session, m.Flushed))[-1].end_pts
        session.forward(m.Text(context="a", text=TEXT), m.End(context="a"))
        visemes = []
        for event in await until(session, m.Done):
            if isinstance(event, EncodedAudio):
                heard_pts = event.end_pts
            elif isinstance(event, m.Timing):
                assert all(viseme.pts >= heard_pts for viseme in event.visemes)
                visemes += event.visemes
        assert visemes[0].pts == 4800
        assert visemes[-1].pts <= heard_pts


@on_loop
@pytest.mark.parametrize("text", ["", " ", "\n\t"])
async def test_blank_text_gives_no_audio(text):
    async with running() as app:
        session = open_session(app)
        session.forward(m.Text(context="a", text=text), m.Flush(context="a"), m.End(context="a"))
        assert not audio_of(await until(session, m.Done))


@on_loop
async def test_a_flush_that_was_answered_by_speech_gets_no_silence():
    async with running() as app:
        session = open_session(app)
        for sentence in ("One two three.", "Four five six.", "Seven eight."):
            session.forward(m.Text(context="a", text=sentence + " "), m.Flush(context="a"))
        session.forward(m.End(context="a"))
        events = await until(session, m.Done)
        assert sum(isinstance(event, m.Flushed) for event in events) == 3
        assert audio_of(events)[-1].end_pts == events[-1].frames * 480


@on_loop
async def test_a_container_is_written_in_short_parts_without_loss():
    async def speak(app, format: OutputFormat) -> list[EncodedAudio]:
        session = open_session(app, format=format, seed=7)
        session.forward(m.Text(context="a", text=TEXT), m.End(context="a"))
        heard = audio_of(await until(session, m.Done))
        session.disconnect()
        return heard

    async with running() as app:
        raw = await speak(app, PCM)
        contained = await speak(app, OutputFormat(sample_rate=24000, container=Container.WAV))
        assert all(b.pts == a.end_pts for a, b in pairwise(contained))
        assert max(part.end_pts - part.pts for part in contained) <= 24000 * ENCODED_SECONDS_MAX
        samples = b"".join(part.payload for part in contained)[44:]
        assert samples == b"".join(part.payload for part in raw)


@on_loop
async def test_a_container_is_ended_before_its_context_is_done():
    pytest.importorskip("av")
    async with running() as app:
        session = open_session(app, format=OutputFormat(sample_rate=24000, container=Container.MP3, bitrate=64_000))
        session.forward(m.Text(context="a", text=TEXT), m.End(context="a"))
        events = await until(session, m.Done)
        audio = audio_of(events)
        assert audio[0].payload[0] == 0xFF
        assert sum(len(part.payload) for part in audio) > 0.9 * events[-1].samples / 24000 * 8000


@on_loop
async def test_an_impossible_container_is_refused_before_the_context_is_opened():
    async with running() as app:
        session = CompatSession(app, ClientIdentity())
        with pytest.raises(VoxwireError) as refused:
            session.start(
                m.Start(context="a"), OutputFormat(codec="mulaw", sample_rate=8000, container=Container.MP3), paced=True
            )
        assert refused.value.code is ErrorCode.UNSUPPORTED_AUDIO
        assert not session.is_open("a")


@on_loop
async def test_a_context_that_is_refused_does_not_exist():
    async with running() as app:
        session = open_session(app, voice="nobody")
        assert not session.is_open("a")
        session.forward(m.Text(context="a", text=TEXT), m.End(context="a"))
        events = await until(session, m.ErrorMessage)
        assert events[-1].code == ErrorCode.UNKNOWN_VOICE.value
        session.start(m.Start(context="b"), PCM, paced=False)
        session.forward(m.Text(context="b", text="Hello."), m.End(context="b"))
        assert {part.context for part in audio_of(await until(session, m.Done, "b"))} == {"b"}


@on_loop
async def test_text_for_a_context_that_is_done_opens_no_other():
    async with running() as app:
        session = open_session(app)
        session.forward(m.Text(context="a", text="Hello."), m.End(context="a"))
        await until(session, m.Done)
        session.forward(m.Text(context="a", text="Hello again."), m.End(context="a"))
        assert session.driver.core.contexts_open == 0


@on_loop
async def test_nothing_of_a_cancelled_context_follows_its_cancel():
    async with running() as app:
        session = open_session(app, paced=True)
        session.forward(m.Text(context="a", text=TEXT * 10), m.End(context="a"))
        while not isinstance(await session.next_event(), EncodedAudio):
            pass
        session.forward(m.Cancel(context="a"))
        assert not audio_of(await until(session, m.Done))
        assert session.driver.core.contexts_open == 0


@on_loop
async def test_a_slow_consumer_pauses_its_own_audio():
    async with running() as app:
        session = open_session(app)
        session.forward(m.Text(context="a", text=TEXT * 200), m.End(context="a"))
        other = CompatSession(app, ClientIdentity())
        other.start(m.Start(context="a"), PCM, paced=False)
        other.forward(m.Text(context="a", text=TEXT), m.End(context="a"))
        assert isinstance((await until(other, m.Done))[-1], m.Done)
        # 20 s of audio is what the session keeps ready besides, and the burst under way when it is paused.
        assert session.backlog_bytes < BACKLOG_HIGH_BYTES + 48_000 * 60
        events = await until(session, m.Done)
        assert audio_of(events)[-1].end_pts >= events[-1].samples > 24000 * 60 * 10
        assert session.backlog_bytes == 0


@on_loop
async def test_a_disconnected_session_leaves_nothing():
    async with running() as app:
        session = open_session(app)
        session.forward(m.Text(context="a", text=TEXT * 50), m.End(context="a"))
        while not isinstance(await session.next_event(), EncodedAudio):
            pass
        session.disconnect()
        session.disconnect()
        assert len(app.sessions) == 0
        assert isinstance(await session.next_event(), SessionClosed)


@on_loop
async def test_draining_lets_a_session_finish_its_speech_and_closes_it():
    async with running() as app:
        session = open_session(app)
        session.forward(m.Text(context="a", text=TEXT), m.End(context="a"))
        drained = asyncio.create_task(app.drain())
        events = await until(session, SessionClosed)  # short speech may end before or after the notice of draining
        assert any(isinstance(event, m.Done) for event in events)
        assert events[-1].code == 1012
        await drained
        with pytest.raises(VoxwireError) as refused:
            CompatSession(app, ClientIdentity())
        assert refused.value.code is ErrorCode.DRAINING


@on_loop
async def test_an_invalid_message_is_counted_and_not_reported_twice():
    async with running(limits__bad_messages_max=3) as app:
        session = CompatSession(app, ClientIdentity())
        mistake = VoxwireError(ErrorCode.MALFORMED_MESSAGE, "no JSON")
        session.reject(mistake)
        session.start(m.Start(context="a"), PCM, paced=False)
        session.forward(m.End(context="a"))
        assert not [event for event in await until(session, m.Done) if isinstance(event, m.ErrorMessage)]
        for _ in range(3):
            session.reject(mistake)
        events = await until(session, m.Done)
        assert [event.code for event in events if isinstance(event, m.ErrorMessage)] == [ErrorCode.ABUSE.value]
        assert isinstance(events[-1], SessionClosed)


@on_loop
async def test_a_long_text_is_forwarded_in_parts():
    async with running(limits__text_chars_max=50) as app:
        session = open_session(app)
        session.forward(m.Text(context="a", text=TEXT, flush=True), m.End(context="a"))
        events = await until(session, m.Done)
        assert not [event for event in events if isinstance(event, m.ErrorMessage)]
        assert events[-1].chars == len(TEXT)
