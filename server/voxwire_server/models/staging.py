"""Owns a model's folder while it is being filled: one at a time, beside its place, and put there whole.

.NAME.lock           held while somebody pulls
.NAME.pull/parts/    what was downloaded, also half; kept until a pull has succeeded
.NAME.pull/whole/    the folder to be
NAME/                what everybody else sees: it appears by a rename, with its manifest
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from voxwire_server.models.errors import Unusable, no_room
from voxwire_server.models.manifest import MANIFEST_FILE, read_manifest, write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from voxwire_server.models.manifest import Manifest
    from voxwire_server.models.progress import Progress


@dataclass(frozen=True, slots=True)
class Staging:
    """Where a pull works: downloads go to `parts`, the model's files into `whole`, and `place` is where it will be."""

    place: Path
    parts: Path
    whole: Path

    def clear(self) -> None:
        """Make `whole` empty, and both folders be there."""
        shutil.rmtree(self.whole, ignore_errors=True)
        self.whole.mkdir(parents=True)
        self.parts.mkdir(exist_ok=True)

    def leave(self) -> None:
        """Keep downloads, and nothing else."""
        shutil.rmtree(self.whole, ignore_errors=True)
        for folder in (self.parts, self.parts.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def publish(self, manifest: Manifest) -> None:
        """Put what is in `whole` in its place, instead of what may be there, and forget the downloads."""
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
    """The staging of one model, for this process alone inside the block; waits for another process that has it."""
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
    """Refuse to take the place of a folder that holds anything but a model that was put there.

    Raises:
        Unusable: something of somebody's own is there.
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
    """Refuse to begin what can't be ended.

    Raises:
        Unusable: the disk has less room than that.
    """
    if shutil.disk_usage(models).free < needed_bytes:
        raise no_room(models, needed_bytes)


def _flush(path: Path) -> None:
    """Make the disk have it before anything that follows."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
