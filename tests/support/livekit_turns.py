"""LiveKit's speech plugins as its agents use them: a turn typed into a stream, and what is heard of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator
from typing import TypeVar

from livekit.agents import APIConnectOptions, tts

from support.server import Host
from support.vendor_checks import SECOND_TURN, assert_heard, counters, samples_of, typed

ONCE = APIConnectOptions(max_retry=0, timeout=10)
"""For a stream that is to show its first error."""

PluginT = TypeVar("PluginT", bound=tts.TTS)


@contextlib.asynccontextmanager
async def closing(plugin: PluginT, *, seconds: float = 60) -> AsyncIterator[PluginT]:
    """The plugin, for at most `seconds`; then it is closed."""
    try:
        async with asyncio.timeout(seconds):
            yield plugin
    finally:
        await plugin.aclose()


class Heard:
    """What a stream gives: s16le PCM, its rate, the plugin's timed words where it has them."""

    def __init__(self) -> None:
        self.pcm = b""
        self.sample_rate = 0
        self.words: list = []
        self.begun = asyncio.Event()

    async def listen(self, stream: AsyncIterable[tts.SynthesizedAudio]) -> None:
        """Take all that a stream gives."""
        async for event in stream:
            self.begun.set()
            self.pcm += bytes(event.frame.data)
            self.sample_rate = event.frame.sample_rate
            self.words += event.frame.userdata.get("lk.timed_transcripts", [])

    @property
    def seconds(self) -> float:
        """How long the audio is."""
        return len(self.pcm) / 2 / self.sample_rate

    def assert_says(self, text: str, *, word_errors_max: float = 0.12) -> None:
        """Whisper hears the whole of a text."""
        assert_heard(text, samples_of(self.pcm), self.sample_rate, word_errors_max=word_errors_max)


async def hear(stream: AsyncIterable[tts.SynthesizedAudio]) -> Heard:
    """All that a stream gives."""
    heard = Heard()
    await heard.listen(stream)
    return heard


async def say(stream: tts.SynthesizeStream, text: str, *, rest: str = "") -> Heard:
    """A turn typed into a stream, to its end. `rest` is typed only once audio has come."""
    heard = Heard()

    async def type_it() -> None:
        async for token in typed(text):
            stream.push_text(token)
        if rest:
            await heard.begun.wait()
            async for token in typed(rest):
                stream.push_text(token)
        stream.end_input()

    typing = asyncio.create_task(type_it())
    try:
        await heard.listen(stream)
        await typing
    finally:
        typing.cancel()
    return heard


async def assert_a_second_turn_uses_the_same_connection(host: Host, speech: tts.TTS) -> None:
    """It is spoken on the connection of the first, the only one."""
    async with speech.stream(conn_options=ONCE) as stream:
        await say(stream, "The first turn is short.")
    async with speech.stream(conn_options=ONCE) as stream:
        heard = await say(stream, SECOND_TURN)
        assert stream._connection_reused
    assert (await asyncio.to_thread(counters, host)).sessions == 1
    heard.assert_says(SECOND_TURN)
