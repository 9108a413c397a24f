"""Owns what is told of one text as it is spoken: its audio, and when its words and phonemes sound. Pure."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from voxwire_server.compat.cartesia import events
from voxwire_server.compat.cartesia.words import Wording

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxwire_protocol.messages import Timing
    from voxwire_server.compat.cartesia.events import Event
    from voxwire_server.compat.cartesia.wishes import Wish
    from voxwire_server.compat.line import AudioPiece


class Narration:
    """The events of one text. They lack the context's id."""

    def __init__(self, wish: Wish) -> None:
        self._sound = wish.sound
        self._rate = wish.sound.format.sample_rate
        self._words = "word" in (wish.start.timings or ())
        self._wording = Wording()
        self._end_pts = 0
        self.last_char = " "
        """The last character so far; a space where there is none."""

    @property
    def chars(self) -> int:
        """How much text there has been."""
        return self._wording.chars

    def add(self, text: str) -> None:
        """More text, exactly as it is told to the session."""
        self._wording.add(text)
        self.last_char = text[-1:] or self.last_char

    def time(self, timing: Timing) -> Iterator[Event]:
        """What sounds when in the audio that follows."""
        told = self._wording.time(timing.words) if self._words else []
        return chain(events.words(told, self._rate), events.phonemes(timing, self._rate))

    def audio(self, piece: AudioPiece) -> Iterator[Event]:
        """A piece of audio."""
        self._end_pts = piece.end_pts
        return events.chunks(piece, self._sound)

    def settle(self, position: int | None = None) -> Iterator[Event]:
        """All text up to a position has been spoken (None: all there is): the words that have no sound."""
        told = self._wording.settle(self.chars if position is None else position, self._end_pts) if self._words else []
        return events.words(told, self._rate)
