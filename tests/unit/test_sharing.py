"""Tests that run side by side: what is kept apart, and that what `tests/conftest.py` names is there."""

from __future__ import annotations

import contextlib
import fcntl
import socket
from pathlib import Path

import pytest

from support.locking import locked
from support.ports import free_port


def taken(file: Path, how: int) -> bool:
    """Whether a lock can't be had now."""
    with file.open() as handle:
        try:
            fcntl.flock(handle, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    return path


def test_a_lock_that_is_shared_keeps_out_only_who_wants_to_be_alone(file):
    with locked(file, shared=True), locked(file, shared=True):
        assert not taken(file, fcntl.LOCK_SH)
        assert taken(file, fcntl.LOCK_EX)
    assert not taken(file, fcntl.LOCK_EX)


def test_who_is_alone_keeps_out_everybody_and_lets_them_in_again_after_a_failure(file):
    with contextlib.suppress(ZeroDivisionError), locked(file):
        assert taken(file, fcntl.LOCK_SH)
        raise ZeroDivisionError
    assert not taken(file, fcntl.LOCK_EX)


def test_a_port_that_is_given_out_is_free_and_another_one_each_time():
    ports = [free_port() for _ in range(20)]
    assert len(set(ports)) == len(ports)
    with contextlib.ExitStack() as stack:
        for port in ports:
            stack.enter_context(socket.create_server(("127.0.0.1", port)))


def test_a_port_that_is_taken_is_not_given_out(monkeypatch):
    with socket.create_server(("127.0.0.1", free_port())) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr("support.ports.PORTS", range(port, port + 1))
        with pytest.raises(OSError, match="taken"):
            free_port()


def test_modules_that_are_named_for_what_they_share_are_there(request):
    root = request.config.rootpath
    sharing = request.config.pluginmanager.get_plugin(str(root / "tests" / "conftest.py"))
    assert [name for name in (*sharing.GROUPS, *sharing.LONGEST) if not (root / name).is_file()] == []
