"""What a pull reports: how far it is, and why it failed."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


_REDRAW_SECONDS = 0.1
_QUIET_SHARE = 0.5
"""Without a terminal, a line is printed after each such share of a file."""


class Progress(Protocol):
    """Receives the progress of a pull."""

    def moved(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """`done_bytes` of a file are downloaded; `total_bytes` 0 is unknown."""

    def note(self, text: str) -> None:
        """A message, on a line of its own."""


class Silent:
    """A progress display that shows nothing."""

    def moved(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Does nothing."""

    def note(self, text: str) -> None:
        """Does nothing."""


class Printed:
    """Writes to a stream; `clock` gives seconds."""

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._stream = stream
        self._clock = clock
        self._live = stream.isatty()
        self._drawn_s = float("-inf")
        self._open = False
        self._printed: tuple[str, int] = ("", 0)

    def moved(self, name: str, done_bytes: int, total_bytes: int) -> None:
        """Redraw the line, or without a terminal write one after each share of the file."""
        whole = total_bytes > 0 and done_bytes >= total_bytes
        text = f"{name}  {_size(done_bytes, total_bytes)}"
        if not self._live:
            share = int(done_bytes / total_bytes / _QUIET_SHARE) if total_bytes else 0
            if (name, share) != self._printed:
                self._printed = (name, share)
                self._write(f"{text}\n")
            return
        if not whole and self._clock() - self._drawn_s < _REDRAW_SECONDS:
            return
        self._drawn_s = self._clock()
        self._write(f"\r\x1b[K{text}" + ("\n" if whole else ""))
        self._open = not whole

    def note(self, text: str) -> None:
        """Write a line, below whatever line is being redrawn."""
        self.close()
        self._write(f"{text}\n")

    def close(self) -> None:
        """End the line that is being redrawn, so that what comes next has its own."""
        if self._open:
            self._write("\n")
            self._open = False

    def _write(self, text: str) -> None:
        # A pull goes on when its output is closed.
        with contextlib.suppress(BrokenPipeError):
            self._stream.write(text)
            self._stream.flush()


def _size(done_bytes: int, total_bytes: int) -> str:
    done = f"{done_bytes / 1e6:.1f}"
    if not total_bytes:
        return f"{done} MB"
    return f"{done} of {total_bytes / 1e6:.1f} MB  {100 * done_bytes // total_bytes} %"
