"""Reads back what a frame block would put on a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from voxwire_protocol.audio import AudioFrame, Flag, unpack_frame

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voxwire_server.audio.framing import FrameBlock


def websocket_prefix(length: int) -> bytes:
    """The header of an unmasked binary WebSocket frame."""
    if length < 126:
        return bytes((0x82, length))
    return bytes((0x82, 126)) + length.to_bytes(2, "big")


def read_wire(data: bytes | memoryview) -> list[AudioFrame]:
    """The frames in a run of WebSocket frames; nothing may be left over."""
    data, at, frames = bytes(data), 0, []
    while at < len(data):
        assert data[at] == 0x82
        length, begin = data[at + 1], at + 2
        if length == 126:
            length, begin = int.from_bytes(data[at + 2 : at + 4], "big"), at + 4
        at = begin + length
        assert at <= len(data)
        frames.append(unpack_frame(data[begin:at]))
    return frames


def frames_of(blocks: Iterable[FrameBlock | None]) -> list[AudioFrame]:
    """All frames of some blocks."""
    return [frame for block in blocks if block is not None for frame in read_wire(block.wire(0, block.count))]


def assert_numbered(frames: list[AudioFrame], frame_samples: int) -> None:
    """No gap and no repeat in seq, contiguous pts, and FIRST and LAST in turn."""
    open_utterance = False
    for i, frame in enumerate(frames):
        assert frame.seq == i
        assert frame.pts == i * frame_samples
        assert bool(frame.flags & Flag.FIRST) is not open_utterance
        open_utterance = not frame.flags & Flag.LAST
    assert not open_utterance


def speech_like(samples: int, sample_rate: int = 24000, seed: int = 0) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """A gliding harmonic tone with syllables and a little breath, float32, within [-1, 1]."""
    t = np.arange(samples) / sample_rate
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.7 * t)) / sample_rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 20))
    breath = np.random.default_rng(seed).standard_normal(samples) * 0.05
    loudness = 0.55 - 0.45 * np.cos(2 * np.pi * 4 * t)
    return ((0.25 * voice + breath) * loudness).clip(-1, 1).astype(np.float32)
