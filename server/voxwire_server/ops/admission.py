"""Owns whether one more session is let in: by the rate of its principal, by places, by the engines' room."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.config import is_loopback
from voxwire_server.session.quotas import Arrivals, Granted, Places, Refused, fits, network_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_server.config import Config
    from voxwire_server.ops.metrics import Metrics
    from voxwire_server.scheduling.admission import Refusal
    from voxwire_server.session.quotas import ClientIdentity, Seat
    from voxwire_server.session.registry import Sessions

FULL_RETRY_MS = 5000
"""When to come back where all places for sessions are taken."""


SHARED_PLACES_MIN = 10
"""Of fewer places none is kept back from a key: the share of a key would be most of what there is."""


class SessionAdmission:
    """Lets sessions in, and ends the one whose place a new one gets."""

    def __init__(self, config: Config, sessions: Sessions, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._config = config
        self._sessions = sessions
        self._metrics = metrics
        self._clock = clock
        self._places = Places(config.server.sessions_max)
        self._arrivals = Arrivals(config.limits.sessions_per_second, config.limits.sessions_burst)
        self.turn_away: Callable[[str], Refusal | None] = lambda _: None
        """Why no engine has room for one more listener of an account; set once there is a scheduler."""

    def change(self, config: Config) -> None:
        """Go by another configuration from now on; sessions that are open stay."""
        self._config = config
        self._places = Places(config.server.sessions_max)
        self._arrivals.change(config.limits.sessions_per_second, config.limits.sessions_burst)

    def admit(self, identity: ClientIdentity) -> None:
        """Let one more session of `identity` in.

        Raises:
            VoxwireError: server.too_many_sessions, server.overloaded or client.rate_limited.
        """
        self._check_arrival(identity)
        granted = self._place_for(identity)
        self._check_engines(identity)
        seat = granted.displaced
        driver = None if seat is None else self._sessions.find(seat.session)
        if seat is not None and driver is not None:
            self._metrics.session_displaced(seat.use.name.lower())
            driver.displace()

    def admit_returning(self, identity: ClientIdentity, session_id: str) -> bool:
        """Let a client in for a moment that says that it will resume a session; False: it is admitted like any other.

        Raises:
            VoxwireError: client.rate_limited.
        """
        if not self._sessions.expect(session_id, identity.account):
            return False
        try:
            self._check_arrival(identity)
        except VoxwireError:
            self._sessions.expect_no_more(session_id)
            raise
        return True

    def check(self, identity: ClientIdentity) -> None:
        """Raise what `admit` would now, the rate aside; no session is let in and none is ended."""
        self._place_for(identity)
        self._check_engines(identity)

    @property
    def full_ms(self) -> int | None:
        """When to ask again while no place is left for a new principal; None while there is one."""
        judged = self._places.judge("", 1.0, len(self._sessions), self._seats, self._clock())
        return FULL_RETRY_MS if isinstance(judged, Refused) else None

    def principal_of(self, identity: ClientIdentity) -> str:
        """Whom places and the loop are shared between: the accounts, where there are several; else addresses."""
        return identity.account if len(self._config.auth.keys) > 1 else network_of(identity.address)

    def _check_arrival(self, identity: ClientIdentity) -> None:
        wait = self._arrivals.wait(self.principal_of(identity), self._clock())
        if wait > 0:
            self._metrics.session_refused("rate")
            raise VoxwireError(
                ErrorCode.RATE_LIMITED, "sessions are opened too fast", retry_after_ms=int(wait * 1000) + 1
            )

    def _place_for(self, identity: ClientIdentity) -> Granted:
        principal = self.principal_of(identity)
        share = self._share_of(principal) if self._config.server.sessions_max >= SHARED_PLACES_MIN else 1.0
        judged = self._places.judge(principal, share, len(self._sessions), self._seats, self._clock())
        if isinstance(judged, Granted):
            return judged
        self._metrics.session_refused(judged.reason)
        places = self._config.server.sessions_max
        raise VoxwireError(
            ErrorCode.TOO_MANY_SESSIONS,
            f"{places} sessions are open"
            if judged.reason == "sessions"
            else f"{judged.held} of {places} sessions are yours; what is left is for others",
            retry_after_ms=FULL_RETRY_MS,
            details={"reason": judged.reason},
        )

    def _seats(self) -> list[Seat]:
        return self._sessions.seats(self.principal_of)

    def check_connections(self, principal: str, busy: int, free: int) -> None:
        """Whether a principal with `busy` connections that are not idle may have one more, with `free` ones left.

        Raises:
            VoxwireError: server.overloaded; it has its share.
        """
        if not fits(busy, self._share_of(principal), free):
            raise VoxwireError(
                ErrorCode.OVERLOADED, f"{busy} connections are yours; what is left is for others", retry_after_ms=2000
            )

    def _share_of(self, principal: str) -> float:
        """What a principal may have at most of all places, in (0, 1]."""
        limits, keys = self._config.limits, len(self._config.auth.keys)
        if keys > 1:
            return limits.account_share
        # Without keys, this machine is what the server is for; with one, its own backend.
        return 1.0 if keys or not principal or is_loopback(principal) else limits.address_share

    def _check_engines(self, identity: ClientIdentity) -> None:
        refusal = self.turn_away(identity.account)
        if refusal is not None:
            raise VoxwireError(
                ErrorCode.OVERLOADED,
                f"no engine has room for one more listener: {refusal.reason}",
                retry_after_ms=refusal.retry_after_ms,
            )
