"""Pulls a model: one process fills a folder beside the model's final place, then renames it into place.

In the folder of models:

.NAME.lock           locked by the process that pulls
.NAME.pull/parts/    downloads, also partial ones; kept until a pull has succeeded
.NAME.pull/whole/    the future folder of the model
NAME/                the model: it appears by a rename, complete, with its manifest
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from voxwire_server.models.download import HttpClient
from voxwire_server.models.manifest import MANIFEST_FILE, describe, problems, read_manifest, write_manifest
from voxwire_server.models.registries import authorities
from voxwire_server.models.report import Damaged, Unusable, disk_errors, no_room

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
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
class RecipeInputs:
    """The inputs of a recipe, which puts a model's files into `whole`. `parts` keeps downloads until it has."""

    source: Source
    folder: Path | None
    parts: Path
    whole: Path
    env: Mapping[str, str]
    http_client: HttpClient
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
    build: Callable[[RecipeInputs], Provenance]


@dataclass(frozen=True, slots=True)
class PullOptions:
    """The options of a pull. `force` pulls a model again that is there; `folder` is given with Source.FOLDER."""

    models: Path
    source: Source = Source.AUTO
    folder: Path | None = None
    force: bool = False
    env: Mapping[str, str] = field(default_factory=lambda: os.environ)


def pull(
    recipe: Recipe, options: PullOptions, progress: Progress, pause: Callable[[float], None] = time.sleep
) -> tuple[Manifest, bool]:
    """Have the model in `options.models / recipe.name`. Returns its manifest, and whether it had to be pulled.

    Raises:
        ModelError: it can't be downloaded or written. The model that was there before is unchanged.
    """
    with disk_errors(options.models, recipe.room_bytes), staging(options.models, recipe.name, progress) as stage:
        present = None if options.force else whole(stage.place)
        if present is not None and options.source.value in (Source.AUTO.value, present.source):
            return present, False
        check_place(stage.place)
        stage.clear()
        check_room(options.models, recipe.room_bytes - _kept_bytes(stage.parts))
        http_client = HttpClient(authorities(options.env), pause)
        inputs = RecipeInputs(
            options.source, options.folder, stage.parts, stage.whole, options.env, http_client, progress
        )
        provenance = recipe.build(inputs)
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


# -- the folder while it is filled --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Staging:
    """The folders of a pull: `parts` for downloads, `whole` for the model's files, `place` for the finished model."""

    place: Path
    parts: Path
    whole: Path

    def clear(self) -> None:
        """Create both folders, `whole` empty."""
        shutil.rmtree(self.whole, ignore_errors=True)
        self.whole.mkdir(parents=True)
        self.parts.mkdir(exist_ok=True)

    def leave(self) -> None:
        """Remove everything but downloads."""
        shutil.rmtree(self.whole, ignore_errors=True)
        for folder in (self.parts, self.parts.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def publish(self, manifest: Manifest) -> None:
        """Move `whole` to `place`, replacing what may be there, and delete the downloads."""
        for file in self.whole.iterdir():
            _flush(file)
        write_manifest(self.whole, manifest)
        _flush(self.whole / MANIFEST_FILE)
        _flush(self.whole)
        old = self.whole.parent / "old"
        shutil.rmtree(old, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            self.place.rename(old)
        self.whole.rename(self.place)
        _flush(self.place.parent)
        shutil.rmtree(self.whole.parent, ignore_errors=True)


@contextlib.contextmanager
def staging(models: Path, name: str, progress: Progress) -> Iterator[Staging]:
    """The staging of one model, locked by this process inside the block; waits for another process that has it."""
    # Here, because there is none on Windows, where a client may be installed.
    import fcntl

    models.mkdir(parents=True, exist_ok=True)
    lock = os.open(models / f".{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.note(f"another process is pulling {name} into {models}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        work = models / f".{name}.pull"
        stage = Staging(models / name, work / "parts", work / "whole")
        try:
            yield stage
        finally:
            stage.leave()
    finally:
        os.close(lock)


def check_place(place: Path) -> None:
    """Check that `place` is free, or holds nothing but a model that was pulled.

    Raises:
        Unusable: it holds other files, which would be lost.
    """
    if not place.exists() and not place.is_symlink():
        return
    hint = "Move it away, or name another folder with --path."
    if place.is_symlink() or not place.is_dir():
        raise Unusable(f"{place} is not a folder", hint)
    manifest = read_manifest(place)
    own = {MANIFEST_FILE, *(manifest.files if manifest else ())}
    foreign = sorted(each.name for each in place.iterdir() if each.name not in own)
    if foreign:
        raise Unusable(f"{place} holds {foreign[0]}, which did not come with a model", hint)


def check_room(models: Path, needed_bytes: int) -> None:
    """Check that the disk has room for a pull.

    Raises:
        Unusable: the disk has less room than that.
    """
    if shutil.disk_usage(models).free < needed_bytes:
        raise no_room(models, needed_bytes)


def _kept_bytes(parts: Path) -> int:
    return sum(each.stat().st_size for each in parts.rglob("*") if each.is_file())


def _flush(path: Path) -> None:
    """Write a file or folder to disk before anything that follows (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
