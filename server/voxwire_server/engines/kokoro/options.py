"""Kokoro's options in the configuration, under `engines.options`. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from voxwire_server.engines.base import EngineUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

_Choice = TypeVar("_Choice", bound=Enum)


class Precision(Enum):
    """The type in which torch computes the network's large convolutions; `AUTO` is what suits the device."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Graphs(Enum):
    """Whether steps are captured as CUDA graphs; `AUTO` keeps those that are correct and faster, on a GPU."""

    AUTO = "auto"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class KokoroOptions:
    """Options of Kokoro in torch; the int8 export has none."""

    precision: Precision = Precision.AUTO
    graphs: Graphs = Graphs.AUTO

    @property
    def asks_for_torch(self) -> bool:
        """Whether an option is set that only torch has."""
        return self.precision is not Precision.AUTO or self.graphs is Graphs.ON


def read_options(engine: str, given: Mapping[str, str]) -> KokoroOptions:
    """Parse the options of the engine of that name.

    Raises:
        EngineUnavailable: there is no such option, or it has no such value.
    """
    for name in given:
        if name not in KokoroOptions.__slots__:
            raise EngineUnavailable(
                f"engine {engine} has no option {name!r}", f"It has: {', '.join(KokoroOptions.__slots__)}."
            )
    return KokoroOptions(
        _chosen(engine, "precision", given, Precision.AUTO), _chosen(engine, "graphs", given, Graphs.AUTO)
    )


def _chosen(engine: str, name: str, given: Mapping[str, str], default: _Choice) -> _Choice:
    value = given.get(name, default.value)
    try:
        return type(default)(value)
    except ValueError:
        raise EngineUnavailable(
            f"engine {engine} can't have {name} = {value!r}",
            f"{name} is one of {', '.join(each.value for each in type(default))}.",
        ) from None
