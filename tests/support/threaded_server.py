"""A scripted server in a thread, for callers that wait: `with serving(script) as url: ...`."""

from __future__ import annotations

import asyncio
import contextlib
import threading

from support.scripted_server import scripted


@contextlib.contextmanager
def serving(*scripts, **options):
    """Serve as `scripted` does; yields the URL."""
    loop, urls, over = asyncio.new_event_loop(), [], asyncio.Event()
    up, problems = threading.Event(), []

    async def run():
        async with scripted(*scripts, **options) as url:
            urls.append(url)
            up.set()
            await over.wait()

    def work():
        try:
            loop.run_until_complete(run())
        except Exception as error:
            problems.append(error)
        finally:
            up.set()
            loop.close()

    thread = threading.Thread(target=work)
    thread.start()
    assert up.wait(10)
    try:
        yield urls[0]
    finally:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(over.set)
        thread.join(10)
    for problem in problems:
        raise problem
