"""Stands for CUDA graphs on a CPU: notes down each operation once, and does the same again on the same memory.

As in a graph, what the host decided during the capture stays so: numbers, branches, which tensors are read. Operations
for whose value the host would have to wait can't be captured, as on a GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal.default", "is_nonzero", "item")


class FakeGraph(TorchDispatchMode):
    """The operations of one capture."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, list[torch.Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func).removeprefix("aten.")
        if name.startswith(_WAITING):
            raise RuntimeError(f"{func}: operation not permitted when stream is capturing")
        out = func(*args, **(kwargs or {}))
        self.operations.append((func, args, kwargs or {}, _tensors(out)))
        return out

    @torch.inference_mode()
    def replay(self) -> None:
        """All of them again; each result is written to where it was at the capture."""
        for func, args, kwargs, outs in self.operations:
            for out, again in zip(outs, _tensors(func(*args, **kwargs)), strict=True):
                if out.data_ptr() != again.data_ptr():
                    out.copy_(again)


class FakeCapture:
    """A `Capture` of fake graphs.

    `errors` are raised by the capture of that number, `replay_errors` one by each replay. `speeds` gives the seconds
    that are measured, by whether a graph was replayed.
    """

    def __init__(self) -> None:
        self.errors: dict[int, Exception] = {}
        self.replay_errors: list[Exception] = []
        self.tries = 0
        self.replays = 0
        self.speeds: Callable[[bool], float] = lambda replayed: 1.0 if replayed else 2.0
        self.held_bytes = 0

    def capture(self, run: Callable[[], None]) -> Callable[[], None]:
        self.tries += 1
        if self.tries in self.errors:
            raise self.errors[self.tries]
        run()
        graph = FakeGraph()
        with graph:
            run()

        def replay() -> None:
            self.replays += 1
            if self.replay_errors:
                raise self.replay_errors.pop()
            graph.replay()

        return replay

    def seconds(self, run: Callable[[], object]) -> float:
        before = self.replays
        run()
        return self.speeds(self.replays > before)


def _tensors(out: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
