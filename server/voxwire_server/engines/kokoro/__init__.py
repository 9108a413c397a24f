"""Kokoro: many voices, many languages. Imports nothing heavy by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxwire_server.engines.base import Engine


def create(models: str = "") -> Engine:
    """The engine for this machine, for the entry point; `models` is the folder of models, empty for the usual one.

    Raises:
        EngineUnavailable: packages or weights are missing.
    """
    from voxwire_server.engines.kokoro.creation import best

    return best(models)


def create_torch(models: str = "") -> Engine:
    """Kokoro in torch whatever the machine, for the entry point.

    Raises:
        EngineUnavailable: packages or weights are missing.
    """
    from voxwire_server.engines.kokoro.creation import on_torch

    return on_torch("kokoro-torch", models)


def create_onnx(models: str = "") -> Engine:
    """Kokoro's int8 export whatever the machine, for the entry point.

    Raises:
        EngineUnavailable: packages or weights are missing.
    """
    from voxwire_server.engines.kokoro.creation import on_onnx

    return on_onnx("kokoro-onnx", models)
