"""Carries tensors between the host and a device; the host waits for the device here and nowhere else."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Protocol

import torch

from voxwire_server.engines.base import DeviceMemory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


class DeviceTransfer(Protocol):
    """The way to a device and back. That to a GPU is used by one thread at a time."""

    device: torch.device

    def to_device(self, tensor: Tensor) -> Tensor:
        """A copy of a dense host tensor on the device; the host does not wait for it."""

    def to_host(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """Each part on the host, flat, as soon as all that was queued is done. Good until the next call.

        Parts are of one type. They travel together and without what pads them: one copy a step.
        """

    def wait(self) -> None:
        """Return when the device has done all that was queued."""


class HostTransfer:
    """The device is the host."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")

    def to_device(self, tensor: Tensor) -> Tensor:
        """The tensor itself."""
        return tensor

    def to_host(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """See `DeviceTransfer`."""
        return [part.flatten() for part in parts]

    def wait(self) -> None:
        """Nothing is ever queued."""


class CudaTransfer:
    """The device is a GPU, reached through pinned memory.

    The host sleeps until an event, for the usual wait turns round in a loop and takes a core from the server. A step
    without a result waits too: else its time would be counted as the next one's, by which the scheduler learns what
    steps cost, and an error of it would fail the next one's jobs.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._landing = torch.empty(0, dtype=torch.uint8)

    def to_device(self, tensor: Tensor) -> Tensor:
        """See `DeviceTransfer`."""
        return tensor.pin_memory().to(self.device, non_blocking=True)

    def to_host(self, parts: Sequence[Tensor]) -> list[Tensor]:
        """See `DeviceTransfer`."""
        joined = torch.cat([part.flatten() for part in parts])
        landed = self._pinned(joined.nbytes).view(joined.dtype)
        landed.copy_(joined, non_blocking=True)
        self.wait()
        ends = list(itertools.accumulate(part.numel() for part in parts))
        return [landed[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def wait(self) -> None:
        """See `DeviceTransfer`."""
        self._done.record(torch.cuda.current_stream(self.device))
        self._done.synchronize()

    def _pinned(self, size: int) -> Tensor:
        """So many bytes of a buffer that grows by doubling: pinning costs the host a millisecond and more."""
        if len(self._landing) < size:
            self._landing = torch.empty(1 << (size - 1).bit_length(), dtype=torch.uint8).pin_memory()
        return self._landing[:size]


def transfer_to(device: torch.device) -> DeviceTransfer:
    """The way to a device."""
    return CudaTransfer(device) if device.type == "cuda" else HostTransfer()


def memory_of(device: torch.device) -> DeviceMemory | None:
    """What torch's allocator has of the device's memory; None for the host's. Callable from any thread."""
    if device.type != "cuda":
        return None
    return DeviceMemory(
        device=str(device),
        allocated_bytes=torch.cuda.memory_allocated(device),
        reserved_bytes=torch.cuda.memory_reserved(device),
        total_bytes=torch.cuda.get_device_properties(device).total_memory,
    )
