"""Runs an application as a process: uvicorn on its socket, SIGTERM drains it, SIGHUP reloads its configuration."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from functools import partial
from typing import TYPE_CHECKING

import uvicorn

from voxwire_server.app import Application
from voxwire_server.config import ConfigError
from voxwire_server.transport import connection_limiter
from voxwire_server.transport.http_protocol import HttpProtocol
from voxwire_server.transport.websocket_protocol import WebSocketProtocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from voxwire_server.config import Config
    from voxwire_server.ops.reload import Hangups, Reloaded

log = logging.getLogger("voxwire")


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
            self._hangups.listen(self._hung_up)
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
        """Use what `load` gives as configuration at each SIGHUP; it is called in a thread and may raise ConfigError."""
        self._load = load
        self._hangups = hangups

    def _hung_up(self) -> None:
        """Reload soon. Called from the signal handler at each SIGHUP."""
        with contextlib.suppress(RuntimeError):
            # The loop may be closed already.
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._want_reload)

    def _want_reload(self) -> None:
        self._reload_wanted = True
        if self._reloading is None:
            self._reloading = asyncio.create_task(self._reload_while_wanted(), name="voxwire-reload")

    async def _reload_while_wanted(self) -> None:
        assert self._load is not None, "reload_on sets both"
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
        """Give uvicorn and logging the settings that they keep copies of."""
        server, limits = found.config.server, found.config.limits
        if "server.log_level" in found.changed:
            logging.getLogger().setLevel(server.log_level.upper())
        self.config.ws_max_size = limits.message_bytes_max
        self.config.ws_ping_interval = self.config.ws_ping_timeout = limits.heartbeat_ms / 1000
        log.info("the configuration was read again; %s", found)
        if found.restart:
            log.warning("needs a restart to take effect: %s", ", ".join(found.restart))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at the first signal, exit at the second."""
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
        # Not uvicorn's own exit, which raises the signal again: a drained server ends with status 0.
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
            http=partial(  # type: ignore[arg-type]
                HttpProtocol, connection_limiter=application.connection_limiter, limits=config.limits
            ),
            ws=WebSocketProtocol,
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
    connection_limiter.raise_descriptors_max()
    application = Application(config)
    server = make_server(config, application)
    if load is not None and hangups is not None:
        server.reload_on(hangups, load)
    server.run()
    return 0 if server.started else 1
