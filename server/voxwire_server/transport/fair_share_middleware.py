"""ASGI middleware that limits the event loop's time that the requests of one principal take.

Each request waits for its principal's share (`fair_share`), then for its turn (`input_scheduler`). The scheduler limits
how long input is parsed, not what an endpoint then does: a hundred connections that ask for the list of voices again
and again would fill each iteration of the loop with a hundred answers. A streamed response is measured up to its first
bytes; after that the pace of its audio limits it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.errors import http_body, http_headers, http_status
from voxwire_server.transport.fair_share import FairShare

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from voxwire_server.transport.input_scheduler import InputScheduler

WAIT_SECONDS_MAX = 5.0
"""A request that would have to wait for longer is refused."""


class FairShareMiddleware:
    """ASGI middleware. `share_of` gives the share that a request or a handshake counts towards."""

    def __init__(
        self, app: ASGIApp, share_of: Callable[[HTTPConnection], FairShare], input_scheduler: InputScheduler
    ) -> None:
        self._app = app
        self._share_of = share_of
        self._input_scheduler = input_scheduler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request once its principal's share and its turn allow it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        share = self._share_of(HTTPConnection(scope))
        wait = share.wait(time.monotonic())
        app: ASGIApp = self._app
        if wait > WAIT_SECONDS_MAX:
            app = refusal(wait)
        elif wait > 0:
            await asyncio.sleep(wait)
        await self._input_scheduler.wait(share.principal, share.cost)
        meter = _TimeMeter(share, self._input_scheduler)
        try:
            await meter.run(app(scope, receive, meter.wrap_send(send)))
        finally:
            meter.stop()


class _TimeMeter:
    """Measures the steps of a coroutine until it is done or has begun to stream."""

    def __init__(self, share: FairShare, input_scheduler: InputScheduler) -> None:
        self._share = share
        self._input_scheduler = input_scheduler
        self._seconds = 0.0
        self._stopped = False

    def stop(self) -> None:
        """Report the time measured so far and measure no more. Idempotent."""
        if not self._stopped:
            self._stopped = True
            self._share.spent(self._seconds)

    def wrap_send(self, send: Send) -> Send:
        """`send`, which stops the meter after a message that more messages follow."""

        async def send_and_stop(message: Message) -> None:
            await send(message)
            if message.get("more_body") or message["type"] == "websocket.accept":
                self.stop()

        return send_and_stop

    def run(self, coroutine: Any) -> _MeteredSteps:
        """An awaitable that runs `coroutine` and measures its steps."""
        return _MeteredSteps(self, coroutine)

    def step(self, resume: Callable[[Any], Any], argument: Any) -> Any:
        """Run one step of the coroutine."""
        if self._stopped:
            return resume(argument)
        began, cpu_began = time.perf_counter(), time.thread_time()
        try:
            return resume(argument)
        finally:
            self._seconds += time.thread_time() - cpu_began
            self._input_scheduler.add_time(time.perf_counter() - began)


class _MeteredSteps:
    """Awaits a coroutine step by step, each through a meter."""

    def __init__(self, meter: _TimeMeter, coroutine: Coroutine[Any, Any, None]) -> None:
        self._meter = meter
        self._coroutine = coroutine

    def __await__(self) -> Generator[Any, Any, None]:
        """As `await coroutine`."""
        resume: Callable[[Any], Any] = self._coroutine.send
        argument: Any = None
        while True:
            try:
                awaited = self._meter.step(resume, argument)
            except StopIteration:
                return
            try:
                resume, argument = self._coroutine.send, (yield awaited)
            except BaseException as error:
                resume, argument = self._coroutine.throw, error


def refusal(wait: float) -> ASGIApp:
    """An application that answers `client.rate_limited`; the client may retry after `wait` seconds."""
    error = VoxwireError(ErrorCode.RATE_LIMITED, "requests come too fast", retry_after_ms=int(wait * 1000) + 1)
    response = JSONResponse(http_body(error), http_status(error), http_headers(error))

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(response)
        else:
            await response(scope, receive, send)

    return refuse
