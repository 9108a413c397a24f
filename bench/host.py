"""A server for benchmarks, in a process of its own, and the engine without a server."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass

import psutil


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Host:
    """A running server."""

    port: int
    process: psutil.Process

    def cpu_seconds(self) -> float:
        """CPU that the server has used so far."""
        times = self.process.cpu_times()
        return times.user + times.system

    def memory(self) -> int:
        """Resident bytes."""
        return self.process.memory_info().rss

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics by its name with labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if x and x[0] != "#")}


OPEN_DOORS = (
    "scheduling.utilisation_max=1.0",
    "scheduling.queue_seconds_max=60",
    "server.sessions_max=5000",
    "limits.messages_per_second=100000",
)
"""Admission would refuse what a benchmark wants to see fail."""


@contextlib.contextmanager
def serving(*settings: str, env: dict[str, str] | None = None) -> Iterator[Host]:
    """Run `voxwire serve` with settings `key=value`."""
    port = free_port()
    command = [sys.executable, "-m", "voxwire_server.cli", "serve", "--port", str(port), "--log-level", "warning"]
    for setting in settings:
        command += ["--set", setting]
    server = subprocess.Popen(command, env=dict(os.environ, **(env or {})))
    try:
        until = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < until, "the server did not start"
                time.sleep(0.05)
        yield Host(port, psutil.Process(server.pid))
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(8)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def machine() -> str:
    """One line that says what this ran on."""
    model = next((x.split(":")[1].strip() for x in open("/proc/cpuinfo") if x.startswith("model name")), "?")
    return f"{os.cpu_count()} cores, {model}, Python {platform.python_version()}, {platform.system()} {platform.release()}"
