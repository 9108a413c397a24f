"""The names and shapes of Kokoro-82M's parameters: what a complete checkpoint holds. Needs no torch.

Names are those of `kokoro.KModel` 0.9.4, weight norm folded into `weight`. Left out, because they change nothing:
PL-BERT's pooler and the affine part of AdaIN's instance norm, which the checkpoint does not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
