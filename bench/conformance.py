"""Conformance and cost of uvicorn's WebSocket implementations: Autobahn's cases by kosoku, CPU a message sent.

python bench/conformance.py        # needs the extras dev and conformance, and wsproto
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import kosoku
import psutil
import websockets

ROOT = Path(__file__).resolve().parent.parent
IMPLEMENTATIONS = {
    "voxwire (sansio, corked)": "voxwire_server.transport.websocket_protocol:WebSocketProtocol",
    "websockets-sansio": "websockets-sansio",
    "wsproto": "wsproto",
    "websockets (legacy)": "websockets",
}
BLAST = 20_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve(ws: str, port: int) -> subprocess.Popen[bytes]:
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(str(ROOT / p) for p in ("tests", "server", "protocol")))
    env["PYTHONWARNINGS"] = "ignore"
    server = subprocess.Popen([sys.executable, "-m", "support.echo_server", ws, str(port)], env=env)
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    raise RuntimeError("the server did not start")


async def conformance(port: int) -> tuple[int, int, Counter[str]]:
    try:
        results = await kosoku.run_fuzzingclient(
            f"ws://127.0.0.1:{port}", exclude_cases=["12.*", "13.*"], concurrency=4
        )
    except kosoku.FailureError as failure:
        results = failure.results
    return sum(r.passed for r in results), len(results), Counter(r.behavior.value for r in results)


async def cost(port: int, pid: int, path: str) -> float:
    process = psutil.Process(pid)
    best = float("inf")
    for _ in range(3):
        before = sum(process.cpu_times()[:2])
        received = 0
        async with websockets.connect(f"ws://127.0.0.1:{port}{path}", compression=None, max_queue=None) as client:
            async for _message in client:
                received += 1
        assert received == BLAST, received
        best = min(best, (sum(process.cpu_times()[:2]) - before) / BLAST * 1e6)
    return best


async def main() -> None:
    print(f"{'implementation':28} {'passed':>9} {'us a message':>13} {'us, ten a write':>16}  verdicts")
    for name, ws in IMPLEMENTATIONS.items():
        port = free_port()
        server = serve(ws, port)
        try:
            passed, total, verdicts = await conformance(port)
            single = await cost(port, server.pid, "/blast")
            corked = f"{await cost(port, server.pid, '/corked'):16.1f}" if "voxwire" in name else " " * 16
            print(f"{name:28} {passed:4}/{total:4} {single:13.1f} {corked}  {dict(verdicts)}", flush=True)
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    asyncio.run(main())
