"""What every speech service does in a Pipecat pipeline, whoever its vendor is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from pipecat.frames.frames import (
    CancelFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.tts_service import WebsocketTTSService

from support.pipecat_pipeline import RATE, answer, talking
from support.server import Host
from support.vendor_checks import LONG_TURN, SECOND_TURN, TURN, assert_heard, counters, samples_of, settled, tokens


async def assert_every_word_is_spoken_and_reported(service: FrameProcessor, text: str) -> None:
    """A turn is spoken to its end, and its words come as text frames."""
    async with talking(service) as talk:
        await talk.turn(text)
        await talk.after.until(TTSStoppedFrame)
    assert_heard(text, samples_of(talk.after.pcm), RATE)
    assert talk.after.words == text.split()
    assert not talk.before.of(ErrorFrame)


async def assert_words_are_timed_where_they_sound(service: FrameProcessor) -> None:
    """Their times never go back, and the last is near the end of the audio."""
    async with talking(service) as talk:
        await talk.turn(TURN)
        await talk.after.until(TTSStoppedFrame)
    seconds = len(talk.after.pcm) / 2 / RATE
    times = [frame.pts / 1e9 for frame in talk.after.of(TTSTextFrame) if frame.pts]
    assert times == sorted(times)
    assert seconds - 2.0 < times[-1] - times[0] < seconds


async def assert_audio_comes_before_the_text_ends(service: FrameProcessor) -> None:
    """It comes while the text is still open, and all of the text is spoken."""
    async with talking(service) as talk:
        await talk.send(LLMFullResponseStartFrame(), *map(LLMTextFrame, tokens("This is the first. And a second")))
        await talk.after.until(TTSAudioRawFrame)
        await talk.send(LLMTextFrame(" one."), LLMFullResponseEndFrame())
        await talk.after.until(TTSStoppedFrame)
    assert_heard("This is the first. And a second one.", samples_of(talk.after.pcm), RATE, word_errors_max=0.3)


async def assert_a_second_turn_uses_the_same_connection(host: Host, service: WebsocketTTSService) -> None:
    """It is spoken on the connection of the first, which is gone when the pipeline ends."""
    async with talking(service) as talk:
        await talk.turn("The first turn is short.")
        await talk.after.until(TTSStoppedFrame)
        first, connection = len(talk.after.pcm), service._websocket
        await talk.turn(SECOND_TURN)
        await talk.after.until(TTSStoppedFrame, 2)
        assert service._websocket is connection is not None
        assert (await asyncio.to_thread(counters, host)).sessions == 1
    assert_heard(SECOND_TURN, samples_of(talk.after.pcm[first:]), RATE)
    await settled(host)


async def assert_an_interruption_stops_generation(
    host: Host,
    service: FrameProcessor,
    text: str = LONG_TURN,
    *,
    given: Callable[[str], Sequence[Frame]] = answer,
    sessions: int = 1,
    audio_seconds_max: float = 30,
) -> float:
    """Of a text that is much longer no more is made, with `sessions` connections left; the next turn is spoken.

    Returns how many requests were cancelled.
    """
    before = await settled(host)
    async with talking(service) as talk:
        await talk.send(*given(text))
        await talk.after.until(TTSAudioRawFrame)
        await talk.send(InterruptionFrame())
        after = await settled(host, sessions=sessions)
        assert after.audio_seconds - before.audio_seconds < audio_seconds_max
        await talk.after.until(InterruptionFrame)
        heard = len(talk.after.pcm)
        await talk.turn("Now something else entirely.")
        await talk.after.until(TTSStoppedFrame)
    pcm = talk.after.pcm[heard:]
    assert_heard("Now something else entirely.", samples_of(pcm), RATE, word_errors_max=0.3)
    assert not talk.before.of(ErrorFrame)
    return after.cancelled - before.cancelled


async def assert_a_cancelled_pipeline_leaves_nothing(
    host: Host,
    service: FrameProcessor,
    text: str = LONG_TURN,
    *,
    given: Callable[[str], Sequence[Frame]] = answer,
    audio_seconds_max: float = 40,
) -> None:
    """Of a text that is much longer no more is made once the pipeline is cancelled, and no connection is left."""
    before = await settled(host)
    async with talking(service, last=CancelFrame) as talk:
        await talk.send(*given(text))
        await talk.after.until(TTSAudioRawFrame)
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < audio_seconds_max


async def assert_what_can_not_be_spoken_is_no_failure(service: FrameProcessor, text: str) -> None:
    """A text without speech ends each time it is said; then a turn is spoken."""
    async with talking(service) as talk:
        for count in range(1, 5):
            await talk.send(TTSSpeakFrame(text))
            await talk.after.until(TTSStoppedFrame, count)
        await talk.turn("It still speaks.")
        await talk.after.until(TTSStoppedFrame, 5)
    assert not talk.before.of(ErrorFrame)
    assert len(talk.after.pcm) > RATE


async def error_of(service: FrameProcessor) -> str:
    """What the first error frame tells that goes upstream when a turn is to be spoken."""
    async with talking(service) as talk:
        await talk.turn("Hello there.")
        await talk.before.until(ErrorFrame)
    return talk.before.of(ErrorFrame)[0].error
