"""The entry points of Kokoro-82M, which has many voices and languages. Imports nothing heavy by itself."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxwire_server.engines.base import Engine

_NONE: Mapping[str, str] = MappingProxyType({})


def create(models: str = "", options: Mapping[str, str] = _NONE) -> Engine:
    """Kokoro as it runs fastest on this machine; `models` is the folder of models, empty for the default one.

    `options` are described in `docs/kokoro.md`.

    Raises:
        EngineUnavailable: packages or weights are missing, or there is no such option or value.
    """
    from voxwire_server.engines.kokoro.factory import create_fastest

    return create_fastest(models, options)


def create_torch(models: str = "", options: Mapping[str, str] = _NONE) -> Engine:
    """Kokoro in torch, on any machine.

    Raises:
        EngineUnavailable: packages or weights are missing, or there is no such option or value.
    """
    from voxwire_server.engines.kokoro import factory

    return factory.create_torch("kokoro-torch", models, options)


def create_onnx(models: str = "", options: Mapping[str, str] = _NONE) -> Engine:
    """Kokoro's int8 export, on any machine.

    Raises:
        EngineUnavailable: packages or weights are missing, or there is no such option or value.
    """
    from voxwire_server.engines.kokoro import factory

    return factory.create_onnx("kokoro-onnx", models, options)
