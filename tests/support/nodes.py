"""Nodes: real servers with names, that can be drained, killed and started again on their ports."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from support.haproxy import Balancer, balancing
from support.ports import free_port

TONE = ("engines.enabled=tone", "engines.default=tone", "scheduling.utilisation_max=100")
"""Each character is a short tone, which costs next to nothing."""

START_SECONDS_MAX = 60
EXIT_SECONDS_MAX = 60


@dataclass(eq=False)
class Node:
    """One server; `name` is its `server.node`."""

    name: str
    settings: Sequence[str]
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, and do not wait until it is ready. The former one has ended, or was told to."""
        if self.process is not None:
            self.process.wait(EXIT_SECONDS_MAX)
        command = [sys.executable, "-m", "voxwire_server.cli", "serve", "--port", str(self.port)]
        for setting in (f"server.node={self.name}", "server.log_level=warning", *self.settings):
            command += ["--set", setting]
        self.process = subprocess.Popen(command, env=dict(os.environ))

    async def until_ready(self) -> None:
        """Wait until `/ready` says so."""
        async with asyncio.timeout(START_SECONDS_MAX):
            while not await asyncio.to_thread(self._ready):
                assert self.process is not None
                assert self.process.poll() is None, f"node {self.name} did not start"
                await asyncio.sleep(0.05)

    def _ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=2):
                return True
        except OSError:
            return False

    def drain(self) -> None:
        """What a service manager does first."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """The end without a word."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        """Nothing answers any more, and nothing is closed; `kill` ends it."""
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    async def until_gone(self) -> int:
        """Wait until the process has ended; returns its exit status."""
        assert self.process is not None
        return await asyncio.to_thread(self.process.wait, EXIT_SECONDS_MAX)


@dataclass(frozen=True)
class Cluster:
    """Two nodes behind a load balancer."""

    balancer: Balancer
    a: Node
    b: Node

    def node_of(self, session: str) -> Node:
        """Where a session lives."""
        return {"a": self.a, "b": self.b}[session.partition(".")[0]]

    def other(self, node: Node) -> Node:
        """Not that one."""
        return self.b if node is self.a else self.a

    async def until_up(self) -> None:
        """Wait until the balancer sends new sessions to both."""
        for node in (self.a, self.b):
            await node.until_ready()
            await self.balancer.until(node.name, "UP")


@contextlib.contextmanager
def cluster(*settings: str) -> Iterator[Cluster]:
    """Two nodes with settings `key=value` behind HAProxy, both up."""
    nodes = Node("a", settings), Node("b", settings)
    try:
        for node in nodes:
            node.start()
        with balancing({node.name: node.port for node in nodes}) as balancer:
            made = Cluster(balancer, *nodes)
            asyncio.run(made.until_up())
            yield made
    finally:
        for node in nodes:
            if node.process is not None:
                node.process.kill()
                node.process.wait()
