"""From engine chunks to frames: any order of arrival, any split, any thread gives the same frames."""

from __future__ import annotations

import random
import sys
import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.frames import assert_numbered, frames_of, speech_like, websocket_prefix
from voxwire_protocol.audio import Flag
from voxwire_protocol.messages import AudioFormat
from voxwire_server.audio.pipeline import AudioPipeline, EncodedChunk
from voxwire_server.audio.samples import rescaled

if TYPE_CHECKING:
    from collections.abc import Iterator

PCM = AudioFormat(codec="pcm_s16le", sample_rate=24000, frame_ms=20)
FORMATS = [
    PCM,
    AudioFormat(codec="pcm_s16le", sample_rate=16000, frame_ms=10),
    AudioFormat(codec="pcm_s16le", sample_rate=44100, frame_ms=20),
    AudioFormat(codec="mulaw", sample_rate=8000, frame_ms=20),
    AudioFormat(codec="opus", sample_rate=48000, frame_ms=60),
]


@dataclass(frozen=True)
class Speech:
    """A clause: its audio, cut into chunks (none: it is skipped), and whether its utterance ends there."""

    chunks: tuple[np.ndarray, ...]
    ends_utterance: bool

    @property
    def samples(self) -> int:
        return sum(map(len, self.chunks))


Pushes = list[tuple[int, np.ndarray | None, bool, bool]]


def pushes_of(index: int, said: Speech) -> Pushes:
    if not said.chunks:
        return [(index, None, True, said.ends_utterance)]
    last = len(said.chunks) - 1
    return [(index, chunk, i == last, said.ends_utterance) for i, chunk in enumerate(said.chunks)]


def push(
    pipeline: AudioPipeline, index: int, chunk: np.ndarray | None, finished: bool, ends: bool
) -> list[EncodedChunk]:
    if chunk is None:
        return pipeline.skip(index, ends_utterance=ends)
    return pipeline.push(index, chunk, finished=finished, ends_utterance=ends)


def make_pipeline(format: AudioFormat, engine_rate: int = 24000) -> AudioPipeline:
    return AudioPipeline(engine_rate, format, 3, websocket_prefix)


def speak_whole(format: AudioFormat, clauses: list[Speech], engine_rate: int) -> list[EncodedChunk]:
    pipeline, encoded = make_pipeline(format, engine_rate), []
    for index, said in enumerate(clauses):
        whole = np.concatenate(said.chunks) if said.chunks else None
        encoded += push(pipeline, index, whole, True, said.ends_utterance)
    return encoded


def frames_in(format: AudioFormat, encoded: list[EncodedChunk]) -> list[bytes]:
    """Everything of every frame; Opus blocks are not framed for a transport yet, so messages are compared."""
    blocks = [chunk.block for chunk in encoded if chunk.block is not None]
    if format.codec != "opus":
        assert_numbered(frames_of(blocks), format.frame_samples)
    return [message for block in blocks for message in block.messages(0, block.count)]


@st.composite
def speeches(draw: st.DrawFn) -> list[Speech]:
    clauses = draw(
        st.lists(st.tuples(st.lists(st.integers(0, 3000), max_size=4), st.booleans()), min_size=1, max_size=6)
    )
    said = [
        Speech(tuple(speech_like(size, seed=i * 7 + j) for j, size in enumerate(sizes)), ends)
        for i, (sizes, ends) in enumerate(clauses)
    ]
    return [*said, Speech((), True)]


@st.composite
def arrivals(draw: st.DrawFn, clauses: list[Speech]) -> Pushes:
    """All pushes, clauses mixed in any way, each clause's own in order."""
    queues = [deque(pushes_of(i, said)) for i, said in enumerate(clauses)]
    order = draw(st.permutations([i for i, queue in enumerate(queues) for _ in queue]))
    return [queues[i].popleft() for i in order]


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(FORMATS), st.sampled_from([16000, 22050, 24000]), speeches())
def test_any_arrival_of_chunks_gives_the_same_frames(
    data: st.DataObject, format: AudioFormat, engine_rate: int, clauses: list[Speech]
) -> None:
    pipeline, encoded = make_pipeline(format, engine_rate), []
    for arrival in data.draw(arrivals(clauses)):
        encoded += push(pipeline, *arrival)
    expected = speak_whole(format, clauses, engine_rate)
    assert frames_in(format, encoded) == frames_in(format, expected)
    assert [chunk.order for chunk in encoded] == list(range(len(encoded)))
    assert [chunk.index for chunk in encoded] == sorted(chunk.index for chunk in encoded)
    assert [chunk.index for chunk in encoded if chunk.finished] == list(range(len(clauses)))
    spans = {chunk.index: (chunk.clause_pts, chunk.end_pts) for chunk in encoded}
    assert spans == {chunk.index: (chunk.clause_pts, chunk.end_pts) for chunk in expected}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(FORMATS), st.sampled_from([16000, 22050, 24000]), speeches())
