"""Translates `/v2/speak`: turns, one after the other, each ended by a Flush or an Interrupt. No I/O.

Each turn is a context of its own, opened when the previous turn has ended; until then its text waits here.

    Speak -> (waiting) -> StartContext, SpeechStarted -> audio -> Flush ... SpeechMetadata, Flushed
                                                               -> Interrupt ... SpeechInterrupted
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from voxwire_protocol import messages as m
from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError
from voxwire_server.compat.deepgram.errors import close_for, flux_error
from voxwire_server.compat.deepgram.messages import (
    FLUX_SPEEDS,
    MODEL_VERSION,
    audio_messages,
    parse_message,
    text_of,
    unknown_type,
)
from voxwire_server.compat.translator import Action, Close, ContextNames, Forward, Reply, StartContext

if TYPE_CHECKING:
    from voxwire_server.compat.deepgram.messages import SpeakOptions
    from voxwire_server.compat.session import EncodedAudio

TURNS_MAX = 64
"""Turns that may wait to be spoken."""

SPEED_STEPS_PER_UNIT = 20
"""Speeds are multiples of 0.05."""


class FluxTranslator:
    """Translates one connection. The first of `_turns` is being spoken."""

    due: float | None = None

    def __init__(self, options: SpeakOptions, request_id: str, text_chars_max: int) -> None:
        self._options = options
        self._request_id = request_id
        self._text_chars_max = text_chars_max
        self._names = ContextNames()
        self._turns: deque[Turn] = deque()
        self._totals = Totals()
        self._speed = options.start.speed
        self._closing = False

    def opened(self, now: float) -> list[Action]:  # noqa: ARG002
        """Tell the client which model speaks."""
        connected = {
            "type": "Connected",
            "request_id": self._request_id,
            "model_name": self._options.model_name,
            "model_version": MODEL_VERSION,
            "model_uuids": [self._options.model_uuid],
        }
        return [Reply(connected)]

    def received(self, raw: str | bytes, now: float) -> list[Action]:  # noqa: ARG002
        """See `Translator`."""
        kind, fields = parse_message(raw)
        if self._closing:
            return []
        match kind:
            case "Speak":
                return self._speak(text_of(fields, self._text_chars_max))
            case "Flush":
                return self._flush()
            case "Interrupt":
                return self._interrupt(_offset_ms(fields))
            case "Configure":
                return self._configure(fields.get("speed"))
            case "Close":
                return self._close()
            case _:
                raise unknown_type(kind, "Speak, Flush, Interrupt, Configure and Close")

    def message(self, message: m.ServerMessage, now: float) -> list[Action]:
        """See `Translator`."""
        turn = self._turns[0] if self._turns else None
        if isinstance(message, m.ErrorMessage):
            return self._error(message, turn, now)
        if turn is None or getattr(message, "context", None) != turn.name:
            return []
        match message:
            case m.Started():
                turn.started = True
                return [Reply({"type": "SpeechStarted", "speech_id": turn.speech_id})]
            case m.Flushed(seq=seq) if not turn.interrupted:
                return self._completed(turn, spoken=seq is not None)
            case m.Cancelled():
                return self._interrupted(turn, message)
            case m.Done(reason=m.DoneReason.ERROR):
                return [Close(CloseCode.INTERNAL, "speaking failed")]
            case _:
                return []

    def audio(self, audio: EncodedAudio, now: float) -> list[Action]:  # noqa: ARG002
        """See `Translator`."""
        turn = self._turns[0] if self._turns else None
        if turn is None or audio.context != turn.name or turn.interrupted:
            return []
        turn.samples = audio.end_pts
        return audio_messages(audio)

    def refused(self, error: VoxwireError, now: float) -> list[Action]:  # noqa: ARG002
        """See `Translator`."""
        return [Reply(flux_error(error, self._request_id))]

    def tick(self, now: float) -> list[Action]:  # noqa: ARG002
        """Never due."""
        return []

    # -- messages of the client ---------------------------------------------------------------------------------------

    def _speak(self, text: str) -> list[Action]:
        if not text:
            return []
        if sum(len(part) for turn in self._turns for part in turn.pending) + len(text) > self._text_chars_max:
            raise VoxwireError(ErrorCode.TEXT_BUFFER_FULL, "too much text waits for the turns before it")
        if self._turns and self._turns[-1].open:
            turn = self._turns[-1]
            opening: list[Action] = []
        else:
            turn = self._new_turn()
            opening = self._start_context(turn) if self._turns[0] is turn else []
        turn.chars += len(text)
        self._totals.chars += len(text)
        if self._turns[0] is turn:
            return [*opening, Forward(m.Text(context=turn.name, text=text))]
        turn.pending.append(text)
        return []

    def _new_turn(self) -> Turn:
        if len(self._turns) >= TURNS_MAX:
            raise VoxwireError(ErrorCode.TEXT_BUFFER_FULL, f"{TURNS_MAX} turns wait to be spoken")
        speech_id = f"dg_sp_{uuid4().hex[:12]}"
        turn = Turn(self._names.new(), speech_id, self._speed, sample_rate=self._options.format.sample_rate)
        self._turns.append(turn)
        return turn

    def _flush(self) -> list[Action]:
        turn = self._turns[-1] if self._turns else None
        if turn is None or not turn.open:
            return [Reply(warning("NO_ACTIVE_SPEECH", "no turn is under way, there is nothing to flush"))]
        turn.flushed = True
        return [Forward(m.Flush(context=turn.name))] if self._turns[0] is turn else []

    def _interrupt(self, offset_ms: int | None) -> list[Action]:
        """Cancel the turn that is spoken and all that wait after it: the user has begun to speak."""
        if not self._turns:
            return [Reply(warning("NO_ACTIVE_SPEECH", "no turn is under way, there is nothing to interrupt"))]
        turn = self._turns[0]
        if turn.interrupted:
            return [Reply(warning("INTERRUPT_IN_PROGRESS", "the turn is being interrupted already"))]
        if offset_ms is not None and offset_ms < self._totals.interrupted_ms:
            text = f"playback_offset {offset_ms} lies before the interrupt at {self._totals.interrupted_ms}"
            return [Reply(warning("INVALID_INTERRUPT_OFFSET", text))]
        turn.interrupted, turn.offset_ms = True, offset_ms
        turn.pending = [part for later in self._turns if later is not turn for part in later.pending]
        self._turns = deque([turn])
        played_pts = None
        if offset_ms is not None:
            played_pts = max(0, offset_ms - self._totals.position_ms) * turn.sample_rate // 1000
        return [Forward(m.Cancel(context=turn.name, played_pts=played_pts))]

    def _configure(self, speed: Any) -> list[Action]:
        """Set the speed of the turns after this one."""
        problem = _speed_problem(speed)
        if problem is not None:
            code, description = problem
            failure: dict[str, Any] = {"type": "ConfigureFailure", "code": code, "description": description}
            return [Reply(failure | {"field": "speed", "value": speed if isinstance(speed, int | float) else None})]
        self._speed = self._speed if speed is None else float(speed)
        applied = {} if self._speed is None else {"speed": self._speed}
        return [Reply({"type": "ConfigureSuccess", "applied": applied})]

    def _close(self) -> list[Action]:
        """Speak the text received so far, then close."""
        flushing = self._flush() if self._turns and self._turns[-1].open else []
        self._closing = True
        return [*flushing, *self._close_when_done()]

    # -- messages of the session --------------------------------------------------------------------------------------

    def _completed(self, turn: Turn, *, spoken: bool) -> list[Action]:
        self._totals.position_ms += turn.duration_ms
        actions: list[Action] = []
        if not spoken:
            actions.append(Reply(warning("NO_SYNTHESIZABLE_TEXT", "the turn has nothing that can be spoken")))
        actions += [
            Reply({"type": "SpeechMetadata"} | turn.metadata()),
            Reply({"type": "Flushed", "speech_id": turn.speech_id}),
            # All audio has been sent; an End would wait until it has been heard.
            Forward(m.Cancel(context=turn.name)),
        ]
        self._turns.popleft()
        return [*actions, *self._start_next(), *self._close_when_done()]

    def _interrupted(self, turn: Turn, message: m.Cancelled) -> list[Action]:
        report: dict[str, Any] = {"type": "SpeechInterrupted"}
        if turn.offset_ms is None:
            self._totals.position_ms += turn.duration_ms
        else:
            self._totals.position_ms = turn.offset_ms
            report["text_spoken"] = message.heard.text
            report["text_remaining"] = message.unheard.text + "".join(turn.pending)
        self._totals.interrupted_ms = self._totals.position_ms
        report |= {"audio_played_ms": self._totals.position_ms, "metadata": turn.metadata()}
        self._turns.popleft()
        return [Reply(report), *self._start_next(), *self._close_when_done()]

    def _error(self, message: m.ErrorMessage, turn: Turn | None, now: float) -> list[Action]:
        """A turn that was started continues after an error, or ends with a Done; one that was not is lost."""
        if message.context is not None and (turn is None or message.context != turn.name):
            return []
        error = m.error_from_message(message)
        replies = [] if error.code is ErrorCode.IDLE else self.refused(error, now)
        if turn is None or message.context is None or turn.started:
            return replies
        return [*replies, close_for(error)]

    # -- parts --------------------------------------------------------------------------------------------------------

    def _start_context(self, turn: Turn) -> list[Action]:
        start = replace(self._options.start, context=turn.name, speed=turn.speed)
        return [StartContext(start, self._options.format)]

    def _start_next(self) -> list[Action]:
        """Start the next turn that waits, with its text so far."""
        if not self._turns:
            return []
        turn = self._turns[0]
        text = "".join(turn.pending)
        turn.pending.clear()
        flush = [Forward(m.Flush(context=turn.name))] if turn.flushed else []
        return [*self._start_context(turn), Forward(m.Text(context=turn.name, text=text)), *flush]

    def _close_when_done(self) -> list[Action]:
        if not self._closing or self._turns:
            return []
        return [Reply(self._totals.metadata()), Close()]


def _offset_ms(fields: dict[str, Any]) -> int | None:
    """The playback offset of an Interrupt, if it has one.

    Raises:
        VoxwireError: client.invalid_field.
    """
    offset = fields.get("playback_offset")
    if offset is None:
        return None
    value = offset.get("value") if isinstance(offset, dict) and offset.get("type", "time_ms") == "time_ms" else None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise VoxwireError(
            ErrorCode.INVALID_FIELD,
            'playback_offset is not {"type": "time_ms", "value": milliseconds}',
            details={"field": "playback_offset"},
        )
    return value


def _speed_problem(speed: Any) -> tuple[str, str] | None:
    slowest, fastest = FLUX_SPEEDS
    if speed is None:
        return None
    if not isinstance(speed, int | float) or isinstance(speed, bool) or not slowest <= speed <= fastest:
        return "SPEED_OUT_OF_RANGE", f"speed is not between {slowest:g} and {fastest:g}"
    steps = speed * SPEED_STEPS_PER_UNIT
    if abs(steps - round(steps)) > 1e-6:
        return "SPEED_INCREMENT_INVALID", "speed is no multiple of 0.05"
    return None


@dataclass(slots=True)
class Turn:
    """The text between two Flushes.

    `pending`: text that waits for the previous turn, or, after an interrupt, that is reported as not spoken.
    """

    name: str
    speech_id: str
    speed: float | None
    chars: int = 0
    pending: list[str] = field(default_factory=list)
    flushed: bool = False
    started: bool = False
    offset_ms: int | None = None
    interrupted: bool = False
    samples: int = 0
    sample_rate: int = 24000

    @property
    def open(self) -> bool:
        """Whether it takes more text."""
        return not (self.flushed or self.interrupted)

    @property
    def duration_ms(self) -> int:
        """The duration of the audio sent so far."""
        return self.samples * 1000 // self.sample_rate

    def metadata(self) -> dict[str, Any]:
        """The report on the turn."""
        return {
            "speech_id": self.speech_id,
            "audio_duration_ms": self.duration_ms,
            "input_character_count": self.chars,
            "billable_character_count": self.chars,
            "controls_applied": {"pronunciations_applied": 0, "breaks_applied": 0, "pronunciation_warnings": 0},
        }


@dataclass(slots=True)
class Totals:
    """The totals of a connection. `position_ms`: where the next turn begins, on the clock of the client's playback;
    `interrupted_ms`: where the last interrupt was."""

    position_ms: int = 0
    interrupted_ms: int = 0
    chars: int = 0

    def metadata(self) -> dict[str, Any]:
        """The report at the end of the connection."""
        return {
            "type": "SessionMetadata",
            "total_audio_duration_ms": self.position_ms,
            "total_input_character_count": self.chars,
            "total_billable_character_count": self.chars,
        }


def warning(code: str, description: str) -> dict[str, Any]:
    """A Warning message."""
    return {"type": "Warning", "code": code, "description": description}
