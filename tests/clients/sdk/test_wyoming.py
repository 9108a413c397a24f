"""Wyoming's own client, replaying the order of events of Home Assistant's integration."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from support.ports import free_port
from support.server import serving
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, assert_heard, samples_of, settled

PATIENT_SECONDS = 60
HEART = SynthesizeVoice(name="heart")


@pytest.fixture(scope="module")
def home():
    """A server that has the port, and the port."""
    port = free_port()
    with serving("scheduling.utilisation_max=100", f"compat.wyoming_port={port}") as host:
        yield host, port


@contextlib.asynccontextmanager
async def connected(home):
    async with asyncio.timeout(PATIENT_SECONDS), AsyncTcpClient("127.0.0.1", home[1]) as client:
        yield client


def pieces(text: str, size: int = 7) -> list[str]:
    """A text cut anywhere, as it comes out of a language model through Home Assistant."""
    return [text[at : at + size] for at in range(0, len(text), size)]


async def stream(client: AsyncTcpClient, text: str, voice: SynthesizeVoice | None = HEART) -> None:
    """What Home Assistant writes for a streamed answer."""
    await client.write_event(SynthesizeStart(voice=voice).event())
    for piece in pieces(text):
        await client.write_event(SynthesizeChunk(piece).event())
    await client.write_event(Synthesize(text, voice=voice).event())
    await client.write_event(SynthesizeStop().event())


async def until(client: AsyncTcpClient, kind: str) -> list[Event]:
    """Events up to the first of a type, that one included."""
    events = []
    while not events or events[-1].type != kind:
        event = await client.read_event()
        assert event is not None, [event.type for event in events]
        events.append(event)
    return events


def heard(events: list[Event]) -> tuple[bytes, int]:
    """The audio of an answer that is in order, and its rate."""
    types = [event.type for event in events]
    assert types.index("audio-start") == 0
    assert types.index("audio-stop") == types.count("audio-chunk") + 1
    start = AudioStart.from_event(events[0])
    assert (start.width, start.channels) == (2, 1)
    chunks = [AudioChunk.from_event(event) for event in events if AudioChunk.is_type(event.type)]
    assert {chunk.rate for chunk in chunks} <= {start.rate}
    assert not any(len(chunk.audio) % 2 for chunk in chunks)
    return b"".join(chunk.audio for chunk in chunks), start.rate


@pytest.mark.asyncio
async def test_describe_tells_every_voice_and_that_text_may_be_streamed(home):
    async with connected(home) as client:
        await client.write_event(Describe().event())
        info = Info.from_event(await client.read_event())
    [program] = info.tts
    assert program.supports_synthesize_streaming
    assert [(voice.name, voice.installed) for voice in program.voices] == [("heart", True)]
    assert all(voice.languages for voice in program.voices)


@pytest.mark.asyncio
async def test_a_streamed_answer_is_spoken_once_and_to_its_end(home):
    async with connected(home) as client:
        await stream(client, TURN)
        events = await until(client, "synthesize-stopped")
    assert [event.type for event in events].count("audio-start") == 1
    assert SynthesizeStopped.is_type(events[-1].type)
    assert AudioStop.is_type(events[-2].type)
    pcm, rate = heard(events)
    assert_heard(TURN, samples_of(pcm), rate)


@pytest.mark.asyncio
async def test_audio_comes_before_the_text_ends(home):
    first, _, rest = TURN.partition(". ")
    async with connected(home) as client:
        await client.write_event(SynthesizeStart(voice=HEART).event())
        for piece in pieces(first + ". Glue"):
            await client.write_event(SynthesizeChunk(piece).event())
        early = await until(client, "audio-chunk")
        for piece in pieces(rest.removeprefix("Glue")):
            await client.write_event(SynthesizeChunk(piece).event())
        await client.write_event(Synthesize(TURN, voice=HEART).event())
        await client.write_event(SynthesizeStop().event())
        pcm, rate = heard(early + await until(client, "synthesize-stopped"))
    assert_heard(TURN, samples_of(pcm), rate)


@pytest.mark.asyncio
async def test_a_text_at_once_is_spoken(home):
    async with connected(home) as client:
        await client.write_event(Synthesize(SECOND_TURN, voice=SynthesizeVoice(language="en_US")).event())
        pcm, rate = heard(await until(client, "audio-stop"))
    assert_heard(SECOND_TURN, samples_of(pcm), rate)


@pytest.mark.asyncio
async def test_answers_over_one_connection_come_in_order(home):
    async with connected(home) as client:
        await stream(client, "This is a first answer, which is somewhat longer than the second.", voice=None)
        await stream(client, "Hello there.", voice=None)
        await client.write_event(Synthesize("And a third.").event())
        first, _ = heard(await until(client, "synthesize-stopped"))
        second, _ = heard(await until(client, "synthesize-stopped"))
        third, _ = heard(await until(client, "audio-stop"))
    assert len(first) > 2 * len(second) > 0
    assert third
    await settled(home[0])


@pytest.mark.asyncio
async def test_a_ping_is_answered_while_speech_is_under_way(home):
    async with connected(home) as client:
        await client.write_event(SynthesizeStart(voice=HEART).event())
        await client.write_event(SynthesizeChunk("A sentence to be spoken. And").event())
        await client.write_event(Ping("hello").event())
        events = await until(client, "pong")
        assert Pong.from_event(events[-1]).text == "hello"
        await client.write_event(SynthesizeStop().event())
        await until(client, "synthesize-stopped")


@pytest.mark.asyncio
async def test_a_client_that_goes_away_stops_generation(home):
    before = await settled(home[0])
    async with connected(home) as client:
        await stream(client, " ".join([LONG_TURN] * 5))
        await until(client, "audio-chunk")
    after = await settled(home[0])
    assert after.audio_seconds - before.audio_seconds < 150


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["🙂", "..."])
async def test_text_without_speech_gives_a_little_silence(home, text):
    async with connected(home) as client:
        await stream(client, text)
        pcm, _ = heard(await until(client, "synthesize-stopped"))
    assert pcm == bytes(len(pcm))
    assert 0 < len(pcm) < 48_000


@pytest.mark.asyncio
async def test_blank_text_gives_an_answer_without_audio(home):
    async with connected(home) as client:
        await client.write_event(Synthesize(" ", voice=HEART).event())
        assert [event.type for event in await until(client, "audio-stop")] == ["audio-start", "audio-stop"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("request_event", "told"),
    [
        (Synthesize("Hello.", voice=SynthesizeVoice(name="nobody")), "heart"),
        (SynthesizeStart(voice=SynthesizeVoice(name="nobody")), "heart"),
        (Synthesize("Hello.", voice=SynthesizeVoice(language="xx")), "xx"),
        (Synthesize("<speak>Hello.</speak>", text_format="ssml"), "plain text"),
        (Synthesize("word " * 100_000), "characters"),
    ],
)
async def test_what_can_not_be_spoken_is_an_error_and_the_end(home, request_event, told):
    async with connected(home) as client:
        await client.write_event(request_event.event())
        error = Error.from_event(await client.read_event())
        assert told in error.text
        assert error.code.startswith("client.")
        assert await client.read_event() is None
    await settled(home[0])


@pytest.mark.asyncio
async def test_draining_lets_an_answer_end():
    port = free_port()
    with serving("scheduling.utilisation_max=100", f"compat.wyoming_port={port}") as host:
        async with connected((host, port)) as client:
            await stream(client, SECOND_TURN)
            events = await until(client, "audio-chunk")
            host.stop()
            pcm, rate = heard(events + await until(client, "synthesize-stopped"))
        until_gone = time.monotonic() + 15
        while host.process.is_running() and host.process.status() != "zombie":
            assert time.monotonic() < until_gone
            await asyncio.sleep(0.05)
    assert_heard(SECOND_TURN, samples_of(pcm), rate)
