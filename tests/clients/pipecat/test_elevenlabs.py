"""Pipecat's ElevenLabs services in a running pipeline."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp
import pytest
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
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
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.elevenlabs.tts import ElevenLabsHttpTTSService, ElevenLabsTTSService
from pipecat.services.tts_service import TextAggregationMode
from pipecat.workers.runner import WorkerRunner

from support.clients import LONG_TURN, SECOND_TURN, TURN, assert_heard, counters, samples_of, settled, tokens

RATE = 24_000
PATIENT_SECONDS = 60.0


class Ear(FrameProcessor):
    """Keeps what comes out of a service, and lets tests wait for it."""

    def __init__(self, direction: FrameDirection) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self._direction = direction
        self._news = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if direction is self._direction:
            self.frames.append(frame)
            self._news.set()
        await self.push_frame(frame, direction)

    def of(self, kind: type) -> list:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def until(self, kind: type, count: int = 1) -> None:
        while len(self.of(kind)) < count:
            self._news.clear()
            await self._news.wait()

    @property
    def pcm(self) -> bytes:
        return b"".join(frame.audio for frame in self.of(TTSAudioRawFrame))

    @property
    def words(self) -> list[str]:
        return " ".join(frame.text for frame in self.of(TTSTextFrame)).split()


class Talk:
    """A pipeline of one service."""

    def __init__(self, service) -> None:
        self.service = service
        self.before, self.after = Ear(FrameDirection.UPSTREAM), Ear(FrameDirection.DOWNSTREAM)
        self.worker = PipelineWorker(
            Pipeline([self.before, service, self.after]),
            cancel_on_idle_timeout=False,
            enable_rtvi=False,
            params=PipelineParams(audio_out_sample_rate=RATE),
        )

    async def send(self, *frames: Frame) -> None:
        for frame in frames:
            await self.worker.queue_frame(frame)

    async def turn(self, text: str) -> None:
        """A language model's answer, token by token."""
        await self.send(LLMFullResponseStartFrame(), *map(LLMTextFrame, tokens(text)), LLMFullResponseEndFrame())


