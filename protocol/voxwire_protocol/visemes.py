"""The fifteen mouth shapes of `timing.visemes`, and what they are called elsewhere. Standard library only.

The data stand in `visemes.json` beside this module, for other languages to take. The set and its order are those of
Oculus LipSync (https://developers.meta.com/horizon/documentation/unity/audio-ovrlipsync-viseme-reference); Azure's
numbers those of https://learn.microsoft.com/azure/ai-services/speech-service/how-to-speech-synthesis-viseme, Rhubarb's
letters those of https://github.com/DanielSWolf/rhubarb-lip-sync. The weights of blend shapes are this project's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class MouthShape:
    """One shape.

    `sounds` are typical phonemes in IPA. `arkit` gives weights (0 to 1) of ARKit's 52 blend shapes by their names,
    `vrm` of VRM 1.0's expressions `aa ih ou ee oh`; what is not named is 0. `rhubarb` is a letter A-H or X, `azure` an
    id 0-21.
    """

    id: int
    name: str
    sounds: str
    arkit: Mapping[str, float]
    vrm: Mapping[str, float]
    rhubarb: str
    azure: int


def _load() -> tuple[MouthShape, ...]:
    text = Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    return tuple(MouthShape(**row) for row in json.loads(text)["shapes"])


SHAPES: tuple[MouthShape, ...] = _load()
"""All shapes; a shape's place is its id."""
COUNT = len(SHAPES)
SIL, PP, FF, TH, DD, KK, CH, SS, NN, RR, AA, E, I, O, U = range(COUNT)  # noqa: E741


def arkit(weights: Sequence[float]) -> dict[str, float]:
    """Weights of ARKit's blend shapes for the weights of the fifteen, by id; those that are 0 are left out."""
    return _blend(weights, [shape.arkit for shape in SHAPES])


def vrm(weights: Sequence[float]) -> dict[str, float]:
    """Weights of VRM 1.0's mouth expressions for the weights of the fifteen, by id; those that are 0 are left out."""
    return _blend(weights, [shape.vrm for shape in SHAPES])


def dominant(weights: Sequence[float]) -> MouthShape:
    """The shape of most weight; of equals the one with the lower id."""
    assert len(weights) == COUNT, "one weight a shape"
    return SHAPES[max(range(COUNT), key=lambda id: (weights[id], -id))]


def _blend(weights: Sequence[float], tables: Sequence[Mapping[str, float]]) -> dict[str, float]:
    assert len(weights) == COUNT, "one weight a shape"
    blended: dict[str, float] = {}
    for weight, table in zip(weights, tables, strict=True):
        if weight > 0.0:
            for name, share in table.items():
                blended[name] = blended.get(name, 0.0) + weight * share
    return blended
