"""Downloads one file: resumes where an attempt was broken off, and accepts only the right checksum."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, BinaryIO

from voxwire_server.models.errors import Damaged, Refused, Unreachable
from voxwire_server.models.manifest import checksum
from voxwire_server.models.web import StatusRefused, shown

if TYPE_CHECKING:
    from pathlib import Path

    from voxwire_server.models.manifest import Checksum
    from voxwire_server.models.progress import Progress
    from voxwire_server.models.web import Answer, Web

PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""Pauses before further attempts while no byte arrives; an attempt that brings bytes begins them anew."""

_BLOCK_BYTES = 1 << 18
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Artifact:
    """A file on a server. `authorization` is the header's value for the server's own host, empty for none."""

    name: str
    url: str
    size_bytes: int
    expected: Checksum
    authorization: str = field(default="", repr=False)


class _Restart(Exception):
    """The download has to begin from the start: the part on disk can't be resumed."""


def fetch(artifact: Artifact, folder: Path, web: Web, progress: Progress) -> Path:
    """Have the file in `folder`, downloading what is missing. Until it is complete, it is called `NAME.part`.

    Raises:
        Unreachable: the server can't be reached, or breaks off again and again; what was received is kept.
        Refused: the server refuses to send it.
        Damaged: the file has another checksum, even when downloaded from the start; it is removed.
        OSError: the disk is full or can't be written.
    """
    target, part = folder / artifact.name, folder / f"{artifact.name}.part"
    if target.is_file() and is_whole(target, artifact):
        progress.note(f"{artifact.name}  is there already")
        return target
    kept = _size(part)
    if kept:
        progress.note(f"{artifact.name}  goes on at {kept / 1e6:.1f} MB")
    _receive(artifact, part, web, progress)
    if not is_whole(part, artifact) and kept:
        # The part that an earlier attempt left may be what is wrong.
        part.unlink()
        progress.note(f"{artifact.name}  has the wrong checksum; once more from the start")
        _receive(artifact, part, web, progress)
    if not is_whole(part, artifact):
        page = _looks_like_a_page(part)
        part.unlink()
        raise _not_it(artifact, page)
    part.replace(target)
    return target


def is_whole(file: Path, artifact: Artifact) -> bool:
    """Whether the file has the size and checksum that it must have."""
    expected = artifact.expected
    return _size(file) == artifact.size_bytes and checksum(file, expected.algorithm) == expected.digits


def _receive(artifact: Artifact, part: Path, web: Web, progress: Progress) -> None:
    failures = 0
    while (before := _size(part)) < artifact.size_bytes:
        try:
            _attempt(artifact, part, web, progress)
            return
        except _Restart:
            part.unlink(missing_ok=True)
            failures += 1
            if failures > len(PAUSES_SECONDS):
                message = f"{shown(artifact.url)} can't be read from the middle nor from the start"
                raise Refused(message, "Try another mirror.") from None
        except Unreachable as error:
            failures = 0 if _size(part) > before else failures
            if failures == len(PAUSES_SECONDS):
                raise
            pause_seconds = PAUSES_SECONDS[failures]
            progress.note(f"{error.message}; trying again in {pause_seconds:.0f} s")
            web.pause(pause_seconds)
            failures += 1


def _attempt(artifact: Artifact, part: Path, web: Web, progress: Progress) -> None:
    """Ask for the rest of the file and append what is received.

    Raises:
        Unreachable: it broke off before the end.
    """
    start = _size(part)
    headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    try:
        with web.answer(artifact.url, headers, artifact.authorization) as answer:
            at = _first_byte(answer, start)
            end = at + int(answer.headers.get("Content-Length") or artifact.size_bytes - at)
            with part.open("r+b" if at else "wb") as stream:
                stream.seek(at)
                stream.truncate()
                at = _append(answer, stream, at, artifact, progress)
    except StatusRefused as error:
        if error.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise _Restart from error
        raise
    # A server that sent all of Content-Length is not asked again: it has another file, which the checksum will show.
    if at < min(end, artifact.size_bytes):
        raise Unreachable(f"{shown(artifact.url)} broke off at {at / 1e6:.1f} MB", "Run the same command to go on.")


def _append(answer: Answer, stream: BinaryIO, at: int, artifact: Artifact, progress: Progress) -> int:
    """Write the answer from `at` on; returns its end: one byte beyond the file's own end if the server sends more."""
    limit = artifact.size_bytes + 1
    while at < limit and (block := answer.read(min(_BLOCK_BYTES, limit - at))):
        at += stream.write(block)
        progress.moved(artifact.name, min(at, artifact.size_bytes), artifact.size_bytes)
    return at


def _first_byte(answer: Answer, start: int) -> int:
    """Where the answer's first byte belongs: at `start`, or at 0 where the server sends the whole file."""
    if answer.status != HTTPStatus.PARTIAL_CONTENT:
        return 0
    found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != start:
        raise _Restart
    return start


def _not_it(artifact: Artifact, page: bool) -> Damaged:
    where = shown(artifact.url)
    if page:
        return Damaged(
            f"{where} gave a web page instead of {artifact.name}",
            "It may be the login page of a proxy or of a mirror: open the address in a browser.",
        )
    expected = f"{artifact.expected.algorithm}:{artifact.expected.digits}"
    return Damaged(
        f"{artifact.name} from {where} has another checksum than {expected}",
        "The mirror, or something on the way, changed it. Take another mirror (PIP_INDEX_URL, npm_config_registry).",
    )


def _looks_like_a_page(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0
