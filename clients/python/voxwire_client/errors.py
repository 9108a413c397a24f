"""What goes wrong with a connection. What goes wrong with speech is a `VoxwireError` of the protocol."""

from __future__ import annotations

from voxwire_protocol.errors import CloseCode, ErrorCode, VoxwireError

ABNORMAL = 1006
"""No close frame came (RFC 6455, section 7.1.5)."""

RETRYABLE = frozenset({ABNORMAL, CloseCode.GOING_AWAY, CloseCode.INTERNAL, CloseCode.RESTART, CloseCode.TRY_LATER})
FINAL = frozenset({ErrorCode.NOT_AUTHENTICATED, ErrorCode.NOT_ALLOWED, ErrorCode.ABUSE})
"""Whoever was told this is not wanted, whatever the close code says."""

RETRY_SECONDS = 0.5
"""The pause where the server names none."""


class ConnectionLost(Exception):
    """There is no connection, or no longer one.

    `code` and `reason` are those of the WebSocket close, 1006 without one. `error` is what the server said before it
    closed, if it said anything about the session. `retry_after_ms` is how long it wants to be left alone.
    """

    def __init__(
        self, code: int, reason: str, error: VoxwireError | None = None, *, retry_after_ms: int | None = None
    ) -> None:
        said = str(error) if error is not None else reason
        super().__init__(f"connection lost ({int(code)}{': ' + said if said else ''})")
        self.code = int(code)
        self.reason = reason
        self.error = error
        self.retry_after_ms = error.retry_after_ms if retry_after_ms is None and error is not None else retry_after_ms

    @property
    def retryable(self) -> bool:
        """Whether connecting anew may succeed."""
        return self.error.retryable if self.error is not None else self.code in RETRYABLE

    @property
    def dropped(self) -> bool:
        """Whether the session that was on this connection may go on at another one."""
        return self.code in RETRYABLE and (self.error is None or self.error.code not in FINAL)


def pause_seconds(error: VoxwireError) -> float:
    """How long to wait before the same is asked for again."""
    return RETRY_SECONDS if error.retry_after_ms is None else error.retry_after_ms / 1000
