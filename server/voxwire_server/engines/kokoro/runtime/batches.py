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

    from voxwire_server.engines.kokoro.runtime.transfer import DeviceTransfer


def rows_of(sizes: Sequence[int], link: DeviceTransfer) -> Rows:
    """The rows of a batch whose lengths are known on the host."""
    return Rows(link.to_device(torch.tensor(sizes, dtype=torch.int64)), even=len(set(sizes)) == 1)


def tokens_of(ids: Sequence[Sequence[int]], link: DeviceTransfer) -> Tensor:
    """[B, longest]: the ids, zeros behind the shorter rows."""
    return link.to_device(pad_sequence([torch.tensor(row) for row in ids], batch_first=True))


def styles_of(styles: Sequence[NDArray[np.float32]], link: DeviceTransfer) -> Tensor:
    """[B, 256] of rows [256]."""
    return link.to_device(torch.stack([torch.from_numpy(style) for style in styles]))


def padded(parts: Sequence[Tensor]) -> Tensor:
    """[B, longest, C] of parts [n, C] that are all on one device."""
    return parts[0][None] if len(parts) == 1 else pad_sequence(list(parts), batch_first=True)
