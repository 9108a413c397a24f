"""Kokoro's torch stages without weights, voices and readers: a network of random weights, jobs of given phonemes."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import json
import math
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

PHONEMES = Path(__file__).with_name("kokoro_phonemes.json")
"""Clauses that were read beforehand: text, and a `Sentence`'s fields; `bench/gpu.py --read` writes it."""
_TOKEN_FRAMES = 3.0
_PITCH_HZ = 150.0
_STYLE_DEVIATION = 0.15


_UNUSED = ("hibari", "opuslib_next", "sentencex", "soxr")
"""Packages that are imported on the way to the engine and the scheduler, for reading or for the wire."""


class _Nothing(types.ModuleType):
    """A package of which nothing is used."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        known = fullname.partition(".")[0] in _UNUSED
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True) if known else None

    def create_module(self, spec: Any) -> types.ModuleType:
        return _Nothing(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def stand_in() -> None:
    """Let engine and scheduler be imported where packages are missing that they don't need."""
    if importlib.util.find_spec("orjson") is None:
        orjson: Any = types.ModuleType("orjson")
        orjson.loads, orjson.dumps, orjson.JSONDecodeError = json.loads, json.dumps, json.JSONDecodeError
        sys.modules["orjson"] = orjson
    if any(importlib.util.find_spec(name) is None for name in _UNUSED):
        # Asked last: what is installed is found before.
        sys.meta_path.append(_Finder())


@dataclass(frozen=True)
class Piece:
    """What `Sentence` is; it is not imported because its module wants a reader's package."""

    ids: tuple[int, ...]
    symbols: str = ""
    owners: tuple[int, ...] = ()
    words: tuple[tuple[int, int], ...] = ()


class ReadBefore:
    """Stands for an engine's `Script`: clauses whose texts were read beforehand, in one voice of random numbers."""

    def __init__(self) -> None:
        from voxwire_server.speech import Voice

        self._pieces = {each["text"]: _piece(each) for each in json.loads(PHONEMES.read_text())}
        self._style = np.ascontiguousarray(np.broadcast_to(random_styles(1)[0], (510, 256)))
        self.voices = (Voice("af_heart", "kokoro", ("en-us",)),)

    def job(self, clause: Any, stage: str) -> Any:
        """See `Script`."""
        from voxwire_server.engines.kokoro.jobs import KokoroJob

        return KokoroJob(clause, stage, pieces=[self._pieces[clause.text]], voice=self._style)

    def rehearse(self, engine: Any) -> None:
        """See `Script`."""
        from voxwire_server.speech import Clause

        text = next(iter(self._pieces))
        job = engine.prepare(Clause(text, (0, len(text)), range(len(text)), "af_heart", "en-us", 1.0, 0))
        stage = job.stage
        while stage is not None:
            stage = engine.step(stage, [job])[0].stage


def _piece(read: dict[str, Any]) -> Any:
    words = tuple((start, end) for start, end in read["words"])
    return Piece(tuple(read["ids"]), read["symbols"], tuple(read["owners"]), words)


def read_and_keep(texts: Sequence[str]) -> None:
    """Read texts with the real readers and write `PHONEMES`. Each has to be one piece."""
    from support import kokoro
    from voxwire_server.engines.kokoro.g2p.languages import Languages

    reader = Languages(kokoro.weights().vocabulary())
    found = []
    for text in texts:
        (piece,) = reader.read(text, "en-us")
        found.append(
            {"text": text, "ids": piece.ids, "symbols": piece.symbols, "owners": piece.owners, "words": piece.words}
        )
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in found)
    PHONEMES.write_text(f"[\n{lines}\n]\n")


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
