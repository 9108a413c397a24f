"""Shares the event loop's time between those whose messages are worked on. Pure: whoever calls says what time it is.

Each connection has its own bound of messages a second; a key with hundreds of connections would fill the loop all the
same. So the time that messages take is measured, and a party (see `voxwire_server.session.places`) that takes more than
its part waits before each message: virtual scheduling, as in ATM's generic cell rate algorithm (ITU-T I.371). Nothing is
refused or lost, and what is left of the loop sends audio.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

ALL_SHARE = 0.7
"""What reading messages may take of the loop; the rest is for sending audio and for handshakes."""

PARTY_SHARE = 0.5
"""What one party may take of it beside others."""

BURST_SECONDS = 0.02
"""What a party may take at once: less than a listener's lead, whatever else happens."""

PRESENT_SECONDS = 60.0
"""A party that has said nothing for so long is not there."""

BUSY_SECONDS = 1.0
"""A party that had to wait so recently wants more than it gets."""

COUNT_SECONDS = 0.1
"""How long a count of those is good: there may be thousands of parties."""

FIRST_COST_SECONDS = 1e-4


@dataclass(slots=True)
class _Account:
    """`until` is the moment up to which the party's part is used up; `cost` is the mean of its messages, in seconds.

    `seen_at` and `waited_at`: when it last had a message, and one that had to wait.
    """

    until: float
    seen_at: float
    waited_at: float = float("-inf")
    cost: float = FIRST_COST_SECONDS


class Turns:
    """Who waits how long before a message is worked on."""

    def __init__(self) -> None:
        self._parties: OrderedDict[str, _Account] = OrderedDict()
        self._busy = 0
        self._counted_at = float("-inf")

    def wait(self, party: str, now: float) -> float:
        """Reserve a message's time; returns for how many seconds it has to wait. `spent` corrects the reserve."""
        account = self._parties.get(party)
        if account is None:
            account = self._parties[party] = _Account(now, now)
        account.seen_at = now
        self._parties.move_to_end(party)
        wait = max(0.0, account.until - BURST_SECONDS - now)
        if wait > 0:
            account.waited_at = now
        account.until = max(account.until, now) + account.cost / self._rate(now)
        return wait

    def spent(self, party: str, seconds: float, now: float) -> None:
        """A message for which `wait` was asked took so long."""
        account = self._parties.get(party)
        if account is not None:
            account.until += (seconds - account.cost) / self._rate(now)
            account.cost += 0.1 * (seconds - account.cost)

    def _rate(self, now: float) -> float:
        """Seconds of the loop a second that each party gets."""
        parties = self._parties
        while parties and next(iter(parties.values())).seen_at < now - PRESENT_SECONDS:
            parties.popitem(last=False)
        if len(parties) <= 1:
            return ALL_SHARE
        if now >= self._counted_at + COUNT_SECONDS:
            self._counted_at = now
            self._busy = sum(account.waited_at > now - BUSY_SECONDS for account in parties.values())
        return min(PARTY_SHARE, ALL_SHARE / max(1, self._busy))


class Turn:
    """One connection's part in it."""

    def __init__(self, turns: Turns, party: str) -> None:
        self._turns = turns
        self._party = party

    def wait(self, now: float) -> float:
        """See `Turns.wait`."""
        return self._turns.wait(self._party, now)

    def spent(self, seconds: float, now: float) -> None:
        """See `Turns.spent`."""
        self._turns.spent(self._party, seconds, now)
