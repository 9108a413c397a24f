"""Requests wait for their principal's share; their time is measured up to their first streamed bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from voxwire_server.transport.fair_share import WAIT_SECONDS_MAX, FairShare, FairShareMiddleware, FairShares
from voxwire_server.transport.input_scheduler import InputScheduler

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


class FixedShares(FairShares):
    """Shares with a fixed wait, which record what was spent."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.reports: list[str] = []

    def wait(self, principal: str, now: float) -> float:
        return self.seconds

    def spent(self, principal: str, seconds: float) -> None:
        assert seconds > 0
        self.reports.append(principal)


def serve(app: Callable[..., Awaitable[None]], shares: FairShares) -> list[dict]:
    """Serve one request; returns the messages that were sent."""
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def main() -> None:
        middleware = FairShareMiddleware(app, lambda _: FairShare(shares, "one"), InputScheduler())
        await middleware(SCOPE, None, send)

    asyncio.run(main())
    return sent


def test_a_requests_time_is_reported_once_and_before_it_streams() -> None:
    shares, seen = FixedShares(), []

    async def app(scope, receive, send) -> None:
        await asyncio.sleep(0)
        seen.append(list(shares.reports))
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        seen.append(list(shares.reports))
        await send({"type": "http.response.body", "body": b"b"})

    assert len(serve(app, shares)) == 2
    assert seen == [[], ["one"]]
    assert shares.reports == ["one"]


def test_a_failed_request_is_reported_and_raises_its_exception() -> None:
    shares = FixedShares()

    async def app(scope, receive, send) -> None:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0)
        except TimeoutError:
            raise LookupError from None

    with pytest.raises(LookupError):
        serve(app, shares)
    assert shares.reports == ["one"]


def test_a_request_that_would_wait_for_long_is_refused_with_retry_after() -> None:
    async def app(scope, receive, send) -> None:
        raise AssertionError("not served")

    start = serve(app, FixedShares(WAIT_SECONDS_MAX + 1))[0]
    assert start["status"] == 429
    assert (b"retry-after", b"7") in start["headers"]
