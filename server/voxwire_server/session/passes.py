"""The tokens with which one session can be resumed: each opens it once. Pure."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Passes:
    """`current` is the token that the client has, or will have once it has got `resumed`.

    `resumed` may be lost with the connection that it was sent on; so the token that was used stays good until the
    client has shown, by any message, that it got the next one.
    """

    def __init__(self, make: Callable[[], str]) -> None:
        """`make` gives a new secret each time."""
        self._make = make
        self.current = make()
        self._used: str | None = None

    def redeem(self, token: str) -> bool:
        """Use a token; True if it was good, and then `current` is a new one."""
        good = [known for known in (self.current, self._used) if known is not None and _same(known, token)]
        if not good:
            return False
        self._used, self.current = good[0], self._make()
        return True

    def confirm(self) -> None:
        """The client has the current token: the one before is worth nothing now."""
        self._used = None


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode("utf-8", "surrogatepass"))
