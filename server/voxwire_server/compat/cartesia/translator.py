"""Translates Cartesia's WebSocket: many contexts on one connection, each with its own voice and format. No I/O.

Also makes the times of words and phonemes in the form that its clients expect (`WordTracker`, `phoneme_timestamps`).

An error that names a context ends it, because clients take it so. The id of a context that failed, is done or was
cancelled can be used again.
"""

from __future__ import annotations

import base64
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.compat.cartesia.errors import error_event
from voxwire_server.compat.cartesia.formats import raw_stream_format, split
from voxwire_server.compat.cartesia.messages import DELAY_MS_DEFAULT, Cancellation, client_message
from voxwire_server.compat.translator import Action, ContextNames, Forward, Reply, StartContext
from voxwire_server.text.speakable import CJK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from voxwire_server.compat.cartesia.messages import Generation
    from voxwire_server.compat.session import EncodedAudio

    VoiceFinder = Callable[[str | None, str | None], str | None]
    """The voice's name for a model's and a voice's id."""
    from voxwire_protocol.messages import PhonemeTiming, WordTiming
    from voxwire_server.compat.cartesia.formats import StreamFormat

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


EXPIRY_SECONDS = 60.0
"""How long a context without text or audio stays open; with the vendor it is one second."""

STALL_SECONDS_MIN = 0.5
"""How long text waits for more at least: after that the session would speak it anyway."""

CHUNK_BYTES_MAX = 48 * 1024
"""Whole samples of every encoding; with base64 far from the 1 MiB above which clients close."""

STATUS = 206
"""The `status_code` of every message without an error, the last one included (206 Partial Content)."""


class _Flush(NamedTuple):
    """A flush that was sent to the session: its number for the client, if any, and its position in the text."""

    id: int | None
    position: int


@dataclass(slots=True)
class Context:
    """One context. `name` is the session's, `id` the client's."""

    name: str
    id: str
    format: StreamFormat
    timings: tuple[m.TimingKind, ...]
    active_at: float
    closing: bool = False
    _tracker: WordTracker = field(default_factory=WordTracker)
    _last_char: str = " "
    _unflushed: bool = False
    _word_ended: bool = False
    _flush_at: float | None = None
    _flushes: deque[_Flush] = field(default_factory=deque)
    _flushes_asked: int = 0
    _flushes_done: int = 0
    _end_pts: int = 0

    @property
    def due(self) -> float:
        """When `tick` is to be called."""
        expiry = self.active_at + EXPIRY_SECONDS
        return expiry if self._flush_at is None else min(expiry, self._flush_at)

    # -- text -----------------------------------------------------------------------------------------------------

    def receive(self, message: Generation, now: float) -> Iterator[Forward]:
        """Take a message's text, flush and end."""
        self.active_at = now
        delay_ms = DELAY_MS_DEFAULT if message.max_buffer_delay_ms is None else message.max_buffer_delay_ms
        at_once = delay_ms == 0
        if message.transcript:
            yield self._text(message.transcript)
            self._flush_at = now + max(delay_ms / 1000, STALL_SECONDS_MIN) if self._unflushed else None
        if message.flush:
            self._flushes_asked += 1
            yield self._flush(self._flushes_asked)
        elif at_once and self._unflushed and message.more:
            yield self._flush(None)
        if not message.more:
            self.closing = True
            self._flush_at = None
            yield Forward(m.End(context=self.name))

    def tick(self, now: float) -> Iterator[Forward]:
        """Time has passed."""
        if self._flush_at is not None and now >= self._flush_at:
            yield self._flush(None)
        if now >= self.active_at + EXPIRY_SECONDS:
            self.active_at = now
            if not self.closing:
                self.closing = True
                yield Forward(m.End(context=self.name))

    def _text(self, text: str) -> Forward:
        if self._word_ended and self._continues_word(text):
            text = " " + text
        self._word_ended = False
        self._tracker.add(text)
        self._last_char = text[-1]
        self._unflushed = self._unflushed or not text.isspace()
        return Forward(m.Text(context=self.name, text=text))

    def _continues_word(self, text: str) -> bool:
        """Whether text would continue a word that a flush has ended: clients omit the space between sentences."""
        edges = (self._last_char, text[0])
        return not any(char.isspace() or _UNSPACED.match(char) for char in edges)

    def _flush(self, flush_id: int | None) -> Forward:
        self._unflushed = False
        self._word_ended = True
        self._flush_at = None
        self._flushes.append(_Flush(flush_id, self._tracker.chars))
        return Forward(m.Flush(context=self.name, id=str(len(self._flushes))))

    # -- audio ----------------------------------------------------------------------------------------------------

    def add_timings(self, timing: m.Timing) -> Iterator[dict[str, Any]]:
        """Add the timings of the audio that follows; returns messages with those that are complete."""
        if timing.words:
            yield from self._words(self._tracker.add_timings(timing.words))
        if timing.phonemes:
            fields = phoneme_timestamps(timing.phonemes, self.format.session_format.sample_rate)
            yield self._message("phoneme_timestamps", phoneme_timestamps=fields)

    def audio(self, audio: EncodedAudio, now: float) -> Iterator[dict[str, Any]]:
        """The messages that carry audio."""
        self.active_at = now
        self._end_pts = audio.end_pts
        for part in split(self.format.encode(audio.payload), CHUNK_BYTES_MAX):
            data = base64.b64encode(part).decode()
            yield self._message("chunk", data=data, step_time=0.0, flush_id=self._flushes_done + 1)

    def flushed(self, flushed: m.Flushed) -> Iterator[dict[str, Any]]:
        """All audio of a flush has been sent. A flush without an id is the session's own."""
        if flushed.id is None or not self._flushes:
            return
        flush = self._flushes.popleft()
        yield from self._complete(flush.position)
        if flush.id is not None:
            self._flushes_done = flush.id
            yield self._message("flush_done", flush_done=True, flush_id=flush.id)

    def finished(self) -> Iterator[dict[str, Any]]:
        """All audio has been sent: the last timestamps and the `done` message."""
        yield from self._complete(self._tracker.chars)
        yield self._message("done") | {"done": True}

    def _complete(self, position: int) -> Iterator[dict[str, Any]]:
        yield from self._words(self._tracker.complete(position, self._end_pts))

    def _words(self, words: list[TimedWord]) -> Iterator[dict[str, Any]]:
        if words and "word" in self.timings:
            fields = word_timestamps(words, self.format.session_format.sample_rate)
            yield self._message("timestamps", word_timestamps=fields)

    def _message(self, kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, "context_id": self.id, "done": False, "status_code": STATUS} | fields


