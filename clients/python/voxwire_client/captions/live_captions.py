"""Makes cues from the events of one context while they come; each is returned when it can't change any more. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from voxwire_client.captions import timed_spans as s
from voxwire_client.captions.cue import Cue, Layout
from voxwire_client.captions.hidden_markup import HiddenMarkup
from voxwire_client.captions.segmentation import Chunk, chunk_of, first_cue, in_lines
from voxwire_client.captions.timed_spans import TimedSpan
from voxwire_client.events import Audio, Event, Reconnected
from voxwire_client.playout_clock import DEFAULT_SAMPLE_RATE
from voxwire_protocol import messages as m

SECONDS_LEAST = 0.002
"""The shortest cue: players refuse one whose start and end are the same in milliseconds."""


@dataclass(frozen=True, slots=True)
class _Planned:
    cue: Cue
    spans: int
    chars: int


class Captions:
    """The cues of one context, in their order, each once.

    `take` every event of an utterance, and show or write the cues that it returns; at the end, also after an error,
    `finish`. A cue is returned when the word after it is known and all audio up to its end has come, so a lost
    connection can't change it.
    """

    def __init__(self, layout: Layout | None = None, *, ssml: bool = False) -> None:
        """`ssml`: the text is SSML; its tags are not shown."""
        self._markup = HiddenMarkup(ssml=ssml)
        self.sample_rate = DEFAULT_SAMPLE_RATE
        self._layout = layout or Layout()
        self._spans: list[TimedSpan] = []
        self._clause: m.ClauseStarted | None = None
        self._clause_has_words = False
        self._spoken_chars = 0
        self._shown_chars = 0
        self._shown_pts = 0
        self._received_pts = 0
        self._planned: _Planned | None = None
        self._over = False

    def take(self, event: Event, text: str) -> list[Cue]:
        """Take an event; `text` is the context's text so far (`text_so_far`). Returns the cues that are final now."""
        text = self._markup.hide(text)
        match event:
            case Audio():
                self._received_pts = max(self._received_pts, event.end_pts)
                return self._final_cues(text) if self._planned_is_final else []
            case m.Started():
                self.sample_rate = event.audio.sample_rate
            case m.ClauseStarted():
                self._end_clause(event.pts, text)
                self._clause, self._clause_has_words = event, False
                self._spoken_chars = max(self._spoken_chars, event.chars[1])
            case m.Timing():
                self._add(event.words, len(text))
            case m.Flushed():
                self._end_clause(self._received_pts, text)
                self._end_utterance()
            case Reconnected(resumed=False, pts=int(pts), chars=int(chars)):
                self._cut(pts, chars)
            case m.Cancelled():
                self._end_clause(self._received_pts, text)
                self._cut(event.heard.pts, None)
                return self._finish(text, self._spans[-1].chars[1] if self._spans else 0)
            case m.Done():
                self._end_clause(event.samples, text)
                return self._finish(text, len(text))
            case _:
                return []
        self._planned = None
        return self._final_cues(text)

    def finish(self, text: str) -> list[Cue]:
        """Nothing more comes; returns the cues that are left. Without effect after `Done` and `Cancelled`."""
        text = self._markup.hide(text)
        self._end_clause(self._received_pts, text)
        return self._finish(text, self._spoken_chars)

    # -- spoken text -------------------------------------------------------------------------------------------------

    def _add(self, words: tuple[m.WordTiming, ...], chars: int) -> None:
        self._clause_has_words = self._clause_has_words or bool(words)
        for word in words:
            end = min(word.chars[1], chars)
            start = min(word.chars[0], end)
            if end <= self._shown_chars:
                start = end
            s.append(self._spans, TimedSpan((start, end), word.pts, max(word.pts, word.end_pts), (word,)))

    def _end_clause(self, end_pts: int, text: str) -> None:
        clause, self._clause = self._clause, None
        if clause is None:
            return
        if not self._clause_has_words and end_pts > clause.pts:
            for span in s.estimated(clause, text, end_pts):
                s.append(self._spans, span)
        if self._spans:
            self._spans[-1] = replace(self._spans[-1], ends_clause=True)

    def _end_utterance(self) -> None:
        if self._spans:
            self._spans[-1] = replace(self._spans[-1], ends_utterance=True)

    def _cut(self, pts: int, chars: int | None) -> None:
        self._spans = s.cut(self._spans, pts, chars)
        clause = self._clause
        if clause is not None and (clause.pts >= pts or (chars is not None and clause.chars[1] > chars)):
            # The fresh session speaks the clause again, or what is left of it.
            self._clause = None
        self._spoken_chars = self._spoken_chars if chars is None else min(self._spoken_chars, chars)

    # -- cues -------------------------------------------------------------------------------------------------------

    @property
    def _planned_is_final(self) -> bool:
        return self._planned is not None and self._planned.cue.end_pts <= self._received_pts

    def _final_cues(self, text: str) -> list[Cue]:
        cues: list[Cue] = []
        while True:
            if self._planned is None:
                self._planned = self._plan(text, None)
            if not self._planned_is_final:
                return cues
            cues += self._show()

    def _finish(self, text: str, end_chars: int) -> list[Cue]:
        if self._over:
            return []
        self._over = True
        cues: list[Cue] = []
        while self._spans:
            self._planned = self._plan(text, end_chars)
            cues += self._show()
        return cues

    def _show(self) -> list[Cue]:
        planned, self._planned = self._planned, None
        assert planned is not None, "there is a cue to show"
        del self._spans[: planned.spans]
        self._shown_chars = planned.chars
        if not planned.cue.lines:
            return []
        self._shown_pts = planned.cue.end_pts
        return [planned.cue]

    def _plan(self, text: str, end_chars: int | None) -> _Planned | None:
        """The next cue; None where it depends on later text. `end_chars` is the end of the text once that is known."""
        chunks = first_cue(
            self._chunks(text, end_chars), whole=end_chars is not None, layout=self._layout, rate=self.sample_rate
        )
        if chunks is None:
            return None
        following = self._spans[len(chunks)] if len(chunks) < len(self._spans) else None
        start, end = self._times(chunks, following)
        words = tuple(word for chunk in chunks for word in chunk.span.words)
        chars = _trimmed(text, chunks[0].chars[0], chunks[-1].chars[1])
        return _Planned(Cue(start, end, chars, in_lines(chunks, self._layout), words), len(chunks), chunks[-1].chars[1])

    def _chunks(self, text: str, end_chars: int | None) -> Iterator[Chunk]:
        """The chunks that later text can't change."""
        start = self._shown_chars
        for place, span in enumerate(self._spans):
            following = self._spans[place + 1] if place + 1 < len(self._spans) else None
            end = self._spoken_chars if end_chars is None else end_chars
            if following is None and end_chars is None and not span.ends_utterance:
                return
            end = max(start, span.chars[1], end)
            chunk = chunk_of(text, start, span, following, end, self._layout, self.sample_rate)
            yield chunk
            start = chunk.chars[1]

    def _times(self, chunks: list[Chunk], following: TimedSpan | None) -> tuple[int, int]:
        layout, rate = self._layout, self.sample_rate
        start = max(chunks[0].span.pts, self._shown_pts)
        spoken_end = max(each.span.end_pts for each in chunks)
        end = max(spoken_end + _samples(layout.linger_seconds, rate), start + _samples(layout.seconds_min, rate))
        end = min(end, max(spoken_end, start + _samples(layout.seconds_max, rate)))
        if following is None and chunks[-1].span.ends_utterance and not self._over:
            # The next utterance may begin with the next sample.
            end = min(end, max(spoken_end, self._received_pts))
        if following is not None and following.pts - end < _samples(layout.gap_seconds, rate):
            end = following.pts
        return start, max(end, start + _samples(SECONDS_LEAST, rate))


def _samples(seconds: float, rate: int) -> int:
    return round(seconds * rate)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The range without white space at its ends."""
    stretch = text[start:end]
    return start + len(stretch) - len(stretch.lstrip()), start + len(stretch.rstrip())
