"""Autobahn's cases, driven by kosoku, against our WebSocket protocol class."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.ports import free_port, listening

kosoku = pytest.importorskip("kosoku")
pytestmark = pytest.mark.conformance

ROOT = Path(__file__).resolve().parents[2]

STRICTER_THAN_AUTOBAHN = {"7.1.5"}
"""A close in the middle of a fragmented message: websockets answers 1002 (RFC 6455, 5.4), Autobahn wants 1000."""


@pytest.fixture
def echo_url():
    """An echo server on our WebSocket protocol class."""
    port = free_port()
    env = dict(os.environ, PYTHONPATH=os.pathsep.join(str(ROOT / p) for p in ("tests", "server", "protocol")))
    protocol = "voxwire_server.transport.websocket_protocol:WebSocketProtocol"
    command = [sys.executable, "-m", "support.echo_server", protocol, str(port)]
    with subprocess.Popen(command, env=env) as server:
        try:
            while not listening(port):
                assert server.poll() is None, "the echo server did not start"
                time.sleep(0.02)
            yield f"ws://127.0.0.1:{port}"
        finally:
            server.terminate()


async def _run(url: str):
    try:
        return await kosoku.run_fuzzingclient(url, exclude_cases=["12.*", "13.*"], concurrency=4)
    except kosoku.FailureError as failure:
        return failure.results


def test_the_websocket_protocol_passes_autobahns_cases(echo_url):
    import asyncio

    results = asyncio.run(_run(echo_url))
    failed = {result.case_id for result in results if not result.passed}
    assert len(results) > 290
    assert failed <= STRICTER_THAN_AUTOBAHN
