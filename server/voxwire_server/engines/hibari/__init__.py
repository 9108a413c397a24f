"""The embedded English voice: hibari-tts, a 7.9 MB model with its lexicon and G2P inside the wheel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voxwire_server.engines.hibari.engine import HibariEngine


def create() -> HibariEngine:
    """The engine, for the entry point.

    Raises:
        EngineUnavailable: the extra `hibari` is not installed.
    """
    from voxwire_server.engines.base import EngineUnavailable

    try:
        from voxwire_server.engines.hibari.engine import HibariEngine
    except ImportError as error:
        raise EngineUnavailable(
            f"the hibari voice needs the package {error.name}", "pip install 'voxwire[hibari]'"
        ) from error
    return HibariEngine()
