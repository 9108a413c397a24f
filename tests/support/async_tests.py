"""Async tests without a plugin: each on a loop of its own, and for a while only."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import Any

SECONDS_MAX = 60


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test to its end, or fail it after a minute."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(SECONDS_MAX):
                await test(*args, **kwargs)

        asyncio.run(bounded())

    return run
