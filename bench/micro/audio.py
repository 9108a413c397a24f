"""What each stage of the audio pipeline costs, in microseconds of CPU per second of audio.

    python bench/micro/audio.py [--seconds 20] [--clause-seconds 4]

One thread; each figure is the lowest of several passes, in process CPU time. The input is speech-like, because Opus
and only Opus looks at what it encodes.
"""

from __future__ import annotations

import argparse
import platform
import time
from typing import TYPE_CHECKING

import numpy as np

from voxwire_protocol.messages import AudioFormat
from voxwire_server.audio.containers import Container, open_writer
from voxwire_server.audio.encoder_pool import OpusStream
from voxwire_server.audio.framing import Framer
from voxwire_server.audio.pipeline import AudioPipeline
from voxwire_server.audio.samples import Resampler, alaw, mulaw, pcm_s16le

if TYPE_CHECKING:
    from collections.abc import Callable

    from voxwire_server.audio.framing import FrameBlock

PASSES = 5
BURST_FRAMES = 10
PCM = AudioFormat(codec="pcm_s16le", sample_rate=24000, frame_ms=20)


def speech_like(seconds: float, sample_rate: int) -> np.ndarray:
    """A gliding harmonic tone with syllables and breath."""
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    phase = 2 * np.pi * np.cumsum(120 + 40 * np.sin(2 * np.pi * 0.7 * t)) / sample_rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 30))
    breath = np.random.default_rng(0).standard_normal(len(t)) * 0.05
    return ((0.25 * voice + breath) * (0.55 - 0.45 * np.cos(2 * np.pi * 4 * t))).clip(-1, 1).astype(np.float32)


def prefix(length: int) -> bytes:
    """A WebSocket frame header."""
    return bytes((0x82, length)) if length < 126 else bytes((0x82, 126)) + length.to_bytes(2, "big")


def cost(run: Callable[[], object], seconds: float) -> float:
    """The lowest CPU time of several passes, in microseconds per second of audio."""
    best = float("inf")
    for _ in range(PASSES):
        start = time.process_time_ns()
        run()
        best = min(best, time.process_time_ns() - start)
    return best / 1000 / seconds


def resample(clauses: list[np.ndarray], from_rate: int, to_rate: int) -> None:
    """Every clause an utterance of its own."""
    resampler = Resampler(from_rate, to_rate)
    for clause in clauses:
        resampler.push(clause)
        resampler.finish()


def frame(clauses: list[np.ndarray], format: AudioFormat) -> list[FrameBlock]:
    """Every clause an utterance of its own."""
    framer = Framer(0, format, prefix)
    blocks = [framer.push(clause, ends_utterance=True) for clause in clauses]
    return [block for block in blocks if block is not None]


def slice_wire(blocks: list[FrameBlock]) -> int:
    """What a sender touches: one slice a burst."""
    return sum(
        len(block.wire(start, min(start + BURST_FRAMES, block.count)))
        for block in blocks
        for start in range(0, block.count, BURST_FRAMES)
    )


def encode(blocks: list[FrameBlock], format: AudioFormat, complexity: int) -> None:
    """One Opus stream, a burst at a time."""
    stream = OpusStream(format, complexity, prefix)
    for block in blocks:
        for start in range(0, block.count, BURST_FRAMES):
            stream.encode(block, start, min(start + BURST_FRAMES, block.count)).wire(0, 0)


def whole_path(clauses: list[np.ndarray], format: AudioFormat) -> None:
    """What a worker does with each clause."""
    path = AudioPipeline(24000, format, 0, prefix)
    for index, clause in enumerate(clauses):
        path.push(index, clause, finished=True, ends_utterance=True)


def contain(pcm: bytes, container: Container, sample_rate: int, bitrate: int | None) -> None:
    """One stream, pushed as the session brings it: 200 ms at a time."""
    writer = open_writer(container, "pcm_s16le", sample_rate, bitrate)
    step = 2 * (sample_rate // 5)
    for at in range(0, len(pcm), step):
        writer.push(pcm[at : at + step])
    writer.finish()


CONTAINERS = [
    (Container.WAV, 24000, None),
    (Container.MP3, 22050, 32000),
    (Container.MP3, 24000, 64000),
    (Container.MP3, 44100, 128000),
    (Container.AAC, 24000, 64000),
    (Container.FLAC, 24000, None),
    (Container.OGG_OPUS, 24000, 48000),
    (Container.OGG_OPUS, 48000, 64000),
]


def containers(seconds: float) -> list[tuple[str, float]]:
    """Every container in usual settings."""
    rows = []
    for container, rate, bitrate in CONTAINERS:
        pcm = pcm_s16le(speech_like(seconds, rate)).tobytes()
        run = lambda c=container, r=rate, b=bitrate, p=pcm: contain(p, c, r, b)  # noqa: E731
        kbits = f", {bitrate // 1000} kbit/s" if bitrate else ""
        rows.append((f"{container.value}, {rate} Hz{kbits}", cost(run, seconds)))
    return rows


def stages(seconds: float, clause_seconds: float) -> list[tuple[str, float]]:
    """Every stage and its cost."""
    whole = {rate: speech_like(seconds, rate) for rate in (8000, 24000)}
    clauses = {
        rate: np.array_split(samples, max(1, round(seconds / clause_seconds))) for rate, samples in whole.items()
    }
    opus = AudioFormat(codec="opus", sample_rate=24000, frame_ms=20)
    g711 = AudioFormat(codec="mulaw", sample_rate=8000, frame_ms=20)
    pcm_blocks, opus_blocks = frame(clauses[24000], PCM), frame(clauses[24000], opus)
    rows: list[tuple[str, float]] = [
        ("float to int16, 24 kHz", cost(lambda: [pcm_s16le(c) for c in clauses[24000]], seconds)),
        ("float to mu-law, 8 kHz", cost(lambda: [mulaw(c) for c in clauses[8000]], seconds)),
        ("float to A-law, 8 kHz", cost(lambda: [alaw(c) for c in clauses[8000]], seconds)),
        ("framing, PCM 24 kHz (int16 included)", cost(lambda: frame(clauses[24000], PCM), seconds)),
        ("framing, mu-law 8 kHz (mu-law included)", cost(lambda: frame(clauses[8000], g711), seconds)),
        ("slicing bursts of 10 frames", cost(lambda: slice_wire(pcm_blocks), seconds)),
        ("whole path, 24 kHz to PCM 24 kHz", cost(lambda: whole_path(clauses[24000], PCM), seconds)),
        ("whole path, 24 kHz to mu-law 8 kHz", cost(lambda: whole_path(clauses[24000], g711), seconds)),
    ]
    for rate in (8000, 16000, 22050, 44100, 48000):
        rows.append((f"resample 24000 to {rate}", cost(lambda r=rate: resample(clauses[24000], 24000, r), seconds)))
    for complexity in (0, 5, 10):
        run = lambda c=complexity: encode(opus_blocks, opus, c)  # noqa: E731
        rows.append((f"Opus 24 kHz, 24 kbit/s, complexity {complexity}", cost(run, seconds)))
    return rows + containers(seconds)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="audio per pass")
    parser.add_argument("--clause-seconds", type=float, default=4.0, help="audio per clause")
    arguments = parser.parse_args()
    print(f"Python {platform.python_version()}, numpy {np.__version__}, {platform.machine()}")
    print(f"{'stage':<42} us of CPU per second of audio")
    for name, microseconds in stages(arguments.seconds, arguments.clause_seconds):
        print(f"{name:<42} {microseconds:10.1f}")


if __name__ == "__main__":
    main()
