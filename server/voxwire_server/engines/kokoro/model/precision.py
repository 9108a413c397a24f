"""In which numbers the network's large convolutions are made; everything else is float32."""

from __future__ import annotations

from enum import Enum
from typing import Any, assert_never

import torch


class Precision(Enum):
    """The value is how the configuration and the documentation name it."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"

    @property
    def dtype(self) -> torch.dtype:
        """The type of those convolutions' weights and of what they take and give; sums are of float32 inside."""
        match self:
            case Precision.FLOAT32:
                return torch.float32
            case Precision.BFLOAT16:
                return torch.bfloat16
            case Precision.FLOAT16:
                return torch.float16
            case _:
                assert_never(self)


def fitting(device: torch.device) -> Precision:
    """What `auto` is on a device: a half where the device multiplies halves by itself.

    On a GPU that is float16, which rounds to an eighth of bfloat16's steps while nothing in the decoder comes near its
    largest number (`bench/results/kokoro-precision.json`). CPUs multiply bfloat16 alone, and few of them.
    """
    if device.type == "cuda":
        return Precision.FLOAT16
    return Precision.BFLOAT16 if multiplies_bfloat16() else Precision.FLOAT32


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for it (AVX-512 BF16, AMX), and a torch that can tell and use them."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    onednn: Any = torch.backends.mkldnn
    if capabilities is None or not onednn.is_available():
        return False
    found: dict[str, object] = capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
