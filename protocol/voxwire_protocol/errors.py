"""The error tree: each code with its class, whether a retry helps, what to do next, and how it closes a connection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class CloseCode(IntEnum):
    """WebSocket close codes (RFC 6455, section 7.4.1; 4000-4999 are the application's)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    UNSUPPORTED_DATA = 1003
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_DATA = 1007
    POLICY = 1008
    TOO_BIG = 1009
    INTERNAL = 1011
    RESTART = 1012
    TRY_LATER = 1013
    NOT_AUTHENTICATED = 4401
    NOT_ALLOWED = 4403
    RESUMED_ELSEWHERE = 4409
    OVER_QUOTA = 4429


class ErrorClass(Enum):
    """Who can mend it: the client, this server by its state, or the system behind it."""

    CLIENT = "client"
    SERVER = "server"
    SYSTEM = "system"


class ErrorCode(Enum):
    """Every error code; stable. The part before the dot is its class."""

    MALFORMED_MESSAGE = "client.malformed_message"
    UNKNOWN_TYPE = "client.unknown_type"
    MISSING_FIELD = "client.missing_field"
    INVALID_FIELD = "client.invalid_field"
    UNEXPECTED_BINARY = "client.unexpected_binary"
    MESSAGE_TOO_BIG = "client.message_too_big"
    UNKNOWN_CONTEXT = "client.unknown_context"
    CONTEXT_EXISTS = "client.context_exists"
    CONTEXT_ENDED = "client.context_ended"
    HOLD_EXPIRED = "client.hold_expired"
    TOO_MANY_CONTEXTS = "client.too_many_contexts"
    TEXT_TOO_LONG = "client.text_too_long"
    TEXT_BUFFER_FULL = "client.text_buffer_full"
    TEXT_GAP = "client.text_gap"
    RATE_LIMITED = "client.rate_limited"
    ABUSE = "client.abuse"
    UNKNOWN_VOICE = "client.unknown_voice"
    UNSUPPORTED_LANGUAGE = "client.unsupported_language"
    UNSUPPORTED_AUDIO = "client.unsupported_audio"
    UNSUPPORTED_SUBPROTOCOL = "client.unsupported_subprotocol"
    NOT_AUTHENTICATED = "client.not_authenticated"
    NOT_ALLOWED = "client.not_allowed"
    OVER_QUOTA = "client.over_quota"
    SLOW_READER = "client.slow_reader"
    IDLE = "client.idle"
    DRAINING = "server.draining"
    NOT_READY = "server.not_ready"
    OVERLOADED = "server.overloaded"
    TOO_MANY_SESSIONS = "server.too_many_sessions"
    INTERNAL = "server.internal"
    ENGINE_OVERLOADED = "system.engine_overloaded"
    ENGINE_FAILED = "system.engine_failed"
    ENGINE_UNAVAILABLE = "system.engine_unavailable"
    CLAUSE_FAILED = "system.clause_failed"

    @property
    def error_class(self) -> ErrorClass:
        """The class of the code."""
        return ErrorClass(self.value.partition(".")[0])


@dataclass(frozen=True, slots=True)
class ErrorFacts:
    """What holds for every error of one code. `close_code` None: the connection stays open."""

    retryable: bool
    hint: str
    close_code: CloseCode | None = None


ERRORS: Mapping[ErrorCode, ErrorFacts] = {
    ErrorCode.MALFORMED_MESSAGE: ErrorFacts(False, "Send one map with a `type` in the encoding of the subprotocol."),
    ErrorCode.UNKNOWN_TYPE: ErrorFacts(False, "See the specification for the message types."),
    ErrorCode.MISSING_FIELD: ErrorFacts(False, "Add the field that `details.field` names."),
    ErrorCode.INVALID_FIELD: ErrorFacts(False, "Correct the field that `details.field` names."),
    ErrorCode.UNEXPECTED_BINARY: ErrorFacts(
        False, "Under voxwire.v1.json messages are text; offer voxwire.v1.msgpack."
    ),
    ErrorCode.MESSAGE_TOO_BIG: ErrorFacts(
        False, "Keep messages below `ready.limits.message_bytes_max`.", CloseCode.TOO_BIG
    ),
    ErrorCode.UNKNOWN_CONTEXT: ErrorFacts(False, "Open the context with `start` or `text` first."),
    ErrorCode.CONTEXT_EXISTS: ErrorFacts(False, "Wait for `done`, cancel it, or choose another name."),
    ErrorCode.CONTEXT_ENDED: ErrorFacts(False, "Wait for `done`, or choose another name."),
    ErrorCode.HOLD_EXPIRED: ErrorFacts(True, "Speak what was not heard in a new context."),
    ErrorCode.TOO_MANY_CONTEXTS: ErrorFacts(True, "End or cancel a context first."),
    ErrorCode.TEXT_TOO_LONG: ErrorFacts(False, "Send the text in smaller pieces, or in another context."),
    ErrorCode.TEXT_BUFFER_FULL: ErrorFacts(True, "Wait until some of the text has been spoken."),
    ErrorCode.TEXT_GAP: ErrorFacts(True, "Send the texts again from `details.expected` on."),
    ErrorCode.RATE_LIMITED: ErrorFacts(True, "Slow down.", CloseCode.OVER_QUOTA),
    ErrorCode.ABUSE: ErrorFacts(False, "Mend the client before it connects again.", CloseCode.POLICY),
    ErrorCode.UNKNOWN_VOICE: ErrorFacts(False, "Use a voice of GET /v1/voices."),
    ErrorCode.UNSUPPORTED_LANGUAGE: ErrorFacts(False, "Choose a voice that speaks it; see GET /v1/voices."),
    ErrorCode.UNSUPPORTED_AUDIO: ErrorFacts(False, "See the specification for what goes together."),
    ErrorCode.UNSUPPORTED_SUBPROTOCOL: ErrorFacts(
        False, "Offer voxwire.v1.json or voxwire.v1.msgpack, or none.", CloseCode.POLICY
    ),
    ErrorCode.NOT_AUTHENTICATED: ErrorFacts(
        False, "Send a valid API key, or a token that has not expired.", CloseCode.NOT_AUTHENTICATED
    ),
    ErrorCode.NOT_ALLOWED: ErrorFacts(False, "Ask the operator of the server.", CloseCode.NOT_ALLOWED),
    ErrorCode.OVER_QUOTA: ErrorFacts(True, "Wait, or ask the operator for more.", CloseCode.OVER_QUOTA),
    ErrorCode.SLOW_READER: ErrorFacts(True, "Read faster, or ask for Opus.", CloseCode.POLICY),
    ErrorCode.IDLE: ErrorFacts(True, "Connect again when there is something to say.", CloseCode.NORMAL),
    ErrorCode.DRAINING: ErrorFacts(True, "Connect again; another server may answer.", CloseCode.RESTART),
    ErrorCode.NOT_READY: ErrorFacts(True, "Try again in a moment.", CloseCode.TRY_LATER),
    ErrorCode.OVERLOADED: ErrorFacts(True, "Try again after `retry_after_ms`.", CloseCode.TRY_LATER),
    ErrorCode.TOO_MANY_SESSIONS: ErrorFacts(True, "Try again after `retry_after_ms`.", CloseCode.TRY_LATER),
    ErrorCode.INTERNAL: ErrorFacts(True, "Try again; the server's log has the details.", CloseCode.INTERNAL),
    ErrorCode.ENGINE_OVERLOADED: ErrorFacts(True, "Try again after `retry_after_ms`."),
    ErrorCode.ENGINE_FAILED: ErrorFacts(True, "Try again; the server's log has the details."),
    ErrorCode.ENGINE_UNAVAILABLE: ErrorFacts(False, "Choose a voice of another engine."),
    ErrorCode.CLAUSE_FAILED: ErrorFacts(True, "Send the text again, or change it."),
}
"""What is known of each code."""

assert set(ERRORS) == set(ErrorCode)


class VoxwireError(Exception):
    """An error of the tree. `retryable` and `hint` are those of its code in ERRORS, unless they are given here.

    `context` names the context it is about (None: the session). `details` is for programs, `hint` for a person.
    """

    def __init__(
        self,
        code: ErrorCode | str,
        message: str,
        *,
        retryable: bool | None = None,
        retry_after_ms: int | None = None,
        context: str | None = None,
        details: Mapping[str, Any] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = _known(code)
        self.raw_code = code if isinstance(code, str) else code.value
        facts = ERRORS[self.code]
        self.message = message
        self.retryable = facts.retryable if retryable is None else retryable
        self.retry_after_ms = retry_after_ms
        self.context = context
        self.details = dict(details or {})
        self.hint = facts.hint if hint is None else hint

    def __str__(self) -> str:
        return f"{self.raw_code}: {self.message}"

    @property
    def error_class(self) -> ErrorClass:
        """Who can mend it."""
        return self.code.error_class

    @property
    def close_code(self) -> CloseCode | None:
        """How it closes the connection, if it does."""
        return ERRORS[self.code].close_code


class ProtocolError(VoxwireError):
    """Something received that is no valid message; `details["field"]` names the field where there is one."""


def _known(code: ErrorCode | str) -> ErrorCode:
    if isinstance(code, ErrorCode):
        return code
    try:
        return ErrorCode(code)
    except ValueError:
        prefix = code.partition(".")[0]
        fallback = {"client": ErrorCode.MALFORMED_MESSAGE, "system": ErrorCode.ENGINE_FAILED}
        return fallback.get(prefix, ErrorCode.INTERNAL)
