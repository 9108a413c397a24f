"""A `Proxy` on a loop and a thread of its own: for a test that waits for a program meanwhile."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from support.tcp_proxy import Proxy


class Lines:
    """Inside `with` the proxy takes connections to `port`. What a test does to it counts for the bytes that come."""

    def __init__(self, port: int) -> None:
        self.loop = asyncio.new_event_loop()
        self.proxy = Proxy(port)
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxy")

    def __enter__(self) -> Proxy:
        self._thread.start()
        self._do(self.proxy.__aenter__())
        return self.proxy

    def __exit__(self, *_: object) -> None:
        self._do(self.proxy.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _do(self, work: Coroutine[Any, Any, Any]) -> None:
        asyncio.run_coroutine_threadsafe(work, self.loop).result(30)
