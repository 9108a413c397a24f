"""HAProxy with the configuration that deploy/haproxy ships, on this machine: `with balancing(ports) as balancer`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.ports import free_port, listening

SHIPPED = Path(__file__).parents[2] / "deploy" / "haproxy" / "haproxy.cfg"
PROGRAM = shutil.which("haproxy", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

AS_A_SERVICE = (
    "    log /dev/log local0 notice\n",
    "    user haproxy\n",
    "    group haproxy\n",
    "    chroot /var/lib/haproxy\n",
)
"""What only the system's own service can do."""

START_SECONDS_MAX = 20


@dataclass(frozen=True)
class Balancer:
    """A running HAProxy. Nodes have the states UP, NOLB (alive, no new sessions) and DOWN."""

    port: int
    status_port: int
    control: Path

    @property
    def url(self) -> str:
        """Where sessions are opened."""
        return f"ws://127.0.0.1:{self.port}/v1/stream"

    @property
    def http(self) -> str:
        """Where the HTTP side is."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, command: str) -> str:
        """What HAProxy answers to a command of its own."""
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(str(self.control))
            control.sendall(command.encode() + b"\n")
            answer = b""
            while piece := control.recv(65536):
                answer += piece
        return answer.decode()

    def _row(self, node: str) -> dict[str, str]:
        names, *rows = self.ask("show stat").removeprefix("# ").splitlines()
        for row in rows:
            found = dict(zip(names.split(","), row.split(","), strict=False))
            if (found["pxname"], found["svname"]) == ("nodes", node):
                return found
        raise AssertionError(f"HAProxy knows no node {node}")

    def state(self, node: str) -> str:
        """UP, NOLB or DOWN; while it is being found out, what it was before."""
        return self._row(node)["status"].split(" ")[0]

    def connections(self, node: str) -> int:
        """How many connections HAProxy has open to a node."""
        return int(self._row(node)["scur"])

    async def until(self, node: str, state: str) -> None:
        """Wait until a node is in a state."""
        async with asyncio.timeout(START_SECONDS_MAX):
            while self.state(node) != state:  # noqa: ASYNC110 - HAProxy tells only who asks
                await asyncio.sleep(0.01)

    async def until_connections(self, node: str, count: int) -> None:
        """Wait until HAProxy has so many connections open to a node."""
        async with asyncio.timeout(START_SECONDS_MAX):
            while self.connections(node) != count:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)


@contextlib.contextmanager
def balancing(nodes: Mapping[str, int]) -> Iterator[Balancer]:
    """Run HAProxy before two nodes, `a` and `b`: their ports, by name."""
    assert PROGRAM is not None, "apt-get install haproxy"
    with tempfile.TemporaryDirectory(prefix="voxwire-haproxy-") as name:
        folder = Path(name)
        balancer = Balancer(free_port(), free_port(), folder / "control")
        (folder / "haproxy.cfg").write_text(_here(SHIPPED.read_text(), balancer, nodes))
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([PROGRAM, "-db", "-f", str(folder / "haproxy.cfg")], stdout=log, stderr=log)
        try:
            until = time.monotonic() + START_SECONDS_MAX
            while not listening(balancer.port):
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < until, "HAProxy does not listen"
                time.sleep(0.01)
            yield balancer
        finally:
            process.kill()
            process.wait()


def _here(shipped: str, balancer: Balancer, nodes: Mapping[str, int]) -> str:
    """The shipped configuration with the addresses and bounds of a test; all else is as it is."""
    changes = dict.fromkeys(AS_A_SERVICE, "") | {
        "/run/haproxy/admin.sock user haproxy group haproxy mode 660": f"{balancer.control} mode 600",
        "maxconn 8000": "maxconn 500",
        "bind :8080": f"bind 127.0.0.1:{balancer.port}",
        "bind 127.0.0.1:8404": f"bind 127.0.0.1:{balancer.status_port}",
        "server a 10.0.0.11:8765": f"server a 127.0.0.1:{nodes['a']}",
        "server b 10.0.0.12:8765": f"server b 127.0.0.1:{nodes['b']}",
    }
    for former, now in changes.items():
        assert shipped.count(former) == 1, f"deploy/haproxy/haproxy.cfg has not exactly one {former!r}"
        shipped = shipped.replace(former, now)
    return shipped
