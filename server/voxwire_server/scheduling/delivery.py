"""Delivers outputs from worker threads to the event loop: one call of the loop for all that gathered meanwhile."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Hashable, Sequence

    from voxwire_server.scheduling.request import RequestOutput

logger = logging.getLogger(__name__)

DELIVER_SECONDS = 0.002
"""Outputs are delivered for about this long in one call of the loop; the rest waits for the next call."""


class OutputDelivery:
    """Outputs that are not delivered yet, by context in the order of their steps.

    `deliver` is called on the event loop with the outputs of one context; `wake` has a function called there. `lock` is
    the runner's, held by its workers for a moment at a time.
    """

    def __init__(
        self,
        deliver: Callable[[list[RequestOutput]], None],
        wake: Callable[[Callable[[], None]], object],
        clock: Callable[[], float],
        lock: threading.Lock,
    ) -> None:
        self.deliver = deliver
        self._wake = wake
        self._clock = clock
        self._lock = lock
        self._waiting: dict[Hashable, list[RequestOutput]] = {}
        self._loop_called = False

    def add(self, outputs: Sequence[RequestOutput]) -> bool:
        """Add outputs, under the lock. Returns whether `call_loop` has to be called, after the lock is released."""
        if not outputs:
            return False
        for output in outputs:
            self._waiting.setdefault(output.request.context_key, []).append(output)
        called, self._loop_called = self._loop_called, True
        return not called

    def drop(self, context_key: Hashable) -> None:
        """Drop a context's outputs, under the lock."""
        self._waiting.pop(context_key, None)

    def clear(self) -> None:
        """Drop all outputs, under the lock."""
        self._waiting.clear()

    def call_loop(self) -> None:
        """Have the event loop deliver what waits."""
        try:
            self._wake(self._deliver_waiting)
        except RuntimeError:
            logger.warning("the event loop is closed; outputs are dropped")

    def _deliver_waiting(self) -> None:
        """Deliver context by context, for `DELIVER_SECONDS`."""
        ends_at = self._clock() + DELIVER_SECONDS
        while True:
            with self._lock:
                if not self._waiting:
                    self._loop_called = False
                    return
                outputs = self._waiting.pop(next(iter(self._waiting)))
            try:
                self.deliver(outputs)
            except Exception as error:
                logger.error("outputs could not be delivered", exc_info=without_message(error))
            if self._clock() >= ends_at:
                self.call_loop()
                return


def without_message(error: BaseException) -> BaseException:
    """An error for logs with the type and traceback of `error`, but not its message, which may quote text of a user."""
    return RuntimeError(type(error).__name__).with_traceback(error.__traceback__)
