"""What an operator relies on: draining, keys, and that no endpoint is open by mistake."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.error
import urllib.request

from support.protocol_client import Wire, wire
from support.server import serving
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


def test_until_the_notice_is_over_a_server_that_is_not_ready_any_more_takes_sessions():
    async def come_late(host) -> Wire:
        async with wire(host.url) as first:
            host.stop()
            while status(host) == 200:  # noqa: ASYNC110 - asked as a load balancer asks
                await asyncio.sleep(0.01)
            async with wire(host.url) as late:
                await late.send(m.Start(voice="tone-low"), m.Text(text="Late."), m.End())
                await late.until(m.Done)
                assert not first.of(m.Draining)
                assert not late.of(m.Draining)
                await late.until(m.Draining)
            await first.until(m.Draining)
            return late

    with serving("engines.enabled=hibari,tone", "server.notice_seconds=3") as host:
        heard = asyncio.run(come_late(host))
        assert host.process.wait(20) == 0
    assert heard.of(m.Done)[0].reason is m.DoneReason.COMPLETED


def status(host) -> int:
    try:
        with urllib.request.urlopen(f"{host.http}/ready", timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as refusal:
        return refusal.code


def test_wrong_keys_are_counted_by_the_address_that_a_trusted_proxy_names():
    async def wrong(host, address: str) -> str:
        async with wire(host.url, headers={"Authorization": "Bearer wrong", "X-Forwarded-For": address}) as client:
            return client.received[0].code

    settings = ("auth.keys=alice=" + hash_key(generate_key()), "auth.failures_per_minute=1")
    for trusted, other in (("127.0.0.1", "client.not_authenticated"), ("10.0.0.1", "client.rate_limited")):
        with serving(*settings, f"server.proxies={trusted}") as host:
            codes = [asyncio.run(wrong(host, address)) for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2")]
        assert codes == ["client.not_authenticated", "client.rate_limited", other]


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
