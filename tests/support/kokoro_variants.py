"""The same phonemes synthesised by Kokoro's reference implementation, torch in each precision, and the int8 engine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from support import kokoro, kokoro_reference
from voxwire_server.engines.base import Engine
from voxwire_server.engines.kokoro.g2p import Languages

RATE = 24000
Rendition = Callable[[str, str, str], NDArray[np.float32]]
"""Samples of (text, voice, language)."""


def by_engine(engine: Engine) -> Rendition:
    """An engine's audio."""

    def speak(text: str, voice: str, language: str) -> NDArray[np.float32]:
        ((samples, _),) = kokoro.speak(engine, [kokoro.clause(text, voice, language=language, seed=3)])
        return samples

    return speak


def by_reference() -> Rendition:
    """The reference implementation's audio; its noise has the same seed each time."""
    import torch

    weights = kokoro.weights()
    languages, voices = Languages(weights.vocabulary()), weights.voices()
    model = _model()

    def speak(text: str, voice: str, language: str) -> NDArray[np.float32]:
        torch.manual_seed(3)
        parts = []
        for sentence in languages.read(text, language):
            style = torch.from_numpy(voices[voice][len(sentence.ids) - 3])[None]
            audio, _ = model.forward_with_tokens(torch.tensor([sentence.ids]), style, 1.0)
            parts.append(audio.numpy().reshape(-1))
        return np.concatenate(parts)

    return speak


def renditions(*, bfloat16: bool = True) -> Mapping[str, Rendition]:
    """All by name, the reference first; bfloat16 takes minutes a clause on a CPU that does not multiply it."""
    found = {"reference": by_reference(), "torch": by_engine(kokoro.torch_engine("float32"))}
    if bfloat16:
        found["torch-bfloat16"] = by_engine(kokoro.torch_engine("bfloat16"))
    return found | {"int8": by_engine(kokoro.onnx_engine())}


def emulated() -> Mapping[str, Rendition]:
    """A GPU's float16, emulated by rounding on this machine's CPU."""
    import torch

    from support.half_precision import rounding_engine

    return {"torch-float16": by_engine(rounding_engine(torch.float16))}


@functools.cache
def _model():
    import torch

    weights = kokoro.weights()
    state = {name: torch.from_numpy(value) for name, value in weights.state().items()}
    return kokoro_reference.reference_model(state, weights.vocabulary())
