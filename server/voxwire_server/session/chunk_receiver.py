"""Takes the chunks that an engine made of a context's clauses: puts them in order, and says what sounds when. Pure."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voxwire_protocol.messages import ClauseStarted, Mark
from voxwire_server.audio.samples import rescaled
from voxwire_server.session.frame_sender import PendingMessage
from voxwire_server.session.heard import ClauseClock, ClauseSpan, HeardLog, timing_message, word_spans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxwire_server.audio.pipeline import EncodedChunk
    from voxwire_server.session.clause_cutter import ClauseCutter, ClauseInFlight
    from voxwire_server.session.frame_sender import FrameSender
    from voxwire_server.session.heard import WordSpan
    from voxwire_server.session.settings import ContextSpec


@dataclass(slots=True, eq=False)
class ChunkReceiver:
    """Brings the chunks of the clauses that `cutter` has in flight to `sender`.

    `samples` counts the output samples received. `heard_log` knows which characters they are.
    """

    spec: ContextSpec
    cutter: ClauseCutter
    sender: FrameSender
    heard_log: HeardLog = field(default_factory=HeardLog)
    samples: int = 0
    _early: dict[int, EncodedChunk] = field(default_factory=dict)
    _next_order: int = 0

    def take(self, index: int, chunks: Sequence[EncodedChunk], now: float) -> None:
        """Take the audio that a step of clause `index` made.

        Steps of two clauses may run at once in two threads, so chunks can arrive out of their order; they wait for it.
        """
        if self.cutter.stopped:
            self._salvage(index, chunks, now)
            return
        for chunk in chunks:
            self._early[chunk.order] = chunk
        while (following := self._early.pop(self._next_order, None)) is not None:
            self._next_order += 1
            self._take_chunk(following, now)

    def clear(self) -> None:
        """Drop what waits for its turn."""
        self._early.clear()

    def _salvage(self, index: int, chunks: Sequence[EncodedChunk], now: float) -> None:
        """Of a context that failed, take what joins on to the audio that is there; chunks between may be missing."""
        cutter = self.cutter
        for chunk in chunks:
            self._take_chunk(chunk, now)
        if index in cutter.in_flight and cutter.utterance_ends and not chunks:
            del cutter.in_flight[index]
            self.sender.end_utterance(cutter.utterance_ends.popleft())

    def _take_chunk(self, chunk: EncodedChunk, now: float) -> None:
        clause = self.cutter.in_flight.get(chunk.index)
        if clause is None:
            return
        words: tuple[WordSpan, ...] = ()
        if clause.text.text and chunk.samples:
            if clause.span is None:
                self._begin_clause(clause, chunk)
            words = _add_words(clause, chunk)
        self._announce_timing(clause, chunk, words)
        self._announce_marks(clause, chunk)
        self._pass_on_block(chunk, now)
        self.samples += chunk.samples
        if chunk.finished:
            self._finish(clause, chunk)

    def _begin_clause(self, clause: ClauseInFlight, chunk: EncodedChunk) -> None:
        spec, pts = self.spec, chunk.clause_pts
        clause.span = ClauseSpan(clause.text.chars, pts)
        clause.clock = ClauseClock(pts, spec.engine.sample_rate, spec.format.sample_rate)
        self.heard_log.began(clause.span)
        message = ClauseStarted(context=spec.name, chars=clause.text.chars, pts=pts)
        self.sender.add_message(PendingMessage(pts, message, clause.text_at if clause.first else None))

    def _announce_timing(self, clause: ClauseInFlight, chunk: EncodedChunk, words: tuple[WordSpan, ...]) -> None:
        """Say what sounds when, no later than the chunk's own audio."""
        alignment = chunk.alignment if chunk.samples else None
        spec = self.spec
        message = timing_message(spec.name, spec.timings, words, alignment, clause.clock, chunk.visemes)
        if message is not None:
            # A chunk without samples ends an utterance, whose last sample has not been sent yet.
            self.sender.add_message(PendingMessage(chunk.end_pts - (chunk.samples or 1), message, None))

    def _announce_marks(self, clause: ClauseInFlight, chunk: EncodedChunk) -> None:
        """Say when marks are reached: where the next word begins, or at the clause's end, before its pause."""
        marks = clause.text.marks[clause.marks_told :]
        if not marks:
            return
        words = chunk.alignment.words if chunk.alignment is not None and clause.clock is not None else ()
        untimed = self.spec.engine.timing == "none" and clause.clock is not None
        for name, at in marks:
            word = bisect_left(words, at, key=lambda each: each.chars[0])
            if word < len(words) and clause.clock is not None:
                pts = clause.clock.pts(words[word].start)
            elif untimed and not at:
                pts = chunk.clause_pts
            elif chunk.finished:
                pts = self._speech_end(clause, chunk)
            else:
                return
            clause.marks_told += 1
            message = Mark(context=self.spec.name, name=name, pts=pts)
            self.sender.add_message(PendingMessage(chunk.end_pts - (chunk.samples or 1), message, None))

    def _speech_end(self, clause: ClauseInFlight, chunk: EncodedChunk) -> int:
        """Where a clause's pause begins, of which this is the last chunk."""
        rate = self.spec.engine.sample_rate
        pause = rescaled(round(clause.text.pause_after * rate), rate, self.spec.format.sample_rate)
        return max(chunk.clause_pts, chunk.end_pts - pause)

    def _pass_on_block(self, chunk: EncodedChunk, now: float) -> None:
        block = chunk.block
        if block is None:
            return
        if block.first_pts == self.sender.playout.ready_pts:
            self.sender.add(block, now)
        else:
            assert self.cutter.stopped, "blocks join on"

    def _finish(self, clause: ClauseInFlight, chunk: EncodedChunk) -> None:
        """The clause's last chunk was taken."""
        cutter = self.cutter
        if clause.span is not None:
            clause.span.end_pts = self._speech_end(clause, chunk)
        del cutter.in_flight[chunk.index]
        if clause.text.ends_utterance or cutter.stopped:
            self.sender.end_utterance(cutter.utterance_ends.popleft())


def _add_words(clause: ClauseInFlight, chunk: EncodedChunk) -> tuple[WordSpan, ...]:
    """Note the words that came with a chunk."""
    assert clause.span is not None
    assert clause.clock is not None
    if chunk.alignment is None:
        return ()
    words = word_spans(chunk.alignment, clause.text, clause.clock)
    clause.span.words += words
    return words
