"""The embedded English voice: hibari's network and G2P, with alignment, seeds and a vocoder of our own."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxwire_server.engines.base import Engine


def create() -> Engine:
    """Load the engine.

    Raises:
        EngineUnavailable: hibari-tts or onnxruntime is not installed, or its files are not the ones this was built for.
    """
    from voxwire_server.engines.base import EngineUnavailable

    hint = "pip install 'voxwire[hibari]'"
    try:
        from voxwire_server.engines.hibari.engine import HibariEngine
    except ImportError as error:
        raise EngineUnavailable(f"engine 'hibari' needs {error.name or error}, which is not installed", hint) from error
    try:
        return HibariEngine()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise EngineUnavailable(f"engine 'hibari' can't load its model: {error}", hint) from error
