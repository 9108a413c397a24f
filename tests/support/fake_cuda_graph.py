"""Stands for CUDA graphs on a CPU: notes down each operation once and does the same again on the same memory.

What the host decided while it was noted down stays so, as in a graph: numbers, branches, which tensors are read. What
a graph can't hold, because the host would have to wait for a value, can't be noted down either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_WAITING = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal.default", "is_nonzero", "item")


class Tape(TorchDispatchMode):
    """The operations of one recording."""

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
    def play(self) -> None:
        """All of them again; each result goes where it went the first time."""
        for func, args, kwargs, outs in self.operations:
            for out, again in zip(outs, _tensors(func(*args, **kwargs)), strict=True):
                if out.data_ptr() != again.data_ptr():
                    out.copy_(again)


class TapeCapture:
    """A `Capture` of tapes. `errors` are raised, one a recording; `speeds` are what eager and played take."""

    def __init__(self) -> None:
        self.errors: dict[int, Exception] = {}
        self.play_errors: list[Exception] = []
        self.tries = 0
        self.played = 0
        self.speeds: Callable[[bool], float] = lambda played: 1.0 if played else 2.0
        self.held_bytes = 0

    def record(self, run: Callable[[], None]) -> Callable[[], None]:
        self.tries += 1
        if self.tries in self.errors:
            raise self.errors[self.tries]
        run()
        tape = Tape()
        with tape:
            run()

        def play() -> None:
            self.played += 1
            if self.play_errors:
                raise self.play_errors.pop()
            tape.play()

        return play

    def seconds(self, run: Callable[[], object]) -> float:
        before = self.played
        run()
        return self.speeds(self.played > before)


def _tensors(out: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
