"""When memory is given back."""

from __future__ import annotations

from voxwire_server.ops.memory import TRIM_BYTES_MIN, TRIM_SECONDS, Trimming

MIB = 1 << 20


def test_after_much_was_freed_once():
    trimming = Trimming()
    assert not trimming.wanted(100 * MIB, 0.0)
    assert trimming.wanted(MIB, 1.0)
    assert not trimming.wanted(MIB, 100.0)


def test_not_for_little():
    trimming = Trimming()
    assert not trimming.wanted(TRIM_BYTES_MIN - 1, 0.0)
    assert not trimming.wanted(0, 1.0)


def test_seldom_and_what_was_put_off_is_not_forgotten():
    trimming = Trimming()
    trimming.wanted(100 * MIB, 0.0)
    assert trimming.wanted(50 * MIB, 1.0)
    assert not trimming.wanted(0, 2.0)
    assert not trimming.wanted(0, TRIM_SECONDS)
    assert trimming.wanted(0, 1.0 + TRIM_SECONDS)
