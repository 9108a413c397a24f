"""The application in this process, without a socket: a tone engine, real threads, real sessions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from voxwire_server.app import Application
from voxwire_server.config import load_config
from voxwire_server.engines.tone import create as create_tone


@contextlib.asynccontextmanager
async def running(**flags: object) -> AsyncIterator[Application]:
    """A started application that speaks with the tone engine; `flags` are configuration keys, `__` for the dot."""
    given = {name.replace("__", "."): value for name, value in flags.items()}
    settings = {"engines.enabled": "tone", "engines.default": "tone", "scheduling.utilisation_max": 100}
    application = Application(load_config(flags=settings | given), {"tone": create_tone()})
    await application.start()
    try:
        async with asyncio.timeout(20):
            while not application.ready:  # noqa: ASYNC110 - asked as a probe asks
                await asyncio.sleep(0.005)
        yield application
    finally:
        await application.stop()
