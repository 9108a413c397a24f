"""Bounds the event loop's time that the requests of one principal take: each waits for its part, then for its turn.

Bytes are parsed within turns; what an endpoint then does is not, and a hundred connections that ask for the list of
voices again and again would fill each turn of the loop with a hundred answers. What streams is counted up to its first
bytes: its pace is the listener's.
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
from voxwire_server.transport.loop_share import LoopShare

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from voxwire_server.transport.turns import Turns

WAIT_SECONDS_MAX = 5.0
"""Who would have to wait for longer is refused."""


class RequestsShare:
    """ASGI middleware. `share_of` tells whose part of the loop's time a request or a handshake takes."""

    def __init__(self, app: ASGIApp, share_of: Callable[[HTTPConnection], LoopShare], turns: Turns) -> None:
        self._app = app
        self._share_of = share_of
        self._turns = turns

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request once its principal's part and its turn have come."""
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
        await self._turns.wait(share.principal, share.cost)
        work = _Measured(share, self._turns)
        try:
            await work.run(app(scope, receive, work.watching(send)))
        finally:
            work.done()


class _Measured:
    """Counts what the steps of a coroutine take, until it is done or has begun to stream."""

    def __init__(self, share: LoopShare, turns: Turns) -> None:
        self._share = share
        self._turns = turns
        self._seconds = 0.0
        self._done = False

    def done(self) -> None:
        """Enough was counted; nothing happens the second time."""
        if not self._done:
            self._done = True
            self._share.spent(self._seconds)

    def watching(self, send: Send) -> Send:
        """`send`, after which counting ends when there will be more."""

        async def watched(message: Message) -> None:
            await send(message)
            if message.get("more_body") or message["type"] == "websocket.accept":
                self.done()

        return watched

    def run(self, work: Any) -> _Steps:
        """Something to await that does `work`."""
        return _Steps(self, work)

    def step(self, go: Callable[[Any], Any], argument: Any) -> Any:
        """One step of the coroutine."""
        if self._done:
            return go(argument)
        began, cpu_began = time.perf_counter(), time.thread_time()
        try:
            return go(argument)
        finally:
            self._seconds += time.thread_time() - cpu_began
            self._turns.spend(time.perf_counter() - began)


class _Steps:
    def __init__(self, measured: _Measured, work: Coroutine[Any, Any, None]) -> None:
        self._measured = measured
        self._work = work

    def __await__(self) -> Generator[Any, Any, None]:
        """As `await work`."""
        go: Callable[[Any], Any] = self._work.send
        argument: Any = None
        while True:
            try:
                awaited = self._measured.step(go, argument)
            except StopIteration:
                return
            try:
                go, argument = self._work.send, (yield awaited)
            except BaseException as error:
                go, argument = self._work.throw, error


def refusal(wait: float) -> ASGIApp:
    """An application that tells its client to come later."""
    error = VoxwireError(ErrorCode.RATE_LIMITED, "requests come too fast", retry_after_ms=int(wait * 1000) + 1)
    response = JSONResponse(http_body(error), http_status(error), http_headers(error))

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(response)
        else:
            await response(scope, receive, send)

    return refuse
