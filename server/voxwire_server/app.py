"""The composition root: makes every part of a server from its configuration, starts and stops them in order.

`serving` runs it on a socket and handles signals.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import secrets
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.audio.containers import warm_formats
from voxwire_server.audio.encoder_pool import EncoderPool
from voxwire_server.compat.vendors import routes as vendor_routes
from voxwire_server.compat.vendors import wyoming_server
from voxwire_server.config import default_voice
from voxwire_server.engines.base import EngineUnavailable
from voxwire_server.engines.registry import load_engines
from voxwire_server.machine import cores, watch_memory
from voxwire_server.ops.admission import Readiness, SessionAdmission, SpeechDirectory, watch_readiness
from voxwire_server.ops.auth import Authenticator, Cors
from voxwire_server.ops.lexicons import Lexicons
from voxwire_server.ops.metrics import Metrics
from voxwire_server.ops.reload import reloaded
from voxwire_server.ops.scheduler_metrics import watch_devices, watch_scheduler, watch_workers
from voxwire_server.ops.voices import BUILT_IN_MODELS, BUILT_IN_VOICES, Aliases, ModelDirectory, VoiceDirectory
from voxwire_server.ops.watchdog import Watchdog
from voxwire_server.page import routes as page_routes
from voxwire_server.scheduling.runner import Runner
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.session.core import SessionCore
from voxwire_server.session.driver import Driver, Resumable
from voxwire_server.session.ports import SessionServices
from voxwire_server.session.quotas import ClientIdentity, MemoryAccounts
from voxwire_server.session.registry import Sessions
from voxwire_server.session.resume import ReplayLog, ResumeTokens
from voxwire_server.session.ticker import Ticker
from voxwire_server.settings import connection_limits, make_connection_limiter, scheduling_policy, session_settings
from voxwire_server.text.identify import LanguageIdentifier, is_installed
from voxwire_server.transport import connection_limiter, http, websocket
from voxwire_server.transport.fair_share import FairShare, FairShareMiddleware, FairShares

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from starlette.requests import HTTPConnection

    from voxwire_server.config import Config
    from voxwire_server.engines.base import Engine, EngineInfo
    from voxwire_server.ops.reload import Reloaded
    from voxwire_server.speech import Voice
    from voxwire_server.transport.websocket import WebSocketSink

log = logging.getLogger("voxwire")

SWITCH_INTERVAL_SECONDS = 0.0005
"""How long a thread may keep the interpreter while another waits for it. G2P is Python: with CPython's default of 5 ms
the event loop is late by up to 11 ms beside it, with this by 2 ms (bench/README.md)."""

GARBAGE_THRESHOLDS = (2000, 10, 100)
"""When CPython collects cycles (`gc.set_threshold`), of which sessions make few. With its defaults it goes over all
objects every few seconds during a flood of contexts, on the event loop, 0.3 us for each object."""


class Application:
    """One server process. The endpoints use it as their `ServerState`, `StreamHost` and `CompatHost`."""

    def __init__(self, config: Config, engines: Mapping[str, Engine] | None = None) -> None:
        """Loads the engines, unless `engines` are given (tests do); `start` warms them up.

        Raises:
            EngineUnavailable: the default engine can't be loaded, or lacks the default voice. Other engines that can't
                be loaded are logged and left out.
            ConfigError: the Wyoming protocol is configured and not installed, or a lexicon can't be read.
        """
        self.config = config
        self._lexicons = Lexicons(config.text.lexicons)
        self._engines, self._unavailable = _loaded(config, engines)
        self._infos = {name: engine.info for name, engine in self._engines.items()}
        voice_aliases = Aliases(config.aliases.voices, BUILT_IN_VOICES)
        model_aliases = Aliases(config.aliases.models, BUILT_IN_MODELS)
        default = config.engines.default
        default_voice = _default_voice(config, self._infos[default])
        self._voices = VoiceDirectory(self._infos, default, default_voice, voice_aliases, config.engines.fallback)
        self._identifier = LanguageIdentifier(self._voices.languages()) if is_installed() else None
        self._models = ModelDirectory(self._infos.keys(), default, model_aliases)
        self.metrics = Metrics(version("voxwire"))
        self.connection_limiter = make_connection_limiter(config)
        self.auth = Authenticator(config, admitted=self._admitted)
        self.sessions = Sessions()
        self._fair_shares = FairShares()
        self.admission = SessionAdmission(config, self.sessions, self.metrics, time.monotonic)
        self._memory_accounts = MemoryAccounts(config.limits.account_bytes_max)
        self.services: SessionServices
        self._runner: Runner | None = None
        self._ready = False
        self._leaving = False
        self._readiness = Readiness()
        self._problem = "the engines are warming up"
        self._tasks: list[asyncio.Task[None]] = []
        self._settings = session_settings(config)
        self._seeds = secrets.SystemRandom()
        threads = max(1, (config.scheduling.cpu_workers or cores()) // 2)
        self.containers = ThreadPoolExecutor(threads, thread_name_prefix="voxwire-container")
        self._wyoming = wyoming_server(self)
        self._watchdog = Watchdog(config.server.watchdog_ms / 1000, self.metrics)

    # -- start, stop, reload --------------------------------------------------------------------------------------

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
        scheduler = Scheduler(self._infos, workers, scheduling_policy(self.config))
        self._runner = runner = Runner(
            self._engines,
            scheduler,
            deliver=self.sessions.deliver,
            wake=wake,
            clock=time.monotonic,
            hang_seconds=self.config.scheduling.hang_seconds,
        )
        encoder = EncoderPool(wake, threads=max(1, workers // 2))
        ticker = Ticker(loop, time.monotonic)
        self.services = SessionServices(
            runner, encoder, ticker, self.metrics, time.monotonic, self.config.audio.opus_complexity
        )
        self.connection_limiter.limits = connection_limits(self.config)
        self.admission.turn_away = lambda account: runner.locked(partial(scheduler.refuse_session, account=account))
        self._watch_counts(runner, scheduler, encoder)
        runner.start()
        encoder.start()
        if self.config.compat.enabled:
            self.containers.submit(warm_formats)
        self._watchdog.start(loop)
        self._tasks = self._background_tasks(runner, scheduler, encoder)

    def _background_tasks(self, runner: Runner, scheduler: Scheduler, encoder: EncoderPool) -> list[asyncio.Task[None]]:
        """Start what runs on the loop beside sessions until `stop`."""
        readiness = watch_readiness(
            self._readiness,
            lambda: runner.locked(scheduler.full),
            time.monotonic,
            (runner.look_after, encoder.look_after),
        )
        memory = watch_memory(lambda: self._memory_accounts.bytes, time.monotonic)
        return [
            asyncio.create_task(self._warm_up(runner), name="voxwire-warm-up"),
            asyncio.create_task(connection_limiter.sweep_forever(self.connection_limiter), name="voxwire-connections"),
            asyncio.create_task(memory, name="voxwire-memory"),
            asyncio.create_task(readiness, name="voxwire-readiness"),
        ]

    def _watch_counts(self, runner: Runner, scheduler: Scheduler, encoder: EncoderPool) -> None:
        """Have every scrape of the metrics read the counts that the server's parts keep."""
        read = self.metrics.read
        read("voxwire_sessions", "Sessions that are open.", lambda: len(self.sessions))
        read("voxwire_sessions_away", "Sessions whose client is away.", lambda: self.sessions.away)
        read("voxwire_session_bytes", "Memory that sessions hold.", lambda: self._memory_accounts.bytes)
        read("voxwire_overloaded", "Whether /ready says so.", lambda: self.overloaded_ms is not None)
        connection_limiter.export_counts(self.connection_limiter, self.metrics.read_table)
        watch_scheduler(self.metrics, lambda: runner.locked(scheduler.stats))
        watch_workers(self.metrics, runner.worker_stats, encoder)
        watch_devices(self.metrics, self._engines.values())

    async def _warm_up(self, runner: Runner) -> None:
        try:
            for name in self._engines:
                began = time.monotonic()
                await asyncio.wrap_future(runner.warm_up(name))
                log.info("engine %s is warm after %.1f s", name, time.monotonic() - began)
            if self._identifier is not None:
                await asyncio.to_thread(self._identifier.load)
        except Exception:
            log.exception("an engine could not be warmed up")
            self._problem = "an engine could not be warmed up; the log has the reason"
        else:
            self._problem = ""
            self._ready = True
            # Objects made so far stay. A collection that visits them holds the loop for a tenth of a second.
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
            self.services.ticker.stop()
            await asyncio.to_thread(self._runner.stop, 5.0)
            await asyncio.to_thread(self.services.encoder.stop)
        self.containers.shutdown(wait=False, cancel_futures=True)

    async def drain(self) -> None:
        """Shut the server down gently: not ready any more; after `notice_seconds` no new sessions.

        Returns when open sessions have finished speaking, or after `drain_seconds`.
        """
        self._leaving = True
        if self.config.server.notice_seconds:
            log.info("not ready any more; draining in %g s", self.config.server.notice_seconds)
            await asyncio.sleep(self.config.server.notice_seconds)
        deadline_ms = round(self.config.server.drain_seconds * 1000)
        log.info("draining: %d sessions, at most %g s", len(self.sessions), deadline_ms / 1000)
        await self.sessions.drain(deadline_ms, asyncio.Event())

    async def reload(self, given: Config) -> Reloaded:
        """Use every setting of another configuration that can change while the server runs.

        Sessions of API keys that are gone end.

        Raises:
            ConfigError: it can't be used; everything stays as it is.
        """
        found = reloaded(self.config, given)
        # Read again though nothing of the configuration may have changed: their files may have.
        lexicons = await asyncio.to_thread(Lexicons, found.config.text.lexicons)
        self.config = config = found.config
        self.auth.reload(config)
        self._lexicons = lexicons
        if config.text.lexicons:
            log.info("lexicons were read again: %s", lexicons)
        self._settings = session_settings(config)
        self.admission.change(config)
        self._memory_accounts.account_bytes_max = config.limits.account_bytes_max
        self.connection_limiter.limits = connection_limits(config)
        self._voices.aliases = Aliases(config.aliases.voices, BUILT_IN_VOICES)
        self._models.aliases = Aliases(config.aliases.models, BUILT_IN_MODELS)
        if self._runner is not None:
            self._runner.expect_accounts(len(config.auth.keys))
        for driver in self.sessions.of_accounts(found.revoked):
            driver.fail(VoxwireError(ErrorCode.NOT_AUTHENTICATED, "the API key of this session was revoked"))
            # One session per turn of the loop: there may be hundreds.
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
        return {} if self._runner is None else self._runner.worker_stats().problems

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

    def authenticate(
        self, connection: HTTPConnection, key: str | None = None, *, tokens: bool = False
    ) -> ClientIdentity:
        """See `CompatHost` and `StreamHost`."""
        address = connection.client.host if connection.client else ""
        return ClientIdentity(self.auth.authenticate(connection, key, tokens=tokens).name, address)

    def _admitted(self, connection: HTTPConnection, name: str) -> None:
        """Count an authenticated connection to its principal.

        Raises:
            VoxwireError: server.overloaded; the principal has its share of all connections.
        """
        slot = connection_limiter.slot_of(connection)
        if slot is None:
            return
        principal = self.admission.principal_of(
            ClientIdentity(name, connection.client.host if connection.client else "")
        )
        counted = slot.principal == principal and slot.state in connection_limiter.ACTIVE_STATES
        active = self.connection_limiter.active_connections(principal) - counted
        self.admission.check_connections(principal, active, self.connection_limiter.available)
        slot.mark_authenticated(principal)

    def default_voice(self) -> Voice:
        """See `CompatHost`."""
        return self._voices.default

    def find_voice(self, name: str) -> Voice | None:
        """See `CompatHost`."""
        return self._voices.find(name)

    def voice_aliases(self) -> Mapping[str, Voice]:
        """See `CompatHost`."""
        return self._voices.by_alias()

    def model_aliases(self) -> Sequence[str]:
        """See `CompatHost`."""
        return self._models.aliases.plain()

    def resolve_model(self, model: str) -> str:
        """See `CompatHost`."""
        return self._models.resolve(model)

    def admit_session(self, identity: ClientIdentity) -> None:
        """See `StreamHost`."""
        self._check_state()
        self.admission.admit(identity)

    def admit_returning(self, identity: ClientIdentity, session_id: str) -> bool:
        """See `StreamHost`."""
        return self.admission.admit_returning(identity, session_id)

    def fair_share_of(self, identity: ClientIdentity) -> FairShare:
        """See `StreamHost`."""
        return FairShare(self._fair_shares, self.admission.principal_of(identity))

    def _fair_share_for(self, connection: HTTPConnection) -> FairShare:
        """The share that a request counts against before it is authenticated: its key's, else that of its address."""
        address = connection.client.host if connection.client else ""
        name = self.auth.name_of(connection)
        principal = (
            connection_limiter.unauthenticated_principal(address)
            if name is None
            else self.admission.principal_of(ClientIdentity(name, address))
        )
        return FairShare(self._fair_shares, principal)

    def check_session(self, identity: ClientIdentity) -> None:
        """See `CompatHost`."""
        self._check_state()
        self.admission.check(identity)

    @property
    def full_ms(self) -> int | None:
        """See `ServerState`."""
        return self.admission.full_ms

    def _check_state(self) -> None:
        if self.sessions.draining:
            raise VoxwireError(ErrorCode.DRAINING, "the server takes no new sessions, it is going away")
        if not self._ready:
            raise VoxwireError(ErrorCode.NOT_READY, "the server is starting", retry_after_ms=1000)

    def new_core(self, session_id: str, token: str, identity: ClientIdentity, dialect: str = "") -> SessionCore:
        """See `StreamHost` and `CompatHost`."""
        assert self._runner is not None, "started"
        identify = None if self._identifier is None else self._identifier.identify
        settings = replace(self._settings, dialect=dialect) if dialect else self._settings
        directory = SpeechDirectory(self._voices, self._runner, lambda: self._lexicons, identify)
        seeds = partial(self._seeds.getrandbits, 63)
        return SessionCore(
            session_id, token, settings, directory, seeds, time.monotonic(), identity, self._memory_accounts
        )

    # -- serving ----------------------------------------------------------------------------------------------------

    def new_driver(self, identity: ClientIdentity, sink: WebSocketSink) -> Driver:
        """See `StreamHost`."""
        resume, node = self.config.resume, self.config.server.node
        resume_tokens = ResumeTokens(lambda: secrets.token_urlsafe(24))
        session_id = (f"{node}." if node else "") + secrets.token_urlsafe(9)
        resumable = None
        if resume.window_seconds:
            resumable = Resumable(
                identity.account, resume_tokens, ReplayLog(resume.replay_bytes_max, resume.replay_seconds)
            )
        return Driver(self.new_core(session_id, resume_tokens.current, identity), sink, self.services, resumable)

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
                Middleware(Cors, origins=lambda: self.config.server.origins),
                Middleware(
                    FairShareMiddleware,
                    share_of=self._fair_share_for,
                    input_scheduler=self.connection_limiter.input_scheduler,
                ),
            ],
            exception_handlers=http.EXCEPTION_HANDLERS,
            lifespan=lifespan,
        )


def _loaded(
    config: Config, engines: Mapping[str, Engine] | None
) -> tuple[dict[str, Engine], Mapping[str, EngineUnavailable]]:
    """The engines by name, and why those are missing that can't be loaded.

    Raises:
        EngineUnavailable: the default engine is among the missing.
    """
    unavailable: Mapping[str, EngineUnavailable] = {}
    if engines is None:
        options = {name: config.engines.options_of(name) for name in config.engines.enabled}
        engines, unavailable = load_engines(config.engines.enabled, config.models.path, options)
        for name, problem in unavailable.items():
            log.warning("engine %s is not available: %s. %s", name, problem, problem.hint)
    if config.engines.default not in engines:
        raise unavailable[config.engines.default]
    return dict(engines), unavailable


def _default_voice(config: Config, default_engine: EngineInfo) -> str:
    voices = [voice.name for voice in default_engine.voices]
    found = default_voice(config.engines, voices)
    if found is None:
        configured = config.engines.default_voice
        raise EngineUnavailable(f"engines.default_voice is {configured!r}, which is not there", f"It has: {voices}.")
    return found
