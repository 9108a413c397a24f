"""The errors of pulling weights. Every error says what to do about it."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class ModelError(Exception):
    """Weights can't be pulled: `hint` says what to do, `retryable` whether the same command may succeed later."""

    retryable = False

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Unreachable(ModelError):
    """A server does not answer, or its answer breaks off again and again."""

    retryable = True


class Refused(ModelError):
    """A server answers and refuses to send the file."""


class Damaged(ModelError):
    """A file that was received, or that is on disk, is not what it should be."""


class Unusable(ModelError):
    """The folder for models can't be written: it is full, read-only, or of another user."""


_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextlib.contextmanager
def disk_errors(folder: Path, needed_bytes: int) -> Iterator[None]:
    """Turn the disk's errors inside the block into `Unusable`.

    Raises:
        Unusable: the disk is full, or the folder can't be written.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise no_room(folder, needed_bytes) from error
        elsewhere = "Name another folder with --path, or in the configuration as models.path."
        if error.errno in _FORBIDDEN:
            message = f"{error.filename or folder} can't be written ({error.strerror})"
            raise Unusable(message, elsewhere) from error
        raise Unusable(f"{error.filename or folder}: {error.strerror or error}", elsewhere) from error


def no_room(folder: Path, needed_bytes: int) -> Unusable:
    """The error of a disk that has less than `needed_bytes` free."""
    return Unusable(
        f"there is no room left in {folder}",
        f"About {needed_bytes / 1e6:.0f} MB are needed: free some space, or name another folder with --path. What has "
        "come so far is kept, and the same command goes on from there.",
    )
