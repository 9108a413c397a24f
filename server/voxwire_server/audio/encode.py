"""Opus: turns audio frames of 16-bit PCM into packets (libopus, which releases the GIL while it works)."""

from __future__ import annotations

import ctypes
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from opuslib_next import APPLICATION_AUDIO, OpusError
from opuslib_next import api as opus_api
from opuslib_next.api import ctl, encoder

from voxwire_server.audio.framing import (
    FrameBlock,
    PacketBlock,
    RecordBlock,
    lookahead_samples,
    no_prefix,
    packet_block,
)

if TYPE_CHECKING:
    from voxwire_protocol.messages import AudioFormat
    from voxwire_server.audio.framing import Prefix

BITRATE_DEFAULT = 24_000
PACKET_BYTES_MAX = 4000
"""What the libopus manual recommends for one packet; at 60 ms and the highest bitrate it stays below."""


def _opus_encode() -> Any:
    """libopus' own encode function; the wrapper's copies each packet three times through Python objects."""
    function = opus_api.libopus["opus_encode"]
    function.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_int32)
    function.restype = ctypes.c_int32
    return function


class OpusPackets:
    """A libopus encoder: mono 16-bit PCM in, one packet a frame. One call at a time, from any thread.

    libopus' application is "audio": it chooses CELT where the bitrate allows, at a third of the cost of "voip" and no
    further from the original (decisions/0004). Constrained variable bitrate, no DTX.
    """

    def __init__(self, sample_rate: int, bitrate: int, complexity: int = 5) -> None:
        assert 0 <= complexity <= 10
        self._encode = _opus_encode()
        self._packet = ctypes.create_string_buffer(PACKET_BYTES_MAX)
        self.state = encoder.create_state(sample_rate, 1, APPLICATION_AUDIO)
        weakref.finalize(self, encoder.destroy, self.state)
        self._pointer = ctypes.cast(self.state, ctypes.c_void_p)
        self.set_bitrate(bitrate)
        self._control(ctl.set_complexity, complexity)
        self._control(ctl.set_dtx, 0)
        self.lookahead_samples = int(encoder.encoder_ctl(self.state, ctl.get_lookahead))
        """How many samples the decoded signal lags behind."""

    def set_bitrate(self, bitrate: int) -> None:
        """Aim at another bitrate, in bits a second."""
        self._control(ctl.set_bitrate, bitrate)

    def encode(self, pcm: bytes) -> bytes:
        """The packet of one frame of little-endian samples.

        Raises:
            OpusError: libopus refused it.
        """
        samples = np.frombuffer(pcm, "<i2").astype(np.int16, copy=False)
        return self.encode_at(samples.ctypes.data, len(samples))

    def encode_at(self, address: int, samples: int) -> bytes:
        """The packet of the frame that lies at `address`, in native byte order.

        Raises:
            OpusError: libopus refused it.
        """
        size = self._encode(self._pointer, address, samples, self._packet, PACKET_BYTES_MAX)
        if size < 0:
            raise OpusError(size)
        return ctypes.string_at(self._packet, size)

    def _control(self, request: Any, value: int) -> None:
        encoder.encoder_ctl(self.state, request, value)


class OpusStream:
    """One context's Opus encoder.

    Blocks must come in order, each frame once; one call of `encode` at a time, from any thread. `set_bitrate` may be
    called at any moment. The same frames and bitrates give the same packets.
    """

    def __init__(self, format: AudioFormat, complexity: int = 5, prefix: Prefix = no_prefix) -> None:
        assert format.codec == "opus"
        self._prefix = prefix
        self._frame_samples = int(format.frame_samples)
        self._lookahead_samples = lookahead_samples(format)
        self._bitrate = self._bitrate_wanted = format.bitrate or BITRATE_DEFAULT
        self.packets = OpusPackets(format.sample_rate, self._bitrate, complexity)

    @property
    def lookahead_samples(self) -> int:
        """How many samples the decoded signal lags behind the frames' pts, at the format's rate."""
        return self._lookahead_samples

    def set_bitrate(self, bitrate: int) -> None:
        """Aim at another bitrate, in bits a second, from the next `encode` on."""
        self._bitrate_wanted = bitrate

    def encode(self, block: FrameBlock, start: int, stop: int) -> PacketBlock:
        """Frames [start, stop) of a PCM block as packets, with the same numbers, pts and flags.

        Raises:
            OpusError: libopus refused a frame or a bitrate.
        """
        assert isinstance(block, RecordBlock)
        assert block.codec == "pcm_s16le"
        assert block.frame_samples == self._frame_samples
        wanted = self._bitrate_wanted
        if wanted != self._bitrate:
            self.packets.set_bitrate(wanted)
            self._bitrate = wanted
        pcm = np.ascontiguousarray(block.payloads(start, stop)).view("<i2").astype(np.int16, copy=False)
        address, step = pcm.ctypes.data, pcm.strides[0]
        packets = [self.packets.encode_at(address + i * step, self._frame_samples) for i in range(stop - start)]
        return packet_block(block, start, stop, packets, self._prefix)
