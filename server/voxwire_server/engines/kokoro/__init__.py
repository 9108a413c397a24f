"""Kokoro: many voices, many languages. Imports nothing heavy by itself."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxwire_server.engines.base import Engine

_NONE: Mapping[str, str] = MappingProxyType({})


def create(models: str = "", options: Mapping[str, str] = _NONE) -> Engine:
    """The engine for this machine, for the entry point; `models` is the folder of models, empty for the usual one.

    `options` are those of `docs/kokoro.md`.

    Raises:
        EngineUnavailable: packages or weights are missing, or an option is none or has no such value.
    """
    from voxwire_server.engines.kokoro.factory import best

    return best(models, options)


def create_torch(models: str = "", options: Mapping[str, str] = _NONE) -> Engine:
    """Kokoro in torch whatever the machine, for the entry point.

    Raises:
        EngineUnavailable: packages or weights are missing, or an option is none or has no such value.
    """
    from voxwire_server.engines.kokoro.factory import on_torch

    return on_torch("kokoro-torch", models, options)


def create_onnx(models: str = "", options: Mapping[str, str] = _NONE) -> Engine:
    """Kokoro's int8 export whatever the machine, for the entry point.

    Raises:
        EngineUnavailable: packages or weights are missing, or an option is none or has no such value.
    """
    from voxwire_server.engines.kokoro.factory import on_onnx

    return on_onnx("kokoro-onnx", models, options)
