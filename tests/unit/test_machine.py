"""How many cores a process may use, and when freed memory is returned to the system."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from voxwire_server.machine import TRIM_BYTES_MIN, TRIM_SECONDS, TrimPolicy, cores

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


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
def test_a_container_s_quota_bounds_the_cores(text: str, expected: int, tmp_path: Path) -> None:
    write(tmp_path / "cpu.max", text)
    assert cores(tmp_path, tmp_path / "none") == expected


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [("-1", "100000", 8), ("350000", "100000", 3), ("1000", "100000", 1), ("odd", "100000", 8), ("1", "0", 8)],
)
def test_a_quota_of_cgroup_v1_bounds_the_cores(quota: str, period: str, expected: int, tmp_path: Path) -> None:
    write(tmp_path / "cpu" / "cpu.cfs_quota_us", quota + "\n")
    write(tmp_path / "cpu" / "cpu.cfs_period_us", period + "\n")
    assert cores(tmp_path, tmp_path / "none") == expected


def test_the_tightest_quota_of_the_group_and_its_parents_holds(tmp_path: Path) -> None:
    write(tmp_path / "self", "0::/system.slice/voxwire.service\n")
    write(tmp_path / "system.slice" / "cpu.max", "300000 100000")
    write(tmp_path / "system.slice" / "voxwire.service" / "cpu.max", "500000 100000")
    assert cores(tmp_path, tmp_path / "self") == 3


def test_the_group_s_own_quota_of_cgroup_v1_is_found_by_its_path(tmp_path: Path) -> None:
    write(tmp_path / "self", "12:memory:/elsewhere\n4:cpu,cpuacct:/docker/1\n")
    write(tmp_path / "cpu" / "docker" / "1" / "cpu.cfs_quota_us", "200000")
    write(tmp_path / "cpu" / "docker" / "1" / "cpu.cfs_period_us", "100000")
    write(tmp_path / "cpu" / "elsewhere" / "cpu.cfs_quota_us", "100000")
    write(tmp_path / "cpu" / "elsewhere" / "cpu.cfs_period_us", "100000")
    assert cores(tmp_path, tmp_path / "self") == 2


def test_a_path_that_is_not_mounted_leaves_the_root_s_quota(tmp_path: Path) -> None:
    write(tmp_path / "self", "0::/../../host/docker/1\n")
    write(tmp_path / "cpu.max", "400000 100000")
    assert cores(tmp_path, tmp_path / "self") == 4


def test_without_control_groups_affinity_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    assert cores(tmp_path / "none", tmp_path / "none") == 3


# -- freed memory ------------------------------------------------------------------------------------------------------


def test_memory_is_returned_after_much_was_freed_once():
    policy = TrimPolicy()
    assert not policy.wanted(100 * MIB, 0.0)
    assert policy.wanted(MIB, 1.0)
    assert not policy.wanted(MIB, 100.0)


def test_memory_is_not_returned_for_little():
    policy = TrimPolicy()
    assert not policy.wanted(TRIM_BYTES_MIN - 1, 0.0)
    assert not policy.wanted(0, 1.0)


def test_memory_is_returned_seldom_and_what_was_put_off_is_not_forgotten():
    policy = TrimPolicy()
    policy.wanted(100 * MIB, 0.0)
    assert policy.wanted(50 * MIB, 1.0)
    assert not policy.wanted(0, 2.0)
    assert not policy.wanted(0, TRIM_SECONDS)
    assert policy.wanted(0, 1.0 + TRIM_SECONDS)
