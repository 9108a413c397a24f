"""The network's stages over jobs: makes batches, runs them, gives each job its rows. Decides nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch

from voxwire_server.engines.kokoro.model.network import FRAME_SAMPLES, Encoded, Fronted
from voxwire_server.engines.kokoro.options import Graphs
from voxwire_server.engines.kokoro.runtime.batches import padded, rows_of, styles_of, tokens_of
from voxwire_server.engines.kokoro.runtime.cuda_capture import CudaCapture
from voxwire_server.engines.kokoro.runtime.cuda_graphs import cuda_graph_runner
from voxwire_server.engines.kokoro.runtime.transfer import memory_of, transfer_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from voxwire_server.engines.base import DeviceMemory
    from voxwire_server.engines.kokoro.jobs import KokoroJob
    from voxwire_server.engines.kokoro.model.network import Kokoro
    from voxwire_server.engines.kokoro.runtime.cuda_capture import Capture
    from voxwire_server.engines.kokoro.runtime.cuda_graphs import CudaGraphRunner
    from voxwire_server.engines.kokoro.runtime.transfer import DeviceTransfer


logger = logging.getLogger(__name__)


class TorchSteps:
    """The three stages over jobs. On a GPU used by one thread at a time, on a CPU by any number.

    A step returns when the device is done with it: what it took is what the scheduler learns from. It waits once, at
    its end, for one copy of what the host needs.

    `graphs`: `AUTO` plays CUDA graphs of the shapes where one gives what the network gives and is faster, `ON` also
    where it is no faster, `OFF` none; a device that is no GPU has none. `capture` is how they are recorded.
    """

    def __init__(
        self,
        network: Kokoro,
        device: torch.device,
        graphs: Graphs = Graphs.AUTO,
        *,
        link: DeviceTransfer | None = None,
        capture: Capture | None = None,
    ) -> None:
        if str(device) == "cuda":
            device = torch.device("cuda", torch.cuda.current_device())
        self._device = device
        self._link = transfer_to(device) if link is None else link
        network = network.to(device)
        if capture is None and device.type == "cuda" and graphs is not Graphs.OFF:
            capture = CudaCapture(device)
        if capture is None and graphs is Graphs.ON:
            logger.warning("%s has no graphs: steps run without", device)
        self._replayed: CudaGraphRunner | None = None
        if capture is not None and graphs is not Graphs.OFF:
            self._replayed = cuda_graph_runner(network, capture, only_faster=graphs is Graphs.AUTO)
        self._stages: Kokoro | CudaGraphRunner = self._replayed or network

    def warm_up(self) -> None:
        """Record what is played later. Once, before the first step but for rehearsals, on any thread."""
        if self._replayed is not None:
            self._replayed.record()

    def encode(self, jobs: Sequence[KokoroJob]) -> None:
        """Give each job its durations, and what the later stages need."""
        ids = [job.piece.ids for job in jobs]
        rows = rows_of([len(row) for row in ids], self._link)
        speeds = self._link.to_device(torch.tensor([job.speed for job in jobs]))
        encoded = self._stages.encode(tokens_of(ids, self._link), self._styles(jobs), speeds, rows)
        durations = self._link.to_host([encoded.durations[b, : len(row)] for b, row in enumerate(ids)])
        for b, job in enumerate(jobs):
            size = len(ids[b])
            job.prosody, job.speech = encoded.prosody[b, :size], encoded.speech[b, :size]
            job.durations = durations[b].clone()

    def front(self, jobs: Sequence[KokoroJob]) -> None:
        """Give each job its frames and their pitch."""
        sizes = [job.length for job in jobs]
        rows = rows_of(sizes, self._link)
        durations = self._link.to_device(padded([_kept(job.durations)[:, None] for job in jobs])[..., 0])
        encoded = Encoded(
            padded([_kept(job.prosody) for job in jobs]), padded([_kept(job.speech) for job in jobs]), durations
        )
        fronted = self._stages.front(encoded, self._styles(jobs), rows, max(sizes))
        self._link.wait()
        for b, job in enumerate(jobs):
            job.frames = fronted.frames[b, :, : 2 * sizes[b]].T
            job.pitch = fronted.pitch[b, : 2 * sizes[b], None]
            job.prosody = job.speech = None

    def generate(self, jobs: Sequence[KokoroJob]) -> list[NDArray[np.float32]]:
        """The samples of each job's piece, [600 T]."""
        sizes = [job.length for job in jobs]
        rows = rows_of(sizes, self._link)
        fronted = Fronted(
            padded([_kept(job.frames) for job in jobs]).transpose(1, 2).contiguous(),
            padded([_kept(job.pitch) for job in jobs])[..., 0],
        )
        seeds = self._link.to_device(torch.tensor([job.seed for job in jobs], dtype=torch.int64))
        samples = self._stages.generate(fronted, self._styles(jobs), rows, seeds)
        parts = self._link.to_host([samples[b, : FRAME_SAMPLES * size] for b, size in enumerate(sizes)])
        return [part.numpy().copy() for part in parts]

    def device_memory(self) -> DeviceMemory | None:
        """See `voxwire_server.engines.base.UsesDevice`."""
        return memory_of(self._device)

    def _styles(self, jobs: Sequence[KokoroJob]) -> Tensor:
        return styles_of([job.style for job in jobs], self._link)


def _kept(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "the stage before left it"
    return tensor
