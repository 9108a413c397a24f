"""The network's stages over jobs: makes batches, runs them, gives each job its rows. Decides nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from voxwire_server.engines.kokoro.batches import on_device, padded, rows_of, styles_of, tokens_of
from voxwire_server.engines.kokoro.model.network import FRAME_SAMPLES, Encoded, Fronted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from voxwire_server.engines.kokoro.jobs import KokoroJob
    from voxwire_server.engines.kokoro.model.network import Kokoro


class TorchSteps:
    """The three stages over jobs. Used by one thread at a time."""

    def __init__(self, network: Kokoro, device: torch.device) -> None:
        self._network = network.to(device)
        self._device = device

    def encode(self, jobs: Sequence[KokoroJob]) -> None:
        """Give each job its durations, and what the later stages need."""
        ids = [job.piece.ids for job in jobs]
        rows = rows_of([len(row) for row in ids], self._device)
        speeds = on_device(torch.tensor([job.speed for job in jobs]), self._device)
        encoded = self._network.encode(tokens_of(ids, self._device), self._styles(jobs), speeds, rows)
        durations = encoded.durations.cpu()
        for b, job in enumerate(jobs):
            size = len(ids[b])
            job.prosody, job.speech = encoded.prosody[b, :size], encoded.speech[b, :size]
            job.durations = durations[b, :size]

    def front(self, jobs: Sequence[KokoroJob]) -> None:
        """Give each job its frames and their pitch."""
        sizes = [job.length for job in jobs]
        rows = rows_of(sizes, self._device)
        durations = on_device(padded([_kept(job.durations)[:, None] for job in jobs])[..., 0], self._device)
        encoded = Encoded(
            padded([_kept(job.prosody) for job in jobs]), padded([_kept(job.speech) for job in jobs]), durations
        )
        fronted = self._network.front(encoded, self._styles(jobs), rows, max(sizes))
        for b, job in enumerate(jobs):
            job.frames = fronted.frames[b, :, : 2 * sizes[b]].T
            job.pitch = fronted.pitch[b, : 2 * sizes[b], None]
            job.prosody = job.speech = None

    def generate(self, jobs: Sequence[KokoroJob]) -> list[NDArray[np.float32]]:
        """The samples of each job's piece, [600 T]."""
        sizes = [job.length for job in jobs]
        rows = rows_of(sizes, self._device)
        fronted = Fronted(
            padded([_kept(job.frames) for job in jobs]).transpose(1, 2).contiguous(),
            padded([_kept(job.pitch) for job in jobs])[..., 0],
        )
        seeds = on_device(torch.tensor([job.seed for job in jobs], dtype=torch.int64), self._device)
        samples = self._network.generate(fronted, self._styles(jobs), rows, seeds).cpu().numpy()
        return [samples[b, : FRAME_SAMPLES * size].copy() for b, size in enumerate(sizes)]

    def _styles(self, jobs: Sequence[KokoroJob]) -> Tensor:
        return styles_of([job.style for job in jobs], self._device)


def _kept(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "the stage before left it"
    return tensor
