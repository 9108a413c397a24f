"""Requests wait for their principal's part of the loop; what they take counts up to their first streamed bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from voxwire_server.transport.loop_share import LoopShare, LoopShares
from voxwire_server.transport.requests_share import WAIT_SECONDS_MAX, RequestsShare
from voxwire_server.transport.turns import Turns

SCOPE = {"type": "http", "method": "GET", "path": "/", "headers": []}


class Counted(LoopShares):
    """Shares that say how long to wait, and note what was spent."""

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self.seconds = seconds
        self.reports: list[str] = []

    def wait(self, principal: str, now: float) -> float:
        return self.seconds

    def spent(self, principal: str, seconds: float) -> None:
        assert seconds > 0
        self.reports.append(principal)


def serve(app: Callable[..., Awaitable[None]], shares: LoopShares) -> list[dict]:
    """Serve one request; what was sent."""
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    async def main() -> None:
        share = RequestsShare(app, lambda _: LoopShare(shares, "one"), Turns())
        await share(SCOPE, None, send)

    asyncio.run(main())
    return sent


def test_what_a_request_takes_is_counted_once_and_before_it_streams() -> None:
    shares, seen = Counted(), []

    async def app(scope, receive, send) -> None:
        await asyncio.sleep(0)
        seen.append(list(shares.reports))
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        seen.append(list(shares.reports))
        await send({"type": "http.response.body", "body": b"b"})

    assert len(serve(app, shares)) == 2
    assert seen == [[], ["one"]]
    assert shares.reports == ["one"]


def test_a_request_that_fails_is_counted_and_fails_as_it_did() -> None:
    shares = Counted()

    async def app(scope, receive, send) -> None:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0)
        except TimeoutError:
            raise LookupError from None

    with pytest.raises(LookupError):
        serve(app, shares)
    assert shares.reports == ["one"]


def test_whoever_would_have_to_wait_for_long_is_told_to_come_later() -> None:
    async def app(scope, receive, send) -> None:
        raise AssertionError("not served")

    start = serve(app, Counted(WAIT_SECONDS_MAX + 1))[0]
    assert start["status"] == 429
    assert (b"retry-after", b"7") in start["headers"]
