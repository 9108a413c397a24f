"""Pulls a model into its folder, unless it is there already."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from voxwire_server.models.download import Web
from voxwire_server.models.manifest import check_place, check_room, describe, problems, read_manifest, staging
from voxwire_server.models.registries import authorities
from voxwire_server.models.report import Damaged, disk_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from voxwire_server.models.manifest import Manifest
    from voxwire_server.models.report import Progress


class Source(Enum):
    """Where weights come from. AUTO leaves the choice to the model; FOLDER is a folder with another source's files."""

    AUTO = "auto"
    HUB = "hub"
    PACKAGES = "packages"
    FOLDER = "folder"


@dataclass(frozen=True, slots=True)
class Order:
    """The inputs of a recipe, which puts a model's files into `whole`. `parts` keeps downloads until it has."""

    source: Source
    folder: Path | None
    parts: Path
    whole: Path
    env: Mapping[str, str]
    web: Web
    progress: Progress


@dataclass(frozen=True, slots=True)
class Provenance:
    """Which source the files came from, and the version of everything they were made from."""

    source: Source
    versions: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to get one model. `room_bytes` is the most disk space that pulling takes."""

    name: str
    about: str
    room_bytes: int
    build: Callable[[Order], Provenance]


@dataclass(frozen=True, slots=True)
class Request:
    """The options of a pull. `force` pulls a model again that is there; `folder` is given with Source.FOLDER."""

    models: Path
    source: Source = Source.AUTO
    folder: Path | None = None
    force: bool = False
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)


def pull(
    recipe: Recipe, request: Request, progress: Progress, pause: Callable[[float], None] = time.sleep
) -> tuple[Manifest, bool]:
    """Have the model in `request.models / recipe.name`. Returns its manifest, and whether it had to be pulled.

    Raises:
        ModelError: it can't be downloaded or written. The model that was there before is unchanged.
    """
    with disk_errors(request.models, recipe.room_bytes), staging(request.models, recipe.name, progress) as stage:
        present = None if request.force else whole(stage.place)
        if present is not None and request.source.value in (Source.AUTO.value, present.source):
            return present, False
        check_place(stage.place)
        stage.clear()
        check_room(request.models, recipe.room_bytes - _kept_bytes(stage.parts))
        web = Web(authorities(request.env), pause)
        order = Order(request.source, request.folder, stage.parts, stage.whole, request.env, web, progress)
        provenance = recipe.build(order)
        manifest = describe(recipe.name, provenance.source.value, provenance.versions, stage.whole)
        stage.publish(manifest)
        return manifest, True


def whole(place: Path) -> Manifest | None:
    """The manifest of a model's folder, if all its files are there in the right size; None otherwise."""
    try:
        manifest = read_manifest(place)
    except Damaged:
        return None
    if manifest is None or any(problems(place, manifest, sizes_only=True)):
        return None
    return manifest


def _kept_bytes(parts: Path) -> int:
    return sum(each.stat().st_size for each in parts.rglob("*") if each.is_file())
