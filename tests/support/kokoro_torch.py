"""Kokoro's torch stages without weights, voices and readers: a network of random weights, jobs of given phonemes."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

PHONEMES = Path(__file__).with_name("kokoro_phonemes.json")
"""Clauses that were read beforehand: text, and a `Sentence`'s fields; `bench/gpu.py --make-inputs` writes it."""
_TOKEN_FRAMES = 3.0
_PITCH_HZ = 150.0
_STYLE_DEVIATION = 0.15


def stand_in() -> None:
    """Let the torch engine be imported where packages are missing that only reading and the wire need."""
    if importlib.util.find_spec("orjson") is None:
        orjson: Any = types.ModuleType("orjson")
        orjson.loads, orjson.dumps, orjson.JSONDecodeError = json.loads, json.dumps, json.JSONDecodeError
        sys.modules["orjson"] = orjson
    if importlib.util.find_spec("hibari") is None:
        names = {
            "hibari": (),
            "hibari.g2p": ("G2P", "LINK_RE"),
            "hibari.g2p.normalize": ("normalize",),
            "hibari.g2p.token": ("Tok",),
        }
        for name, members in names.items():
            module: Any = types.ModuleType(name)
            module.__path__ = []
            for member in members:
                setattr(module, member, object)
            sys.modules[name] = module


@dataclass(frozen=True)
class Piece:
    """What `Sentence` is; it is not imported because its module wants a reader's package."""

    ids: tuple[int, ...]
    symbols: str = ""
    owners: tuple[int, ...] = ()
    words: tuple[tuple[int, int], ...] = ()


def random_network(seed: int = 1) -> Any:
    """Kokoro with random weights whose tokens last some three frames each, and whose pitch is a voice's."""
    from voxwire_server.engines.kokoro.model.network import Kokoro

    torch.manual_seed(seed)
    network = Kokoro().eval().requires_grad_(requires_grad=False)
    share = _TOKEN_FRAMES / 50
    network.predictor.duration_proj.linear_layer.bias.fill_(math.log(share / (1 - share)))
    network.predictor.F0_proj.bias.fill_(_PITCH_HZ)
    return network


def random_styles(count: int, seed: int = 2) -> NDArray[np.float32]:
    """[count, 256], as wide as the voices' are."""
    return (np.random.default_rng(seed).standard_normal((count, 256)) * _STYLE_DEVIATION).astype(np.float32)


def random_ids(size: int, seed: int) -> tuple[int, ...]:
    """`size` tokens with a pad at each end."""
    return (0, *np.random.default_rng(seed).integers(1, 178, size - 2).tolist(), 0)


def jobs_of(ids: Sequence[Sequence[int]], *, speed: float = 1.0, first_seed: int = 0) -> list[Any]:
    """A job for each row of tokens, each with a style and a seed of its own."""
    from voxwire_server.engines.kokoro.jobs import KokoroJob
    from voxwire_server.speech import Clause

    styles = random_styles(first_seed + len(ids))[first_seed:]
    jobs = []
    for k, row in enumerate(ids):
        clause = Clause("a", (0, 1), range(1), "any", "en-us", speed, first_seed + k)
        piece: Any = Piece(tuple(row))
        voice = np.broadcast_to(styles[k], (510, 256))
        jobs.append(KokoroJob(clause, "encode", pieces=[piece], voice=np.ascontiguousarray(voice)))
    return jobs


def speak(steps: Any, jobs: Sequence[Any]) -> list[NDArray[np.float32]]:
    """The three stages over one batch."""
    steps.encode(jobs)
    steps.front(jobs)
    samples: list[NDArray[np.float32]] = steps.generate(jobs)
    return samples
