"""Containers: what is decoded is what was pushed, however it was split, and it leaves early."""

from __future__ import annotations

import gc
import importlib.util
import io
import subprocess
import sys
import wave
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voxwire_protocol.errors import VoxwireError
from voxwire_server.audio.containers import SAMPLE_RATES, Container, ContainerWriter, ffmpeg, open_writer, warm_formats
from voxwire_server.audio.containers.ffmpeg import mp3_bitrate
from voxwire_server.audio.containers.plain import ogg_crc

av = pytest.importorskip("av")

ENCODED = [Container.MP3, Container.AAC, Container.FLAC, Container.OGG_OPUS]
WRITTEN = [Container.WAV, *ENCODED]
LOSSLESS = [Container.WAV, Container.FLAC]
AT_RATES = [(container, rate) for container in WRITTEN for rate in SAMPLE_RATES[container]]

DELAY_SAMPLES = {Container.MP3: 1105, Container.AAC: 1024, Container.FLAC: 0, Container.OGG_OPUS: 0, Container.WAV: 0}
"""What a decoder without gapless metadata gives before the first sample: LAME's and a decoder's own delay (576 + 529),
and AAC's first half window."""
FRAME_SAMPLES = {Container.MP3: 1152, Container.AAC: 1024, Container.FLAC: 0, Container.OGG_OPUS: 0, Container.WAV: 0}


def glide(samples: int, sample_rate: int) -> np.ndarray:
    """A loud tone that rises from 200 Hz to 1 kHz within a second, and goes on rising."""
    t = np.arange(samples) / sample_rate
    return (9000 * np.sin(2 * np.pi * (200 * t + 400 * t * t))).astype("<i2")


def write(writer: ContainerWriter, data: bytes, step: int | None = None) -> bytes:
    step = step or max(1, len(data))
    pieces = [writer.push(data[at : at + step]) for at in range(0, len(data), step)]
    return b"".join([*pieces, writer.finish()])


def decode(stream: bytes) -> tuple[np.ndarray, int]:
    """Samples as 16-bit values and their rate."""
    # FFmpeg recognises AAC by several frames in a row only.
    form = "aac" if stream[:1] == b"\xff" and stream[1] & 0xF6 == 0xF0 else None
    with av.open(io.BytesIO(stream), format=form) as source:
        assert source.streams.audio[0].layout.nb_channels == 1
        frames = [frame.to_ndarray().reshape(-1) for frame in source.decode(source.streams.audio[0])]
        rate = source.streams.audio[0].rate
    samples = np.concatenate(frames) if frames else np.zeros(0, np.int16)
    scale = 32768 if samples.dtype.kind == "f" else 1
    return samples.astype(np.float64) * scale, rate


def in_place(container: Container, heard: np.ndarray, samples: int) -> np.ndarray:
    """What a listener hears for the samples that were pushed."""
    delay = DELAY_SAMPLES[container]
    return heard[delay : delay + samples]


