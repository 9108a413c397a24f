"""Owns one context of a WebSocket: when its text is handed to the session, and what becomes of its audio. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voxwire_protocol import messages as m
from voxwire_server.compat.elevenlabs.chunks import Chunker
from voxwire_server.compat.translation import Begin, Forward

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxwire_server.compat.elevenlabs.chunks import Chunk
    from voxwire_server.compat.elevenlabs.messages import ClientMessage
    from voxwire_server.compat.formats import OutputFormat
    from voxwire_server.compat.session_stream import AudioPiece

HOLD_SECONDS = 2.5
"""How long text waits for a chunk schedule: Pipecat takes three seconds of quiet for the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """What the address of a connection and the configuration say of all its contexts."""

    voice: str
    format: OutputFormat
    language: str | None = None
    seed: int | None = None
    auto_mode: bool = False
    cumulative: bool = False
    inactivity_seconds: float = 180.0


@dataclass(slots=True)
class Context:
    """One context. `name` is the session's, `id` the client's; `due` is when `tick` is wanted.

    `said_all`: the client has flushed and means it as the last of its text. In auto mode every sentence may come with a
    flush, and only an empty one after them says so.
    """

    name: str
    id: str | None
    options: StreamOptions
    schedule: Sequence[float] = ()
    due: float | None = None
    said_all: bool = False
    closing: bool = False
    _chunker: Chunker = field(init=False)
    _held: list[str] = field(default_factory=list)
    _held_chars: int = 0
    _released: int = 0
    _last_char: str = " "
    _to_flush: bool = False

    def __post_init__(self) -> None:
        self._chunker = Chunker(self.options.format.sample_rate)

    def begin(self, message: ClientMessage) -> Begin:
        """Open it, as its first message wants it."""
        options = self.options
        if message.generation_config is not None:
            self.schedule = tuple(message.generation_config.chunk_length_schedule or ())
        start = m.Start(
            context=self.name,
            voice=options.voice,
            language=options.language,
            speed=message.voice_settings.speed if message.voice_settings is not None else None,
            timings=("word",),
            seed=options.seed,
        )
        return Begin(start, options.format)

    # -- text -----------------------------------------------------------------------------------------------------

    def take(self, message: ClientMessage, now: float) -> Iterator[Forward]:
        """Take a message's text and flush."""
        text = message.text or ""
        spoken = bool(text) and not text.isspace()
        flush = bool(message.flush)
        if text:
            self.said_all = False
        if flush:
            self.said_all = not (spoken and self.options.auto_mode)
        if spoken or self._held or self._chunker.chars:
            self._hold(text, now)
        if flush or (spoken and self.options.auto_mode):
            yield from self._flush()
        elif message.try_trigger_generation or self._held_chars >= self._wanted_chars():
            yield from self._release()

    def tick(self, now: float) -> Iterator[Forward]:
        """Text has waited long enough for more."""
        if self.due is not None and now >= self.due:
            yield from self._release()

    def end(self) -> Iterator[Forward]:
        """No more text comes; what there is is spoken."""
        self.closing = True
        yield from self._release()
        yield from self._part_words()
        yield Forward(m.End(context=self.name))

    def cancel(self) -> Forward:
        """Nothing more of it is wanted."""
        return Forward(m.Cancel(context=self.name))

    def _hold(self, text: str, now: float) -> None:
        if text:
            self._held.append(text)
            self._held_chars += len(text)
            if self.due is None:
                self.due = now + HOLD_SECONDS

    def _wanted_chars(self) -> float:
        return self.schedule[min(self._released, len(self.schedule) - 1)] if self.schedule else 0

    def _release(self) -> Iterator[Forward]:
        self.due = None
        if self._held:
            text = "".join(self._held)
            self._held.clear()
            self._held_chars = 0
            self._released += 1
            yield self._text(text)

    def _flush(self) -> Iterator[Forward]:
        yield from self._release()
        if self._to_flush:
            yield from self._part_words()
            self._to_flush = False
            yield Forward(m.Flush(context=self.name, id=str(self._chunker.chars)))

    def _part_words(self) -> Iterator[Forward]:
        """A client takes a word for complete at the space after it, and leaves that out between sentences."""
        if not self._last_char.isspace():
            yield self._text(" ")

    def _text(self, text: str) -> Forward:
        self._chunker.add(text)
        self._last_char = text[-1]
        self._to_flush = self._to_flush or not text.isspace()
        return Forward(m.Text(context=self.name, text=text))

    # -- audio ----------------------------------------------------------------------------------------------------

    def time(self, timing: m.Timing) -> None:
        """What sounds when in the audio that follows."""
        self._chunker.time(timing)

    def audio(self, piece: AudioPiece) -> Iterator[dict[str, Any]]:
        """The messages that carry a piece of audio."""
        for chunk in self._chunker.audio(piece):
            yield self._payload(chunk)

    def flushed(self, flushed: m.Flushed) -> Iterator[dict[str, Any]]:
        """All audio of a flush is there. One without an id is the session's own and stands for no place in the text."""
        if flushed.id is not None:
            yield from self._settled(int(flushed.id))

    def finished(self) -> Iterator[dict[str, Any]]:
        """All audio is there: what is left to tell, and that it is the end."""
        yield from self._settled(None)
        yield self.final()

    def final(self) -> dict[str, Any]:
        """The context is over."""
        return {"audio": None, "isFinal": True} | self._named()

    def _settled(self, position: int | None) -> Iterator[dict[str, Any]]:
        for chunk in self._chunker.settle(position):
            yield self._payload(chunk)

    def _payload(self, chunk: Chunk) -> dict[str, Any]:
        return chunk.for_socket(cumulative=self.options.cumulative) | self._named()

    def _named(self) -> dict[str, Any]:
        return {} if self.id is None else {"contextId": self.id}
