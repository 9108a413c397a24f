"""Shares the event loop's time between the principals whose messages are handled. Pure: callers pass the time.

Each connection has a bound of messages per second of its own; a key with hundreds of connections would fill the loop
all the same. So the time that handling messages takes is measured, and a principal (see
`voxwire_server.session.quotas`) that has used more than its part waits before its next message: virtual scheduling, as
in ATM's generic cell rate algorithm (ITU-T I.371). No message is lost; the rest of the loop's time sends audio.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

ALL_SHARE = 0.7
"""The part of the loop's time that handling messages may take; the rest is for sending audio and for handshakes."""

PRINCIPAL_SHARE = 0.5
"""The part of the loop's time that one principal may take while there are others."""

BURST_SECONDS = 0.02
"""The loop time that a principal may take without a pause: less than a listener's lead."""

LEVEL_MIN = 0.01
"""The part of the loop's time that each principal gets at least, however many there are."""

PRESENT_SECONDS = 60.0
"""A principal that has sent nothing for so long is not counted among those that share."""

WINDOW_SECONDS = 0.25
"""How often the parts are computed anew, from what each principal used since."""

FIRST_COST_SECONDS = 1e-4


@dataclass(slots=True)
class _Account:
    """What one principal has used.

    `until`: the moment up to which its part is used up. `cost`: the mean time of its messages, in seconds. `seen_at`:
    when its last message came. `used`: seconds used in this window. `waited`: a message of its had to wait in it.
    """

    until: float
    seen_at: float
    cost: float = FIRST_COST_SECONDS
    used: float = 0.0
    waited: bool = False


class LoopShares:
    """Says how long each principal waits before a message of its is handled."""

    def __init__(self) -> None:
        self._principals: OrderedDict[str, _Account] = OrderedDict()
        self._level = PRINCIPAL_SHARE
        self._shared_at = float("-inf")

    def wait(self, principal: str, now: float) -> float:
        """Reserve the mean time of a message, which `spent` corrects; returns for how many seconds it has to wait."""
        if now >= self._shared_at + WINDOW_SECONDS:
            self._share_out(now)
        account = self._principals.get(principal)
        if account is None:
            account = self._principals[principal] = _Account(now, now)
        account.seen_at = now
        self._principals.move_to_end(principal)
        wait = max(0.0, account.until - BURST_SECONDS - now)
        account.waited = account.waited or wait > 0
        account.until = max(account.until, now) + account.cost / self._level
        return wait

    def cost(self, principal: str) -> float:
        """The mean of a principal's messages, in seconds."""
        account = self._principals.get(principal)
        return FIRST_COST_SECONDS if account is None else account.cost

    def spent(self, principal: str, seconds: float) -> None:
        """A message for which `wait` was asked took so long."""
        account = self._principals.get(principal)
        if account is not None:
            account.used += seconds
            account.until += (seconds - account.cost) / self._level
            account.cost += 0.1 * (seconds - account.cost)

    def _share_out(self, now: float) -> None:
        """Compute the part of each principal that had to wait: what the others leave, in equal parts (max-min)."""
        principals = self._principals
        while principals and next(iter(principals.values())).seen_at < now - PRESENT_SECONDS:
            principals.popitem(last=False)
        seconds = max(WINDOW_SECONDS, min(now - self._shared_at, PRESENT_SECONDS))
        self._shared_at = now
        content = [account.used / seconds for account in principals.values() if not account.waited]
        wanting = len(principals) - len(content)
        while True:
            level = (ALL_SHARE - sum(content)) / max(1, wanting)
            left = [used for used in content if used <= level]
            if len(left) == len(content):
                break
            wanting += len(content) - len(left)
            content = left
        for account in principals.values():
            account.used, account.waited = 0.0, False
        self._level = max(LEVEL_MIN, min(level, PRINCIPAL_SHARE if len(principals) > 1 else ALL_SHARE))


class LoopShare:
    """What one connection asks: its principal's part of `shares`."""

    def __init__(self, shares: LoopShares, principal: str) -> None:
        self._shares = shares
        self.principal = principal

    def wait(self, now: float) -> float:
        """See `LoopShares.wait`."""
        return self._shares.wait(self.principal, now)

    @property
    def cost(self) -> float:
        """What one more is expected to take, in seconds."""
        return self._shares.cost(self.principal)

    def spent(self, seconds: float) -> None:
        """See `LoopShares.spent`."""
        self._shares.spent(self.principal, seconds)
