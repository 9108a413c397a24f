"""Opus packets: they decode to the speech, with the frames' own numbers and clock."""

from __future__ import annotations

import gc
from itertools import pairwise

import numpy as np
import pytest
from opuslib_next import Decoder
from opuslib_next.api import ctl, encoder

from support.frames import assert_numbered, frames_of, read_wire, speech_like, websocket_prefix
from voxwire_protocol.audio import unpack_frame
from voxwire_protocol.messages import AudioFormat
from voxwire_server.audio.encoder_pool import OpusStream
from voxwire_server.audio.framing import FrameBlock, Framer, lookahead_samples

RATES = (8000, 12000, 16000, 24000, 48000)


def opus(sample_rate: int = 24000, frame_ms: int = 20, bitrate: int | None = None) -> AudioFormat:
    return AudioFormat(codec="opus", sample_rate=sample_rate, frame_ms=frame_ms, bitrate=bitrate)


def pcm_block(format: AudioFormat, samples: np.ndarray, number: int = 0) -> FrameBlock:
    block = Framer(number, format).push(samples, ends_utterance=True)
    assert block is not None
    return block


def decode(packets: list[bytes], format: AudioFormat) -> np.ndarray:
    decoder = Decoder(format.sample_rate, 1)
    pcm = b"".join(decoder.decode(packet, format.frame_samples) for packet in packets)
    return np.frombuffer(pcm, np.int16).astype(np.float64)


def glide(samples: int, sample_rate: int) -> np.ndarray:
    """A loud tone that rises from 500 to 1500 Hz: above the high-pass of Opus' voice mode, which shifts phases."""
    t = np.arange(samples) / sample_rate
    return (0.5 * np.sin(2 * np.pi * (500 * t + 500 * t * t))).astype(np.float32)


def packets_of(block: FrameBlock) -> list[bytes]:
    return [block.payload(i) for i in range(block.count)]


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
@pytest.mark.parametrize("sample_rate", RATES)
def test_packets_decode_to_the_signal_in_its_place_up_to_its_last_sample(sample_rate: int, frame_ms: int) -> None:
    format = opus(sample_rate, frame_ms, 48000)
    said = glide(sample_rate + 77, sample_rate)
    stream = OpusStream(format)
    raw = pcm_block(format, said)
    heard = decode(packets_of(stream.encode(raw, 0, raw.count)), format)
    lags = range(2 * stream.lookahead_samples)
    likeness = [np.dot(heard[lag:][: len(said) // 2], said[: len(said) // 2]) for lag in lags]
    assert int(np.argmax(likeness)) == pytest.approx(stream.lookahead_samples, abs=sample_rate / 8000)
    end = stream.lookahead_samples + len(said)
    assert end <= len(heard)
    last = slice(-sample_rate // 200, None)
    assert np.corrcoef(heard[:end][last], said[last])[0, 1] > 0.8


@pytest.mark.parametrize("sample_rate", RATES)
def test_the_lookahead_is_libopus_own(sample_rate: int) -> None:
    stream = OpusStream(opus(sample_rate))
    assert encoder.encoder_ctl(stream.packets.state, ctl.get_lookahead) == stream.lookahead_samples
    assert lookahead_samples(opus(sample_rate)) == stream.lookahead_samples
    assert lookahead_samples(AudioFormat(codec="pcm_s16le")) == 0


def test_the_encoder_is_set_up_as_documented() -> None:
    state = OpusStream(opus(bitrate=17000), complexity=3).packets.state
    values = [
        encoder.encoder_ctl(state, request)
        for request in (ctl.get_bitrate, ctl.get_complexity, ctl.get_dtx, ctl.get_vbr, ctl.get_vbr_constraint)
    ]
    assert values == [17000, 3, 0, 1, 1]


def test_encoding_in_parts_gives_the_same_packets() -> None:
    raw = pcm_block(opus(), speech_like(24000), number=9)
    whole = OpusStream(opus(), prefix=websocket_prefix).encode(raw, 0, raw.count)
    stream = OpusStream(opus(), prefix=websocket_prefix)
    edges = [0, 1, 1, 6, 20, raw.count]
    parts = [stream.encode(raw, a, b) for a, b in pairwise(edges)]
    frames = frames_of(parts)
    assert frames == read_wire(whole.wire(0, whole.count))
    assert_numbered(frames, 480)
    assert {frame.context_number for frame in frames} == {9}
    assert [part.count for part in parts] == [1, 0, 5, 14, raw.count - 20]


def test_parts_of_a_packet_block_are_the_same_frames() -> None:
    quiet_then_loud = np.concatenate([np.zeros(24000, np.float32), speech_like(24000)])
    raw = pcm_block(opus(bitrate=64000), quiet_then_loud)
    block = OpusStream(opus(bitrate=64000), prefix=websocket_prefix).encode(raw, 2, raw.count)
    frames = read_wire(block.wire(0, block.count))
    assert len({len(websocket_prefix(16 + len(frame.payload))) for frame in frames}) > 1
    assert frames_of([block]) == [unpack_frame(message) for message in block.messages(0, block.count)]
    assert packets_of(block) == [frame.payload for frame in frames]
    assert [block.flags(i) for i in range(block.count)] == [frame.flags for frame in frames]
    assert (block.first_seq, block.first_pts, block.codec) == (2, 960, "opus")
    assert read_wire(block.wire(3, 5)) == frames[3:5]


def test_the_bitrate_changes_while_speaking() -> None:
    raw = pcm_block(opus(bitrate=12000), speech_like(96000))
    stream = OpusStream(opus(bitrate=12000))
    low = stream.encode(raw, 0, 100)
    stream.set_bitrate(48000)
    high = stream.encode(raw, 100, 200)
    low_bps, high_bps = (8 * sum(map(len, packets_of(block))) / 2 for block in (low, high))
    assert 6000 < low_bps < 15000
    assert 36000 < high_bps < 54000
    assert high.first_seq == 100
    assert len(decode(packets_of(low) + packets_of(high), opus())) == 200 * 480


def test_silence_is_still_sent() -> None:
    raw = pcm_block(opus(), np.zeros(48000, np.float32))
    block = OpusStream(opus()).encode(raw, 0, raw.count)
    assert min(map(len, packets_of(block))) > 2, "one or two bytes would be DTX"


def test_an_encoder_that_is_dropped_frees_its_state() -> None:
    freed = []
    destroy = encoder.destroy
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "destroy", lambda state: (freed.append(True), destroy(state)))
        stream = OpusStream(opus())
        del stream
        gc.collect()
    assert freed == [True]
