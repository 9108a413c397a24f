"""Placeholder."""

import contextlib
import sys

_count = 0


def counted(f):
    global _count
    _count = 0

    def prof(frame, event, arg):
        global _count
        _count += 1

    sys.setprofile(prof)
    try:
        f()
    finally:
        sys.setprofile(None)
    return _count


@contextlib.contextmanager
def uncounted():
    p = sys.getprofile()
    sys.setprofile(None)
    try:
        yield
    finally:
        sys.setprofile(p)
