"""Finds engines by the entry point group `voxwire.engines` and creates those that are wanted."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from voxwire_server.engines.base import EngineUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voxwire_server.engines.base import Engine

GROUP = "voxwire.engines"


def known_engines() -> list[str]:
    """The names of all engines that are installed."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def made(factory: Callable[..., Engine], models: str) -> Engine:
    """What the factory of an entry point makes. One that takes an argument is given the folder of models, or ""."""
    return factory(models) if inspect.signature(factory).parameters else factory()


def load_engine(name: str, models: str = "") -> Engine:
    """Create the engine `name`; `models` is the folder with weights that are in no package, empty for the usual one.

    Raises:
        EngineUnavailable: there is none of that name, or what it needs is missing.
    """
    points = list(entry_points(group=GROUP, name=name))
    if not points:
        raise EngineUnavailable(
            f"there is no engine {name!r}", f"Installed are: {', '.join(known_engines()) or 'none'}."
        )
    try:
        engine = made(next(iter(points)).load(), models)
    except ImportError as error:
        raise EngineUnavailable(
            f"engine {name} needs {error.name or error}", f"pip install 'voxwire[{name}]'"
        ) from error
    return engine


def load_engines(names: Iterable[str], models: str = "") -> tuple[dict[str, Engine], dict[str, EngineUnavailable]]:
    """Create the engines of `names`: those that there are, and why there are not the others."""
    engines: dict[str, Engine] = {}
    missing: dict[str, EngineUnavailable] = {}
    for name in names:
        try:
            engines[name] = load_engine(name, models)
        except EngineUnavailable as error:
            missing[name] = error
    return engines, missing
