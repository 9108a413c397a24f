"""Lines: everything comes in order, nothing is left behind, and text without speech still sounds."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from support.async_tests import on_loop
from support.in_process_app import running
from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.containers import Container
from voxwire_server.compat.formats import OutputFormat
from voxwire_server.compat.session_stream import (
    BACKLOG_HIGH_BYTES,
    ENCODED_SECONDS_MAX,
    AudioPiece,
    Closed,
    CompatSession,
)
from voxwire_server.session.identity import ClientIdentity

PCM = OutputFormat(sample_rate=24000)
TEXT = "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background."


async def until(line: CompatSession, kind, context: str = "a") -> list:
    """Events up to the first of a kind about a context, that one included."""
    events = []
    while True:
        event = await line.next()
        events.append(event)
        if isinstance(event, Closed) or (isinstance(event, kind) and event.context == context):
            return events


def pieces(events) -> list[AudioPiece]:
    return [event for event in events if isinstance(event, AudioPiece)]


def open_line(app, *, format: OutputFormat = PCM, paced: bool = False, **start) -> CompatSession:
    line = CompatSession(app, ClientIdentity())
    line.start(m.Start(context="a", **start), format, paced=paced)
    return line


@on_loop
async def test_audio_comes_in_one_piece_after_the_other_without_a_gap():
    async with running() as app:
        line = open_line(app)
        line.tell(m.Text(context="a", text=TEXT), m.End(context="a"))
        events = await until(line, m.Done)
        audio = pieces(events)
        assert audio[0].pts == 0
        assert all(b.pts == a.end_pts for a, b in pairwise(audio))
        assert sum(len(piece.payload) for piece in audio) == 2 * audio[-1].end_pts
        assert audio[-1].end_pts >= events[-1].samples > 24000


@on_loop
async def test_what_sounds_when_is_told_no_later_than_its_audio():
    async with running() as app:
        line = open_line(app)
        line.tell(m.Text(context="a", text=TEXT), m.End(context="a"))
        heard_pts, words = 0, []
        for event in await until(line, m.Done):
            if isinstance(event, AudioPiece):
                heard_pts = event.end_pts
            elif isinstance(event, m.Timing):
                assert all(word.pts >= heard_pts for word in event.words)
                words += [word.text for word in event.words]
        assert " ".join(words).split() == TEXT.split()


@on_loop
@pytest.mark.parametrize("text", ["🙂", "...", "🙂 🎉\n"])
async def test_text_that_can_not_be_spoken_gives_a_little_silence(text):
    async with running() as app:
        line = open_line(app)
        line.tell(m.Text(context="a", text=text), m.Flush(context="a"))
        audio = pieces(await until(line, m.Flushed))
        assert b"".join(piece.payload for piece in audio) == bytes(2 * 4800)
        line.tell(m.Text(context="a", text="Hello there."), m.End(context="a"))
        events = await until(line, m.Done)
        after = pieces(events)
        assert after[0].pts == 4800
        assert next(event for event in events if isinstance(event, m.Timing)).words[0].pts >= 4800


@on_loop
async def test_visemes_move_with_their_audio_behind_added_silence():
    async with running() as app:
        line = open_line(app, timings=("viseme",))
        line.tell(m.Text(context="a", text="..."), m.Flush(context="a"))
        heard_pts = pieces(await until(line, m.Flushed))[-1].end_pts
        line.tell(m.Text(context="a", text=TEXT), m.End(context="a"))
        visemes = []
        for event in await until(line, m.Done):
            if isinstance(event, AudioPiece):
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
        line = open_line(app)
        line.tell(m.Text(context="a", text=text), m.Flush(context="a"), m.End(context="a"))
        assert not pieces(await until(line, m.Done))


@on_loop
async def test_a_flush_that_was_answered_by_speech_gets_no_silence():
    async with running() as app:
        line = open_line(app)
        for sentence in ("One two three.", "Four five six.", "Seven eight."):
            line.tell(m.Text(context="a", text=sentence + " "), m.Flush(context="a"))
        line.tell(m.End(context="a"))
        events = await until(line, m.Done)
        assert sum(isinstance(event, m.Flushed) for event in events) == 3
        assert pieces(events)[-1].end_pts == events[-1].frames * 480


@on_loop
async def test_a_container_is_written_in_short_parts_of_which_none_is_lost():
    async def speak(app, format: OutputFormat) -> list[AudioPiece]:
        line = open_line(app, format=format, seed=7)
        line.tell(m.Text(context="a", text=TEXT), m.End(context="a"))
        heard = pieces(await until(line, m.Done))
        line.hang_up()
        return heard

    async with running() as app:
        raw = await speak(app, PCM)
        contained = await speak(app, OutputFormat(sample_rate=24000, container=Container.WAV))
        assert all(b.pts == a.end_pts for a, b in pairwise(contained))
        assert max(piece.end_pts - piece.pts for piece in contained) <= 24000 * ENCODED_SECONDS_MAX
        samples = b"".join(piece.payload for piece in contained)[44:]
        assert samples == b"".join(piece.payload for piece in raw)


@on_loop
async def test_a_container_is_ended_before_its_context_is_done():
    pytest.importorskip("av")
    async with running() as app:
        line = open_line(app, format=OutputFormat(sample_rate=24000, container=Container.MP3, bitrate=64_000))
        line.tell(m.Text(context="a", text=TEXT), m.End(context="a"))
        events = await until(line, m.Done)
        audio = pieces(events)
        assert audio[0].payload[0] == 0xFF
        assert sum(len(piece.payload) for piece in audio) > 0.9 * events[-1].samples / 24000 * 8000


@on_loop
async def test_a_container_that_can_not_be_written_is_refused_before_anything_starts():
    async with running() as app:
        line = CompatSession(app, ClientIdentity())
        with pytest.raises(VoxwireError) as refused:
            line.start(
                m.Start(context="a"), OutputFormat(codec="mulaw", sample_rate=8000, container=Container.MP3), paced=True
            )
        assert refused.value.code is ErrorCode.UNSUPPORTED_AUDIO
        assert not line.is_open("a")


@on_loop
async def test_a_context_that_is_refused_does_not_exist():
    async with running() as app:
        line = open_line(app, voice="nobody")
        assert not line.is_open("a")
        line.tell(m.Text(context="a", text=TEXT), m.End(context="a"))
        events = await until(line, m.ErrorMessage)
        assert events[-1].code == ErrorCode.UNKNOWN_VOICE.value
        line.start(m.Start(context="b"), PCM, paced=False)
        line.tell(m.Text(context="b", text="Hello."), m.End(context="b"))
        assert {piece.context for piece in pieces(await until(line, m.Done, "b"))} == {"b"}


@on_loop
async def test_text_for_a_context_that_is_over_opens_no_other():
    async with running() as app:
        line = open_line(app)
        line.tell(m.Text(context="a", text="Hello."), m.End(context="a"))
        await until(line, m.Done)
        line.tell(m.Text(context="a", text="Hello again."), m.End(context="a"))
        assert line.driver.core.contexts_open == 0


@on_loop
async def test_nothing_of_a_cancelled_context_follows_its_cancel():
    async with running() as app:
        line = open_line(app, paced=True)
        line.tell(m.Text(context="a", text=TEXT * 10), m.End(context="a"))
        while not isinstance(await line.next(), AudioPiece):
            pass
        line.tell(m.Cancel(context="a"))
        assert not pieces(await until(line, m.Done))
        assert line.driver.core.contexts_open == 0


@on_loop
async def test_a_consumer_that_does_not_come_pauses_its_own_audio():
    async with running() as app:
        line = open_line(app)
        line.tell(m.Text(context="a", text=TEXT * 200), m.End(context="a"))
        other = CompatSession(app, ClientIdentity())
        other.start(m.Start(context="a"), PCM, paced=False)
        other.tell(m.Text(context="a", text=TEXT), m.End(context="a"))
        assert isinstance((await until(other, m.Done))[-1], m.Done)
        # 20 s of audio is what the session keeps ready besides, and the burst under way when it is paused.
        assert line.backlog_bytes < BACKLOG_HIGH_BYTES + 48_000 * 60
        events = await until(line, m.Done)
        assert pieces(events)[-1].end_pts >= events[-1].samples > 24000 * 60 * 10
        assert line.backlog_bytes == 0


@on_loop
async def test_a_line_that_hangs_up_leaves_nothing():
    async with running() as app:
        line = open_line(app)
        line.tell(m.Text(context="a", text=TEXT * 50), m.End(context="a"))
        while not isinstance(await line.next(), AudioPiece):
            pass
        line.hang_up()
        line.hang_up()
        assert len(app.sessions) == 0
        assert isinstance(await line.next(), Closed)


@on_loop
async def test_draining_lets_a_line_finish_its_speech_and_closes_it():
    async with running() as app:
        line = open_line(app)
        line.tell(m.Text(context="a", text=TEXT), m.End(context="a"))
        drained = asyncio.create_task(app.drain())
        assert isinstance((await until(line, m.Done))[-1], m.Done)
        closed = await line.next()
        assert isinstance(closed, Closed)
        assert closed.code == 1012
        await drained
        with pytest.raises(VoxwireError) as refused:
            CompatSession(app, ClientIdentity())
        assert refused.value.code is ErrorCode.DRAINING


@on_loop
async def test_a_mistake_is_counted_and_not_told_twice():
    async with running(limits__bad_messages_max=3) as app:
        line = CompatSession(app, ClientIdentity())
        mistake = VoxwireError(ErrorCode.MALFORMED_MESSAGE, "no JSON")
        line.reject(mistake)
        line.start(m.Start(context="a"), PCM, paced=False)
        line.tell(m.End(context="a"))
        assert not [event for event in await until(line, m.Done) if isinstance(event, m.ErrorMessage)]
        for _ in range(3):
            line.reject(mistake)
        events = await until(line, m.Done)
        assert [event.code for event in events if isinstance(event, m.ErrorMessage)] == [ErrorCode.ABUSE.value]
        assert isinstance(events[-1], Closed)


@on_loop
async def test_a_long_text_is_passed_in_pieces():
    async with running(limits__text_chars_max=50) as app:
        line = open_line(app)
        line.tell(m.Text(context="a", text=TEXT, flush=True), m.End(context="a"))
        events = await until(line, m.Done)
        assert not [event for event in events if isinstance(event, m.ErrorMessage)]
        assert events[-1].chars == len(TEXT)
