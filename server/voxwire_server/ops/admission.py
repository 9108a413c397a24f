"""Owns admission: of sessions, by rate, places and the engines' room, and of active streams at an engine.

`SpeechDirectory` resolves voices and admits streams for sessions. `Readiness` says whether the server counts as
overloaded; `watch_readiness` updates it on a timer, and calls the runner's `look_after` and its like.
"""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.config import is_loopback
from voxwire_server.ops.lexicons import Lexicons
from voxwire_server.session.quotas import Granted, Places, Refused, SessionRateLimiter, fits, network_of

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from voxwire_server.config import Config
    from voxwire_server.ops.metrics import Metrics
    from voxwire_server.ops.voices import VoiceDirectory
    from voxwire_server.scheduling.admission import Refusal
    from voxwire_server.session.ports import Identify, ResolvedVoice
    from voxwire_server.session.quotas import ClientIdentity, OccupiedPlace
    from voxwire_server.session.registry import Sessions
    from voxwire_server.speech import Voice
    from voxwire_server.text.lexicon import Lexicon

FULL_RETRY_MS = 5000
"""When a client may try again where all places for sessions are taken."""

SHARED_PLACES_MIN = 10
"""With fewer places than this, one principal may take them all: a share of so few would be one or two sessions."""


class EngineRoom(Protocol):
    """Whether an engine has room for one more active stream; answers at once."""

    def admission(self, engine: str, *, bulk: bool, session_id: Hashable = None, account: str = "") -> Refusal | None:
        """None, or why not and when to try again."""


@dataclass(frozen=True, slots=True)
class SpeechDirectory:
    """A session's `voxwire_server.session.ports.Directory`: resolves its voice, asks for room at the voice's engine."""

    voices: VoiceDirectory
    engines: EngineRoom
    lexicons: Callable[[], Lexicons] = Lexicons
    identify: Identify | None = None
    """Tells languages apart; None where that is not installed."""

    def resolve(self, voice: str | None, language: str | None) -> ResolvedVoice:
        """See `VoiceDirectory.resolve`."""
        return self.voices.resolve(voice, language)

    def lexicon(self, names: Sequence[str]) -> Lexicon:
        """See `Lexicons.select`: of the lexicons in force now."""
        return self.lexicons().select(names)

    def speakers(self, beside: ResolvedVoice) -> Sequence[ResolvedVoice]:
        """See `VoiceDirectory.speakers`."""
        return self.voices.speakers(beside)

    def reader_of(self, language: str) -> Voice | None:
        """See `VoiceDirectory.reader_of`."""
        return self.voices.reader_of(language)

    def identifier(self) -> Identify:
        """What tells languages apart.

        Raises:
            VoxwireError: client.unsupported_language; it is not installed.
        """
        if self.identify is None:
            raise VoxwireError(
                ErrorCode.UNSUPPORTED_LANGUAGE,
                'language "auto" is not available: this server can not tell languages apart',
                details={"field": "language"},
                hint="Name the language, or install the extra on the server: pip install 'voxwire[languages]'.",
            )
        return self.identify

    def admit(
        self,
        engine: str,
        *,
        bulk: bool,
        now: float,  # noqa: ARG002 - the scheduler's runner has its own clock
        session: str,
        account: str,
    ) -> None:
        """Admit one more active stream of an account.

        Raises:
            VoxwireError: system.engine_overloaded with retry_after_ms.
        """
        refusal = self.engines.admission(engine, bulk=bulk, session_id=session, account=account)
        if refusal is not None:
            raise VoxwireError(
                ErrorCode.ENGINE_OVERLOADED,
                f"engine {engine} has no room for one more stream: {refusal.reason}",
                retry_after_ms=refusal.retry_after_ms,
            )


