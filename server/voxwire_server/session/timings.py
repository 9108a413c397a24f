"""Puts an engine's alignment on a context's clock and on its original text. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_protocol import messages as m
from voxwire_server.audio.resample import rescaled
from voxwire_server.session.heard import WordSpan

if TYPE_CHECKING:
    from voxwire_server.speech import Alignment
    from voxwire_server.text.intake import ClauseText


class ClauseClock:
    """Where a clause's samples stand: sample 0 at `pts`, counted at `engine_rate`, shown at `output_rate`."""

    __slots__ = ("_engine_rate", "_output_rate", "_pts")

    def __init__(self, pts: int, engine_rate: int, output_rate: int) -> None:
        self._pts = pts
        self._engine_rate = engine_rate
        self._output_rate = output_rate

    def pts(self, sample: int) -> int:
        """The pts of one of the clause's samples."""
        return self._pts + rescaled(sample, self._engine_rate, self._output_rate)


def word_spans(alignment: Alignment, text: ClauseText, clock: ClauseClock) -> tuple[WordSpan, ...]:
    """The words with their original characters and pts."""
    return tuple(
        WordSpan(word.text, original_range(text, word.chars), clock.pts(word.start), clock.pts(word.end))
        for word in alignment.words
    )


def timing(
    context: str,
    kinds: frozenset[str],
    words: tuple[WordSpan, ...],
    alignment: Alignment | None,
    clock: ClauseClock | None,
    visemes: tuple[m.VisemeTiming, ...],
) -> m.Timing | None:
    """The `timing` message of the kinds that were asked for; None when it would be empty."""
    shown: tuple[m.WordTiming, ...] = ()
    phonemes: tuple[m.PhonemeTiming, ...] = ()
    if "word" in kinds:
        shown = tuple(m.WordTiming(text=w.text, chars=w.chars, pts=w.pts, end_pts=w.end_pts) for w in words)
    if "phoneme" in kinds and alignment is not None and clock is not None:
        phonemes = tuple(
            m.PhonemeTiming(ipa=p.ipa, pts=clock.pts(p.start), end_pts=clock.pts(p.end)) for p in alignment.phonemes
        )
    if not shown and not phonemes and not visemes:
        return None
    return m.Timing(context=context, words=shown, phonemes=phonemes, visemes=visemes)


def original_range(text: ClauseText, chars: tuple[int, int]) -> tuple[int, int]:
    """The original characters behind a range of a clause's text."""
    start, end = chars
    if start >= end:
        at = text.origins[start] if start < len(text.origins) else text.chars[1]
        return at, at
    return text.origins[start], text.origins[end - 1] + 1
