"""Owns the folder of models: where it is, and the manifest of each model in it, with its files' sizes and checksums.

The manifest is written last, so a model's folder that has one is complete.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxwire_server.models.report import Damaged

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENV_FOLDER = "VOXWIRE_MODELS"
MANIFEST_FILE = "manifest.json"
_FORMAT = 1
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Checksum:
    """The expected digest of a file: an algorithm of `hashlib` and hexadecimal digits."""

    algorithm: str
    digits: str

    @classmethod
    def sha256(cls, digits: str) -> Checksum:
        """As PyPI, git-lfs and `sha256sum` write it."""
        return cls("sha256", digits.lower())

    @classmethod
    def integrity(cls, text: str) -> Checksum | None:
        """As npm writes it: the sha512 of a Subresource Integrity string (https://www.w3.org/TR/SRI/), or None."""
        for each in text.split():
            algorithm, _, encoded = each.partition("-")
            if algorithm == "sha512":
                try:
                    return cls(algorithm, base64.b64decode(encoded.partition("?")[0], validate=True).hex())
                except binascii.Error:
                    return None
        return None


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file's size and the SHA-256 of its content, in hexadecimal."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a model's files come from: `versions` of each source by name, `files` by name."""

    model: str
    source: str
    versions: Mapping[str, str]
    files: Mapping[str, FileRecord]

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(each.size_bytes for each in self.files.values())


def models_folder(chosen: str | Path | None = None, env: Mapping[str, str] | None = None) -> Path:
    """The folder that was chosen, the one VOXWIRE_MODELS names, or `voxwire/models` in the user's cache; absolute.

    The cache is XDG_CACHE_HOME where that is an absolute path, else `~/.cache`
    (https://specifications.freedesktop.org/basedir-spec/latest/).
    """
    env = os.environ if env is None else env
    named = str(chosen or "") or env.get(ENV_FOLDER, "")
    if named:
        return Path(named).expanduser().absolute()
    cache = Path(env.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path("~/.cache").expanduser()) / "voxwire" / "models"


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a model's folder; None where there is none.

    Raises:
        Damaged: it can't be read.
    """
    file = folder / MANIFEST_FILE
    try:
        text = file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Damaged(f"{file} can't be read: {error}", "Pull the model again with --force.") from error
    try:
        return _parsed(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{file} is no manifest that is understood here", "Pull the model again with --force.") from error


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write it into the folder."""
    document = {
        "format": _FORMAT,
        "model": manifest.model,
        "source": manifest.source,
        "versions": dict(manifest.versions),
        "files": {name: {"size": each.size_bytes, "sha256": each.sha256} for name, each in manifest.files.items()},
    }
    (folder / MANIFEST_FILE).write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")


def describe(model: str, source: str, versions: Mapping[str, str], folder: Path) -> Manifest:
    """The manifest of all files that are in `folder` now."""
    names = sorted(each.name for each in folder.iterdir() if each.name != MANIFEST_FILE)
    records = {name: FileRecord((folder / name).stat().st_size, checksum(folder / name)) for name in names}
    return Manifest(model, source, versions, records)


def checksum(file: Path, algorithm: str = "sha256") -> str:
    """The hexadecimal digest of a file."""
    digest = hashlib.new(algorithm)
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def problems(folder: Path, manifest: Manifest, *, sizes_only: bool = False) -> Iterator[tuple[str, str]]:
    """Each file that differs from the manifest, and how; nothing when the folder is complete."""
    for name, record in manifest.files.items():
        file = folder / name
        try:
            size = file.stat().st_size
            if size != record.size_bytes:
                yield name, f"has {size} bytes instead of {record.size_bytes}"
            elif not sizes_only and checksum(file) != record.sha256:
                yield name, "has the right size and another content"
        except OSError as error:
            yield name, "is missing" if isinstance(error, FileNotFoundError) else f"can't be read: {error.strerror}"


def _parsed(document: Any) -> Manifest:
    if document["format"] != _FORMAT:
        raise ValueError("another format")
    files = {str(name): FileRecord(int(each["size"]), str(each["sha256"])) for name, each in document["files"].items()}
    if any(name != name.rpartition("/")[2] or name in ("", ".", "..") for name in files):
        raise ValueError("a file outside the folder")
    versions = {str(name): str(version) for name, version in document["versions"].items()}
    return Manifest(str(document["model"]), str(document["source"]), versions, files)
