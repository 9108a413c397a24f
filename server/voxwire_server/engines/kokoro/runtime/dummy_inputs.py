"""Made-up inputs of the network's stages, of any shape: what CUDA graphs are captured and checked with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voxwire_server.engines.kokoro.model.network import Encoded
from voxwire_server.engines.kokoro.model.ragged import UNIT, Rows
from voxwire_server.engines.kokoro.model.text import SYMBOLS
from voxwire_server.engines.kokoro.runtime.graph_buckets import Shape, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from voxwire_server.engines.kokoro.model.network import Kokoro

_TOKEN_FRAMES = 3
_STYLE_DEVIATION = 0.15


@torch.inference_mode()
def dummy_inputs(network: Kokoro, shape: Shape, turn: int) -> tuple[Tensor, ...]:
    """The inputs of the shape's stage, the rows' lengths last; rows are unequal, at an odd `turn` fewer and shorter.

    Tokens and styles are random, and the later stages' inputs are computed from them by the earlier stages, so that
    their values have the usual size.
    """
    generator = torch.Generator().manual_seed(shape.rows * 1000 + shape.length + turn)
    device = next(network.parameters()).device
    count = max(1, shape.rows - shape.rows // 4 * (turn % 2))
    longest = shape.length - turn % 2
    sizes = torch.linspace(longest, (longest + 1) // 2, count).long().to(device)
    styles = (torch.randn(count, 256, generator=generator) * _STYLE_DEVIATION).to(device)
    counts = sizes if shape.stage is Stage.ENCODE else (sizes // _TOKEN_FRAMES).clamp(2, 510)
    tokens = torch.randint(1, SYMBOLS, (count, int(counts.max())), generator=generator).to(device)
    rows = Rows(counts, even=False)
    tokens = tokens * rows.mask(UNIT, tokens.shape[1], tokens.dtype)[:, 0]
    speeds = torch.linspace(0.8, 1.3, count).to(device)
    if shape.stage is Stage.ENCODE:
        return tokens, styles, speeds, sizes
    encoded = network.encode(tokens, styles, speeds, rows)
    encoded = Encoded(encoded.prosody, encoded.speech, _durations(sizes, counts))
    if shape.stage is Stage.FRONT:
        return encoded.prosody, encoded.speech, encoded.durations, styles, sizes
    features = network.front(encoded, styles, Rows(sizes, even=False), int(sizes.max()))
    seeds = torch.randint(1 << 62, (count,), generator=generator).to(device)
    return features.frames, features.pitch, styles, seeds, sizes


def _durations(frames: Tensor, counts: Tensor) -> Tensor:
    """[B, longest]: the `frames` of each row divided evenly among its tokens."""
    position = torch.arange(int(counts.max()), device=frames.device)
    divided = (frames // counts)[:, None] + (position < (frames % counts)[:, None]).long()
    return divided * (position < counts[:, None])
