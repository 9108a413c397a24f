"""Owns which words of a context's text have been told, and when they sound. Pure.

Clients look for each word in the text they sent, one after the other, so words are what stands between spaces there,
with all punctuation, and none is left out: what is never heard (a dash, an emoji) is told with the word after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from voxwire_server.text.speakable import CJK

if TYPE_CHECKING:
    from voxwire_protocol.messages import PhonemeTiming, WordTiming

_WORD = re.compile(r"(?:<[^<>\s][^<>]{0,400}>|\S)+")
"""A tag (`<break time="1s"/>`) is never cut at the spaces in it."""

TAG_CHARS_MAX = 404
"""One more than the longest tag has."""

UNHEARD_MAX = 500
"""So many words that are not heard are told one by one; what is left of them before the next is told as one."""

_UNSPACED = re.compile(f"[{CJK}]")
_TO_NEXT_WORD = re.compile(r"\W*")


@dataclass(slots=True)
class TimedWord:
    """A word as it stands in the text, and its samples."""

    text: str
    pts: int
    end_pts: int


class Wording:
    """The words of one context. Positions are code points of its text, pts samples of its clock."""

    def __init__(self) -> None:
        self._text = ""
        self._base = 0  # the position of _text[0]
        self._at = 0  # in _text, of the first character that was not told
        self._clock = 0

    def add(self, text: str) -> None:
        """More text, exactly as it is told to the session."""
        self._base += self._at
        self._text = self._text[self._at :] + text
        self._at = 0

    @property
    def chars(self) -> int:
        """How much text there has been."""
        return self._base + len(self._text)

    def time(self, words: Iterable[WordTiming]) -> list[TimedWord]:
        """Words have times: what is to be told of them."""
        told: list[TimedWord] = []
        for word in words:
            start = word.chars[0] - self._base
            if start >= self._at:
                told += self._unheard_before(start)
                told += self._word_at(start, word.chars[1] - self._base, word.pts)
            self._clock = max(self._clock, word.end_pts)
            if told:
                told[-1].end_pts = max(told[-1].end_pts, self._clock)
        return told

    def settle(self, position: int, end_pts: int) -> list[TimedWord]:
        """All text before a position has been spoken, its audio ends at `end_pts`: what of it was not told."""
        told = list(self._unheard_before(position - self._base))
        for word in told:
            word.end_pts = max(word.end_pts, end_pts)
        return told

    def _unheard_before(self, end: int) -> Iterator[TimedWord]:
        """The words that end before an index of the text. A tag that begins before it is looked at whole."""
        until = max(end, 0) + TAG_CHARS_MAX
        count = 0
        while (match := _WORD.search(self._text, self._at, until)) is not None and match.end() <= end:
            self._at = match.end() if count < UNHEARD_MAX else end
            count += 1
            yield TimedWord(self._text[match.start() : self._at].rstrip(), self._clock, self._clock)

    def _word_at(self, start: int, stop: int, pts: int) -> Iterator[TimedWord]:
        """The word in which [start, stop) of the text lies; where words have no spaces, that alone."""
        until = len(self._text)
        if _UNSPACED.match(self._text, start):
            punctuation = _TO_NEXT_WORD.match(self._text, stop)
            until = stop if punctuation is None else punctuation.end()
        match = _WORD.search(self._text, self._at, until)
        if match is None or match.start() > start:
            return
        first, end = match.span()
        self._at = end
        yield TimedWord(self._text[first:end], pts, pts)


def word_timestamps(words: Iterable[TimedWord], sample_rate: int) -> dict[str, Any]:
    """The fields of a `timestamps` message."""
    told = list(words)
    return {
        "words": [word.text for word in told],
        "start": [_seconds(word.pts, sample_rate) for word in told],
        "end": [_seconds(word.end_pts, sample_rate) for word in told],
    }


def phoneme_timestamps(phonemes: Iterable[PhonemeTiming], sample_rate: int) -> dict[str, Any]:
    """The fields of a `phoneme_timestamps` message."""
    told = list(phonemes)
    return {
        "phonemes": [phoneme.ipa for phoneme in told],
        "start": [_seconds(phoneme.pts, sample_rate) for phoneme in told],
        "end": [_seconds(phoneme.end_pts, sample_rate) for phoneme in told],
    }


def _seconds(pts: int, sample_rate: int) -> float:
    return round(pts / sample_rate, 4)
