"""Fair-share scheduling of the event loop's time among principals whose messages and requests are handled.

Each connection has its own limit of messages per second; an API key with hundreds of connections would fill the event
loop all the same. So the time that handling takes is measured, and a principal (see `voxwire_server.session.quotas`)
that has used more than its share waits before its next message: virtual scheduling, as in ATM's generic cell rate
algorithm (ITU-T I.371). No message is lost; the rest of the loop's time sends audio.

`FairShares` computes the waits, and is passed the time. `FairShareMiddleware` applies them to requests: the
`input_scheduler` limits how long input is parsed, not what an endpoint then does, and a hundred connections that ask
for the list of voices again and again would fill each iteration of the loop with a hundred answers. A streamed response
is measured up to its first bytes; after that the pace of its audio limits it.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.websockets import WebSocket

from voxwire_protocol.errors import ErrorCode, VoxwireError
from voxwire_server.errors import http_body, http_headers, http_status

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from voxwire_server.transport.input_scheduler import InputScheduler

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

WAIT_SECONDS_MAX = 5.0
"""A request that would have to wait for longer is refused."""


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


# -- HTTP requests and handshakes -------------------------------------------------------------------------------------


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
