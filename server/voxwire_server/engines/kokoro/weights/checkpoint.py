"""Reads Kokoro-82M's original checkpoint and voices, which are pickled by torch. Only tensors are unpickled.

The checkpoint holds a state dict for each part of the model, saved under DataParallel (`module.` before each name)
with weight norm unfolded.
"""

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from voxwire_server.engines.kokoro.weights.shapes import parameter_shapes
from voxwire_server.models.errors import Damaged, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.float32]]

_DATA_PARALLEL = "module."
_GAIN_AND_DIRECTION = (
    (".weight_g", ".weight_v"),
    (".parametrizations.weight.original0", ".parametrizations.weight.original1"),
)
"""As `torch.nn.utils.weight_norm` names them, and as `torch.nn.utils.parametrizations.weight_norm` does."""
_INSTANCE_NORM = re.compile(r"\.(?:norm|adain)\d(?:\.\d)?\.norm\.(weight|bias)$")


def read_checkpoint(file: Path) -> dict[str, NDArray[np.float32]]:
    """The parameters of `kokoro-v1_0.pth`: exactly the names and shapes of `shapes.parameter_shapes`.

    Raises:
        Damaged: this is not that checkpoint.
        ModelError: torch is missing.
    """
    state = folded({name: _array(value) for name, value in _flat(file, _unpickled(file))})
    wanted = parameter_shapes()
    for name, value in state.items():
        found = _INSTANCE_NORM.search(name)
        if found and not np.all(value == (1.0 if found[1] == "weight" else 0.0)):
            raise Damaged(f"{file}: {name} is not the identity", "This is a model of another kind than Kokoro-82M.")
    unfit = sorted(name for name, shape in wanted.items() if name not in state or state[name].shape != shape)
    if unfit:
        message = f"{file} lacks {len(unfit)} parameters of Kokoro-82M or has them in another shape, such as {unfit[0]}"
        raise Damaged(message, "Is it kokoro-v1_0.pth of hexgrad/Kokoro-82M?")
    return {name: np.ascontiguousarray(state[name]) for name in wanted}


def read_voice(file: Path) -> NDArray[np.float32]:
    """A voice of `voices/*.pt`: [rows, 256].

    Raises:
        Damaged: it is not one.
        ModelError: torch is missing.
    """
    try:
        return _array(_unpickled(file)).reshape(-1, 256)
    except (AttributeError, ValueError) as error:
        raise Damaged(f"{file} is no voice of Kokoro", "Get the file again.") from error


def folded(state: Arrays) -> dict[str, NDArray[np.float32]]:
    """The state with weight norm folded: direction v, [channels, ...], and gain g become `weight` = g v / |v|.

    |v| is taken over all but the first axis (Salimans and Kingma, https://arxiv.org/abs/1602.07868), in float64.
    """
    result = dict(state)
    for gain, direction in _GAIN_AND_DIRECTION:
        for name in [name for name in state if name.endswith(direction)]:
            module = name.removesuffix(direction)
            v, g = result.pop(name).astype(np.float64), result.pop(f"{module}{gain}").astype(np.float64)
            norm = np.sqrt(np.sum(v * v, axis=tuple(range(1, v.ndim)), keepdims=True))
            result[f"{module}.weight"] = (g / norm * v).astype(np.float32)
    return result


def _flat(file: Path, checkpoint: Any) -> list[tuple[str, Any]]:
    try:
        return [
            (f"{part}.{name.removeprefix(_DATA_PARALLEL)}", value)
            for part, state in checkpoint.items()
            for name, value in state.items()
        ]
    except AttributeError as error:
        raise Damaged(f"{file} holds no state dicts", "Is it kokoro-v1_0.pth of hexgrad/Kokoro-82M?") from error


def _unpickled(file: Path) -> Any:
    try:
        import torch
    except ModuleNotFoundError as error:
        message = "the hub's files are read with torch, which is not installed"
        raise ModelError(message, "pip install torch, or take --source packages.") from error
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        # torch's own message advises to unpickle anything.
        raise Damaged(f"{file} is broken, or holds more than tensors", "Get the file again.") from error


def _array(tensor: Any) -> NDArray[np.float32]:
    array: NDArray[np.float32] = tensor.detach().float().numpy()
    return array
