"""Kokoro's torch stages without weights, voices and G2P: a network of random weights, jobs of given phonemes."""

from __future__ import annotations

import dataclasses
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
"""Clauses with their phonemes: text, and a `Sentence`'s fields; written by `bench/gpu.py --phonemes`."""
_TOKEN_FRAMES = 3.0
_PITCH_HZ = 150.0
_STYLE_DEVIATION = 0.15


_UNUSED = ("hibari", "opuslib_next", "sentencex", "soxr")
"""Packages that engine and scheduler import indirectly, and that these stages never use."""


class _StubModule(types.ModuleType):
    """A package whose attributes are all `object`."""

    __path__: ClassVar[list[str]] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return object


class _StubFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        known = fullname.partition(".")[0] in _UNUSED
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True) if known else None

    def create_module(self, spec: Any) -> types.ModuleType:
        return _StubModule(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def stub_missing_packages() -> None:
    """Let engine and scheduler be imported without packages that these stages don't use."""
    if importlib.util.find_spec("orjson") is None:
        orjson: Any = types.ModuleType("orjson")
        orjson.loads, orjson.dumps, orjson.JSONDecodeError = json.loads, json.dumps, json.JSONDecodeError
        sys.modules["orjson"] = orjson
    if any(importlib.util.find_spec(name) is None for name in _UNUSED):
        # The last finder: installed packages are found before.
        sys.meta_path.append(_StubFinder())


@dataclass(frozen=True)
class Piece:
    """The fields of `Sentence`, whose own module imports hibari."""

    ids: tuple[int, ...]
    symbols: str = ""
    word_indices: tuple[int, ...] = ()
    words: tuple[tuple[int, int], ...] = ()


class PhonemisedTexts:
    """Stands for `TextFrontend`: clauses of `PHONEMES`, in one voice of random numbers."""

    def __init__(self) -> None:
        from voxwire_server.speech import Voice

        self._pieces = {each["text"]: _piece(each) for each in json.loads(PHONEMES.read_text())}
        self._style = np.ascontiguousarray(np.broadcast_to(random_styles(1)[0], (510, 256)))
        self.voices = (Voice("af_heart", "kokoro", ("en-us",)),)

    def job(self, clause: Any, stage: str) -> Any:
        """See `TextFrontend`."""
        from voxwire_server.engines.kokoro.text_frontend import KokoroJob

        return KokoroJob(clause, stage, pieces=[self._pieces[clause.text]], voice=self._style)

    def warm_up(self, engine: Any) -> None:
        """See `TextFrontend`."""
        from voxwire_server.speech import Clause

        text = next(iter(self._pieces))
        job = engine.prepare(Clause(text, (0, len(text)), range(len(text)), "af_heart", "en-us", 1.0, 0))
        stage = job.stage
        while stage is not None:
            stage = engine.step(stage, [job])[0].stage


def _piece(found: dict[str, Any]) -> Any:
    words = tuple((start, end) for start, end in found["words"])
    return Piece(tuple(found["ids"]), found["symbols"], tuple(found["word_indices"]), words)


def write_phonemes(texts: Sequence[str]) -> None:
    """Write `PHONEMES` by the real G2P. Each text has to be one piece."""
    from support import kokoro
    from voxwire_server.engines.kokoro.g2p import Languages

    reader = Languages(kokoro.weights().vocabulary())
    found = []
    for text in texts:
        (piece,) = reader.read(text, "en-us")
        found.append({"text": text} | {field.name: getattr(piece, field.name) for field in dataclasses.fields(piece)})
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in found)
    PHONEMES.write_text(f"[\n{lines}\n]\n")


def random_network(seed: int = 1) -> Any:
    """Kokoro with random weights; its tokens last about three frames each, and its pitch is that of a voice."""
    from voxwire_server.engines.kokoro.model.network import Kokoro

    torch.manual_seed(seed)
    network = Kokoro().eval().requires_grad_(requires_grad=False)
    share = _TOKEN_FRAMES / 50
    network.predictor.duration_proj.linear_layer.bias.fill_(math.log(share / (1 - share)))
    network.predictor.F0_proj.bias.fill_(_PITCH_HZ)
    return network


def random_styles(count: int, seed: int = 2) -> NDArray[np.float32]:
    """[count, 256], with the deviation of real voices."""
    return (np.random.default_rng(seed).standard_normal((count, 256)) * _STYLE_DEVIATION).astype(np.float32)


def random_ids(size: int, seed: int) -> tuple[int, ...]:
    """`size` tokens with a pad at each end."""
    return (0, *np.random.default_rng(seed).integers(1, 178, size - 2).tolist(), 0)


def jobs_of(ids: Sequence[Sequence[int]], *, speed: float = 1.0, first_seed: int = 0) -> list[Any]:
    """A job for each row of tokens, each with a style and a seed of its own."""
    from voxwire_server.engines.kokoro.text_frontend import KokoroJob
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
