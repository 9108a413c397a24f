"""Makes padded batches of jobs for the network and takes their rows out again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from voxwire_server.engines.kokoro.model.ragged import Rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


def rows_of(sizes: Sequence[int], device: torch.device) -> Rows:
    """The rows of a batch whose lengths are known on the host."""
    return Rows(on_device(torch.tensor(sizes, dtype=torch.int64), device), even=len(set(sizes)) == 1)


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy on the device, which a GPU fetches from pinned memory while the host goes on."""
    if device.type != "cuda":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def tokens_of(ids: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """[B, longest]: the ids, zeros behind the shorter rows."""
    return on_device(pad_sequence([torch.tensor(row) for row in ids], batch_first=True), device)


def styles_of(styles: Sequence[NDArray[np.float32]], device: torch.device) -> Tensor:
    """[B, 256] of rows [256]."""
    return on_device(torch.stack([torch.from_numpy(style) for style in styles]), device)


def padded(parts: Sequence[Tensor]) -> Tensor:
    """[B, longest, C] of parts [n, C] that are on the device already."""
    return parts[0][None] if len(parts) == 1 else pad_sequence(list(parts), batch_first=True)