@pytest.mark.parametrize(("container", "rate"), AT_RATES)
def test_everything_that_is_pushed_comes_out_in_its_place_up_to_its_last_sample(
    container: Container, rate: int
) -> None:
    said = glide(rate + 77, rate)
    heard, heard_rate = decode(write(open_writer(container, "pcm_s16le", rate), said.tobytes(), rate // 25))
    if container is Container.OGG_OPUS:
        assert heard_rate == 48000, "Opus is always decoded at 48 kHz"
        assert len(heard) == len(said) * 48000 // rate
        heard = heard[:: 48000 // rate]
    else:
        assert heard_rate == rate
    part = in_place(container, heard, len(said))
    assert len(part) == len(said)
    assert len(heard) - len(said) <= DELAY_SAMPLES[container] + 2 * FRAME_SAMPLES[container]
    if container in LOSSLESS:
        assert np.array_equal(part, said)
        return
    assert np.corrcoef(part, said)[0, 1] > 0.99
    last = slice(-rate // 50, None)
    assert np.corrcoef(part[last], said[last])[0, 1] > 0.9


@pytest.mark.parametrize("container", WRITTEN)
@given(cuts=st.lists(st.integers(0, 19201), max_size=8))
@example(cuts=[19201])
@example(cuts=[1, 2, 9601])
@settings(deadline=None, max_examples=15)
def test_the_audio_does_not_depend_on_how_the_samples_were_split(container: Container, cuts: list[int]) -> None:
    # Half a sample too much, which a cut at the end pushes too, is left out.
    data = glide(9600, 24000).tobytes() + b"\x01"
    whole, _ = decode(write(open_writer(container, "pcm_s16le", 24000), data[:-1]))
    writer = open_writer(container, "pcm_s16le", 24000)
    edges = [0, *sorted(cuts), len(data) - 1]
    stream = b"".join([*(writer.push(data[start:stop]) for start, stop in pairwise(edges)), writer.finish()])
    heard, _ = decode(stream)
    assert np.array_equal(heard, whole)


@pytest.mark.parametrize("container", WRITTEN)
@pytest.mark.parametrize("samples", [1, 100, 577, 1200])
def test_a_stream_of_a_few_samples_decodes_completely(container: Container, samples: int) -> None:
    said = glide(samples, 24000)
    heard, _ = decode(write(open_writer(container, "pcm_s16le", 24000), said.tobytes()))
    if container is Container.OGG_OPUS:
        heard = heard[::2]
    assert len(in_place(container, heard, samples)) == samples


@pytest.mark.parametrize("container", WRITTEN)
def test_a_stream_without_samples_is_silent_and_valid(container: Container) -> None:
    stream = open_writer(container, "pcm_s16le", 24000).finish()
    if container in (Container.MP3, Container.AAC):
        assert stream == b"", "nothing but frames are in these, and there are none"
    else:
        assert len(decode(stream)[0]) == 0


@pytest.mark.parametrize("container", WRITTEN)
def test_empty_pushes_change_nothing(container: Container) -> None:
    said = glide(4800, 24000).tobytes()
    writer = open_writer(container, "pcm_s16le", 24000)
    stream = writer.push(b"") + writer.push(said) + writer.push(b"") + writer.finish()
    assert np.array_equal(decode(stream)[0], decode(write(open_writer(container, "pcm_s16le", 24000), said))[0])


@pytest.mark.parametrize("container", WRITTEN)
def test_the_same_pushes_give_the_same_bytes(container: Container) -> None:
    said = glide(24000, 24000).tobytes()
    first, second = (write(open_writer(container, "pcm_s16le", 24000), said, 960) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    ("container", "rate", "limit_ms"),
    [(Container.WAV, 24000, 20), (Container.OGG_OPUS, 48000, 20), (Container.FLAC, 24000, 60)]
    + [(Container.MP3, rate, 80) for rate in (22050, 24000, 44100, 48000)]
    + [(Container.AAC, rate, 100) for rate in (22050, 24000, 44100, 48000)],
)
def test_the_first_audio_leaves_early_and_can_be_decoded_by_itself(
    container: Container, rate: int, limit_ms: int
) -> None:
    writer = open_writer(container, "pcm_s16le", rate)
    step = rate // 50
    data = glide(rate, rate).tobytes()
    stream = b"".join(writer.push(data[at : at + 2 * step]) for at in range(0, 2 * rate * limit_ms // 1000, 2 * step))
    assert len(decode(stream)[0]) > 0


@pytest.mark.parametrize("container", WRITTEN)
def test_the_writer_holds_little_back(container: Container) -> None:
    """What has been pushed so far can be heard, but for what an encoder and a decoder need to see beyond it."""
    data = glide(48000, 24000).tobytes()
    writer = open_writer(container, "pcm_s16le", 24000)
    heard, rate = decode(writer.push(data))
    held = len(data) // 2 + DELAY_SAMPLES[container] - len(heard) * 24000 // rate
    limit_ms = {Container.WAV: 0, Container.OGG_OPUS: 20, Container.FLAC: 50, Container.MP3: 95, Container.AAC: 128}
    assert held <= 24 * limit_ms[container]


@pytest.mark.parametrize("codec", ["mulaw", "alaw"])
def test_wav_holds_g711(codec: str) -> None:
    codes = bytes(range(256)) * 4
    stream = write(open_writer(Container.WAV, codec, 8000), codes)  # type: ignore[arg-type]
    assert stream.endswith(codes)
    with av.open(io.BytesIO(stream)) as source:
        audio = source.streams.audio[0]
        assert audio.codec_context.name == f"pcm_{codec}"
        assert sum(frame.samples for frame in source.decode(audio)) == len(codes)


def test_the_standard_library_reads_the_wav() -> None:
    said = glide(24000, 24000).tobytes()
    with wave.open(io.BytesIO(write(open_writer(Container.WAV, "pcm_s16le", 24000), said))) as reader:
        assert (reader.getnchannels(), reader.getsampwidth(), reader.getframerate()) == (1, 2, 24000)
        assert reader.readframes(24001) == said


def test_the_wav_says_that_its_length_is_unknown() -> None:
    header = open_writer(Container.WAV, "pcm_s16le", 24000).push(b"")
    assert len(header) == 44
    assert header[4:8] == header[40:44] == b"\xff" * 4


@pytest.mark.parametrize(
    ("rate", "wanted", "given_kbits"),
    [
        (22050, 32000, 32),
        (24000, 48000, 48),
        (44100, 192000, 192),
        (44100, 8000, 32),
        (24000, 320000, 160),
        (8000, 128000, 64),
        (44100, None, 128),
        (22050, 36000, 40),
    ],
)
def test_mp3_has_the_nearest_bitrate_there_is(rate: int, wanted: int | None, given_kbits: int) -> None:
    assert mp3_bitrate(rate, wanted) == given_kbits * 1000
    stream = write(open_writer(Container.MP3, "pcm_s16le", rate, wanted), glide(2 * rate, rate).tobytes())
    with av.open(io.BytesIO(stream)) as source:
        assert source.streams.audio[0].bit_rate == given_kbits * 1000


def test_mp3_begins_with_a_frame_and_every_frame_stands_alone() -> None:
    stream = write(open_writer(Container.MP3, "pcm_s16le", 24000, 48000), glide(24000, 24000).tobytes())
    size = 144
    frames = [stream[at : at + size] for at in range(0, len(stream), size)]
    assert len(stream) % size == 0
    assert all(frame[:2] == b"\xff\xf3" for frame in frames)
    assert all(frame[4] == 0 for frame in frames), "main_data_begin: no frame uses bits of the one before it"
    assert b"Xing" not in stream
    assert b"Info" not in stream


@pytest.mark.parametrize("container", [Container.AAC, Container.OGG_OPUS, Container.MP3])
def test_a_higher_bitrate_gives_more_bytes(container: Container) -> None:
    noise = (np.random.default_rng(1).standard_normal(48000) * 5000).astype("<i2").tobytes()
    sizes = [len(write(open_writer(container, "pcm_s16le", 48000, rate), noise)) for rate in (32000, 64000, 128000)]
    assert sizes[0] < sizes[1] * 0.7 < sizes[2] * 0.5


@pytest.mark.parametrize("bitrate", [1, 10**9])
@pytest.mark.parametrize("container", ENCODED)
def test_an_absurd_bitrate_is_the_nearest_sensible_one(container: Container, bitrate: int) -> None:
    for rate in SAMPLE_RATES[container]:
        said = glide(rate // 4, rate)
        assert len(decode(write(open_writer(container, "pcm_s16le", rate, bitrate), said.tobytes()))[0]) >= len(said)


def test_two_streams_one_after_the_other_can_be_decoded_as_one() -> None:
    for container in (Container.MP3, Container.AAC):
        one = write(open_writer(container, "pcm_s16le", 24000), glide(24000, 24000).tobytes())
        assert len(decode(one + one)[0]) == 2 * len(decode(one)[0])


def test_the_checksum_of_ogg_is_that_of_the_standard() -> None:
    def slowly(page: bytes) -> int:
        crc = 0
        for byte in page:
            crc ^= byte << 24
            for _ in range(8):
                crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
        return crc

    for page in (b"", b"\0", b"OggS", bytes(range(256))):
        assert ogg_crc(page) == slowly(page)


def test_long_pushes_become_several_ogg_pages() -> None:
    said = glide(10 * 8000, 8000).tobytes()
    stream = write(open_writer(Container.OGG_OPUS, "pcm_s16le", 8000, 256000), said)
    assert stream.count(b"OggS") == 2 + 10 + 1
    assert len(decode(stream)[0]) == 10 * 48000


@pytest.mark.parametrize(
    ("container", "codec", "rate", "part"),
    [
        (Container.MP3, "mulaw", 8000, "mulaw"),
        (Container.OGG_OPUS, "pcm_s16le", 44100, "44100"),
        (Container.OGG_OPUS, "pcm_s16le", 22050, "48000"),
        (Container.FLAC, "pcm_s16le", 96000, "96000"),
        (Container.WAV, "opus", 48000, "opus"),
    ],
)
def test_what_a_container_does_not_take_is_refused_with_what_it_does(
    container: Container, codec: str, rate: int, part: str
) -> None:
    with pytest.raises(VoxwireError) as refused:
        open_writer(container, codec, rate)  # type: ignore[arg-type]
    assert refused.value.raw_code == "client.unsupported_audio"
    assert part in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("container", [Container.MP3, Container.AAC, Container.FLAC])
def test_without_pyav_the_error_says_what_to_install(container: Container, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    ffmpeg.is_available.cache_clear()
    try:
        with pytest.raises(VoxwireError) as refused:
            open_writer(container, "pcm_s16le", 24000)
        warm_formats()
        for there in (Container.WAV, Container.OGG_OPUS):
            open_writer(there, "pcm_s16le", 24000)
    finally:
        ffmpeg.is_available.cache_clear()
    assert refused.value.raw_code == "client.unsupported_audio"
    assert refused.value.hint == "pip install 'voxwire[formats]'"


def test_opening_does_not_load_pyav() -> None:
    program = """
import sys
from voxwire_server.audio.containers import Container, open_writer
writer = open_writer(Container.MP3, "pcm_s16le", 24000)
assert "av" not in sys.modules
writer.push(bytes(4800))
assert "av" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_writers_in_several_threads_do_not_disturb_each_other() -> None:
    said = glide(48000, 24000).tobytes()
    containers = ENCODED * 4
    alone = {container: write(open_writer(container, "pcm_s16le", 24000), said, 1920) for container in ENCODED}
    with ThreadPoolExecutor(4) as threads:
        streams = threads.map(lambda c: write(open_writer(c, "pcm_s16le", 24000), said, 1920), containers)
        for container, stream in zip(containers, streams, strict=True):
            assert stream == alone[container]


@pytest.mark.parametrize("container", ENCODED)
def test_a_writer_that_is_dropped_is_gone_at_once(container: Container) -> None:
    gc.disable()
    try:
        writer = open_writer(container, "pcm_s16le", 24000)
        writer.push(bytes(9600))
        gone = weakref.ref(writer)
        del writer
        assert gone() is None
    finally:
        gc.enable()
