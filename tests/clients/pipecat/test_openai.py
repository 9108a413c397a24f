"""Pipecat's OpenAI service in a running pipeline."""

from __future__ import annotations

import asyncio
import contextlib

import openai
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
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.tts import VALID_VOICES, OpenAITTSService
from pipecat.workers.runner import WorkerRunner

from support.clients import LONG_TURN, SECOND_TURN, TURN, assert_heard, samples_of, settled, tokens

RATE = 24_000
VERY_LONG = " ".join([LONG_TURN] * 5)
"""Ten minutes."""

PATIENT_SECONDS = 60.0


class Ear(FrameProcessor):
    """Keeps what passes in one direction, and lets tests wait for it."""

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


class Talk:
    """A pipeline of one service."""

    def __init__(self, service: OpenAITTSService) -> None:
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
async def talking(host, *, key: str = "unused", last: type[Frame] = EndFrame, **settings):
    connections = openai.DefaultAsyncHttpxClient()
    service = OpenAITTSService(
        api_key=key,
        base_url=f"{host.http}/v1",
        http_client=connections,
        settings=OpenAITTSService.Settings(**settings),
    )
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
        await connections.aclose()


@pytest.mark.asyncio
async def test_a_turn_is_spoken_to_its_end(host):
    async with talking(host) as talk:
        await talk.turn(TURN)
        await talk.after.until(TTSStoppedFrame)
    assert_heard(TURN, samples_of(talk.after.pcm), RATE)
    assert not talk.before.of(ErrorFrame)


@pytest.mark.asyncio
async def test_audio_comes_before_the_text_ends(host):
    async with talking(host) as talk:
        await talk.send(LLMFullResponseStartFrame(), *map(LLMTextFrame, tokens("This is the first. And a second")))
        await talk.after.until(TTSAudioRawFrame)
        await talk.send(LLMTextFrame(" one."), LLMFullResponseEndFrame())
        await talk.after.until(TTSStoppedFrame)
    assert_heard("This is the first. And a second one.", samples_of(talk.after.pcm), RATE, word_errors_max=0.3)


@pytest.mark.asyncio
async def test_a_second_turn_is_spoken_too(host):
    async with talking(host) as talk:
        await talk.turn("The first turn is short.")
        await talk.after.until(TTSStoppedFrame)
        first = len(talk.after.pcm)
        await talk.turn(SECOND_TURN)
        await talk.after.until(TTSStoppedFrame, 2)
    assert_heard(SECOND_TURN, samples_of(talk.after.pcm[first:]), RATE)
    await settled(host)


@pytest.mark.asyncio
async def test_an_interruption_stops_generation_and_the_next_turn_speaks(host):
    before = await settled(host)
    async with talking(host) as talk:
        await talk.send(TTSSpeakFrame(VERY_LONG))
        await talk.after.until(TTSAudioRawFrame)
        await talk.send(InterruptionFrame())
        after = await settled(host)
        assert after.cancelled > before.cancelled
        assert after.audio_seconds - before.audio_seconds < 60
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
    async with talking(host, last=CancelFrame) as talk:
        await talk.send(TTSSpeakFrame(VERY_LONG))
        await talk.after.until(TTSAudioRawFrame)
    after = await settled(host)
    assert after.audio_seconds - before.audio_seconds < 60


@pytest.mark.asyncio
async def test_every_voice_that_the_service_knows_speaks(host):
    for voice in VALID_VOICES:
        async with talking(host, voice=voice) as talk:
            await talk.send(TTSSpeakFrame("Yes."))
            await talk.after.until(TTSStoppedFrame)
        assert talk.after.pcm
        assert not talk.before.of(ErrorFrame)


@pytest.mark.asyncio
async def test_speed_and_instructions_are_taken(host):
    lengths = []
    for speed in (1.0, 2.0):
        async with talking(host, speed=speed, instructions="Cheerful.") as talk:
            await talk.send(TTSSpeakFrame("The box was thrown beside the parked truck."))
            await talk.after.until(TTSStoppedFrame)
        lengths.append(len(talk.after.pcm))
    assert lengths[1] < 0.7 * lengths[0]


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["🙂", "..."])
async def test_text_that_can_not_be_spoken_is_no_failure(host, text):
    async with talking(host) as talk:
        for count in range(1, 5):
            await talk.send(TTSSpeakFrame(text))
            await talk.after.until(TTSStoppedFrame, count)
        await talk.turn("It still speaks.")
        await talk.after.until(TTSStoppedFrame, 5)
    assert not talk.before.of(ErrorFrame)
    assert len(talk.after.pcm) > RATE


@pytest.mark.asyncio
async def test_the_right_key_is_let_in_and_a_wrong_one_is_an_error_frame(locked_host, api_key):
    async with talking(locked_host, key=api_key) as talk:
        await talk.turn("Hello there.")
        await talk.after.until(TTSStoppedFrame)
    assert len(talk.after.pcm) > RATE
    async with talking(locked_host, key="vw_wrong") as talk:
        await talk.turn("Hello there.")
        await talk.before.until(ErrorFrame)
    assert "401" in talk.before.of(ErrorFrame)[0].error


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("settings", "told"), [({"model": "no-such-model"}, "no-such-model"), ({"speed": 9.0}, "less than or equal to 4")]
)
async def test_a_mistake_is_an_error_frame(host, settings, told):
    async with talking(host, **settings) as talk:
        await talk.turn("Hello there.")
        await talk.before.until(ErrorFrame)
    assert told in talk.before.of(ErrorFrame)[0].error
    await settled(host)
