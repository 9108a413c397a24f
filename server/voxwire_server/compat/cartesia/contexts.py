"""Owns one context of Cartesia's WebSocket: when its text is spoken, and what becomes of its audio. Pure."""

from __future__ import annotations

import base64
import re
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from voxwire_protocol import messages as m
from voxwire_server.compat.cartesia.formats import pieces
from voxwire_server.compat.cartesia.messages import DELAY_MS_DEFAULT
from voxwire_server.compat.cartesia.words import TimedWord, Wording, phoneme_timestamps, word_timestamps
from voxwire_server.compat.translation import Forward
from voxwire_server.text.speakable import CJK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxwire_server.compat.cartesia.formats import Sound
    from voxwire_server.compat.cartesia.messages import Generation
    from voxwire_server.compat.session_stream import AudioPiece

EXPIRY_SECONDS = 60.0
"""How long a context that neither says nor hears anything stays open; with the vendor it is one second."""

STALL_SECONDS_MIN = 0.5
"""Text waits for more at least so long: after that the session would begin to speak what there is anyway."""

CHUNK_BYTES_MAX = 48 * 1024
"""Whole samples of every encoding; with what base64 adds still far from the 1 MiB at which the clients close."""

STATUS = 206
"""The status of all that goes well: there is more to come, says the vendor even of the last message."""

_UNSPACED = re.compile(f"[{CJK}]")


class _Flush(NamedTuple):
    """A flush that was told to the session: the client's number for it, and where in the text it stands."""

    id: int | None
    position: int


@dataclass(slots=True)
class Context:
    """One context. `name` is the session's, `id` the client's."""

    name: str
    id: str
    sound: Sound
    timings: tuple[m.TimingKind, ...]
    active_at: float
    closing: bool = False
    _wording: Wording = field(default_factory=Wording)
    _last_char: str = " "
    _unflushed: bool = False
    _parted: bool = False
    _stalls_at: float | None = None
    _flushes: deque[_Flush] = field(default_factory=deque)
    _flushes_asked: int = 0
    _flushes_done: int = 0
    _end_pts: int = 0

    @property
    def due(self) -> float:
        """When `tick` is wanted."""
        expiry = self.active_at + EXPIRY_SECONDS
        return expiry if self._stalls_at is None else min(expiry, self._stalls_at)

    # -- text -----------------------------------------------------------------------------------------------------

    def take(self, message: Generation, now: float) -> Iterator[Forward]:
        """Take a message's text, flush and end."""
        self.active_at = now
        delay_ms = DELAY_MS_DEFAULT if message.max_buffer_delay_ms is None else message.max_buffer_delay_ms
        at_once = delay_ms == 0
        if message.transcript:
            yield self._text(message.transcript)
            self._stalls_at = now + max(delay_ms / 1000, STALL_SECONDS_MIN) if self._unflushed else None
        if message.flush:
            self._flushes_asked += 1
            yield self._flush(self._flushes_asked)
        elif at_once and self._unflushed and message.more:
            yield self._flush(None)
        if not message.more:
            self.closing = True
            self._stalls_at = None
            yield Forward(m.End(context=self.name))

    def tick(self, now: float) -> Iterator[Forward]:
        """Time has passed."""
        if self._stalls_at is not None and now >= self._stalls_at:
            yield self._flush(None)
        if now >= self.active_at + EXPIRY_SECONDS:
            self.active_at = now
            if not self.closing:
                self.closing = True
                yield Forward(m.End(context=self.name))

    def _text(self, text: str) -> Forward:
        if self._parted and self._runs_on(text):
            text = " " + text
        self._parted = False
        self._wording.add(text)
        self._last_char = text[-1]
        self._unflushed = self._unflushed or not text.isspace()
        return Forward(m.Text(context=self.name, text=text))

    def _runs_on(self, text: str) -> bool:
        """Whether a text would join a word that a flush has ended: clients leave out the space between sentences."""
        edges = (self._last_char, text[0])
        return not any(char.isspace() or _UNSPACED.match(char) for char in edges)

    def _flush(self, flush_id: int | None) -> Forward:
        self._unflushed = False
        self._parted = True
        self._stalls_at = None
        self._flushes.append(_Flush(flush_id, self._wording.chars))
        return Forward(m.Flush(context=self.name, id=str(len(self._flushes))))

    # -- audio ----------------------------------------------------------------------------------------------------

    def time(self, timing: m.Timing) -> Iterator[dict[str, Any]]:
        """What sounds when in the audio that follows."""
        if timing.words:
            yield from self._words(self._wording.time(timing.words))
        if timing.phonemes:
            fields = phoneme_timestamps(timing.phonemes, self.sound.request.sample_rate)
            yield self._message("phoneme_timestamps", phoneme_timestamps=fields)

    def audio(self, piece: AudioPiece, now: float) -> Iterator[dict[str, Any]]:
        """The messages that carry a piece of audio."""
        self.active_at = now
        self._end_pts = piece.end_pts
        for part in pieces(self.sound.encoded(piece.payload), CHUNK_BYTES_MAX):
            data = base64.b64encode(part).decode()
            yield self._message("chunk", data=data, step_time=0.0, flush_id=self._flushes_done + 1)

    def flushed(self, flushed: m.Flushed) -> Iterator[dict[str, Any]]:
        """All audio of a flush has been sent. One without an id is the session's own."""
        if flushed.id is None or not self._flushes:
            return
        flush = self._flushes.popleft()
        yield from self._settled(flush.position)
        if flush.id is not None:
            self._flushes_done = flush.id
            yield self._message("flush_done", flush_done=True, flush_id=flush.id)

    def finished(self) -> Iterator[dict[str, Any]]:
        """All audio has been sent: what is left to tell, and that it is the end."""
        yield from self._settled(self._wording.chars)
        yield self._message("done") | {"done": True}

    def _settled(self, position: int) -> Iterator[dict[str, Any]]:
        yield from self._words(self._wording.settle(position, self._end_pts))

    def _words(self, words: list[TimedWord]) -> Iterator[dict[str, Any]]:
        if words and "word" in self.timings:
            yield self._message("timestamps", word_timestamps=word_timestamps(words, self.sound.request.sample_rate))

    def _message(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "context_id": self.id, "done": False, "status_code": STATUS} | fields
