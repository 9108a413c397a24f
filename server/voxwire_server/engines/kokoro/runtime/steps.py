"""The network's stages over jobs: pads a batch, runs the stage, gives each job its rows."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import torch
from torch.nn.utils.rnn import pad_sequence

from voxwire_server.engines.kokoro.model.layers import Rows
from voxwire_server.engines.kokoro.model.network import FRAME_SAMPLES, AcousticFeatures, Encoded
from voxwire_server.engines.kokoro.options import Graphs
from voxwire_server.engines.kokoro.runtime.cuda_capture import CudaCapture
from voxwire_server.engines.kokoro.runtime.cuda_graphs import cuda_graph_runner
from voxwire_server.engines.kokoro.runtime.transfer import memory_of, transfer_to

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from voxwire_server.engines.base import DeviceMemory
    from voxwire_server.engines.kokoro.model.network import Kokoro
    from voxwire_server.engines.kokoro.runtime.cuda_capture import Capture
    from voxwire_server.engines.kokoro.runtime.cuda_graphs import CudaGraphRunner
    from voxwire_server.engines.kokoro.runtime.graph_buckets import Shape
    from voxwire_server.engines.kokoro.runtime.transfer import DeviceTransfer
    from voxwire_server.engines.kokoro.text_frontend import KokoroJob


logger = logging.getLogger(__name__)


class TorchSteps:
    """The three stages over jobs. On a GPU used by one thread at a time, on a CPU by any number.

    A step returns when the device has finished it, so that the scheduler measures what the step took. It waits once, at
    its end, for one copy of what the host needs.

    `graphs`: `AUTO` replays CUDA graphs for the shapes where one gives what the network gives and is faster, `ON` also
    where it is no faster, `OFF` none; a device that is no GPU has none. `capture` is how they are captured.
    """

    def __init__(
        self,
        network: Kokoro,
        device: torch.device,
        graphs: Graphs = Graphs.AUTO,
        *,
        transfer: DeviceTransfer | None = None,
        capture: Capture | None = None,
    ) -> None:
        if str(device) == "cuda":
            device = torch.device("cuda", torch.cuda.current_device())
        self._device = device
        self._transfer = transfer_to(device) if transfer is None else transfer
        network = network.to(device)
        if capture is None and device.type == "cuda" and graphs is not Graphs.OFF:
            capture = CudaCapture(device)
        if capture is None and graphs is Graphs.ON:
            logger.warning("%s has no graphs: steps run without", device)
        self._graph_runner: CudaGraphRunner | None = None
        if capture is not None and graphs is not Graphs.OFF:
            self._graph_runner = cuda_graph_runner(network, capture, only_faster=graphs is Graphs.AUTO)
        self._stages: Kokoro | CudaGraphRunner = self._graph_runner or network

    @property
    def captured(self) -> tuple[Shape, ...]:
        """The shapes for which there is a CUDA graph."""
        return () if self._graph_runner is None else self._graph_runner.captured

    def capture_graphs(self) -> None:
        """Capture the CUDA graphs, if any. Call once, before the first step but for a warm-up's, on any thread."""
        if self._graph_runner is not None:
            self._graph_runner.capture_all()

    def encode(self, jobs: Sequence[KokoroJob]) -> None:
        """Give each job its durations, and what the later stages need."""
        ids = [job.piece.ids for job in jobs]
        rows = _rows([len(row) for row in ids], self._transfer)
        speeds = self._transfer.to_device(torch.tensor([job.speed for job in jobs]))
        encoded = self._stages.encode(_tokens(ids, self._transfer), self._styles(jobs), speeds, rows)
        durations = self._transfer.to_host([encoded.durations[b, : len(row)] for b, row in enumerate(ids)])
        for b, job in enumerate(jobs):
            size = len(ids[b])
            job.prosody, job.speech = encoded.prosody[b, :size], encoded.speech[b, :size]
            job.durations = durations[b].clone()

    def front(self, jobs: Sequence[KokoroJob]) -> None:
        """Give each job its frames and their pitch."""
        sizes = [job.length for job in jobs]
        rows = _rows(sizes, self._transfer)
        durations = self._transfer.to_device(_padded([_present(job.durations)[:, None] for job in jobs])[..., 0])
        encoded = Encoded(
            _padded([_present(job.prosody) for job in jobs]), _padded([_present(job.speech) for job in jobs]), durations
        )
        features = self._stages.front(encoded, self._styles(jobs), rows, max(sizes))
        self._transfer.wait()
        for b, job in enumerate(jobs):
            job.frames = features.frames[b, :, : 2 * sizes[b]].T
            job.pitch = features.pitch[b, : 2 * sizes[b], None]
            job.prosody = job.speech = None

    def generate(self, jobs: Sequence[KokoroJob]) -> list[NDArray[np.float32]]:
        """The samples of each job's piece, [600 T]."""
        sizes = [job.length for job in jobs]
        rows = _rows(sizes, self._transfer)
        features = AcousticFeatures(
            _padded([_present(job.frames) for job in jobs]).transpose(1, 2).contiguous(),
            _padded([_present(job.pitch) for job in jobs])[..., 0],
        )
        seeds = self._transfer.to_device(torch.tensor([job.seed for job in jobs], dtype=torch.int64))
        samples = self._stages.generate(features, self._styles(jobs), rows, seeds)
        parts = self._transfer.to_host([samples[b, : FRAME_SAMPLES * size] for b, size in enumerate(sizes)])
        return [part.numpy().copy() for part in parts]

    def device_memory(self) -> DeviceMemory | None:
        """See `voxwire_server.engines.base.UsesDevice`."""
        return memory_of(self._device)

    def _styles(self, jobs: Sequence[KokoroJob]) -> Tensor:
        """[B, 256]."""
        return self._transfer.to_device(torch.stack([torch.from_numpy(job.style) for job in jobs]))


def _rows(sizes: Sequence[int], transfer: DeviceTransfer) -> Rows:
    """The rows of a batch whose lengths are known on the host."""
    return Rows(transfer.to_device(torch.tensor(sizes, dtype=torch.int64)), even=len(set(sizes)) == 1)


def _tokens(ids: Sequence[Sequence[int]], transfer: DeviceTransfer) -> Tensor:
    """[B, longest]: the ids, zeros behind the shorter rows."""
    return transfer.to_device(pad_sequence([torch.tensor(row) for row in ids], batch_first=True))


def _padded(parts: Sequence[Tensor]) -> Tensor:
    """[B, longest, C] of parts [n, C] that are all on one device."""
    return parts[0][None] if len(parts) == 1 else pad_sequence(list(parts), batch_first=True)


def _present(tensor: Tensor | None) -> Tensor:
    assert tensor is not None, "the stage before left it"
    return tensor
