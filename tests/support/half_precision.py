"""Kokoro's half precision emulated in float32: values are rounded as tensor cores round them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from support import kokoro
from voxwire_server.engines.base import Engine
from voxwire_server.engines.kokoro.engine import KokoroEngine, torch_info
from voxwire_server.engines.kokoro.g2p import Languages
from voxwire_server.engines.kokoro.model.network import Kokoro
from voxwire_server.engines.kokoro.runtime.steps import TorchSteps
from voxwire_server.engines.kokoro.text_frontend import Styles, TextFrontend, voices_of


def rounding_engine(dtype: torch.dtype) -> Engine:
    """An engine whose large convolutions take and give float32 that has been rounded to `dtype`."""
    weights = kokoro.weights()
    network = kokoro.network()
    round_convolutions(network, dtype)
    languages = Languages(weights.vocabulary())
    voices = voices_of("kokoro", weights.voices(), languages.known)
    device = torch.device("cpu")
    frontend = TextFrontend(languages, voices, Styles(weights.voices()))
    return KokoroEngine(TorchSteps(network, device), frontend, torch_info("kokoro", voices, device, torch.float32))


def round_convolutions(network: Kokoro, dtype: torch.dtype) -> None:
    """Round weights, inputs and outputs of the convolutions that `Kokoro.lower` converts; sums stay float32."""

    def round_input(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (inputs[0].to(dtype).float(), *inputs[1:])

    def round_output(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output.to(dtype).float()

    for convolution in network.large_convolutions():
        convolution.to(dtype).float()
        convolution.register_forward_pre_hook(round_input)
        convolution.register_forward_hook(round_output)
