"""Audio frames: numbers, clock, flags and bytes, whatever the chunks were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.frames import assert_numbered, frames_of, read_wire, speech_like, websocket_prefix
from voxwire_protocol.audio import Flag, unpack_frame
from voxwire_protocol.messages import AudioFormat
from voxwire_server.audio.framing import Framer, RecordBlock
from voxwire_server.audio.samples import to_codes

FORMATS = [
    AudioFormat(codec="pcm_s16le", sample_rate=24000, frame_ms=20),
    AudioFormat(codec="pcm_s16le", sample_rate=22050, frame_ms=20),
    AudioFormat(codec="pcm_s16le", sample_rate=48000, frame_ms=60),
    AudioFormat(codec="mulaw", sample_rate=8000, frame_ms=10),
    AudioFormat(codec="alaw", sample_rate=8000, frame_ms=20),
]
PCM = FORMATS[0]


def silence(samples: int) -> np.ndarray:
    return np.zeros(samples, np.float32)


def push_split(framer: Framer, samples: np.ndarray, sizes: list[int]) -> list[RecordBlock | None]:
    """Push an utterance in chunks of the given sizes, the rest as one, and end it."""
    blocks, at = [], 0
    for size in sizes:
        blocks.append(framer.push(samples[at : at + size]))
        at += size
    blocks.append(framer.push(samples[at:]))
    blocks.append(framer.push(silence(0), ends_utterance=True))
    return blocks  # type: ignore[return-value]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(FORMATS),
    st.lists(st.tuples(st.integers(0, 6000), st.lists(st.integers(0, 2000), max_size=8)), max_size=4),
)
def test_any_split_gives_the_same_numbered_frames(format: AudioFormat, utterances: list[tuple[int, list[int]]]) -> None:
    split, whole = (Framer(7, format, websocket_prefix) for _ in range(2))
    split_blocks, whole_blocks, speech, lengths = [], [], [], []
    for length, sizes in utterances:
        samples = speech_like(length, format.sample_rate, seed=length)
        split_blocks += push_split(split, samples, sizes)
        whole_blocks.append(whole.push(samples, ends_utterance=True))
        codes = to_codes(format.codec, samples).tobytes()
        speech.append(codes)
        lengths.append(length)
    frames = frames_of(split_blocks)
    assert frames == frames_of(whole_blocks)
    assert_numbered(frames, format.frame_samples)
    assert {frame.context_number for frame in frames} <= {7}
    assert [frame.flags & Flag.LAST for frame in frames].count(Flag.LAST) == sum(length > 0 for length in lengths)
    assert split.samples == sum(lengths)
    assert split.pts == len(frames) * format.frame_samples
    assert split.seq == len(frames)
    payload = b"".join(frame.payload for frame in frames)
    at = 0
    for codes in speech:
        assert payload[at : at + len(codes)] == codes
        at += -(-len(codes) // len(frames[0].payload)) * len(frames[0].payload) if codes else 0
    assert at == len(payload)


@pytest.mark.parametrize(("codec", "code"), [("pcm_s16le", 0x00), ("mulaw", 0xFF), ("alaw", 0xD5)])
def test_the_last_frame_is_filled_with_silence(codec: str, code: int) -> None:
    framer = Framer(0, AudioFormat(codec=codec, sample_rate=8000, frame_ms=20))  # type: ignore[arg-type]
    block = framer.push(np.full(161, 0.5, np.float32), ends_utterance=True)
    assert block is not None
    assert block.count == 2
    sample_bytes = len(block.payload(1)) // 160
    assert set(block.payload(1)[sample_bytes:]) == {code}
    assert block.payload(1)[:sample_bytes] == block.payload(0)[:sample_bytes]


def test_a_frame_stays_back_until_it_is_known_whether_it_is_the_last() -> None:
    framer = Framer(0, PCM)
    assert framer.push(silence(480)) is None
    block = framer.push(silence(1))
    assert block is not None
    assert (block.count, block.flags(0)) == (1, Flag.FIRST)
    rest = framer.push(silence(0), ends_utterance=True)
    assert rest is not None
    assert (rest.count, rest.flags(0), rest.first_seq, rest.first_pts) == (1, Flag.LAST, 1, 480)


def test_an_utterance_of_one_frame_is_first_and_last() -> None:
    framer = Framer(0, PCM)
    for seq in range(2):
        block = framer.push(silence(1), ends_utterance=True)
        assert block is not None
        assert (block.count, block.flags(0), block.first_seq) == (1, Flag.FIRST | Flag.LAST, seq)


def test_an_utterance_without_samples_has_no_frames() -> None:
    framer = Framer(0, PCM)
    assert framer.push(silence(0), ends_utterance=True) is None
    assert framer.push(silence(0), ends_utterance=True) is None
    assert (framer.seq, framer.pts) == (0, 0)
    block = framer.push(silence(1), ends_utterance=True)
    assert block is not None
    assert block.flags(0) == Flag.FIRST | Flag.LAST


def test_the_clock_counts_samples_that_are_held_back() -> None:
    framer = Framer(0, PCM)
    framer.push(silence(700))
    assert (framer.pts, framer.samples, framer.seq) == (700, 700, 1)
    framer.push(silence(0), ends_utterance=True)
    assert (framer.pts, framer.samples, framer.seq) == (960, 700, 2)


@pytest.mark.parametrize("frame_ms", [10, 20, 40, 60])
def test_opus_gets_enough_silence_for_its_last_sample_to_come_out(frame_ms: int) -> None:
    format = AudioFormat(codec="opus", sample_rate=24000, frame_ms=frame_ms)
    size = format.frame_samples
    for length, count in ((1, 1), (size - 156, 1), (size - 155, 2), (size, 2), (3 * size - 1, 4)):
        block = Framer(0, format).push(silence(length), ends_utterance=True)
        assert block is not None
        assert (block.count, block.codec) == (count, "pcm_s16le")
        assert len(block.payload(count - 1)) == size * 2


def test_parts_of_a_block_are_the_same_frames() -> None:
    framer = Framer(65535, PCM, websocket_prefix)
    framer.push(silence(481))
    block = framer.push(speech_like(4800), ends_utterance=True)
    assert block is not None
    whole = read_wire(block.wire(0, block.count))
    assert [frame.seq for frame in whole] == list(range(1, 1 + block.count))
    assert read_wire(bytes(block.wire(0, 3)) + bytes(block.wire(3, block.count))) == whole
    assert len(block.wire(4, 4)) == 0
    messages = [unpack_frame(message) for message in block.messages(0, block.count)]
    assert messages == whole
    assert [block.payload(i) for i in range(block.count)] == [frame.payload for frame in whole]
    assert [block.flags(i) for i in range(block.count)] == [frame.flags for frame in whole]
    assert whole[0].context_number == 65535


def test_the_bytes_of_a_block_are_read_only() -> None:
    block = Framer(0, PCM).push(silence(480), ends_utterance=True)
    assert block is not None
    wire = block.wire(0, 1)
    assert isinstance(wire, memoryview)
    assert wire.readonly
    assert wire.contiguous


def test_the_bytes_of_a_frame_on_the_wire() -> None:
    samples = np.array([0, 1, -1, 256, -32768], np.float32) / 32768
    block = Framer(0x0102, AudioFormat(codec="pcm_s16le", sample_rate=8000, frame_ms=10)).push(
        samples, ends_utterance=True
    )
    assert block is not None
    header = "01 03 0201 00000000 0000000000000000"
    assert bytes(block.wire(0, 1)) == bytes.fromhex(header + "0000 0100 ffff 0001 0080") + bytes(150)
