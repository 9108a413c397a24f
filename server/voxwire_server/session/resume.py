"""What resuming takes: the tokens that may resume a session, and what it sent that was not acknowledged. Pure."""

from __future__ import annotations

import hmac
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_protocol.messages import Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from voxwire_protocol.messages import ServerMessage
    from voxwire_server.audio.framing import FrameBlock

MESSAGE_BYTES = 1024
TIMING_BYTES = 256
"""Bytes that a message counts for, and each word or phoneme of a `timing` besides: what CPython takes for them."""


def message_bytes(message: ServerMessage) -> int:
    """What a server message takes in memory, about."""
    if isinstance(message, Timing):
        return MESSAGE_BYTES + TIMING_BYTES * (len(message.words) + len(message.phonemes) + len(message.visemes))
    return MESSAGE_BYTES


@dataclass(frozen=True, slots=True)
class Frames:
    """The audio frames [start, stop) of a block."""

    block: FrameBlock
    start: int
    stop: int


@dataclass(slots=True)
class _Kept:
    position: int
    at: float
    bytes: int
    item: ServerMessage | Frames

    @property
    def count(self) -> int:
        return self.item.stop - self.item.start if isinstance(self.item, Frames) else 1


class ReplayLog:
    """The newest part of what was sent, at most `bytes_max` bytes and `seconds_max` seconds old."""

    def __init__(self, bytes_max: int, seconds_max: float) -> None:
        self._bytes_max = bytes_max
        self._seconds_max = seconds_max
        self._kept: deque[_Kept] = deque()
        self.bytes = 0
        self.position = 0
        """How many messages and frames were sent in all."""
        self._acknowledged = 0

    def message(self, message: ServerMessage, now: float) -> None:
        """A message was sent."""
        self._keep(_Kept(self.position, now, message_bytes(message), message))

    def frames(self, block: FrameBlock, start: int, stop: int, now: float) -> None:
        """Audio frames were sent."""
        self._keep(_Kept(self.position, now, len(block.wire(start, stop)), Frames(block, start, stop)))

    def acknowledged(self, context_number: int, seq: int) -> None:
        """The client has received frame `seq` of a context, and so everything before."""
        position = self._position_after({context_number: seq})
        if position is not None:
            self._acknowledged = position
            self._forget_before(position)

    def position_of(self, received: int | None, frames: Mapping[int, int]) -> int | None:
        """Where to go on for a client that received so many messages and frames, or (if None) these newest frames.

        None: what it needs is not kept any more, or was never sent.
        """
        if received is None:
            received = self._position_after(frames) or (self._acknowledged if frames else 0)
        return received if self._first <= received <= self.position else None

    def since(self, position: int) -> Iterator[ServerMessage | Frames]:
        """Everything from a position on, in order; the position is one that `position_of` returned."""
        for kept in self._kept:
            skipped = position - kept.position
            if skipped <= 0:
                yield kept.item
            elif skipped < kept.count:
                assert isinstance(kept.item, Frames)
                yield Frames(kept.item.block, kept.item.start + skipped, kept.item.stop)

    def clear(self) -> None:
        """Keep nothing: the session is over."""
        self._kept.clear()
        self.bytes = 0

    @property
    def _first(self) -> int:
        return self._kept[0].position if self._kept else self.position

    def _position_after(self, frames: Mapping[int, int]) -> int | None:
        """The position after the newest of the given frames; None if none of them is kept."""
        for kept in reversed(self._kept):
            item = kept.item
            if isinstance(item, Frames) and (seq := frames.get(item.block.context_number)) is not None:
                first = item.block.first_seq + item.start
                if first <= seq < first + kept.count:
                    return kept.position + seq - first + 1
        return None

    def _keep(self, kept: _Kept) -> None:
        self._kept.append(kept)
        self.position += kept.count
        self.bytes += kept.bytes
        oldest = self._kept[0]
        while self.bytes > self._bytes_max or oldest.at < kept.at - self._seconds_max:
            self.bytes -= self._kept.popleft().bytes
            if not self._kept:
                break
            oldest = self._kept[0]

    def _forget_before(self, position: int) -> None:
        while self._kept and self._kept[0].position + self._kept[0].count <= position:
            self.bytes -= self._kept.popleft().bytes
        if self._kept and self._kept[0].position < position:
            head = self._kept[0]
            assert isinstance(head.item, Frames)
            skipped = position - head.position
            head.item = Frames(head.item.block, head.item.start + skipped, head.item.stop)
            head.position = position


USES_MAX = 16
"""How often one token is accepted at most: so many answers in a row are very rarely lost within the resume window."""


class ResumeTokens:
    """`current` is the token that the client has, or will have once it has received `resumed`."""

    def __init__(self, make: Callable[[], str]) -> None:
        """`make` gives a new secret each time."""
        self._make = make
        self.current = make()
        self._used: str | None = None
        self._uses = 0
        self._arrived = False

    def redeem(self, token: str) -> bool:
        """Use a token. True if it was accepted; `current` is then a new one."""
        if _same(self.current, token):
            self._used, self._uses = self.current, 0
        elif self._used is None or not _same(self._used, token) or not self._once_more():
            return False
        self._uses += 1
        self._arrived = False
        self.current = self._make()
        return True

    def _once_more(self) -> bool:
        return self._uses == 1 or (not self._arrived and self._uses < USES_MAX)

    def arrived(self) -> None:
        """The client answered the ping after the newest `resumed`: that `resumed` has reached it."""
        self._arrived = True

    def confirm(self) -> None:
        """The client has sent a message after `resumed`, so it has the current token; the one before is refused now."""
        self._used = None


def _same(known: str, given: str) -> bool:
    return hmac.compare_digest(known.encode(), given.encode("utf-8", "surrogatepass"))
