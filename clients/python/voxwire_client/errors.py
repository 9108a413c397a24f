"""Errors of the connection. Errors of speech are `VoxwireError`s of the protocol."""

from __future__ import annotations

from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError

ABNORMAL = 1006
"""No close frame came (RFC 6455, section 7.1.5)."""

RETRYABLE = frozenset({ABNORMAL, CloseCode.GOING_AWAY, CloseCode.INTERNAL, CloseCode.RESTART, CloseCode.TRY_LATER})
FINAL = frozenset({ErrorCode.NOT_AUTHENTICATED, ErrorCode.NOT_ALLOWED, ErrorCode.ABUSE})
"""After these errors of the session the client must not reconnect, whatever the close code."""

RETRY_SECONDS = 0.5
"""The pause before a retry where the server names none."""


class ConnectionLost(Exception):
    """There is no connection, or no longer one.

    `code` and `reason` are those of the WebSocket close; 1006 without a close frame. `error` is the error about the
    session that the server sent before it closed, if any. `retry_after_ms` is the pause that the server asks for.
    """

    def __init__(
        self, code: int, reason: str, error: VoxwireError | None = None, *, retry_after_ms: int | None = None
    ) -> None:
        problem = str(error) if error is not None else reason
        super().__init__(f"connection lost ({int(code)}{': ' + problem if problem else ''})")
        self.code = int(code)
        self.reason = reason
        self.error = error
        self.retry_after_ms = error.retry_after_ms if retry_after_ms is None and error is not None else retry_after_ms

    @property
    def retryable(self) -> bool:
        """Whether connecting again may succeed."""
        return self.error.retryable if self.error is not None else self.code in RETRYABLE

    @property
    def dropped(self) -> bool:
        """Whether the session may be resumed on another connection."""
        return self.code in RETRYABLE and (self.error is None or self.error.code not in FINAL)


def pause_seconds(error: VoxwireError) -> float:
    """How long to wait before a refused request is sent again."""
    return RETRY_SECONDS if error.retry_after_ms is None else error.retry_after_ms / 1000
