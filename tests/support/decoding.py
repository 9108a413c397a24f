"""Encoded audio back into samples, with the decoder that people have."""

from __future__ import annotations

import io

import av
import numpy as np


def decoded(data: bytes, sample_rate: int | None = None) -> tuple[np.ndarray, int]:
    """A file's samples as mono float32, shape [n], and their rate: `sample_rate`, or else the file's own."""
    with av.open(io.BytesIO(data)) as file:
        rate = sample_rate or file.streams.audio[0].rate
        resampler = av.AudioResampler("s16", "mono", rate)
        frames = [out for frame in file.decode(audio=0) for out in resampler.resample(frame)]
        frames += resampler.resample(None)
    return np.concatenate([frame.to_ndarray().ravel() for frame in frames]).astype(np.float32) / 32768, rate
