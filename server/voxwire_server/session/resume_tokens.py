"""Owns the tokens that resume one session: each does so once, and again if the answer to it was lost. Pure.

The answer, `resumed`, brings the next token. If it is lost with its connection, the client has only the token that it
used. So a used token is accepted once more in any case, and after that only while the server has no sign that a
`resumed` arrived: a message of the client's, or the pong to a ping that was sent right after `resumed` (WebSocket
delivers in order). USES_MAX bounds how often.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


USES_MAX = 16
"""How often one token is accepted at most: so many answers in a row are very rarely lost within the resume window."""


class ResumeTokens:
    """`current` is the token that the client has, or will have once it has received `resumed`."""

    def __init__(self, make: Callable[[], str]) -> None:
        """`make` gives a new secret each time."""
        self._make = make
        self.current = make()
        self._used: str | None = None
        self._uses = 0
        self._arrived = False

    def redeem(self, token: str) -> bool:
        """Use a token. True if it was accepted; `current` is then a new one."""
        if _same(self.current, token):
            self._used, self._uses = self.current, 0
        elif self._used is None or not _same(self._used, token) or not self._once_more():
            return False
        self._uses += 1
        self._arrived = False
        self.current = self._make()
        return True

    def _once_more(self) -> bool:
        return self._uses == 1 or (not self._arrived and self._uses < USES_MAX)

    def arrived(self) -> None:
        """The client answered the ping after the newest `resumed`: that `resumed` has reached it."""
        self._arrived = True

    def confirm(self) -> None:
        """The client has sent a message after `resumed`, so it has the current token; the one before is refused now."""
        self._used = None


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode("utf-8", "surrogatepass"))
