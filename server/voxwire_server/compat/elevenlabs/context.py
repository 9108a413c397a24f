"""One context of ElevenLabs' WebSockets: when its text is sent to the session, and its audio messages. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voxwire_protocol import messages as m
from voxwire_server.compat.elevenlabs.timestamps import Chunker
from voxwire_server.compat.translator import Forward, StartContext

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from voxwire_server.compat.elevenlabs.messages import ClientMessage
    from voxwire_server.compat.elevenlabs.timestamps import Chunk
    from voxwire_server.compat.formats import OutputFormat
    from voxwire_server.compat.session import EncodedAudio

HOLD_SECONDS = 2.5
"""How long text may wait for `chunk_length_schedule`: Pipecat takes three seconds without audio for the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """The options of all contexts of a connection: of its address, and of the configuration."""

    voice: str
    format: OutputFormat
    language: str | None = None
    seed: int | None = None
    auto_mode: bool = False
    cumulative: bool = False
    inactivity_seconds: float = 180.0


@dataclass(slots=True)
class Context:
    """One context. `name` is the session's, `id` the client's; `due` is when `tick` is to be called.

    `text_complete`: the client has flushed after its last text. In auto mode every sentence may come with a flush, and
    only an empty flush after them has that meaning.
    """

    name: str
    id: str | None
    options: StreamOptions
    schedule: Sequence[float] = ()
    due: float | None = None
    text_complete: bool = False
    closing: bool = False
    _chunker: Chunker = field(init=False)
    _held: list[str] = field(default_factory=list)
    _held_chars: int = 0
    _released: int = 0
    _last_char: str = " "
    _to_flush: bool = False

    def __post_init__(self) -> None:
        self._chunker = Chunker(self.options.format.sample_rate)

    def start(self, message: ClientMessage) -> StartContext:
        """The action that opens it, with the settings of its first message."""
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
        return StartContext(start, options.format)

    # -- text -----------------------------------------------------------------------------------------------------

    def receive(self, message: ClientMessage, now: float) -> Iterator[Forward]:
        """Take a message's text and flush."""
        text = message.text or ""
        spoken = bool(text) and not text.isspace()
        flush = bool(message.flush)
        if text:
            self.text_complete = False
        if flush:
            self.text_complete = not (spoken and self.options.auto_mode)
        if spoken or self._held or self._chunker.chars:
            self._hold(text, now)
        if flush or (spoken and self.options.auto_mode):
            yield from self._flush()
        elif message.try_trigger_generation or self._held_chars >= self._release_chars():
            yield from self._release()

    def tick(self, now: float) -> Iterator[Forward]:
        """Release text that has waited for HOLD_SECONDS."""
        if self.due is not None and now >= self.due:
            yield from self._release()

    def end(self) -> Iterator[Forward]:
        """No more text comes: speak the rest."""
        self.closing = True
        yield from self._release()
        yield from self._end_word()
        yield Forward(m.End(context=self.name))

    def cancel(self) -> Forward:
        """The message that cancels the context."""
        return Forward(m.Cancel(context=self.name))

    def _hold(self, text: str, now: float) -> None:
        if text:
            self._held.append(text)
            self._held_chars += len(text)
            if self.due is None:
                self.due = now + HOLD_SECONDS

    def _release_chars(self) -> float:
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
            yield from self._end_word()
            self._to_flush = False
            yield Forward(m.Flush(context=self.name, id=str(self._chunker.chars)))

    def _end_word(self) -> Iterator[Forward]:
        """Append a space: clients complete a word at the space after it, and omit that between sentences."""
        if not self._last_char.isspace():
            yield self._text(" ")

    def _text(self, text: str) -> Forward:
        self._chunker.add(text)
        self._last_char = text[-1]
        self._to_flush = self._to_flush or not text.isspace()
        return Forward(m.Text(context=self.name, text=text))

    # -- audio ----------------------------------------------------------------------------------------------------

    def add_timings(self, timing: m.Timing) -> None:
        """Add the timings of the audio that follows."""
        self._chunker.add_timings(timing)

    def audio(self, audio: EncodedAudio) -> Iterator[dict[str, Any]]:
        """The messages that carry audio."""
        for chunk in self._chunker.audio(audio):
            yield self._payload(chunk)

    def flushed(self, flushed: m.Flushed) -> Iterator[dict[str, Any]]:
        """All audio of a flush has been sent. A flush without an id is the session's own: it has no text position."""
        if flushed.id is not None:
            yield from self._complete(int(flushed.id))

    def finished(self) -> Iterator[dict[str, Any]]:
        """All audio has been sent: the last characters and the final message."""
        yield from self._complete(None)
        yield self.final()

    def final(self) -> dict[str, Any]:
        """The final message."""
        return {"audio": None, "isFinal": True} | self._id_field()

    def _complete(self, position: int | None) -> Iterator[dict[str, Any]]:
        for chunk in self._chunker.complete(position):
            yield self._payload(chunk)

    def _payload(self, chunk: Chunk) -> dict[str, Any]:
        return chunk.for_websocket(cumulative=self.options.cumulative) | self._id_field()

    def _id_field(self) -> dict[str, Any]:
        return {} if self.id is None else {"contextId": self.id}
