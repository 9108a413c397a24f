"""What an operator relies on: draining, keys, and no open door by mistake."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from support.server import serving
from support.wire import Wire, wire
from voxwire_protocol import messages as m
from voxwire_server.ops.auth import generate_key, hash_key

TEXT = "Hello there. This sentence is still being spoken when the server is told to go away, and nobody cuts it."


def test_speech_under_way_is_finished_before_the_server_goes():
    async def speak(host) -> Wire:
        async with wire(host.url) as client:
            await client.send(m.Start(voice="tone-low"), m.Text(text=TEXT), m.End())
            await client.until(m.ClauseStarted)
            host.stop()
            await client.until(m.Draining)
            await client.send(m.Start(context="late"))
            await client.until(m.Done)
            await client.socket.wait_closed()
            return client

    with serving("engines.enabled=hibari,tone") as host:
        heard = asyncio.run(speak(host))
        assert host.process.wait(20) == 0
    done = heard.of(m.Done)[0]
    assert done.reason is m.DoneReason.COMPLETED
    assert done.chars == len(TEXT)
    assert len(heard.frames()) == done.frames
    assert [e.code for e in heard.of(m.ErrorMessage)] == ["server.draining"]
    assert heard.socket.close_code == 1012


def test_a_key_is_asked_for_and_a_wrong_one_turned_away():
    async def first(host, headers):
        async with wire(host.url, headers=headers) as client:
            await asyncio.wait([asyncio.ensure_future(client.socket.wait_closed())], timeout=0.3)
            return client.received[0], client.socket.close_code

    key = generate_key()
    with serving("auth.keys=alice=" + hash_key(key)) as host:
        for headers in (None, {"Authorization": "Bearer wrong"}):
            message, code = asyncio.run(first(host, headers))
            assert message.code == "client.not_authenticated"
            assert code == 4401
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
            message, code = asyncio.run(first(host, headers))
            assert isinstance(message, m.Ready)
            assert code is None


def test_listening_beyond_loopback_without_keys_is_refused():
    command = [sys.executable, "-m", "voxwire_server.cli", "serve", "--host", "0.0.0.0", "--port", "0"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert refused.returncode == 2
    assert "--insecure" in refused.stderr
