"""Keeps how many bytes the sessions of each account hold. Pure."""

from __future__ import annotations

import sys
from collections import defaultdict

_TWO, _FOUR = sys.getsizeof("\u0101") - 2, sys.getsizeof("\U00010000") - 4
"""Bytes that CPython takes for a str of two, and of four, bytes per character, beside the characters."""


class Ledger:
    """Bytes by account and session; an account may hold `account_bytes_max` bytes in all its sessions together."""

    def __init__(self, account_bytes_max: int) -> None:
        self.account_bytes_max = account_bytes_max
        self._sessions: defaultdict[str, dict[str, int]] = defaultdict(dict)
        self._totals: defaultdict[str, int] = defaultdict(int)

    @property
    def bytes(self) -> int:
        """Bytes that all sessions hold."""
        return sum(self._totals.values())

    def of(self, account: str) -> int:
        """Bytes that the sessions of an account hold."""
        return self._totals.get(account, 0)

    def hold(self, account: str, session: str, count: int) -> None:
        """Note that a session holds `count` bytes now, whatever it held before."""
        sessions = self._sessions[account]
        self._totals[account] += count - sessions.get(session, 0)
        sessions[session] = count

    def release(self, account: str, session: str) -> None:
        """A session is over and holds nothing any more."""
        sessions = self._sessions.get(account)
        if sessions is None or session not in sessions:
            return
        self._totals[account] -= sessions.pop(session)
        if not sessions:
            del self._sessions[account], self._totals[account]

    def over(self, account: str, session: str) -> bool:
        """Whether the account holds more than it may, and this session at least an equal part of what the account may.

        So sessions that hold little go on beside those of the same account that hold much.
        """
        if self._totals.get(account, 0) <= self.account_bytes_max:
            return False
        sessions = self._sessions[account]
        return sessions.get(session, 0) * len(sessions) >= self.account_bytes_max


def text_bytes(text: str) -> int:
    """Bytes that the characters of a text take in memory: one, two or four each, by the widest among them."""
    if text.isascii():
        return len(text)
    size, length = sys.getsizeof(text), len(text)
    width = 4 if size >= _FOUR + 4 * length else 2 if size >= _TWO + 2 * length else 1
    return width * length