def test_clauses_follow_each_other_on_the_clock(format: AudioFormat, engine_rate: int, clauses: list[Speech]) -> None:
    encoded = speak_whole(format, clauses, engine_rate)
    at, begun, pushed, frames = 0, 0, 0, 0
    for chunk, said in zip(encoded, clauses, strict=True):
        pushed += said.samples
        assert chunk.clause_pts == at
        assert chunk.end_pts == begun + rescaled(pushed, engine_rate, format.sample_rate)
        assert chunk.samples == chunk.end_pts - chunk.clause_pts
        at = chunk.end_pts
        frames += chunk.block.count if chunk.block is not None else 0
        assert frames * format.frame_samples <= at or said.ends_utterance
        if said.ends_utterance:
            assert frames * format.frame_samples >= at, "every sample of the utterance is in a frame"
            at = begun = frames * format.frame_samples
            pushed = 0


@pytest.fixture
def _eager_thread_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("_eager_thread_switches")
def test_threads_may_push_at_once() -> None:
    rng = random.Random(5)
    clauses = [
        Speech(tuple(speech_like(rng.randrange(2000), seed=i) for _ in range(rng.randrange(1, 4))), i % 5 == 4)
        for i in range(40)
    ]
    pipeline, encoded = make_pipeline(PCM), []
    start = threading.Barrier(4)

    def work(first: int) -> None:
        start.wait()
        for index in range(first, len(clauses), 4):
            for arrival in pushes_of(index, clauses[index]):
                encoded.extend(push(pipeline, *arrival))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    encoded.sort(key=lambda chunk: chunk.order)
    assert frames_in(PCM, encoded) == frames_in(PCM, speak_whole(PCM, clauses, 24000))


def test_a_later_clause_waits_for_its_turn() -> None:
    pipeline = make_pipeline(PCM)
    assert pipeline.push(1, speech_like(1000), finished=True, ends_utterance=True) == []
    assert [chunk.index for chunk in pipeline.push(0, speech_like(500), finished=False, ends_utterance=False)] == [0]
    assert [(chunk.index, chunk.finished) for chunk in pipeline.skip(0, ends_utterance=False)] == [(0, True), (1, True)]


def test_a_clause_that_breaks_off_still_ends_its_utterance() -> None:
    pipeline = make_pipeline(PCM)
    spoken = pipeline.push(0, speech_like(1000), finished=False, ends_utterance=True)
    ended = pipeline.skip(0, ends_utterance=True)
    frames = frames_of(chunk.block for chunk in spoken + ended)
    assert_numbered(frames, 480)
    assert len(frames) == 3
    assert frames[-1].flags == Flag.LAST


def test_chunks_of_a_skipped_clause_are_dropped() -> None:
    pipeline = make_pipeline(PCM)
    pipeline.skip(0, ends_utterance=True)
    assert pipeline.push(0, speech_like(1000), finished=True, ends_utterance=True) == []
    pipeline.push(2, speech_like(1000), finished=True, ends_utterance=True)
    assert pipeline.skip(2, ends_utterance=True) == []
    chunks = pipeline.push(1, speech_like(480), finished=True, ends_utterance=True)
    assert [(chunk.index, chunk.samples) for chunk in chunks] == [(1, 480), (2, 1000)]
    assert not pipeline._waiting, "nothing that was dropped is kept"


@pytest.mark.parametrize("to_rate", [8000, 24000, 48000])
def test_a_seam_between_clauses_cannot_be_heard(to_rate: int) -> None:
    format = AudioFormat(codec="pcm_s16le", sample_rate=to_rate, frame_ms=20)
    samples = speech_like(24000, 22050)
    halves = [Speech((samples[:9999],), False), Speech((samples[9999:],), True)]
    assert frames_in(format, speak_whole(format, halves, 22050)) == frames_in(
        format, speak_whole(format, [Speech((samples,), True)], 22050)
    )
