"""Shares the event loop's time between those whose messages are worked on. Pure: whoever calls says what time it is.

Each connection has its own bound of messages a second; a key with hundreds of connections would fill the loop all the
same. So the time that messages take is measured, and a party (see `voxwire_server.session.places`) that takes more
than its part waits before each message: virtual scheduling, as in ATM's generic cell rate algorithm (ITU-T I.371).
Nothing is lost, and what is left of the loop sends audio.
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

LEVEL_MIN = 0.01
"""What each gets, however many want some."""

PRESENT_SECONDS = 60.0
"""A party that has said nothing for so long is not there."""

WINDOW_SECONDS = 0.25
"""How often the parts are worked out anew, from what each took since."""

FIRST_COST_SECONDS = 1e-4


@dataclass(slots=True)
class _Account:
    """`until` is the moment up to which the party's part is used up; `cost` is the mean of its messages, in seconds.

    `seen_at`: when it last had a message. `used`: seconds taken in this window; `waited`: a message had
    to wait in it.
    """

    until: float
    seen_at: float
    cost: float = FIRST_COST_SECONDS
    used: float = 0.0
    waited: bool = False


class LoopShares:
    """Who waits how long before a message is worked on."""

    def __init__(self) -> None:
        self._parties: OrderedDict[str, _Account] = OrderedDict()
        self._level = PARTY_SHARE
        self._shared_at = float("-inf")

    def wait(self, party: str, now: float) -> float:
        """Reserve a message's time; returns for how many seconds it has to wait. `spent` corrects the reserve."""
        if now >= self._shared_at + WINDOW_SECONDS:
            self._share_out(now)
        account = self._parties.get(party)
        if account is None:
            account = self._parties[party] = _Account(now, now)
        account.seen_at = now
        self._parties.move_to_end(party)
        wait = max(0.0, account.until - BURST_SECONDS - now)
        account.waited = account.waited or wait > 0
        account.until = max(account.until, now) + account.cost / self._level
        return wait

    def cost(self, party: str) -> float:
        """The mean of a party's messages, in seconds."""
        account = self._parties.get(party)
        return FIRST_COST_SECONDS if account is None else account.cost

    def spent(self, party: str, seconds: float) -> None:
        """A message for which `wait` was asked took so long."""
        account = self._parties.get(party)
        if account is not None:
            account.used += seconds
            account.until += (seconds - account.cost) / self._level
            account.cost += 0.1 * (seconds - account.cost)

    def _share_out(self, now: float) -> None:
        """Work out the part of those who want more than there is: what the others leave, in equal parts (max-min)."""
        parties = self._parties
        while parties and next(iter(parties.values())).seen_at < now - PRESENT_SECONDS:
            parties.popitem(last=False)
        seconds = max(WINDOW_SECONDS, min(now - self._shared_at, PRESENT_SECONDS))
        self._shared_at = now
        content = [account.used / seconds for account in parties.values() if not account.waited]
        wanting = len(parties) - len(content)
        while True:
            level = (ALL_SHARE - sum(content)) / max(1, wanting)
            left = [used for used in content if used <= level]
            if len(left) == len(content):
                break
            wanting += len(content) - len(left)
            content = left
        for account in parties.values():
            account.used, account.waited = 0.0, False
        self._level = max(LEVEL_MIN, min(level, PARTY_SHARE if len(parties) > 1 else ALL_SHARE))


class LoopShare:
    """One connection's part in it."""

    def __init__(self, shares: LoopShares, party: str) -> None:
        self._shares = shares
        self.party = party

    def wait(self, now: float) -> float:
        """See `LoopShares.wait`."""
        return self._shares.wait(self.party, now)

    @property
    def cost(self) -> float:
        """What one more is expected to take, in seconds."""
        return self._shares.cost(self.party)

    def spent(self, seconds: float) -> None:
        """See `LoopShares.spent`."""
        self._shares.spent(self.party, seconds)
