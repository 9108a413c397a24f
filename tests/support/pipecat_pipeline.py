"""A Pipecat pipeline of one speech service, fed by a language model that is a text, and what comes out of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from support.vendor_checks import tokens

RATE = 24_000


def answer(text: str) -> tuple[Frame, ...]:
    """The frames of a language model's answer, token by token."""
    return (LLMFullResponseStartFrame(), *map(LLMTextFrame, tokens(text)), LLMFullResponseEndFrame())


def at_once(text: str) -> tuple[Frame, ...]:
    """The frame of a text that is known as a whole."""
    return (TTSSpeakFrame(text),)


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
        """The frames of a kind so far."""
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def until(self, kind: type, count: int = 1) -> None:
        """Wait until `count` frames of a kind have passed."""
        while len(self.of(kind)) < count:
            self._news.clear()
            await self._news.wait()

    @property
    def pcm(self) -> bytes:
        """All audio so far."""
        return b"".join(frame.audio for frame in self.of(TTSAudioRawFrame))

    @property
    def words(self) -> list[str]:
        """All words so far."""
        return " ".join(frame.text for frame in self.of(TTSTextFrame)).split()


class Talk:
    """The pipeline. `before` hears what goes upstream (errors), `after` what comes out."""

    def __init__(self, service: FrameProcessor) -> None:
        self.service = service
        self.before, self.after = Ear(FrameDirection.UPSTREAM), Ear(FrameDirection.DOWNSTREAM)
        self.worker = PipelineWorker(
            Pipeline([self.before, service, self.after]),
            cancel_on_idle_timeout=False,
            enable_rtvi=False,
            params=PipelineParams(audio_out_sample_rate=RATE),
        )

    async def send(self, *frames: Frame) -> None:
        """Put frames in, in order."""
        for frame in frames:
            await self.worker.queue_frame(frame)

    async def turn(self, text: str) -> None:
        """Put a language model's answer in."""
        await self.send(*answer(text))


@contextlib.asynccontextmanager
async def talking(service: FrameProcessor, *, last: type[Frame] = EndFrame, seconds: float = 60) -> AsyncIterator[Talk]:
    """Run a pipeline until the block ends, at most `seconds`; `last` is what ends it."""
    talk = Talk(service)
    started = asyncio.Event()

    @talk.worker.event_handler("on_pipeline_started")
    async def _(_worker: PipelineWorker, _frame: Frame) -> None:
        started.set()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(talk.worker)
    running = asyncio.create_task(runner.run())
    try:
        async with asyncio.timeout(seconds):
            await started.wait()
            yield talk
    finally:
        await talk.send(last())
        await asyncio.wait_for(running, 20)
