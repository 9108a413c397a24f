"""When each word and phoneme of a context is heard, for Cartesia's `timestamps` messages. No I/O.

Clients search the text that they sent for each word, one after the other. So words are what stands between spaces, with
all punctuation, and none is omitted: one without sound (a dash, an emoji) is reported with the word after it.
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
"""A tag (`<break time="1s"/>`) is one word, in spite of its spaces."""

TAG_CHARS_MAX = 404
"""More than the longest tag has."""

SILENT_WORDS_MAX = 500
"""So many successive words without sound are reported singly, the rest of them as one word."""

_UNSPACED = re.compile(f"[{CJK}]")
_TO_NEXT_WORD = re.compile(r"\W*")


@dataclass(slots=True)
class TimedWord:
    """A word of the text, heard in the samples [pts, end_pts)."""

    text: str
    pts: int
    end_pts: int


class WordTracker:
    """Tracks which words of one context have been reported. Positions are code points of its text, pts are samples."""

    def __init__(self) -> None:
        self._text = ""
        self._base = 0  # the position of _text[0]
        self._at = 0  # in _text, of the first character that is not reported yet
        self._clock = 0

    def add(self, text: str) -> None:
        """Append text, exactly as it is sent to the session."""
        self._base += self._at
        self._text = self._text[self._at :] + text
        self._at = 0

    @property
    def chars(self) -> int:
        """The length of the text so far."""
        return self._base + len(self._text)

    def add_timings(self, words: Iterable[WordTiming]) -> list[TimedWord]:
        """Add the times of words; returns the words that can be reported now."""
        reported: list[TimedWord] = []
        for word in words:
            start = word.chars[0] - self._base
            if start >= self._at:
                reported += self._silent_before(start)
                reported += self._word_at(start, word.chars[1] - self._base, word.pts)
            self._clock = max(self._clock, word.end_pts)
            if reported:
                reported[-1].end_pts = max(reported[-1].end_pts, self._clock)
        return reported

    def complete(self, position: int, end_pts: int) -> list[TimedWord]:
        """The text before `position` has been spoken, up to `end_pts`: returns its words that are not reported yet."""
        reported = list(self._silent_before(position - self._base))
        for word in reported:
            word.end_pts = max(word.end_pts, end_pts)
        return reported

    def _silent_before(self, end: int) -> Iterator[TimedWord]:
        """The words that end at or before an index of the text. A tag that begins before it is matched as a whole."""
        until = max(end, 0) + TAG_CHARS_MAX
        count = 0
        while (match := _WORD.search(self._text, self._at, until)) is not None and match.end() <= end:
            self._at = match.end() if count < SILENT_WORDS_MAX else end
            count += 1
            yield TimedWord(self._text[match.start() : self._at].rstrip(), self._clock, self._clock)

    def _word_at(self, start: int, stop: int, pts: int) -> Iterator[TimedWord]:
        """The word that contains [start, stop) of the text; in scripts without spaces, just that range."""
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
    reported = list(words)
    return {
        "words": [word.text for word in reported],
        "start": [_seconds(word.pts, sample_rate) for word in reported],
        "end": [_seconds(word.end_pts, sample_rate) for word in reported],
    }


def phoneme_timestamps(phonemes: Iterable[PhonemeTiming], sample_rate: int) -> dict[str, Any]:
    """The fields of a `phoneme_timestamps` message."""
    reported = list(phonemes)
    return {
        "phonemes": [phoneme.ipa for phoneme in reported],
        "start": [_seconds(phoneme.pts, sample_rate) for phoneme in reported],
        "end": [_seconds(phoneme.end_pts, sample_rate) for phoneme in reported],
    }


def _seconds(pts: int, sample_rate: int) -> float:
    return round(pts / sample_rate, 4)
