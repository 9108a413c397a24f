"""A running server in a process of its own: `with serving("server.sessions_max=10") as host: ...`."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from support.ports import free_port


@dataclass
class Host:
    """A running server."""

    port: int
    process: psutil.Process

    @property
    def url(self) -> str:
        """Where sessions are opened."""
        return f"ws://127.0.0.1:{self.port}/v1/stream"

    @property
    def http(self) -> str:
        """Where the HTTP side is."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Ask it to drain and go."""
        self.process.send_signal(signal.SIGTERM)

    def cpu_seconds(self) -> float:
        """CPU that the server has used so far."""
        times = self.process.cpu_times()
        return times.user + times.system

    def loop_seconds(self) -> float:
        """CPU that the event loop's thread alone has used so far."""
        thread = next(each for each in self.process.threads() if each.id == self.process.pid)
        return float(thread.user_time + thread.system_time)

    def memory(self) -> int:
        """Resident bytes."""
        return self.process.memory_info().rss

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name with labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if x and x[0] != "#")}


@contextlib.contextmanager
def serving(
    *settings: str,
    env: dict[str, str] | None = None,
    descriptors_max: int | None = None,
    log: Path | None = None,
) -> Iterator[Host]:
    """Run `voxwire serve` with settings `key=value`, as with `ulimit -n DESCRIPTORS_MAX`, its log in a file."""
    port = free_port()
    command = [sys.executable, "-m", "voxwire_server.cli", "serve", "--port", str(port), "--log-level", "warning"]
    for setting in settings:
        command += ["--set", setting]
    if descriptors_max is not None:
        command = ["sh", "-c", f'ulimit -n {descriptors_max}; exec "$@"', "sh", *command]
    with contextlib.ExitStack() as stack:
        stderr = None if log is None else stack.enter_context(log.open("wb"))
        server = subprocess.Popen(command, env=dict(os.environ, **(env or {})), stderr=stderr)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None, "the server did not start"
                assert time.monotonic() < until, "the server is not ready"
                time.sleep(0.05)
        yield Host(port, psutil.Process(server.pid))
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        try:
            server.wait(8)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
