"""Keeps what a session sent and its client has not acknowledged, to be sent again after a dropped connection. Pure.

WebSocket delivers in order: a client that has received an audio frame has received everything sent before it. So the
whole session is one sequence of messages and frames, and a single position says how much of it arrived.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_protocol.messages import Timing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
