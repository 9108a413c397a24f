"""Turns an engine's samples into one context's audio frames: puts clauses in order, resamples, frames.

Also has the viseme keyframes of the audio made, by the context's `VisemeTrack`.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from voxwire_server.audio.framing import Framer, no_prefix
from voxwire_server.audio.samples import NOTHING, Resampler, rescaled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from voxwire_protocol.messages import AudioFormat, VisemeTiming
    from voxwire_server.audio.framing import FrameBlock, Prefix
    from voxwire_server.speech import Alignment


@dataclass(frozen=True, slots=True)
class EncodedChunk:
    """What one chunk of a clause became.

    `order` counts the chunks of a pipeline from 0: results of several threads are put in playing order by it. `index`
    is the clause. `clause_pts` is where the clause's first sample stands on the context's clock, at the output rate;
    this chunk holds `samples` output samples and ends at `end_pts`. The engine's sample s of the clause stands at
    `clause_pts + rescaled(s, engine_rate, output_rate)`. `block` is what can be sent now: it lags behind `end_pts` by
    what the resampler and the framer hold back, and may begin with the end of the clause before. `finished` marks the
    clause's last chunk. `alignment` is what came with the chunk, `visemes` are keyframes from its first sample on, if
    they were asked for.
    """

    order: int
    index: int
    clause_pts: int
    samples: int
    end_pts: int
    block: FrameBlock | None
    finished: bool
    alignment: Alignment | None = None
    visemes: tuple[VisemeTiming, ...] = ()


@dataclass(frozen=True, slots=True)
class ClauseChunk:
    """A chunk of a clause as the engine gave it: shape [n], at the engine's rate. `finished`: the clause's last."""

    samples: NDArray[np.float32]
    finished: bool
    ends_utterance: bool
    alignment: Alignment | None = None


class VisemeTrack(Protocol):
    """Makes the viseme keyframes of one context; keeps the pose that the mouth was left in."""

    def __call__(self, chunk: ClauseChunk, clause_pts: int, start: int, end: int, /) -> tuple[VisemeTiming, ...]:
        """The keyframes of the next chunk in playing order, at output samples [start, end) of the context's clock."""


class AudioPipeline:
    """Takes the chunks of clauses 0, 1, 2, …, from any threads; gives frames in playing order.

    Chunks of one clause come in order. A later clause's chunks may come before an earlier one has finished; they are
    held until it has: the caller bounds how many. Between two utterances the clock moves on to a whole frame.
    `viseme_track` is given every chunk in playing order.
    """

    def __init__(
        self,
        engine_rate: int,
        format: AudioFormat,
        context_number: int = 0,
        prefix: Prefix = no_prefix,
        viseme_track: VisemeTrack | None = None,
    ) -> None:
        self._engine_rate = engine_rate
        self._output_rate = format.sample_rate
        self._resampler = Resampler(engine_rate, format.sample_rate)
        self._framer = Framer(context_number, format, prefix)
        self._viseme_track = viseme_track
        self._lock = threading.Lock()
        self._waiting: dict[int, deque[ClauseChunk]] = {}
        self._order = 0
        self._index = 0
        self._utterance_pts = 0
        self._utterance_samples = 0
        self._clause_pts: int | None = None

    def push(
        self,
        index: int,
        samples: NDArray[np.float32],
        *,
        finished: bool,
        ends_utterance: bool,
        alignment: Alignment | None = None,
    ) -> list[EncodedChunk]:
        """Take a chunk of clause `index` at the engine's rate, shape [n]; returns all chunks whose turn has come.

        `finished` says that it is the clause's last chunk, `ends_utterance` that the utterance ends with the clause.
        A chunk of a clause that has finished is dropped: the clause was skipped while a step of it was running.
        """
        with self._lock:
            if index < self._index:
                return []
            chunks = self._waiting.setdefault(index, deque())
            if not (chunks and chunks[-1].finished):
                chunks.append(ClauseChunk(samples, finished, ends_utterance, alignment))
            return self._encode_ready()

    def skip(self, index: int, ends_utterance: bool) -> list[EncodedChunk]:
        """Finish clause `index` without (more) audio: it failed, was cancelled, or has nothing to say."""
        return self.push(index, NOTHING, finished=True, ends_utterance=ends_utterance)

    def _encode_ready(self) -> list[EncodedChunk]:
        encoded = []
        while chunks := self._waiting.get(self._index):
            encoded.append(self._encode(chunks.popleft()))
            if encoded[-1].finished:
                del self._waiting[self._index]
                self._index += 1
                self._clause_pts = None
        return encoded

    def _encode(self, chunk: ClauseChunk) -> EncodedChunk:
        start = self._position
        if self._clause_pts is None:
            self._clause_pts = start
        self._utterance_samples += len(chunk.samples)
        end = self._position
        encoded = EncodedChunk(
            self._order,
            self._index,
            self._clause_pts,
            end - start,
            end,
            self._frame(chunk),
            chunk.finished,
            chunk.alignment,
            () if self._viseme_track is None else self._viseme_track(chunk, self._clause_pts, start, end),
        )
        self._order += 1
        return encoded

    @property
    def _position(self) -> int:
        """Where the utterance's next sample stands on the context's clock."""
        return self._utterance_pts + rescaled(self._utterance_samples, self._engine_rate, self._output_rate)

    def _frame(self, chunk: ClauseChunk) -> FrameBlock | None:
        ready = self._resampler.push(chunk.samples)
        if not (chunk.finished and chunk.ends_utterance):
            return self._framer.push(ready)
        rest = self._resampler.finish()
        block = self._framer.push(np.concatenate([ready, rest]) if len(rest) else ready, ends_utterance=True)
        self._utterance_pts = self._framer.pts
        self._utterance_samples = 0
        return block
