"""In which numbers the network's large convolutions are made on a device; everything else is float32."""

from __future__ import annotations

from typing import Any, assert_never

import torch

from voxwire_server.engines.kokoro.options import Precision


def fitting(wanted: Precision, device: torch.device) -> torch.dtype:
    """The type of those convolutions' weights, and of what they take and give; their sums are of float32.

    `auto` is a half where the device multiplies halves by itself. On a GPU that is float16, whose steps are an eighth
    of bfloat16's, and nothing in the decoder comes near its largest number. CPUs have instructions for bfloat16, and
    few have those.

    Raises:
        ValueError: the device takes longer over these numbers than over float32.
    """
    match wanted:
        case Precision.AUTO if device.type == "cuda":
            return torch.float16
        case Precision.AUTO:
            return torch.bfloat16 if multiplies_bfloat16() else torch.float32
        case Precision.FLOAT32:
            return torch.float32
        case Precision.BFLOAT16:
            return torch.bfloat16
        case Precision.FLOAT16:
            if device.type != "cuda":
                raise ValueError("float16 takes a GPU")
            return torch.float16
        case _:
            assert_never(wanted)


def multiplies_bfloat16() -> bool:
    """Whether this CPU has instructions for it (AVX-512 BF16, AMX), and a torch that can tell and use them."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    onednn: Any = torch.backends.mkldnn
    if capabilities is None or not onednn.is_available():
        return False
    found: dict[str, object] = capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
