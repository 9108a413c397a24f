"""The audio frame: sixteen bytes of header, then the payload; the same in both encodings."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntFlag

from voxwire_protocol.errors import ErrorCode, ProtocolError

HEADER = struct.Struct("<BBHIQ")
"""Little endian: kind u8, flags u8, context number u16, seq u32, pts u64."""

KIND_AUDIO = 1


class Flag(IntFlag):
    """What is special about a frame."""

    FIRST = 1
    """First of an utterance."""
    LAST = 2
    """Last of an utterance."""
    REPLAYED = 4
    """Sent again after a resume."""


NO_FLAGS = Flag(0)


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """One audio frame. `seq` counts from 0 in each context; `pts` is its first sample on the context's clock."""

    context_number: int
    seq: int
    pts: int
    payload: bytes
    flags: Flag = NO_FLAGS


def pack_frame(frame: AudioFrame) -> bytes:
    """The frame as one binary message."""
    return HEADER.pack(KIND_AUDIO, frame.flags, frame.context_number, frame.seq, frame.pts) + frame.payload


def unpack_frame(raw: bytes | bytearray | memoryview) -> AudioFrame:
    """The frame in a binary message.

    Raises:
        ProtocolError: client.malformed_message; the message is shorter than a header or of another kind.
    """
    if len(raw) < HEADER.size:
        raise ProtocolError(ErrorCode.MALFORMED_MESSAGE, f"an audio frame has {HEADER.size} bytes at least")
    kind, flags, number, seq, pts = HEADER.unpack_from(raw)
    if kind != KIND_AUDIO:
        raise ProtocolError(ErrorCode.MALFORMED_MESSAGE, f"kind {kind} is no audio frame")
    return AudioFrame(number, seq, pts, bytes(raw[HEADER.size :]), Flag(flags & 0x07))


def is_audio_frame(raw: bytes | bytearray | memoryview) -> bool:
    """Whether a binary message is an audio frame; no MessagePack map starts with its first byte."""
    return len(raw) > 0 and raw[0] == KIND_AUDIO
