"""Makes batches as a stage of the network is given them, of any shape, without a text to read."""

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
    """What the shape's stage takes, lengths of the rows last: unequal rows, at an odd turn fewer of them and shorter.

    Tokens are random and tell nobody anything, but what the stages before make of them is of the usual size.
    """
    chance = torch.Generator().manual_seed(shape.rows * 1000 + shape.length + turn)
    device = next(network.parameters()).device
    count = max(1, shape.rows - shape.rows // 4 * (turn % 2))
    longest = shape.length - turn % 2
    sizes = torch.linspace(longest, (longest + 1) // 2, count).long().to(device)
    styles = (torch.randn(count, 256, generator=chance) * _STYLE_DEVIATION).to(device)
    counts = sizes if shape.stage is Stage.ENCODE else (sizes // _TOKEN_FRAMES).clamp(2, 510)
    tokens = torch.randint(1, SYMBOLS, (count, int(counts.max())), generator=chance).to(device)
    rows = Rows(counts, even=False)
    tokens = tokens * rows.mask(UNIT, tokens.shape[1], tokens.dtype)[:, 0]
    speeds = torch.linspace(0.8, 1.3, count).to(device)
    if shape.stage is Stage.ENCODE:
        return tokens, styles, speeds, sizes
    encoded = network.encode(tokens, styles, speeds, rows)
    encoded = Encoded(encoded.prosody, encoded.speech, _durations(sizes, counts))
    if shape.stage is Stage.FRONT:
        return encoded.prosody, encoded.speech, encoded.durations, styles, sizes
    fronted = network.front(encoded, styles, Rows(sizes, even=False), int(sizes.max()))
    seeds = torch.randint(1 << 62, (count,), generator=chance).to(device)
    return fronted.frames, fronted.pitch, styles, seeds, sizes


def _durations(frames: Tensor, counts: Tensor) -> Tensor:
    """[B, longest]: `frames` of each row dealt out to its tokens."""
    position = torch.arange(int(counts.max()), device=frames.device)
    dealt = (frames // counts)[:, None] + (position < (frames % counts)[:, None]).long()
    return dealt * (position < counts[:, None])
