"""Applies each message of a client to the session's contexts, within the session's limits. Pure: no I/O, no clock."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from voxwire_protocol import messages as m
from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.session import effects as fx
from voxwire_server.session.clause_cutter import FLUSH_BYTES, fed_bytes
from voxwire_server.session.open_contexts import lexicon_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_server.session.context import Context
    from voxwire_server.session.open_contexts import OpenContexts
    from voxwire_server.session.quotas import SessionMemory
    from voxwire_server.session.settings import SessionSettings

FLUSHES_WAITING_MAX = 1024
"""The most unanswered flushes of one context; each may stand for a sentence."""


class MessageHandler:
    """Handles the messages of one session."""

    def __init__(
        self,
        settings: SessionSettings,
        contexts: OpenContexts,
        memory: SessionMemory,
        emit: Callable[[fx.Effect], None],
    ) -> None:
        self._settings = settings
        self._contexts = contexts
        self._memory = memory
        self._emit = emit

    def handle(self, message: m.ClientMessage, now: float) -> Context | None:
        """Apply a message. Returns the context that is to be advanced, if there is one.

        Raises:
            VoxwireError: the message is mistaken or can't be obeyed now; nothing was changed by it.
        """
        contexts = self._contexts
        match message:
            case m.Start():
                if message.lexicon:
                    self._memory.check(lexicon_bytes(message.lexicon))
                return contexts.open(message, now)
            case m.Text():
                return self._text(message, now)
            case m.Flush():
                return self._flush(message, now)
            case m.Retract():
                return self._retract(message)
            case m.Configure():
                return self._configure(message)
            case m.Ack():
                return self._ack(message)
            case m.Ping():
                self._send(m.Pong(t=message.t, server_ms=round(now * 1000)))
                return None
            case m.Resume():
                # The transport takes a `resume` that comes first.
                reason = "not_first" if self._settings.resume_window_ms else "not_supported"
                self._send(m.ResumeFailed(reason=reason))
                return None
            case m.End() | m.Cancel() | m.Hold() | m.Release():
                return self._control(message, now)
            case _:
                assert_never(message)

    def _control(self, message: m.End | m.Cancel | m.Hold | m.Release, now: float) -> Context:
        contexts = self._contexts
        context = contexts.accepting(message.context) if isinstance(message, m.End) else contexts.known(message.context)
        match message:
            case m.End():
                context.end(now)
            case m.Cancel():
                context.cancel(message.played_pts, now)
            case m.Hold():
                contexts.hold(context, now)
            case m.Release():
                contexts.release(context, now)
            case _:
                assert_never(message)
        return context

    # -- text ---------------------------------------------------------------------------------------------------

    def _text(self, message: m.Text, now: float) -> Context:
        chars_max = self._settings.text_chars_max
        if len(message.text) > chars_max:
            raise _too_long(f"a text may have {chars_max} characters", "text_chars_max", chars_max)
        if message.context in self._contexts.by_name:
            context = self._contexts.accepting(message.context)
        else:
            context = self._contexts.open_for_text(message.context, now)
        if message.seq is not None and not self._is_next(context, message.seq):
            return context
        self._check_room(context, len(message.text))
        self._memory.check(fed_bytes(message.text))
        if message.flush:
            _check_flushes(context)
        if message.text:
            context.feed(message.text, now)
        if message.seq is not None:
            context.text_seq = message.seq
            self._accepted(context)
        if message.flush:
            context.flush(None, now)
        return context

    def _is_next(self, context: Context, seq: int) -> bool:
        """Whether a text is new. One that was accepted before is acknowledged again and not spoken again."""
        expected = 0 if context.text_seq is None else context.text_seq + 1
        if seq == expected:
            return True
        if seq < expected:
            self._accepted(context)
            return False
        raise VoxwireError(
            ErrorCode.TEXT_GAP,
            f"text {seq} came where {expected} was expected",
            details={"expected": expected, "seq": seq},
        )

    def _check_room(self, context: Context, chars: int) -> None:
        """Whether a context may have so many characters more."""
        limits, intake = self._settings, context.intake
        if intake.unspoken_chars + chars > limits.unspoken_chars_max:
            raise VoxwireError(
                ErrorCode.TEXT_BUFFER_FULL,
                f"more than {limits.unspoken_chars_max} characters would wait to be spoken; send this text again later",
                retry_after_ms=1000,
                details={"unspoken_chars_max": limits.unspoken_chars_max, "unspoken_chars": intake.unspoken_chars},
            )
        if intake.chars + chars > limits.context_chars_max:
            raise _too_long(
                f"a context may have {limits.context_chars_max} characters in all; open another",
                "context_chars_max",
                limits.context_chars_max,
            )

    def _flush(self, message: m.Flush, now: float) -> Context:
        context = self._contexts.accepting(message.context)
        self._memory.check(FLUSH_BYTES)
        _check_flushes(context)
        context.flush(message.id, now)
        return context

    def _retract(self, message: m.Retract) -> Context:
        context = self._contexts.accepting(message.context)
        context.intake.retract(message.from_char)
        self._accepted(context)
        return context

    def _accepted(self, context: Context) -> None:
        self._send(m.Accepted(context=context.spec.name, text_seq=context.text_seq, chars=context.intake.chars))

    # -- audio --------------------------------------------------------------------------------------------------

    def _configure(self, message: m.Configure) -> Context:
        context = self._contexts.known(message.context)
        bitrate = None if message.audio is None else message.audio.bitrate
        if bitrate is not None and context.spec.format.codec != "opus":
            raise VoxwireError(
                ErrorCode.UNSUPPORTED_AUDIO,
                f"codec {context.spec.format.codec} has no bitrate to change",
                details={"field": "audio.bitrate"},
            )
        pacing = None
        if message.pacing is not None:
            current = context.playout.pacing
            pacing = m.Pacing(
                mode=current.mode if message.pacing.mode is None else message.pacing.mode,
                lead_ms=current.lead_ms if message.pacing.lead_ms is None else message.pacing.lead_ms,
            )
        context.configure(bitrate=bitrate, pacing=pacing)
        return context

    def _ack(self, message: m.Ack) -> Context | None:
        context = self._contexts.by_name.get(message.context)
        if context is None:
            # A context may well end while its last ack is on the way.
            return None
        playout, sent_seq = context.playout, context.sent_seq
        if message.seq is not None and (sent_seq is None or message.seq > sent_seq):
            raise _not_sent("seq", message.seq, sent_seq)
        if message.played_pts is not None:
            if message.played_pts > playout.sent_pts:
                raise _not_sent("played_pts", message.played_pts, playout.sent_pts)
            playout.acked_pts = max(playout.acked_pts or 0, message.played_pts)
        if message.seq is not None:
            playout.received_pts = max(playout.received_pts or 0, (message.seq + 1) * playout.frame_samples)
            self._emit(fx.Acknowledged(context.spec.number, message.seq))
        return context

    def _send(self, message: m.ServerMessage) -> None:
        self._emit(fx.Send(message))


def _check_flushes(context: Context) -> None:
    if context.flushes_waiting >= FLUSHES_WAITING_MAX:
        raise VoxwireError(
            ErrorCode.TEXT_BUFFER_FULL,
            f"{FLUSHES_WAITING_MAX} flushes wait for their answers; send this one again later",
            retry_after_ms=1000,
            details={"flushes_waiting_max": FLUSHES_WAITING_MAX},
        )


def _too_long(message: str, limit: str, value: int) -> VoxwireError:
    return VoxwireError(ErrorCode.TEXT_TOO_LONG, message, details={"field": "text", limit: value})


def _not_sent(name: str, value: int, sent: int | None) -> VoxwireError:
    return VoxwireError(
        ErrorCode.INVALID_FIELD,
        f"{name} {value} is beyond what was sent ({sent})",
        details={"field": name, "sent": sent},
    )