@contextlib.asynccontextmanager
async def talking(service, *, last: type[Frame] = EndFrame):
    talk = Talk(service)
    started = asyncio.Event()

    @talk.worker.event_handler("on_pipeline_started")
    async def _(_worker, _frame) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(talk.worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(PATIENT_SECONDS):
            await started.wait()
            yield talk
    finally:
        await talk.send(last())
        await asyncio.wait_for(running, 20)


def over_socket(host, *, voice: str = "heart", key: str = "unused", **options) -> ElevenLabsTTSService:
    return ElevenLabsTTSService(
        api_key=key,
        url=host.http.replace("http", "ws"),
        settings=ElevenLabsTTSService.Settings(voice=voice),
        **options,
    )


@contextlib.asynccontextmanager
async def over_http(host, *, voice: str = "heart", key: str = "unused"):
    async with aiohttp.ClientSession() as session:
        yield ElevenLabsHttpTTSService(
            api_key=key,
            base_url=host.http,
            aiohttp_session=session,
            settings=ElevenLabsHttpTTSService.Settings(voice=voice),
        )


@pytest.mark.asyncio
async def test_a_turn_is_spoken_to_its_end_with_every_word(host):
    async with talking(over_socket(host)) as talk:
        await talk.turn(TURN)
        await talk.after.until(TTSStoppedFrame)
    assert_heard(TURN, samples_of(talk.after.pcm), RATE)
    assert talk.after.words == TURN.split()
    assert not talk.before.of(ErrorFrame)


@pytest.mark.asyncio
async def test_audio_comes_before_the_text_ends(host):
    async with talking(over_socket(host)) as talk:
        await talk.send(LLMFullResponseStartFrame(), *map(LLMTextFrame, tokens("This is the first. And a second")))
        await talk.after.until(TTSAudioRawFrame)
        await talk.send(LLMTextFrame(" one."), LLMFullResponseEndFrame())
        await talk.after.until(TTSStoppedFrame)
    assert_heard("This is the first. And a second one.", samples_of(talk.after.pcm), RATE, word_errors_max=0.3)


@pytest.mark.asyncio
async def test_words_are_timed_where_they_sound(host):
    async with talking(over_socket(host)) as talk:
        await talk.turn(TURN)
        await talk.after.until(TTSStoppedFrame)
    seconds = len(talk.after.pcm) / 2 / RATE
    times = [frame.pts / 1e9 for frame in talk.after.of(TTSTextFrame) if frame.pts]
    assert times == sorted(times)
    spoken = times[-1] - times[0]
    assert seconds - 2.0 < spoken < seconds


@pytest.mark.asyncio
async def test_tokens_are_spoken_as_they_come(host):
    service = over_socket(host, text_aggregation_mode=TextAggregationMode.TOKEN)
    async with talking(service) as talk:
        await talk.turn(SECOND_TURN)
        await talk.after.until(TTSStoppedFrame)
    assert_heard(SECOND_TURN, samples_of(talk.after.pcm), RATE)
    assert talk.after.words == SECOND_TURN.split()


@pytest.mark.asyncio
async def test_a_second_turn_uses_the_same_connection(host):
    async with talking(over_socket(host)) as talk:
        await talk.turn("The first turn is short.")
        await talk.after.until(TTSStoppedFrame)
        first = len(talk.after.pcm)
        assert (await asyncio.to_thread(counters, host)).sessions == 1
        await talk.turn(SECOND_TURN)
        await talk.after.until(TTSStoppedFrame, 2)
        assert (await asyncio.to_thread(counters, host)).sessions == 1
    assert_heard(SECOND_TURN, samples_of(talk.after.pcm[first:]), RATE)
    await settled(host)


@pytest.mark.asyncio
async def test_an_interruption_stops_generation_and_the_next_turn_speaks(host):
    before = await settled(host)
    async with talking(over_socket(host)) as talk:
        await talk.turn(LONG_TURN)
        await talk.after.until(TTSAudioRawFrame)
        await talk.send(InterruptionFrame())
        after = await settled(host, sessions=1)
        assert after.audio_seconds - before.audio_seconds < 30
        await talk.after.until(InterruptionFrame)
        heard = len(talk.after.pcm)
        await talk.turn("Now something else entirely.")
        await talk.after.until(TTSStoppedFrame)
    pcm = talk.after.pcm[heard:]
    assert_heard("Now something else entirely.", samples_of(pcm), RATE, word_errors_max=0.3)
    assert not talk.before.of(ErrorFrame)


@pytest.mark.asyncio
async def test_a_pipeline_that_is_cancelled_leaves_nothing_behind(host):
    before = await settled(host)
    async with talking(over_socket(host), last=CancelFrame) as talk:
        await talk.turn(LONG_TURN)
        await talk.after.until(TTSAudioRawFrame)
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 40


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["🙂", "..."])
async def test_text_that_can_not_be_spoken_is_no_failure(host, text):
    async with talking(over_socket(host)) as talk:
        for count in range(1, 5):
            await talk.send(TTSSpeakFrame(text))
            await talk.after.until(TTSStoppedFrame, count)
        await talk.turn("It still speaks.")
        await talk.after.until(TTSStoppedFrame, 5)
    assert not talk.before.of(ErrorFrame)
    assert len(talk.after.pcm) > RATE


@pytest.mark.asyncio
async def test_a_whole_text_is_spoken_over_http_with_every_word(host):
    async with over_http(host) as service, talking(service) as talk:
        await talk.turn(TURN)
        await talk.after.until(TTSStoppedFrame)
    assert_heard(TURN, samples_of(talk.after.pcm), RATE)
    assert talk.after.words == TURN.split()
    assert not talk.before.of(ErrorFrame)


@pytest.mark.asyncio
async def test_the_right_key_is_let_in(locked_host, api_key):
    async with talking(over_socket(locked_host, key=api_key)) as talk:
        await talk.turn("Hello there.")
        await talk.after.until(TTSStoppedFrame)
    assert len(talk.after.pcm) > RATE


@pytest.mark.asyncio
async def test_a_wrong_key_is_an_error_frame(locked_host):
    async with talking(over_socket(locked_host, key="vw_wrong")) as talk:
        await talk.turn("Hello there.")
        await talk.before.until(ErrorFrame)
    assert "401" in talk.before.of(ErrorFrame)[0].error
    async with over_http(locked_host, key="vw_wrong") as service, talking(service) as talk:
        await talk.turn("Hello there.")
        await talk.before.until(ErrorFrame)
    assert "invalid_api_key" in talk.before.of(ErrorFrame)[0].error


@pytest.mark.asyncio
async def test_an_unknown_voice_is_an_error_frame(host):
    async with talking(over_socket(host, voice="nobody")) as talk:
        await talk.turn("Hello there.")
        await talk.before.until(ErrorFrame)
    assert "404" in talk.before.of(ErrorFrame)[0].error
    async with over_http(host, voice="nobody") as service, talking(service) as talk:
        await talk.turn("Hello there.")
        await talk.before.until(ErrorFrame)
    assert "voice_not_found" in talk.before.of(ErrorFrame)[0].error
    await settled(host)
