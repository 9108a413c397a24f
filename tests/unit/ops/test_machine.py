"""How many cores a process may use, and when it returns freed memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voxwire_server.ops.machine import TRIM_BYTES_MIN, TRIM_SECONDS, TrimPolicy, cores

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("max 100000\n", 8),
        ("250000 100000\n", 2),
        ("50000 100000\n", 1),
        ("9900000 100000\n", 8),
        ("odd", 8),
        ("1 0", 8),
    ],
)
def test_a_container_s_quota_bounds_the_cores(
    text: str, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    file = tmp_path / "cpu.max"
    file.write_text(text)
    assert cores(file) == expected


def test_without_control_groups_affinity_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    assert cores(tmp_path / "none") == 3


def test_memory_is_trimmed_once_after_much_was_freed() -> None:
    policy = TrimPolicy()
    assert not policy.wanted(100 * MIB, 0.0)
    assert policy.wanted(MIB, 1.0)
    assert not policy.wanted(MIB, 100.0)


def test_memory_is_not_trimmed_for_little() -> None:
    policy = TrimPolicy()
    assert not policy.wanted(TRIM_BYTES_MIN - 1, 0.0)
    assert not policy.wanted(0, 1.0)


def test_trims_are_apart_and_a_trim_put_off_comes_later() -> None:
    policy = TrimPolicy()
    policy.wanted(100 * MIB, 0.0)
    assert policy.wanted(50 * MIB, 1.0)
    assert not policy.wanted(0, 2.0)
    assert not policy.wanted(0, TRIM_SECONDS)
    assert policy.wanted(0, 1.0 + TRIM_SECONDS)
