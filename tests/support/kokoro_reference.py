"""The reference implementation of Kokoro (PyPI `kokoro`) with given weights, without its package's own imports."""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
import types
import warnings
from collections.abc import Mapping
from typing import Any

# https://huggingface.co/hexgrad/Kokoro-82M, config.json.
CONFIG = {
    "istftnet": {
        "upsample_kernel_sizes": [20, 12],
        "upsample_rates": [10, 6],
        "gen_istft_hop_size": 5,
        "gen_istft_n_fft": 20,
        "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        "resblock_kernel_sizes": [3, 7, 11],
        "upsample_initial_channel": 512,
    },
    "dim_in": 64,
    "dropout": 0.2,
    "hidden_dim": 512,
    "max_dur": 50,
    "n_layer": 3,
    "n_mels": 80,
    "n_token": 178,
    "style_dim": 128,
    "text_encoder_kernel_size": 5,
    "plbert": {
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 2048,
        "max_position_embeddings": 512,
        "num_hidden_layers": 12,
        "dropout": 0.1,
    },
}
PACKAGES = ("kokoro", "transformers", "loguru", "attr")


def missing() -> list[str]:
    """The packages that it needs and that are not installed."""
    return [name for name in PACKAGES if importlib.util.find_spec(name) is None]


def reference_model(state: Mapping[str, Any], vocabulary: Mapping[str, int]) -> Any:
    """A `kokoro.model.KModel` with weight norm removed and `state` loaded."""
    import torch
    from torch.nn.utils import remove_weight_norm

    empty = io.BytesIO()
    torch.save({}, empty)
    empty.seek(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _module().KModel(repo_id="local", config=CONFIG | {"vocab": dict(vocabulary)}, model=empty)
        for module in model.modules():
            if hasattr(module, "weight_g"):
                remove_weight_norm(module)
    missing, unexpected = model.load_state_dict(dict(state), strict=False)
    assert not unexpected, unexpected
    left_out = [name for name in missing if not (name.startswith("bert.pooler") or ".norm." in name)]
    assert not left_out, left_out
    return model.eval()


def _module() -> types.ModuleType:
    """`kokoro.model` without `kokoro/__init__.py`, which imports G2P for all languages."""
    if "kokoro" not in sys.modules:
        spec = importlib.util.find_spec("kokoro")
        assert spec is not None
        package = types.ModuleType("kokoro")
        package.__path__ = list(spec.submodule_search_locations or ())
        package.__spec__ = spec
        sys.modules["kokoro"] = package
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("kokoro.model")
