"""The composition root: makes every part from the configuration, starts and stops them in order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import secrets
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.containers import warm_formats
from voxwire_server.audio.lane import EncodeLane
from voxwire_server.compat.vendors import routes as vendor_routes
from voxwire_server.compat.wyoming_server import configured_server
from voxwire_server.config import ConfigError, is_loopback
from voxwire_server.engines.base import EngineUnavailable
from voxwire_server.engines.registry import load_engines
from voxwire_server.engines.runner import Runner
from voxwire_server.ops.aliases import BUILT_IN_MODELS, BUILT_IN_VOICES, Aliases
from voxwire_server.ops.auth import Authenticator
from voxwire_server.ops.cors import middleware
from voxwire_server.ops.machine import cores
from voxwire_server.ops.memory import watch_memory
from voxwire_server.ops.metrics import Metrics
from voxwire_server.ops.readiness import Readiness, watch_readiness
from voxwire_server.ops.reload import reloaded
from voxwire_server.ops.voices import VoiceDirectory
from voxwire_server.ops.watch import watch_devices, watch_executors, watch_scheduler
from voxwire_server.ops.watchdog import Watchdog
from voxwire_server.page import routes as page_routes
from voxwire_server.scheduling.policy import Policy
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.session.caller import Caller
from voxwire_server.session.context import PlayoutPolicy
from voxwire_server.session.core import SessionCore, SessionSettings
from voxwire_server.session.driver import Driver, Resumable, Sessions, Studio
from voxwire_server.session.ledger import Ledger
from voxwire_server.session.passes import Passes
from voxwire_server.session.places import Arrivals, Granted, Places, Refused, fits, network_of
from voxwire_server.session.replay import ReplayLog
from voxwire_server.session.ticker import Ticker
from voxwire_server.transport import door, http, websocket
from voxwire_server.transport.loop_share import LoopShare, LoopShares
from voxwire_server.transport.requests import RequestProtocol
from voxwire_server.transport.requests_share import RequestsShare
from voxwire_server.transport.wire import WireProtocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from types import FrameType

    from starlette.requests import HTTPConnection

    from voxwire_server.config import Config
    from voxwire_server.engines.base import Engine, EngineInfo
    from voxwire_server.engines.work import Refusal
    from voxwire_server.ops.reload import Hangups, Reloaded
    from voxwire_server.session.places import Seat
    from voxwire_server.speech import Voice
    from voxwire_server.transport.websocket import WebSocketOutlet

log = logging.getLogger("voxwire")

SWITCH_INTERVAL_SECONDS = 0.0005
"""How long a thread may keep the interpreter while another wants it. G2P is Python: with CPython's default of 5 ms the
event loop is late by up to 11 ms beside it, with this by 2 ms (bench/README.md)."""

FULL_RETRY_MS = 5000
"""When to come back where all places for sessions are taken."""

GARBAGE_THRESHOLDS = (2000, 10, 100)
"""When CPython looks for cycles (`gc.set_threshold`), of which sessions make few. With its defaults it looks through
all that lives every few seconds of a flood of contexts, 0.3 us for each object, on the event loop."""


class Application:
    """One server process. Also what the HTTP and WebSocket endpoints ask (`ServerState`, `StreamHost`)."""

    def __init__(self, config: Config, engines: Mapping[str, Engine] | None = None) -> None:
        """Loads the engines (`engines` instead, in tests); `start` warms them and opens for business.

        Raises:
            EngineUnavailable: the default engine can't be loaded. Without another one the server starts.
            ConfigError: the Wyoming protocol is configured and not installed.
        """
        self.config = config
        self._unavailable: Mapping[str, EngineUnavailable] = {}
        if engines is None:
            enabled = config.engines.enabled
            options = {name: config.engines.options_of(name) for name in enabled}
            engines, self._unavailable = load_engines(enabled, config.models.path, options)
            for name, problem in self._unavailable.items():
                log.warning("engine %s is not available: %s. %s", name, problem, problem.hint)
        if config.engines.default not in engines:
            raise self._unavailable[config.engines.default]
        self._engines = dict(engines)
        voice = config.engines.default_voice
        voices = [each.name for each in engines[config.engines.default].info.voices]
        if voice and voice not in voices:
            raise EngineUnavailable(f"engines.default_voice is {voice!r}, which is not there", f"It has: {voices}.")
        self.metrics = Metrics(version("voxwire"))
        self.door = open_door(config)
        self.auth = Authenticator(config, admitted=self._admitted)
        self.sessions = Sessions()
        self._loop_shares = LoopShares()
        self._places = Places(config.server.sessions_max)
        self._arrivals = Arrivals(config.limits.sessions_per_second, config.limits.sessions_burst)
        self._ledger = Ledger(config.limits.account_bytes_max)
        self.studio: Studio
        self._infos = {name: engine.info for name, engine in self._engines.items()}
        self._runner: Runner | None = None
        self._voices: VoiceDirectory | None = None
        self._ready = False
        self._leaving = False
        self._readiness = Readiness()
        self._turn_away: Callable[[str], Refusal | None] = lambda _: None
        self._problem = "the engines are warming up"
        self._tasks: list[asyncio.Task[None]] = []
        self._settings = session_settings(config)
        self._seeds = secrets.SystemRandom()
        self._voice_aliases = Aliases(config.aliases.voices, BUILT_IN_VOICES)
        self._model_aliases = Aliases(config.aliases.models, BUILT_IN_MODELS)
        threads = max(1, (config.scheduling.cpu_workers or cores()) // 2)
        self.containers = ThreadPoolExecutor(threads, thread_name_prefix="voxwire-container")
        self._wyoming = configured_server(self)
        self._watchdog = Watchdog(config.server.watchdog_ms / 1000, self.metrics)

    # -- life -----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start the threads, and warm the engines up beside the loop; then the server is ready."""
        loop = asyncio.get_running_loop()

        def wake(callback: Callable[[], None]) -> None:
            # A worker may still be finishing a step when the loop is gone.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(callback)

        # First, because a port may be taken; connections are served once this method is done.
        if self._wyoming is not None:
            await self._wyoming.start()
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        workers = self.config.scheduling.cpu_workers or cores()
        scheduling = self.config.scheduling
        scheduler = Scheduler(
            self._infos,
            workers,
            Policy(
                utilisation_max=scheduling.utilisation_max,
                queue_seconds_max=scheduling.queue_seconds_max,
                accounts=max(1, len(self.config.auth.keys)),
            ),
        )
        runner = Runner(
            self._engines,
            scheduler,
            deliver=self.sessions.deliver,
            wake=wake,
            clock=time.monotonic,
            hang_seconds=scheduling.hang_seconds,
        )
        encoder = EncodeLane(wake, threads=max(1, workers // 2))
        ticker = Ticker(loop, time.monotonic)
        self.studio = Studio(runner, encoder, ticker, self.metrics, time.monotonic, self.config.audio.opus_complexity)
        engines = self.config.engines
        self._runner = runner
        self._voices = VoiceDirectory(self._infos, engines.default, engines.default_voice, runner, self._voice_aliases)
        self.metrics.read("voxwire_sessions", "Sessions that are open.", lambda: len(self.sessions))
        self.metrics.read("voxwire_sessions_away", "Sessions whose client is away.", lambda: self.sessions.away)
        self.metrics.read("voxwire_session_bytes", "Memory that sessions hold.", lambda: self._ledger.bytes)
        self.metrics.read("voxwire_overloaded", "Whether /ready says so.", lambda: self.overloaded_ms is not None)
        self.door.bounds = connection_bounds(self.config)
        door.watch_counts(self.door, self.metrics.read_table)
        self._turn_away = lambda account: runner.locked(partial(scheduler.turn_away, account=account))
        watch_scheduler(self.metrics, lambda: runner.locked(scheduler.stats))
        watch_executors(self.metrics, runner.executor_stats, encoder)
        watch_devices(self.metrics, self._engines.values())
        runner.start()
        encoder.start()
        if self.config.compat.enabled:
            self.containers.submit(warm_formats)
        self._watchdog.start(loop)
        self._tasks = [
            asyncio.create_task(self._warm_up(), name="voxwire-warm-up"),
            asyncio.create_task(door.watch(self.door), name="voxwire-door"),
            asyncio.create_task(watch_memory(lambda: self._ledger.bytes, time.monotonic), name="voxwire-memory"),
            asyncio.create_task(
                watch_readiness(
                    self._readiness,
                    lambda: runner.locked(scheduler.full),
                    time.monotonic,
                    (runner.look_after, encoder.look_after),
                ),
                name="voxwire-readiness",
            ),
        ]

    async def _warm_up(self) -> None:
        assert self._runner is not None, "the runner is started first"
        try:
            for name in self._engines:
                began = time.monotonic()
                await asyncio.wrap_future(self._runner.warm_up(name))
                log.info("engine %s is warm after %.1f s", name, time.monotonic() - began)
        except Exception:
            log.exception("an engine could not be warmed up")
            self._problem = "an engine could not be warmed up; the log has the reason"
        else:
            self._problem = ""
            self._ready = True
            # What is there by now stays. Looking it through for garbage would hold the loop for a tenth of a second.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GARBAGE_THRESHOLDS)

    async def stop(self) -> None:
        """Stop the threads; sessions are over by now."""
        self._ready = False
        self._watchdog.stop()
        if self._wyoming is not None:
            await self._wyoming.stop()
        for task in self._tasks:
            task.cancel()
        if self._runner is not None:
            self.studio.ticker.stop()
            await asyncio.to_thread(self._runner.stop, 5.0)
            await asyncio.to_thread(self.studio.encoder.stop)
        self.containers.shutdown(wait=False, cancel_futures=True)

    async def drain(self) -> None:
        """Be ready no more; after a notice take no new sessions; return when those there are have finished speaking, or
        their time is up."""
        self._leaving = True
        if self.config.server.notice_seconds:
            log.info("not ready any more; draining in %g s", self.config.server.notice_seconds)
            await asyncio.sleep(self.config.server.notice_seconds)
        deadline_ms = round(self.config.server.drain_seconds * 1000)
        log.info("draining: %d sessions, at most %g s", len(self.sessions), deadline_ms / 1000)
        await self.sessions.drain(deadline_ms, asyncio.Event())

    async def reload(self, given: Config) -> Reloaded:
        """Take over what of another configuration can change; sessions of keys that are gone end.

        Raises:
            ConfigError: it can't be taken over; everything stays as it is.
        """
        found = reloaded(self.config, given)
        self.config = config = found.config
        self.auth.reload(config)
        self._settings = session_settings(config)
        self._places = Places(config.server.sessions_max)
        self._arrivals.change(config.limits.sessions_per_second, config.limits.sessions_burst)
        self._ledger.account_bytes_max = config.limits.account_bytes_max
        self.door.bounds = connection_bounds(config)
        self._voice_aliases = Aliases(config.aliases.voices, BUILT_IN_VOICES)
        self._model_aliases = Aliases(config.aliases.models, BUILT_IN_MODELS)
        if self._voices is not None and self._runner is not None:
            self._voices.aliases = self._voice_aliases
            self._runner.expect_accounts(len(config.auth.keys))
        for driver in self.sessions.of_accounts(found.revoked):
            driver.fail(VoxwireError(ErrorCode.NOT_AUTHENTICATED, "the API key of this session was revoked"))
            # One at a turn of the loop: there may be hundreds.
            await asyncio.sleep(0)
        return found

    # -- what the endpoints ask -----------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether new sessions should come here."""
        return self._ready and not self._leaving and not self.engine_problems()

    @property
    def draining(self) -> bool:
        """Whether the server is going away."""
        return self._leaving

    @property
    def reason(self) -> str:
        """Why the server is not ready; empty when it is."""
        if self._leaving:
            return "draining"
        return self._problem or "; ".join(self.engine_problems().values())

    def engine_problems(self) -> Mapping[str, str]:
        """See `ServerState`."""
        return {} if self._runner is None else self._runner.executor_stats().problems

    @property
    def overloaded_ms(self) -> int | None:
        """See `ServerState`."""
        return self._readiness.retry_ms

    def engines(self) -> list[EngineInfo]:
        """The engines that are loaded, the default first."""
        default = self.config.engines.default
        return sorted(self._infos.values(), key=lambda info: info.name != default)

    def unavailable_engines(self) -> Mapping[str, EngineUnavailable]:
        """The engines that were asked for and can't be loaded."""
        return self._unavailable

    @property
    def contexts_max(self) -> int:
        """See `StreamHost`."""
        return self.config.limits.contexts_max

    @property
    def slow_reader_seconds(self) -> float:
        """How long a client may leave its socket full."""
        return self.config.limits.slow_reader_seconds

    @property
    def outbox_bytes_max(self) -> int:
        """How many bytes may wait for a client to read them."""
        return self.config.limits.outbox_bytes_max

    def authenticate(self, connection: HTTPConnection, key: str | None = None, *, tokens: bool = False) -> Caller:
        """See `CompatHost` and `StreamHost`."""
        address = connection.client.host if connection.client else ""
        return Caller(self.auth.authenticate(connection, key, tokens=tokens).name, address)

    def _admitted(self, connection: HTTPConnection, name: str) -> None:
        """Recognise a connection, unless its party has its share of all that there may be."""
        place = door.place_of(connection)
        if place is None:
            return
        party = self._party_of(Caller(name, connection.client.host if connection.client else ""))
        busy = self.door.busy(party) - (place.party == party and place.state in door.BUSY)
        if not fits(busy, self._share_of(party), self.door.free):
            raise VoxwireError(
                ErrorCode.OVERLOADED, f"{busy} connections are yours; what is left is for others", retry_after_ms=2000
            )
        place.recognised(party)

    def default_voice(self) -> Voice:
        """See `CompatHost`."""
        assert self._voices is not None, "started"
        return self._voices.default

    def find_voice(self, name: str) -> Voice | None:
        """See `CompatHost`."""
        assert self._voices is not None, "started"
        return self._voices.find(name)

    def voice_aliases(self) -> Mapping[str, Voice]:
        """See `CompatHost`."""
        assert self._voices is not None, "started"
        found = {name: self._voices.find(name) for name in self._voice_aliases.plain()}
        return {name: voice for name, voice in found.items() if voice is not None}

    def model_aliases(self) -> Sequence[str]:
        """See `CompatHost`."""
        return self._model_aliases.plain()

    def resolve_model(self, model: str) -> str:
        """See `CompatHost`."""
        engine = model if model in self._infos else self._model_aliases.target(model)
        engine = self.config.engines.default if engine == "" else engine
        if engine not in self._infos:
            known = sorted({*self._infos, *self._model_aliases.names()})
            raise VoxwireError(
                ErrorCode.INVALID_FIELD,
                f"there is no model {model!r}",
                details={"field": "model", "models": known},
                hint="Use a model of GET /v1/models, or name this one in `aliases.models`.",
            )
        return engine

    def admit_session(self, caller: Caller) -> None:
        """See `StreamHost`."""
        self._check_state()
        self._check_arrival(caller)
        granted = self._place_for(caller)
        self._check_engines(caller)
        seat = granted.displaced
        driver = None if seat is None else self.sessions.find(seat.session)
        if seat is not None and driver is not None:
            self.metrics.session_displaced(seat.use.name.lower())
            driver.give_way()

    def admit_returning(self, caller: Caller, session_id: str) -> bool:
        """See `StreamHost`."""
        if not self.sessions.expect(session_id, caller.account):
            return False
        try:
            self._check_arrival(caller)
        except VoxwireError:
            self.sessions.expect_no_more(session_id)
            raise
        return True

    def loop_share_of(self, caller: Caller) -> LoopShare:
        """See `StreamHost`."""
        return LoopShare(self._loop_shares, self._party_of(caller))

    def _loop_share_for(self, connection: HTTPConnection) -> LoopShare:
        """The part of whoever asks, before it is let in: a key's, or else an address's for all strangers there."""
        address = connection.client.host if connection.client else ""
        name = self.auth.name_of(connection)
        party = door.stranger(address) if name is None else self._party_of(Caller(name, address))
        return LoopShare(self._loop_shares, party)

    def check_session(self, caller: Caller) -> None:
        """See `CompatHost`."""
        self._check_state()
        self._place_for(caller)
        self._check_engines(caller)

    @property
    def full_ms(self) -> int | None:
        """See `ServerState`."""
        judged = self._places.judge("", 1.0, len(self.sessions), self._seats, time.monotonic())
        return FULL_RETRY_MS if isinstance(judged, Refused) else None

    def _check_state(self) -> None:
        if self.sessions.draining:
            raise VoxwireError(ErrorCode.DRAINING, "the server takes no new sessions, it is going away")
        if not self._ready:
            raise VoxwireError(ErrorCode.NOT_READY, "the server is starting", retry_after_ms=1000)

    def _check_arrival(self, caller: Caller) -> None:
        wait = self._arrivals.wait(self._party_of(caller), time.monotonic())
        if wait > 0:
            self.metrics.session_refused("rate")
            raise VoxwireError(
                ErrorCode.RATE_LIMITED, "sessions are opened too fast", retry_after_ms=int(wait * 1000) + 1
            )

    def _place_for(self, caller: Caller) -> Granted:
        party, now = self._party_of(caller), time.monotonic()
        judged = self._places.judge(party, self._share_of(party), len(self.sessions), self._seats, now)
        if isinstance(judged, Granted):
            return judged
        self.metrics.session_refused(judged.reason)
        places = self.config.server.sessions_max
        raise VoxwireError(
            ErrorCode.TOO_MANY_SESSIONS,
            f"{places} sessions are open"
            if judged.reason == "sessions"
            else f"{judged.held} of {places} sessions are yours; what is left is for others",
            retry_after_ms=FULL_RETRY_MS,
            details={"reason": judged.reason},
        )

    def _seats(self) -> list[Seat]:
        return self.sessions.seats(self._party_of)

    def _party_of(self, caller: Caller) -> str:
        """Whom places are shared between: the accounts, where there are several; else addresses."""
        return caller.account if len(self.config.auth.keys) > 1 else network_of(caller.address)

    def _share_of(self, party: str) -> float:
        limits, keys = self.config.limits, len(self.config.auth.keys)
        if keys > 1:
            return limits.account_share
        # Without keys, this machine is what the server is for; with one, its own backend.
        return 1.0 if keys or not party or is_loopback(party) else limits.address_share

    def _check_engines(self, caller: Caller) -> None:
        refusal = self._turn_away(caller.account)
        if refusal is not None:
            raise VoxwireError(
                ErrorCode.OVERLOADED,
                f"no engine has room for one more listener: {refusal.reason}",
                retry_after_ms=refusal.retry_after_ms,
            )

    def new_core(self, session_id: str, token: str, caller: Caller) -> SessionCore:
        """See `StreamHost`."""
        assert self._voices is not None, "started"
        seeds = partial(self._seeds.getrandbits, 63)
        return SessionCore(
            session_id, token, self._settings, self._voices, seeds, time.monotonic(), caller, self._ledger
        )

    # -- serving ----------------------------------------------------------------------------------------------------

    def new_driver(self, caller: Caller, outlet: WebSocketOutlet) -> Driver:
        """See `StreamHost`."""
        resume, node = self.config.resume, self.config.server.node
        passes = Passes(lambda: secrets.token_urlsafe(24))
        session_id = (f"{node}." if node else "") + secrets.token_urlsafe(9)
        resumable = None
        if resume.window_seconds:
            resumable = Resumable(caller.account, passes, ReplayLog(resume.replay_bytes_max, resume.replay_seconds))
        return Driver(self.new_core(session_id, passes.current, caller), outlet, self.studio, resumable)

    def asgi(self) -> Starlette:
        """The ASGI application; its lifespan starts and stops everything."""

        @contextlib.asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            await self.start()
            try:
                yield
            finally:
                await self.stop()

        return Starlette(
            routes=[*vendor_routes(self), *http.routes(self), *websocket.routes(self), *page_routes(self.config)],
            middleware=[
                *middleware(lambda: self.config.server.origins),
                Middleware(RequestsShare, share_of=self._loop_share_for, turns=self.door.turns),
            ],
            exception_handlers=http.EXCEPTION_HANDLERS,
            lifespan=lifespan,
        )


def session_settings(config: Config) -> SessionSettings:
    """A session's bounds from the configuration."""
    limits, audio = config.limits, config.audio
    return SessionSettings(
        message_bytes_max=limits.message_bytes_max,
        contexts_max=limits.contexts_max,
        text_chars_max=limits.text_chars_max,
        unspoken_chars_max=limits.unspoken_chars_max,
        context_chars_max=limits.context_chars_max,
        session_bytes_max=limits.session_bytes_max,
        hold_seconds=limits.hold_seconds,
        messages_per_second=limits.messages_per_second,
        messages_burst=limits.messages_burst,
        bad_messages_max=limits.bad_messages_max,
        bad_messages_seconds=limits.bad_messages_seconds,
        heartbeat_ms=limits.heartbeat_ms,
        resume_window_ms=round(config.resume.window_seconds * 1000),
        idle_seconds=limits.idle_seconds,
        lead_ms=audio.lead_ms,
        opus_bitrate=audio.opus_bitrate,
        policy=PlayoutPolicy(burst_frames=audio.burst_frames),
    )


def open_door(config: Config) -> door.Door:
    """The door for all connections; its bounds are measured anew when everything else is there."""
    return door.Door(connection_bounds(config), door.sharing(config.server.proxies))


def connection_bounds(config: Config) -> door.Bounds:
    """How many connections are held, by the configuration and what the system allows."""
    server = config.server
    return door.bounds_for(
        door.descriptors_max(),
        door.descriptors_in_use(),
        unknown=server.unauthenticated_max,
        unknown_by_address=server.unauthenticated_by_address_max,
    )


class Server(uvicorn.Server):
    """uvicorn, drained before it stops: SIGTERM lets speech under way finish, a second signal does not."""

    def __init__(self, config: uvicorn.Config, application: Application) -> None:
        super().__init__(config)
        self._application = application
        self._draining: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._load: Callable[[], Config] | None = None
        self._hangups: Hangups | None = None
        self._reload_wanted = False
        self._reloading: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Serve until stopped."""
        self._loop = asyncio.get_running_loop()
        if self._hangups is not None:
            self._hangups.tell(self._hung_up)
        await super().serve(sockets)  # type: ignore[arg-type]

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """Listen, and say where."""
        await super().startup(sockets)  # type: ignore[arg-type]
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            shown_path = "/ is a page to try it" if self._application.config.server.page else "/v1/voices lists voices"
            log.info("listening: ws://%s:%d/v1/stream (http://%s:%d%s)", shown, port, shown, port, shown_path)

    def reload_on(self, hangups: Hangups, load: Callable[[], Config]) -> None:
        """Take over what `load` gives whenever SIGHUP comes; `load` is called in a thread and may raise ConfigError."""
        self._load = load
        self._hangups = hangups

    def _hung_up(self) -> None:
        """SIGHUP came."""
        with contextlib.suppress(RuntimeError):
            # The loop may be over.
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._want_reload)

    def _want_reload(self) -> None:
        self._reload_wanted = True
        if self._reloading is None:
            self._reloading = asyncio.create_task(self._reload_while_wanted(), name="voxwire-reload")

    async def _reload_while_wanted(self) -> None:
        assert self._load is not None, "hangups are listened to with something to load"
        while self._reload_wanted:
            self._reload_wanted = False
            try:
                self._taken_over(await self._application.reload(await asyncio.to_thread(self._load)))
            except ConfigError as error:
                log.error("the configuration was read again and is not taken over: %s", error)
            except Exception:
                log.exception("the configuration could not be read again")
        self._reloading = None

    def _taken_over(self, found: Reloaded) -> None:
        """What uvicorn and logging have of a configuration."""
        server, limits = found.config.server, found.config.limits
        if "server.log_level" in found.changed:
            logging.getLogger().setLevel(server.log_level.upper())
        self.config.ws_max_size = limits.message_bytes_max
        self.config.ws_ping_interval = self.config.ws_ping_timeout = limits.heartbeat_ms / 1000
        log.info("the configuration was read again; %s", found)
        if found.restart:
            log.warning("needs a restart to take effect: %s", ", ".join(found.restart))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came."""
        if self._draining is not None or not self.started or self._loop is None:
            super().handle_exit(sig, frame)
            return
        self._loop.call_soon_threadsafe(self._drain, sig)

    def _drain(self, sig: int) -> None:
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain_then_exit(sig), name="voxwire-drain")

    async def _drain_then_exit(self, sig: int) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            server = self._application.config.server
            async with asyncio.timeout(server.notice_seconds + server.drain_seconds + 5):
                await self._application.drain()
        # Not uvicorn's own way out: it raises the signal again, and a drained server has ended well.
        log.info("drained after signal %d", sig)
        self.should_exit = True


def make_server(config: Config, application: Application) -> Server:
    """A uvicorn server for `application`, without compression, with our WebSocket protocol."""
    return Server(
        uvicorn.Config(
            application.asgi(),
            host=config.server.host,
            port=config.server.port,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            http=partial(RequestProtocol, door=application.door, limits=config.limits),  # type: ignore[arg-type]
            ws=WireProtocol,
            ws_max_size=config.limits.message_bytes_max,
            ws_per_message_deflate=False,
            # A peer that is gone is noticed within two heartbeats.
            ws_ping_interval=config.limits.heartbeat_ms / 1000,
            ws_ping_timeout=config.limits.heartbeat_ms / 1000,
            lifespan="on",
            access_log=False,
            log_config=None,
            server_header=False,
            forwarded_allow_ips=list(config.server.proxies),
            timeout_graceful_shutdown=5,
        ),
        application,
    )


def serve(config: Config, load: Callable[[], Config] | None = None, hangups: Hangups | None = None) -> int:
    """Run a server until it is stopped; returns the exit status. `load` reads the configuration again, on SIGHUP."""
    logging.basicConfig(level=config.server.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # uvicorn logs request paths, and a path may carry a token.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    door.raise_descriptors_max()
    application = Application(config)
    server = make_server(config, application)
    if load is not None and hangups is not None:
        server.reload_on(hangups, load)
    server.run()
    return 0 if server.started else 1
