"""Keeps how many bytes the sessions of each account hold. Pure."""

from __future__ import annotations

import sys
from collections import defaultdict

_TWO, _FOUR = sys.getsizeof("\u0101") - 2, sys.getsizeof("\U00010000") - 4
"""What CPython takes for a str of two and of four bytes a character, beside them."""


class Ledger:
    """Bytes by account and session; an account may hold `account_bytes_max`."""

    def __init__(self, account_bytes_max: int) -> None:
        self.account_bytes_max = account_bytes_max
        self._sessions: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._totals: defaultdict[str, int] = defaultdict(int)

    @property
    def bytes(self) -> int:
        """What all hold."""
        return sum(self._totals.values())

    def of(self, account: str) -> int:
        """What the sessions of an account hold."""
        return self._totals.get(account, 0)

    def hold(self, account: str, session: str, count: int) -> None:
        """Session `session` holds so many bytes now."""
        sessions = self._sessions[account]
        self._totals[account] += count - sessions.get(session, 0)
        sessions[session] = count

    def release(self, account: str, session: str) -> None:
        """A session is over."""
        sessions = self._sessions.get(account)
        if sessions is None or session not in sessions:
            return
        self._totals[account] -= sessions.pop(session)
        if not sessions:
            del self._sessions[account], self._totals[account]

    def over(self, account: str, session: str) -> bool:
        """Whether an account holds too much, and this session at least its part of what the account may have.

        So the sessions that hold little go on beside those that hold much.
        """
        if self._totals.get(account, 0) <= self.account_bytes_max:
            return False
        sessions = self._sessions[account]
        return sessions.get(session, 0) * len(sessions) >= self.account_bytes_max


def text_bytes(text: str) -> int:
    """What the characters of a text take in memory: one, two or four bytes each, by the widest among them."""
    if text.isascii():
        return len(text)
    size, length = sys.getsizeof(text), len(text)
    width = 4 if size >= _FOUR + 4 * length else 2 if size >= _TWO + 2 * length else 1
    return width * length
