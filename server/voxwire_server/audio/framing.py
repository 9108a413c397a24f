"""Cuts an utterance's samples into audio frames of one length, a whole chunk at once, ready to write to a socket.

Nothing here knows a transport: what a transport puts in front of each message comes in as a `Prefix` and is laid down
between the frames, so that many frames go out in one write without being touched again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from voxwire_protocol.audio import HEADER, KIND_AUDIO, Flag
from voxwire_server.audio.samples import Codes, to_codes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from voxwire_protocol.messages import AudioFormat, Codec

Prefix = Callable[[int], bytes]
"""The bytes in front of a message of a given length; the same for equal lengths."""

HEADER_DTYPE = np.dtype([("kind", "u1"), ("flags", "u1"), ("context", "<u2"), ("seq", "<u4"), ("pts", "<u8")])
assert HEADER_DTYPE.itemsize == HEADER.size
_FLAGS_AT = 1
"""Where the flags stand in a header."""


def no_prefix(_length: int) -> bytes:
    """For a transport that frames messages itself."""
    return b""


@dataclass(slots=True, eq=False, kw_only=True)
class FrameBlock(ABC):
    """`count` audio frames in a row, of one context and one utterance. Never changes once it is built.

    Frame i has the number `first_seq + i` and begins at `first_pts + i * frame_samples`. `first` and `last` say whether
    the block holds the first or last frame of its utterance. `codec` is that of the payloads: blocks of an Opus stream
    are "pcm_s16le" until `OpusStream.encode` has made packets of them.
    """

    context_number: int
    first_seq: int
    first_pts: int
    frame_samples: int
    count: int
    first: bool
    last: bool
    codec: Codec
    replayed: bool = False

    def flags(self, i: int) -> Flag:
        """The flags of frame i."""
        flags = _flags(self.first and i == 0, self.last and i == self.count - 1)
        return flags | Flag.REPLAYED if self.replayed else flags

    def again(self, start: int, stop: int) -> FrameBlock:
        """Frames [start, stop) as a block of their own, marked as replayed."""
        return replace(
            self,
            first_seq=self.first_seq + start,
            first_pts=self.first_pts + start * self.frame_samples,
            count=stop - start,
            first=self.first and start == 0,
            last=self.last and stop == self.count,
            replayed=True,
            **self._records_again(start, stop),
        )

    @abstractmethod
    def _records_again(self, start: int, stop: int) -> dict[str, Any]:
        """The fields that hold the records of frames [start, stop), with the flag set in their headers."""

    @abstractmethod
    def wire(self, start: int, stop: int) -> bytes | memoryview:
        """Frames [start, stop), prefixes included, ready to be written."""

    @abstractmethod
    def message(self, i: int) -> bytes:
        """Frame i as one message: header and payload, no prefix."""

    @abstractmethod
    def payload(self, i: int) -> bytes:
        """The encoded audio of frame i."""

    def messages(self, start: int, stop: int) -> Iterator[bytes]:
        """Frames [start, stop) as messages."""
        return map(self.message, range(start, stop))


@dataclass(slots=True, eq=False, kw_only=True)
class RecordBlock(FrameBlock):
    """Frames whose payloads have one length: records of `stride` bytes without a gap, prefix, header, payload."""

    records: memoryview
    stride: int
    prefix_bytes: int

    def wire(self, start: int, stop: int) -> memoryview:
        """Frames [start, stop), prefixes included, without a copy."""
        return self.records[start * self.stride : stop * self.stride]

    def message(self, i: int) -> bytes:
        """Frame i as one message."""
        return bytes(self.records[i * self.stride + self.prefix_bytes : (i + 1) * self.stride])

    def payload(self, i: int) -> bytes:
        """The samples of frame i, encoded."""
        return bytes(self.records[i * self.stride + self.prefix_bytes + HEADER.size : (i + 1) * self.stride])

    def _records_again(self, start: int, stop: int) -> dict[str, Any]:
        rows = np.frombuffer(self.wire(start, stop), np.uint8).reshape(stop - start, self.stride).copy()
        rows[:, self.prefix_bytes + _FLAGS_AT] |= int(Flag.REPLAYED)
        return {"records": rows.reshape(-1).data.toreadonly()}

    def payloads(self, start: int, stop: int) -> NDArray[np.uint8]:
        """The payloads of frames [start, stop), shape [stop - start, payload bytes]."""
        rows = np.frombuffer(self.wire(start, stop), np.uint8).reshape(stop - start, self.stride)
        return rows[:, self.prefix_bytes + HEADER.size :]


@dataclass(slots=True, eq=False, kw_only=True)
class PacketBlock(FrameBlock):
    """Frames whose payloads differ in length: one record a frame, and the length of its prefix."""

    records: Sequence[bytes]
    prefix_bytes: Sequence[int]

    def wire(self, start: int, stop: int) -> bytes:
        """Frames [start, stop), prefixes included."""
        return b"".join(self.records[start:stop])

    def message(self, i: int) -> bytes:
        """Frame i as one message."""
        return self.records[i][self.prefix_bytes[i] :]

    def _records_again(self, start: int, stop: int) -> dict[str, Any]:
        records = [bytearray(record) for record in self.records[start:stop]]
        for record, prefix_bytes in zip(records, self.prefix_bytes[start:stop], strict=True):
            record[prefix_bytes + _FLAGS_AT] |= Flag.REPLAYED
        return {"records": [bytes(record) for record in records], "prefix_bytes": self.prefix_bytes[start:stop]}

    def payload(self, i: int) -> bytes:
        """The packet of frame i."""
        return self.records[i][self.prefix_bytes[i] + HEADER.size :]


def packet_block(source: FrameBlock, start: int, stop: int, packets: Sequence[bytes], prefix: Prefix) -> PacketBlock:
    """The frames [start, stop) of `source` with other payloads: their packets, one a frame."""
    assert len(packets) == stop - start
    records, prefix_bytes = [], []
    for i, packet in enumerate(packets, start):
        head = prefix(HEADER.size + len(packet))
        pts = source.first_pts + i * source.frame_samples
        header = HEADER.pack(KIND_AUDIO, source.flags(i), source.context_number, source.first_seq + i, pts)
        records.append(b"".join((head, header, packet)))
        prefix_bytes.append(len(head))
    return PacketBlock(
        context_number=source.context_number,
        first_seq=source.first_seq + start,
        first_pts=source.first_pts + start * source.frame_samples,
        frame_samples=source.frame_samples,
        count=stop - start,
        first=source.first and start == 0,
        last=source.last and stop == source.count,
        codec="opus",
        records=records,
        prefix_bytes=prefix_bytes,
    )


class Framer:
    """One context's frames: numbers them, keeps its clock, marks where utterances begin and end. Not thread-safe.

    The last frame, whole or not, is held back until more samples come or the utterance ends, so that it can be marked.
    An utterance ends with silence up to a whole frame, and for Opus at least as much as the codec delays the signal,
    so that a decoder gives the last sample too. So every frame has one length and pts is always seq * frame_samples.
    """

    def __init__(self, context_number: int, format: AudioFormat, prefix: Prefix = no_prefix) -> None:
        self._context_number = context_number
        self._codec: Codec = format.codec
        self._frame_samples = int(format.frame_samples)
        self._block_codec: Codec = "pcm_s16le" if format.codec == "opus" else format.codec
        self._silence = to_codes(self._codec, np.zeros(1, np.float32))[0]
        self._tail = lookahead_samples(format)
        payload_bytes = self._frame_samples * self._silence.itemsize
        self._head = np.frombuffer(b"" if format.codec == "opus" else prefix(HEADER.size + payload_bytes), np.uint8)
        self._stride = len(self._head) + HEADER.size + payload_bytes
        self._held: Codes = self._nothing()
        self._first = True
        self._samples = 0
        self._seq = 0

    @property
    def seq(self) -> int:
        """The number of the next frame."""
        return self._seq

    @property
    def pts(self) -> int:
        """Where the next sample pushed will stand on the context's clock."""
        return self._seq * self._frame_samples + len(self._held)

    @property
    def samples(self) -> int:
        """How many samples were pushed so far: the speech, without the silence that fills frames."""
        return self._samples

    def push(self, samples: NDArray[np.float32], *, ends_utterance: bool = False) -> FrameBlock | None:
        """Take samples at the output rate, shape [n]; returns the frames that are now complete, if any.

        With `ends_utterance` these are all that is left of it, the last one marked; None if it held nothing at all.
        """
        codes = to_codes(self._codec, samples) if len(samples) else self._nothing()
        self._samples += len(codes)
        if len(self._held):
            codes = np.concatenate([self._held, codes])
        if ends_utterance:
            count = -(-(len(codes) + self._tail) // self._frame_samples) if len(codes) else 0
            silence = np.full(count * self._frame_samples - len(codes), self._silence)
            codes = np.concatenate([codes, silence])
        else:
            count = max(0, len(codes) - 1) // self._frame_samples
        block = self._build(codes, count, last=ends_utterance) if count else None
        self._held = codes[count * self._frame_samples :].copy()
        self._first = ends_utterance or (self._first and not count)
        self._seq += count
        return block

    def _nothing(self) -> Codes:
        return np.zeros(0, self._silence.dtype)

    def _build(self, codes: Codes, count: int, *, last: bool) -> RecordBlock:
        size, head_bytes = self._frame_samples, len(self._head)
        first_pts = self._seq * size
        header = np.empty(count, HEADER_DTYPE)
        header["kind"] = KIND_AUDIO
        header["flags"] = 0
        header["flags"][0] |= _flags(self._first, False)
        header["flags"][-1] |= _flags(False, last)
        header["context"] = self._context_number
        header["seq"] = np.arange(self._seq, self._seq + count)
        header["pts"] = np.arange(first_pts, first_pts + count * size, size)
        rows = np.empty((count, self._stride), np.uint8)
        rows[:, :head_bytes] = self._head
        rows[:, head_bytes : head_bytes + HEADER.size] = header.view(np.uint8).reshape(count, HEADER.size)
        rows[:, head_bytes + HEADER.size :] = codes[: count * size].view(np.uint8).reshape(count, -1)
        return RecordBlock(
            context_number=self._context_number,
            first_seq=self._seq,
            first_pts=first_pts,
            frame_samples=size,
            count=count,
            first=self._first,
            last=last,
            codec=self._block_codec,
            records=rows.reshape(-1).data.toreadonly(),
            stride=self._stride,
            prefix_bytes=head_bytes,
        )


def lookahead_samples(format: AudioFormat) -> int:
    """How many samples a decoder's output lags behind the frames' pts: 6.5 ms for Opus, else none.

    libopus: 2.5 ms of overlap and 4 ms of delay compensation for every application but the low-delay one.
    """
    return format.sample_rate * 13 // 2000 if format.codec == "opus" else 0


def _flags(first: bool, last: bool) -> Flag:
    flags = Flag(0)
    if first:
        flags |= Flag.FIRST
    if last:
        flags |= Flag.LAST
    return flags
