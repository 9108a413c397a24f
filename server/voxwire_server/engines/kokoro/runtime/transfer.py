"""Copies tensors between the host and a device; the host waits for the device here and nowhere else."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

import torch

from voxwire_server.engines.base import DeviceMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class DeviceTransfer(Protocol):
    """Copies tensors to a device and back. That of a GPU is used by one thread at a time."""

    device: torch.device

    def to_device(self, tensor: Tensor) -> Tensor:
        """A copy of a dense host tensor on the device; the host does not wait for it."""

    def to_host(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Each part on the host, flat, as soon as all queued work is done. Valid until the next call.

        Parts have one type. They are copied together and without their padding: one copy per step.
        """

    def wait(self) -> None:
        """Return when the device has done all queued work."""


class HostTransfer:
    """For the CPU: nothing is copied, nothing is queued."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")

    def to_device(self, tensor: Tensor) -> Tensor:
        """The tensor itself."""
        return tensor

    def to_host(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """See `DeviceTransfer`."""
        return [part.flatten() for part in parts]

    def wait(self) -> None:
        """Return at once."""


class CudaTransfer:
    """For a GPU, through pinned memory.

    The host sleeps until an event: torch's usual wait spins, which takes a core from the server. A step that copies
    nothing back waits too: else the scheduler would measure its time as the next step's, and its error would fail the
    next step's jobs.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._pinned_buffer = torch.empty(0, dtype=torch.uint8)

    def to_device(self, tensor: Tensor) -> Tensor:
        """See `DeviceTransfer`."""
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def to_host(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """See `DeviceTransfer`."""
        joined = torch.cat([part.flatten() for part in parts])
        copied = self._pinned(joined.nbytes).view(joined.dtype)
        copied.copy_(joined, non_blocking=True)
        self.wait()
        ends = list(itertools.accumulate(part.numel() for part in parts))
        return [copied[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def wait(self) -> None:
        """See `DeviceTransfer`."""
        self._done.record(torch.cuda.current_stream(self.device))
        self._done.synchronize()

    def _pinned(self, size: int) -> Tensor:
        """`size` bytes of a buffer that grows by doubling: pinning memory costs the host a millisecond and more."""
        if len(self._pinned_buffer) < size:
            self._pinned_buffer = torch.empty(1 << (size - 1).bit_length(), dtype=torch.uint8).pin_memory()
        return self._pinned_buffer[:size]


def transfer_to(device: torch.device) -> DeviceTransfer:
    """The transfer for a device."""
    return CudaTransfer(device) if device.type == "cuda" else HostTransfer()


def memory_of(device: torch.device) -> DeviceMemory | None:
    """What torch's allocator holds of the device's memory; None for a CPU. Callable from any thread."""
    if device.type != "cuda":
        return None
    return DeviceMemory(
        device=str(device),
        allocated_bytes=torch.cuda.memory_allocated(device),
        reserved_bytes=torch.cuda.memory_reserved(device),
        total_bytes=torch.cuda.get_device_properties(device).total_memory,
    )
