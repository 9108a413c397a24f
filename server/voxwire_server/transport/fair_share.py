"""Fair-share scheduling of the event loop's time among principals whose messages are handled. Callers pass the time.

Each connection has its own limit of messages per second; an API key with hundreds of connections would fill the event
loop all the same. So the time that handling messages takes is measured, and a principal (see
`voxwire_server.session.quotas`) that has used more than its share waits before its next message: virtual scheduling, as
in ATM's generic cell rate algorithm (ITU-T I.371). No message is lost; the rest of the loop's time sends audio.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

TOTAL_SHARE = 0.7
"""The fraction of the loop's time that handling messages may take; the rest is for sending audio and handshakes."""

PRINCIPAL_SHARE = 0.5
"""The fraction of the loop's time that one principal may take while there are others."""

BURST_SECONDS = 0.02
"""The loop time that a principal may use without a pause: less than the lead of a stream."""

SHARE_MIN = 0.01
"""The fraction of the loop's time that each principal gets at least, however many there are."""

PRESENT_SECONDS = 60.0
"""A principal that has sent nothing for so long is not counted among those that share."""

WINDOW_SECONDS = 0.25
"""How often the shares are computed, from what each principal used since the last time."""

FIRST_COST_SECONDS = 1e-4
"""The assumed time of a principal's first message."""


@dataclass(slots=True)
class _Usage:
    """What one principal has used.

    `used_up_until`: the moment up to which its share is used up. `seen_at`: when its last message came. `cost`: the
    mean time of its messages, in seconds. `used`: seconds used in this window. `waited`: a message had to wait in it.
    """

    used_up_until: float
    seen_at: float
    cost: float = FIRST_COST_SECONDS
    used: float = 0.0
    waited: bool = False


class FairShares:
    """Tells how long each principal waits before its next message is handled."""

    def __init__(self) -> None:
        self._principals: OrderedDict[str, _Usage] = OrderedDict()
        self._share = PRINCIPAL_SHARE
        self._computed_at = float("-inf")

    def wait(self, principal: str, now: float) -> float:
        """Reserve the mean time of a message, which `spent` corrects; returns how many seconds it has to wait."""
        if now >= self._computed_at + WINDOW_SECONDS:
            self._compute_share(now)
        usage = self._principals.get(principal)
        if usage is None:
            usage = self._principals[principal] = _Usage(now, now)
        usage.seen_at = now
        self._principals.move_to_end(principal)
        wait = max(0.0, usage.used_up_until - BURST_SECONDS - now)
        usage.waited = usage.waited or wait > 0
        usage.used_up_until = max(usage.used_up_until, now) + usage.cost / self._share
        return wait

    def cost(self, principal: str) -> float:
        """The mean time of a principal's messages, in seconds."""
        usage = self._principals.get(principal)
        return FIRST_COST_SECONDS if usage is None else usage.cost

    def spent(self, principal: str, seconds: float) -> None:
        """The message for which `wait` was called took `seconds`."""
        usage = self._principals.get(principal)
        if usage is not None:
            usage.used += seconds
            usage.used_up_until += (seconds - usage.cost) / self._share
            usage.cost += 0.1 * (seconds - usage.cost)

    def _compute_share(self, now: float) -> None:
        """Compute the share of each principal that had to wait: equal parts of what the others leave (max-min)."""
        principals = self._principals
        while principals and next(iter(principals.values())).seen_at < now - PRESENT_SECONDS:
            principals.popitem(last=False)
        seconds = max(WINDOW_SECONDS, min(now - self._computed_at, PRESENT_SECONDS))
        self._computed_at = now
        satisfied = [usage.used / seconds for usage in principals.values() if not usage.waited]
        waiting = len(principals) - len(satisfied)
        while True:
            share = (TOTAL_SHARE - sum(satisfied)) / max(1, waiting)
            below = [used for used in satisfied if used <= share]
            if len(below) == len(satisfied):
                break
            waiting += len(satisfied) - len(below)
            satisfied = below
        for usage in principals.values():
            usage.used, usage.waited = 0.0, False
        self._share = max(SHARE_MIN, min(share, PRINCIPAL_SHARE if len(principals) > 1 else TOTAL_SHARE))


class FairShare:
    """One principal's share, as one of its connections uses it."""

    def __init__(self, shares: FairShares, principal: str) -> None:
        self._shares = shares
        self.principal = principal

    def wait(self, now: float) -> float:
        """See `FairShares.wait`."""
        return self._shares.wait(self.principal, now)

    @property
    def cost(self) -> float:
        """The expected time of the next message, in seconds."""
        return self._shares.cost(self.principal)

    def spent(self, seconds: float) -> None:
        """See `FairShares.spent`."""
        self._shares.spent(self.principal, seconds)
