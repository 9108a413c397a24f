"""A whole server on virtual time, but for the sockets: its routes, sessions, scheduler and ticker on one event loop.

Time passes in two ways: to the next thing that is due, when nothing is left to do, and by the work of every callback of
the loop, which is counted (`support.work_counter`) and costs `SECONDS_PER_LINE` a line. So what holds the loop makes
everything after it late, by the same amount on every machine. Steps of engines cost what `step_seconds` says, as they
run in threads of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import selectors
import types
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import voxwire_server.app as app_module
from support.asgi import http_scope
from support.scheduler_sim import VirtualRunner
from support.work_counter import Work, counting_turns, uncounted
from voxwire_server.app import Application
from voxwire_server.config import load_config
from voxwire_server.engines.tone import create as create_tone
from voxwire_server.scheduling.request import Batch
from voxwire_server.scheduling.scheduler import Scheduler
from voxwire_server.session.ports import SessionServices
from voxwire_server.session.ticker import Ticker
from voxwire_server.transport import connection as connection_module
from voxwire_server.transport import fair_share as fair_share_module
from voxwire_server.transport.input_scheduler import InputScheduler
from voxwire_server.transport.websocket_protocol import EXTENSION

SECONDS_PER_LINE = 100e-9
"""A line of Python takes 30 to 50 ns on a fast machine, three times as long on a slow one."""

START = 1000.0


class NoWait(selectors.SelectSelector):
    """Lets the virtual clock pass instead of waiting."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        """Nothing is ever readable; `timeout` None means that nothing will ever happen."""
        assert timeout is not None, "everything waits for something that never comes"
        self.loop.idle += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is that in which it had nothing to do, and what its work so far costs.

    What it gives to threads is done at once and costs nothing.
    """

    def __init__(self) -> None:
        selector = NoWait()
        selector.loop = self
        self.idle = START
        self.request = Work()
        self.input_scheduler = InputScheduler()
        self.holds: list[tuple[float, str]] = []
        """Seconds that each callback took, and what it was."""
        super().__init__(selector)

    def time(self) -> float:
        """Seconds."""
        return self.idle + self.request.total * SECONDS_PER_LINE

    def run_in_executor(self, worker: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """Call `func` now."""
        future = self.create_future()
        try:
            with uncounted():
                result = func(*args)
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(result)
        return future

    @property
    def longest_hold(self) -> tuple[float, str]:
        """The longest callback."""
        return max(self.holds, default=(0.0, ""))


@contextlib.contextmanager
def costing(loop: VirtualLoop) -> Iterator[None]:
    """Let the loop's work be counted."""

    def tell(lines: float, handle: asyncio.Handle) -> None:
        loop.holds.append((lines * SECONDS_PER_LINE, repr(handle)[:300]))

    with counting_turns(tell) as loop.request:
        yield


class LoopRunner(VirtualRunner):
    """Steps take effect by timers of the loop."""

    def __init__(self, loop: VirtualLoop, *args: Any) -> None:
        super().__init__(*args)
        self._loop = loop

    def _start_all(self) -> None:
        self.now = self._loop.time()
        before = len(self._running)
        with uncounted():
            super()._start_all()
        if len(self._running) != before or self._running:
            self._loop.call_at(self.next_at, self._end_due)

    def _end_due(self) -> None:
        self.advance(self._loop.time())


class Wire:
    """A socket without a network: what the server writes is kept with the moment at which it was written."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self.writable = asyncio.Event()
        self.writable.set()
        self.on_writable: Callable[[bool], None] | None = None
        self.require_pongs = True
        self.handshake_complete = False
        self.disconnected = False
        self.is_open = False
        self.buffered_bytes = 0
        self.peer_code = 1000
        self.input_scheduler = loop.input_scheduler
        self.on_flood: Callable[[Exception], None] | None = None
        self.written: list[tuple[float, bytes]] = []

    def write_frames(self, data: bytes) -> None:
        """Take whole frames."""
        self.written.append((self._loop.time(), data))

    def on_arrival(self, arrived: Callable[[], None] | None) -> None:
        """Everything written arrives at once."""
        if arrived is not None:
            self._loop.call_soon(arrived)

    def abort_later(self) -> None:
        """The connection is over."""
        self.disconnected = True

    abort = abort_later

    def frames(self) -> Iterator[tuple[float, int, bytes]]:
        """Every WebSocket frame that was written: when, its opcode, its payload."""
        for at, data in self.written:
            start = 0
            while start < len(data):
                size, head = data[start + 1], 2
                if size >= 126:
                    wide = 2 if size == 126 else 8
                    size, head = int.from_bytes(data[start + 2 : start + 2 + wide], "big"), 2 + wide
                yield at, data[start] & 15, data[start + head : start + head + size]
                start += head + size


@dataclass
class Socket:
    """One client's WebSocket. `send` gives the server a message when it next reads."""

    wire: Wire
    incoming: asyncio.Queue[dict[str, Any]]
    task: asyncio.Task[None]
    accepted: asyncio.Event
    closed: list[dict[str, Any]] = field(default_factory=list)

    def send(self, message: str | bytes | dict[str, Any]) -> None:
        """Send a message, a dictionary as JSON."""
        text = json.dumps(message) if isinstance(message, dict) else message
        name = "bytes" if isinstance(text, bytes) else "text"
        self.incoming.put_nowait({"type": "websocket.receive", name: text})

    def vanish(self) -> None:
        """The connection is lost."""
        self.wire.disconnected = True
        self.wire.peer_code = 1006
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": 1006})


class VirtualServer:
    """A server with the tone engine. `flags` are configuration keys."""

    def __init__(
        self, loop: VirtualLoop, step_seconds: Callable[[Batch], float] = lambda batch: 0.002, **flags: object
    ) -> None:
        self.loop = loop
        settings = {"engines.enabled": "tone", "engines.default": "tone", "scheduling.utilisation_max": 100}
        engines = {"tone": create_tone()}
        self.application = app = Application(load_config(flags=settings | flags), engines)
        infos = {name: engine.info for name, engine in engines.items()}
        scheduler = Scheduler(infos, 2)
        runner = LoopRunner(loop, engines, scheduler, app.sessions.deliver, step_seconds, loop.time())
        ticker = Ticker(loop, loop.time)
        app.services = SessionServices(runner, None, ticker, app.metrics, loop.time)  # type: ignore[arg-type]
        app._runner = runner  # type: ignore[assignment]
        app.admission.turn_away = lambda account: scheduler.refuse_session(loop.time(), account=account)
        app._ready = True
        self._asgi = app.asgi()

    def connect(self, path: str, headers: dict[str, str] | None = None) -> Socket:
        """Open a WebSocket."""
        wire = Wire(self.loop)
        incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        incoming.put_nowait({"type": "websocket.connect"})
        accepted = asyncio.Event()
        parts = urllib.parse.urlsplit(path)
        scope = http_scope("GET", path, headers or {}) | {
            "type": "websocket",
            "scheme": "ws",
            "path": urllib.parse.unquote(parts.path),
            "subprotocols": [],
            "extensions": {EXTENSION: wire, "websocket.http.response": {}},
        }
        socket = Socket(wire, incoming, None, accepted)  # type: ignore[arg-type]

        async def send(event: dict[str, Any]) -> None:
            match event["type"]:
                case "websocket.accept":
                    wire.handshake_complete = wire.is_open = True
                    accepted.set()
                case "websocket.close":
                    wire.is_open = False
                    socket.closed.append(event)
                case _:
                    socket.closed.append(event)

        socket.task = self.loop.create_task(self._asgi(scope, incoming.get, send))
        return socket

    async def post(self, path: str, body: bytes, headers: dict[str, str]) -> list[dict[str, Any]]:
        """Make a request; all events of its answer."""
        incoming = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[dict[str, Any]] = []
        gone = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if incoming:
                return incoming.pop(0)
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(event: dict[str, Any]) -> None:
            sent.append(event)

        await self._asgi(http_scope("POST", path, headers), receive, send)
        return sent


@contextlib.contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    """A loop on virtual time, which is the application's clock too."""
    loop = VirtualLoop()
    clocks = types.SimpleNamespace(monotonic=loop.time, perf_counter=loop.time, thread_time=loop.time)
    times = {module: module.time for module in (app_module, connection_module, fair_share_module)}
    for module in times:
        module.time = clocks  # type: ignore[attr-defined]
    asyncio.set_event_loop(loop)
    try:
        with costing(loop):
            yield loop
    finally:
        for module, time in times.items():
            module.time = time  # type: ignore[attr-defined]
        for task in asyncio.all_tasks(loop):
            task.cancel()
        with contextlib.suppress(Exception):
            loop.run_until_complete(asyncio.sleep(0))
        asyncio.set_event_loop(None)
        loop.close()
