"""The tokens with which one session can be resumed: each opens it once, and once more if the answer was lost. Pure.

`resumed`, which brings the next token, may be lost with the connection that it was sent on, and then the client has
only the token that it used. It is taken once more in any case. After that only while the server has not seen that a
`resumed` arrived, by a message or by the answer to a ping sent right behind it (WebSocket delivers in order): a client
that loses one after the other in a tunnel answers no ping. USES_MAX bounds even that.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


USES_MAX = 16
"""How often one token is taken at the most: so many answers in a row are hardly ever lost within the window."""


class Passes:
    """`current` is the token that the client has, or will have once it has got `resumed`."""

    def __init__(self, make: Callable[[], str]) -> None:
        """`make` gives a new secret each time."""
        self._make = make
        self.current = make()
        self._used: str | None = None
        self._uses = 0
        self._arrived = False

    def redeem(self, token: str) -> bool:
        """Use a token; True if it was good, and then `current` is a new one."""
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
        """The newest `resumed` has reached the client's end of its connection."""
        self._arrived = True

    def confirm(self) -> None:
        """The client has the current token: the one before is worth nothing now."""
        self._used = None


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode("utf-8", "surrogatepass"))
