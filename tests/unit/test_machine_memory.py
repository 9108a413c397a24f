"""When freed memory is returned to the system."""

from __future__ import annotations

from voxwire_server.machine import TRIM_BYTES_MIN, TRIM_SECONDS, TrimPolicy

MIB = 1 << 20


def test_after_much_was_freed_once():
    policy = TrimPolicy()
    assert not policy.wanted(100 * MIB, 0.0)
    assert policy.wanted(MIB, 1.0)
    assert not policy.wanted(MIB, 100.0)


def test_not_for_little():
    policy = TrimPolicy()
    assert not policy.wanted(TRIM_BYTES_MIN - 1, 0.0)
    assert not policy.wanted(0, 1.0)


def test_seldom_and_what_was_put_off_is_not_forgotten():
    policy = TrimPolicy()
    policy.wanted(100 * MIB, 0.0)
    assert policy.wanted(50 * MIB, 1.0)
    assert not policy.wanted(0, 2.0)
    assert not policy.wanted(0, TRIM_SECONDS)
    assert policy.wanted(0, 1.0 + TRIM_SECONDS)
