"""Kokoro: many voices, many languages. Imports nothing heavy by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxwire_server.engines.base import Engine


def create() -> Engine:
    """The engine for this machine, for the entry point.

    Raises:
        EngineUnavailable: packages or weights are missing.
    """
    from voxwire_server.engines.kokoro.creation import best

    return best()


def create_torch() -> Engine:
    """Kokoro in torch whatever the machine, for the entry point.

    Raises:
        EngineUnavailable: packages or weights are missing.
    """
    from voxwire_server.engines.kokoro.creation import on_torch

    return on_torch("kokoro-torch")


def create_onnx() -> Engine:
    """Kokoro's int8 export whatever the machine, for the entry point.

    Raises:
        EngineUnavailable: packages or weights are missing.
    """
    from voxwire_server.engines.kokoro.creation import on_onnx

    return on_onnx("kokoro-onnx")