class SessionAdmission:
    """Admits sessions, and ends the session whose place a new one takes."""

    def __init__(self, config: Config, sessions: Sessions, metrics: Metrics, clock: Callable[[], float]) -> None:
        self._config = config
        self._sessions = sessions
        self._metrics = metrics
        self._clock = clock
        self._places = Places(config.server.sessions_max)
        self._session_rates = SessionRateLimiter(config.limits.sessions_per_second, config.limits.sessions_burst)
        self.turn_away: Callable[[str], Refusal | None] = lambda _: None
        """Why no engine has room for one more active stream of an account; set once there is a scheduler."""

    def change(self, config: Config) -> None:
        """Use another configuration from now on; sessions that are open stay open."""
        self._config = config
        self._places = Places(config.server.sessions_max)
        self._session_rates.change(config.limits.sessions_per_second, config.limits.sessions_burst)

    def admit(self, identity: ClientIdentity) -> None:
        """Admit one more session of `identity`.

        Raises:
            VoxwireError: server.too_many_sessions, server.overloaded or client.rate_limited.
        """
        self._check_arrival(identity)
        granted = self._place_for(identity)
        self._check_engines(identity)
        place = granted.displaced
        driver = None if place is None else self._sessions.find(place.session)
        if place is not None and driver is not None:
            self._metrics.session_displaced(place.use.name.lower())
            driver.displace()

    def admit_returning(self, identity: ClientIdentity, session_id: str) -> bool:
        """Admit a client that is about to resume a session, without a place of its own. False: admit it like any other.

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
        """Raise what `admit` would raise now, the rate aside. No session is admitted and none is ended."""
        self._place_for(identity)
        self._check_engines(identity)

    @property
    def full_ms(self) -> int | None:
        """Milliseconds until a new principal may ask again, while there is no place for it; None while there is one."""
        judged = self._places.judge("", 1.0, len(self._sessions), self._occupied_places, self._clock())
        return FULL_RETRY_MS if isinstance(judged, Refused) else None

    def principal_of(self, identity: ClientIdentity) -> str:
        """What places and the event loop are shared by: accounts where there are several, else network addresses."""
        return identity.account if len(self._config.auth.keys) > 1 else network_of(identity.address)

    def _check_arrival(self, identity: ClientIdentity) -> None:
        wait = self._session_rates.wait(self.principal_of(identity), self._clock())
        if wait > 0:
            self._metrics.session_refused("rate")
            raise VoxwireError(
                ErrorCode.RATE_LIMITED, "sessions are opened too fast", retry_after_ms=int(wait * 1000) + 1
            )

    def _place_for(self, identity: ClientIdentity) -> Granted:
        principal = self.principal_of(identity)
        share = self._share_of(principal) if self._config.server.sessions_max >= SHARED_PLACES_MIN else 1.0
        judged = self._places.judge(principal, share, len(self._sessions), self._occupied_places, self._clock())
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

    def _occupied_places(self) -> list[OccupiedPlace]:
        return self._sessions.occupied_places(self.principal_of)

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
        """The largest share of all places that a principal may have, in (0, 1]."""
        limits, keys = self._config.limits, len(self._config.auth.keys)
        if keys > 1:
            return limits.account_share
        # With a single key, all sessions are of one backend; without keys, clients on this machine are what it serves.
        return 1.0 if keys or not principal or is_loopback(principal) else limits.address_share

    def _check_engines(self, identity: ClientIdentity) -> None:
        refusal = self.turn_away(identity.account)
        if refusal is not None:
            raise VoxwireError(
                ErrorCode.OVERLOADED,
                f"no engine has room for one more listener: {refusal.reason}",
                retry_after_ms=refusal.retry_after_ms,
            )


logger = logging.getLogger(__name__)

MEMORY_SECONDS = 3.0
"""Seconds after which an observation counts 1/e."""

SHUT_SHARE, OPEN_SHARE = 0.7, 0.2

LOOK_SECONDS = 0.25

RETRY_MS = 5000
"""The least retry time while overloaded: about what it takes until `/ready` says 200 again."""


class Readiness:
    """Whether the server counts as overloaded: for that it was full for most of the last seconds.

    Pure: `look` is given the refusal, if the server is full, and the time.
    """

    def __init__(self) -> None:
        self.share = 0.0
        """The share of the last seconds in which the server was full."""
        self._at: float | None = None
        self._retry_ms: int | None = None

    @property
    def retry_ms(self) -> int | None:
        """Milliseconds until a client should ask again, while overloaded; None while not."""
        return self._retry_ms

    def look(self, refusal: Refusal | None, now: float) -> None:
        """Record whether the server is full at `now` (seconds), and why."""
        keep = 0.0 if self._at is None else math.exp(-max(0.0, now - self._at) / MEMORY_SECONDS)
        if self._at is not None:
            self.share = self.share * keep + (1.0 - keep) * (refusal is not None)
        self._at = now
        shut = self.share > (SHUT_SHARE if self._retry_ms is None else OPEN_SHARE)
        soon = RETRY_MS if refusal is None else max(RETRY_MS, refusal.retry_after_ms)
        self._retry_ms = soon if shut else None


async def watch_readiness(
    readiness: Readiness,
    full: Callable[[], Refusal | None],
    clock: Callable[[], float],
    look_after: Sequence[Callable[[], None]] = (),
) -> None:
    """Every LOOK_SECONDS until cancelled: update `readiness`, and call each of `look_after`. Errors are logged."""

    def look() -> None:
        readiness.look(full(), clock())

    while True:
        for each in (*look_after, look):
            try:
                each()
            except Exception:
                logger.exception("a regular check failed")
        await asyncio.sleep(LOOK_SECONDS)