class CartesiaTranslator:
    """Translates one connection."""

    def __init__(self, find_voice: VoiceFinder, request_id: str) -> None:
        self.due: float | None = None
        self._find_voice = find_voice
        self._request_id = request_id
        self._names = ContextNames()
        self._by_name: dict[str, Context] = {}
        self._by_id: dict[str, Context] = {}

    def opened(self, now: float) -> Iterable[Action]:  # noqa: ARG002 - clients speak first
        """See `Translator`."""
        return ()

    def received(self, raw: str | bytes, now: float) -> Iterable[Action]:
        """See `Translator`."""
        message = client_message(raw)
        if isinstance(message, Cancellation):
            return self._with_due(self._cancel(self._by_id.get(message.context_id)))
        try:
            return self._with_due(self._generate(message, now))
        except VoxwireError as error:
            error.context = message.context_id
            raise

    def message(self, message: m.ServerMessage, now: float) -> Iterable[Action]:  # noqa: ARG002 - needs no clock
        """See `Translator`."""
        if isinstance(message, m.ErrorMessage):
            return self._with_due(self._failed(message))
        context = self._by_name.get(getattr(message, "context", None) or "")
        if context is None:
            return ()
        match message:
            case m.Timing():
                return [Reply(payload) for payload in context.add_timings(message)]
            case m.Flushed():
                return [Reply(payload) for payload in context.flushed(message)]
            case m.Done():
                return self._with_due(self._done(context, message))
            case _:
                return ()

    def audio(self, audio: EncodedAudio, now: float) -> Iterable[Action]:
        """See `Translator`."""
        context = self._by_name.get(audio.context)
        return () if context is None else self._with_due(Reply(payload) for payload in context.audio(audio, now))

    def refused(self, error: VoxwireError, now: float) -> Iterable[Action]:  # noqa: ARG002 - errors need no clock
        """See `Translator`."""
        context = self._by_id.get(error.context or "")
        return self._with_due([self._error_reply(error, error.context), *self._cancel(context)])

    def tick(self, now: float) -> Iterable[Action]:
        """See `Translator`."""
        return self._with_due(action for context in self._by_name.values() for action in context.tick(now))

    # -- messages of the client ---------------------------------------------------------------------------------------

    def _generate(self, message: Generation, now: float) -> Iterator[Action]:
        context = self._by_id.get(message.context_id or "")
        if context is None:
            context, start = self._open(message, now)
            yield start
        elif context.closing:
            raise VoxwireError(ErrorCode.CONTEXT_ENDED, "the context was ended by a message without `continue`")
        yield from context.receive(message, now)

    def _open(self, message: Generation, now: float) -> tuple[Context, Action]:
        if message.context_id is None and message.more:
            raise VoxwireError(
                ErrorCode.MISSING_FIELD,
                "context_id: it is needed where `continue` is true",
                details={"field": "context_id"},
            )
        context_id = message.context_id or str(uuid4())
        format = raw_stream_format(message.output_format)
        voice = self._find_voice(message.model_id, message.voice_id())
        context = Context(self._names.new(), context_id, format, message.timings(), now)
        self._by_name[context.name] = self._by_id[context_id] = context
        start = message.start(voice, context.name, context.timings)
        return context, StartContext(start, format.session_format)

    def _cancel(self, context: Context | None) -> Iterator[Action]:
        """Cancel without a message to the client: the SDK would take it for the end of another context."""
        if context is not None:
            self._forget(context)
            yield Forward(m.Cancel(context=context.name))

    # -- messages of the session --------------------------------------------------------------------------------------

    def _done(self, context: Context, done: m.Done) -> Iterator[Action]:
        self._forget(context)
        if done.reason is m.DoneReason.ERROR:
            error = VoxwireError(ErrorCode.ENGINE_FAILED, "the transcript could not be spoken to its end")
            yield self._error_reply(error, context.id)
            return
        for payload in context.finished():
            yield Reply(payload)

    def _failed(self, message: m.ErrorMessage) -> Iterator[Action]:
        error = m.error_from_message(message)
        if message.context is None:
            if error.code is not ErrorCode.IDLE:
                yield self._error_reply(error, None)
            return
        context = self._by_name.get(message.context)
        if context is not None:
            yield self._error_reply(error, context.id)
            yield from self._cancel(context)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _error_reply(self, error: VoxwireError, context_id: str | None) -> Reply:
        """An error message, always with a `context_id`, null if need be: Pipecat fails on messages without."""
        return Reply(error_event(error, self._request_id) | {"context_id": context_id})

    def _forget(self, context: Context) -> None:
        self._by_name.pop(context.name, None)
        self._by_id.pop(context.id, None)

    def _with_due(self, actions: Iterable[Action]) -> list[Action]:
        """The actions; `due` is updated once they have been made."""
        done = list(actions)
        self.due = min((context.due for context in self._by_name.values()), default=None)
        return done
