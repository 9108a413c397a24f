"""Finds engines by the entry point group `voxwire.engines` and creates those that are configured."""

from __future__ import annotations

import inspect
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING

from voxwire_server.engines.base import EngineUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from voxwire_server.engines.base import Engine

GROUP = "voxwire.engines"
_WITH_OPTIONS = 2
_NONE: Mapping[str, str] = MappingProxyType({})


def known_engines() -> list[str]:
    """The names of all installed engines."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def create_engine(
    name: str, factory: Callable[..., Engine], models: str = "", options: Mapping[str, str] = _NONE
) -> Engine:
    """Create an engine by the factory of the entry point `name`.

    A factory with one parameter gets the folder of models, or ""; one with two parameters the engine's options as well.

    Raises:
        EngineUnavailable: the engine can't be created; also if there are options and the factory takes none.
    """
    count = len(inspect.signature(factory).parameters)
    if options and count < _WITH_OPTIONS:
        raise EngineUnavailable(f"engine {name} has no options", f"Remove what engines.options says of {name}.")
    return factory(*(models, options)[:count])


def load_engine(name: str, models: str = "", options: Mapping[str, str] = _NONE) -> Engine:
    """Create the engine `name`; `models` is the folder with weights that are in no package, empty for the default one.

    Raises:
        EngineUnavailable: there is no such engine, something that it needs is missing, or it has no such options.
    """
    points = list(entry_points(group=GROUP, name=name))
    if not points:
        raise EngineUnavailable(
            f"there is no engine {name!r}", f"Installed are: {', '.join(known_engines()) or 'none'}."
        )
    try:
        engine = create_engine(name, next(iter(points)).load(), models, options)
    except ImportError as error:
        raise EngineUnavailable(
            f"engine {name} needs {error.name or error}", f"pip install 'voxwire[{name}]'"
        ) from error
    return engine


def load_engines(
    names: Iterable[str], models: str = "", options: Mapping[str, Mapping[str, str]] = MappingProxyType({})
) -> tuple[dict[str, Engine], dict[str, EngineUnavailable]]:
    """Create the engines of `names`, each with its own options: the engines, and the errors of those that failed."""
    engines: dict[str, Engine] = {}
    missing: dict[str, EngineUnavailable] = {}
    for name in names:
        try:
            engines[name] = load_engine(name, models, options.get(name, _NONE))
        except EngineUnavailable as error:
            missing[name] = error
    return engines, missing
