"""Elementwise codecs against the standard's values and against audioop's tables."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_server.audio.samples import alaw, alaw_table, mulaw, mulaw_table, pcm_s16le, to_codes

EVERY_SAMPLE = np.arange(65536, dtype=np.uint16).view(np.int16)


def test_every_16_bit_sample_comes_back_bit_by_bit() -> None:
    assert np.array_equal(pcm_s16le(EVERY_SAMPLE.astype(np.float32) / 32768), EVERY_SAMPLE)


@pytest.mark.parametrize(
    ("sample", "code"),
    [
        (0.0, 0),
        (-0.0, 0),
        (1.0, 32767),
        (7.5, 32767),
        (-1.0, -32768),
        (-9.0, -32768),
        (0.4 / 32768, 0),
        (0.6 / 32768, 1),
    ],
)
def test_samples_are_rounded_and_saturate(sample: float, code: int) -> None:
    assert pcm_s16le(np.array([sample], np.float32)).tolist() == [code]


def test_encoding_does_not_change_its_input() -> None:
    samples = np.array([0.5, 2.0], np.float32)
    samples.flags.writeable = False
    pcm_s16le(samples)
    assert samples.tolist() == [0.5, 2.0]


@pytest.mark.parametrize(
    ("table", "digest"),
    [
        # SHA-256 of audioop.lin2ulaw and audioop.lin2alaw (CPython 3.11) over the samples 0..32767, -32768..-1.
        (mulaw_table, "617fa4850d68d3906597e949f7625fb2fc46db479e29707f33159b3d131721cb"),
        (alaw_table, "f77c76aa923ee25617453f87514828a12896227f82ff383bf3bb53d6ac7c2a0f"),
    ],
)
def test_g711_tables_are_those_of_audioop(table: object, digest: str) -> None:
    assert callable(table)
    assert hashlib.sha256(table().tobytes()).hexdigest() == digest


# G.711's decision values at the ends of some segments, and silence: linear 16-bit sample, mu-law byte, A-law byte.
@pytest.mark.parametrize(
    ("sample", "mu", "a"),
    [
        (0, 0xFF, 0xD5),
        (-1, 0x7E, 0x55),
        (32767, 0x80, 0xAA),
        (-32768, 0x00, 0x2A),
        (1000, 0xCE, 0xFA),
        (-1000, 0x4E, 0x7A),
    ],
)
def test_g711_of_known_samples(sample: int, mu: int, a: int) -> None:
    samples = np.array([sample / 32768], np.float32)
    assert (mulaw(samples).tolist(), alaw(samples).tolist()) == ([mu], [a])


@given(st.lists(st.floats(-2, 2, width=32), max_size=50), st.integers(0, 50))
def test_a_split_changes_no_code(values: list[float], at: int) -> None:
    samples = np.array(values, np.float32)
    for codec in ("pcm_s16le", "mulaw", "alaw", "opus"):
        parts = np.concatenate([to_codes(codec, samples[:at]), to_codes(codec, samples[at:])])
        assert parts.tobytes() == to_codes(codec, samples).tobytes()
