"""What only one of several test processes may do at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(file: Path, *, shared: bool = False) -> Iterator[None]:
    """Wait until nobody else holds `file`, or until all who hold it share it. The file itself is not touched."""
    handle = os.open(file, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Only one process of this user does what is called `name`; the others wait."""
    file = Path(tempfile.gettempdir()) / f"voxwire-tests-{os.getuid()}-{name}.lock"
    file.touch()
    with locked(file):
        yield
