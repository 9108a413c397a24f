"""Segments captions: where a cue ends, and where its lines break. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from voxwire_client.captions import line_breaks as lb
from voxwire_client.captions.cue import Layout, Segment
from voxwire_client.captions.hidden_markup import shown
from voxwire_client.captions.line_breaks import Break

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxwire_client.captions.timed_spans import TimedSpan

SENTENCE_PAUSE_SECONDS = 0.15
"""After "Dr." of "Dr. Smith" speakers do not pause; after a sentence they do."""
PAUSE_SECONDS = 0.25
LONG_PAUSE_SECONDS = 1.0

ORPHAN_COLUMNS = 12
"""A shorter end of a sentence does not get a cue of its own."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span with the punctuation and space around it; a cue is a sequence of them.

    `width` is in columns, `blank` of them at its end are white space. `after` is the kind of break after it; `sentence`
    and `clause`: it ends one; `ends`: a cue must end with it; `pause` is the silence after it, in seconds.
    """

    span: TimedSpan
    chars: tuple[int, int]
    text: str
    width: float
    blank: int
    after: Break
    sentence: bool
    clause: bool
    ends: bool
    pause: float


def chunk_of(
    text: str, start: int, span: TimedSpan, following: TimedSpan | None, end: int, layout: Layout, rate: int
) -> Chunk:
    """The chunk of a span: from `start`, the end of the previous one, to the break before `following`, or to `end`."""
    first, last = max(start, span.chars[0]), max(start, span.chars[1])
    stop = end if following is None else max(last, following.chars[0])
    place, kind = (stop, Break.SPACE) if following is None else lb.break_in(text, last, stop)
    tail = shown(text[last:place])
    written = "".join(
        (
            lb.shortened_before(
                shown(text[start:first], text[start - 1 : start]), layout.line_columns, layout.wide_columns
            ),
            lb.flat(shown(text[first:last])),
            lb.shortened_after(tail, layout.line_columns, layout.wide_columns),
        )
    )
    pause = 0.0 if following is None else (following.pts - span.end_pts) / rate
    breakable = kind is not Break.INSIDE
    return Chunk(
        span=span,
        chars=(start, place),
        text=written,
        width=lb.columns(written, layout.wide_columns),
        blank=len(written) - len(written.rstrip()),
        after=kind,
        sentence=breakable and _ends_sentence(text, max(start, last - 2), place, span, following, pause),
        clause=breakable and lb.CLAUSE_END.search(tail) is not None,
        ends=span.ends_utterance or pause >= LONG_PAUSE_SECONDS or lb.PARAGRAPH.search(tail) is not None,
        pause=pause,
    )


def _ends_sentence(
    text: str, last: int, place: int, span: TimedSpan, following: TimedSpan | None, pause: float
) -> bool:
    ending = shown(text[last:place])
    if following is None:
        return lb.SENTENCE_END.search(ending) is not None
    goes_on = text[following.chars[0] : following.chars[0] + 1].islower()
    if goes_on and (pause < PAUSE_SECONDS or lb.QUOTE.search(ending)):
        return False
    settled = span.ends_clause or pause >= SENTENCE_PAUSE_SECONDS
    return (lb.SENTENCE_END if settled else lb.CERTAIN_END).search(ending) is not None


def first_cue(chunks: Iterator[Chunk], *, whole: bool, layout: Layout, rate: int) -> list[Chunk] | None:
    """The chunks of the first cue; None where that depends on later text. `whole`: there is no later text.

    A cue ends with a sentence if it has lasted for long enough, at the end of a paragraph and at a long pause.
    Otherwise every length that fits gets a score: better where the cue is full, and where it ends with a clause or at
    a pause.
    """
    taken: list[Chunk] = []
    scores: list[float] = []
    for chunk in chunks:
        if taken and not _fits([*taken, chunk], layout, rate):
            if len(taken) > 1 and chunk.sentence and chunk.width < ORPHAN_COLUMNS:
                scores[-1] -= 30
            return taken[: max(range(len(scores)), key=lambda place: (scores[place], place)) + 1]
        taken.append(chunk)
        seconds = (chunk.span.end_pts - taken[0].span.pts) / rate
        if chunk.ends or (chunk.sentence and seconds >= layout.seconds_min):
            return taken
        full = sum(each.width for each in taken) / (2 * layout.line_columns)
        scores.append(_score(chunk, layout) + 40 * full - (60 if seconds < layout.seconds_min else 0))
    return taken if whole and taken else None


def _score(chunk: Chunk, layout: Layout) -> float:
    if chunk.after is Break.INSIDE:
        return -100
    if chunk.sentence:
        return 60
    if chunk.clause:
        return 30
    if chunk.pause >= PAUSE_SECONDS:
        return 20
    # In most languages short words belong to what follows: articles, prepositions.
    return -8 if lb.columns(chunk.text.strip(), layout.wide_columns) <= 3 else 0


def _fits(chunks: Sequence[Chunk], layout: Layout, rate: int) -> bool:
    if (chunks[-1].span.end_pts - chunks[0].span.pts) / rate > layout.seconds_max:
        return False
    ends = list(accumulate(each.width for each in chunks))
    width = ends[-1] - chunks[-1].blank
    return width <= layout.line_columns or any(
        end - chunk.blank <= layout.line_columns and width - end <= layout.line_columns
        for end, chunk in zip(ends[:-1], chunks, strict=False)
    )


def in_lines(chunks: Sequence[Chunk], layout: Layout) -> tuple[tuple[Segment, ...], ...]:
    """The text of a cue in lines: two at most, unless a single chunk is longer than that."""
    segments = [Segment(each.text, each.span.pts if each.span.words else None) for each in chunks]
    width = sum(each.width for each in chunks) - chunks[-1].blank
    if width <= layout.line_columns:
        lines = [segments]
    elif len(chunks) == 1:
        lines = _wrapped(segments[0], layout)
    else:
        place = min(range(1, len(chunks)), key=lambda place: _cost(chunks, place, width, layout))
        lines = [segments[:place], segments[place:]]
    return tuple(line for line in (_stripped(each) for each in lines) if line)


def _cost(chunks: Sequence[Chunk], place: int, width: float, layout: Layout) -> float:
    """The cost of beginning the second line with the chunk at `place`."""
    first = sum(each.width for each in chunks[:place])
    second = width - first
    last = chunks[place - 1]
    first -= last.blank
    over = max(0.0, first - layout.line_columns) + max(0.0, second - layout.line_columns)
    weak = 100 if last.after is Break.INSIDE else 0
    unnatural = -_score(last, layout) / 2 if last.after is not Break.INSIDE else 0
    # A longer line below is easier to read; the BBC's "bottom-heavy".
    return 1000 * over + weak + unnatural + abs(first - second) + (2 if first > second else 0)


def _wrapped(segment: Segment, layout: Layout) -> list[list[Segment]]:
    lines: list[str] = []
    for part in segment.text.split(" "):
        if lines and lb.columns(f"{lines[-1]} {part}", layout.wide_columns) <= layout.line_columns:
            lines[-1] += f" {part}"
        elif part:
            lines.append(part)
    return [[Segment(line, segment.pts if place == 0 else None)] for place, line in enumerate(lines)]


def _stripped(line: Sequence[Segment]) -> tuple[Segment, ...]:
    """The line without white space at its ends, and without blank segments there."""
    kept = list(line)
    while kept and not kept[0].text.strip():
        kept.pop(0)
    while kept and not kept[-1].text.strip():
        kept.pop()
    if kept:
        kept[0] = Segment(kept[0].text.lstrip(), kept[0].pts)
        kept[-1] = Segment(kept[-1].text.rstrip(), kept[-1].pts)
    return tuple(kept)
