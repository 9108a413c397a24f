"""One key, however hard it tries, keeps no other key out: places, messages and memory of real servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import urllib.error
import urllib.request

import pytest
import websockets

from support.assert_idle import MIB
from support.protocol_client import Wire, wire
from support.server import Host, serving
from voxwire_protocol import messages as m
from voxwire_protocol.audio import AudioFrame
from voxwire_server.ops.auth import generate_key, hash_key

TONE = ("engines.enabled=tone", "engines.default=tone", "scheduling.utilisation_max=100", "server.drain_seconds=0")
ALICE, BOB = generate_key(), generate_key()
KEYS = f"auth.keys=alice={hash_key(ALICE)},bob={hash_key(BOB)}"
PUBLIC = "server.metrics_public=true"
TEXT = "This sentence is spoken, whoever else does what. It is not long."


def headers(key: str | None) -> dict[str, str] | None:
    return None if key is None else {"Authorization": f"Bearer {key}"}


def play(action, seconds=120):
    async def run():
        async with asyncio.timeout(seconds):
            return await action()

    return asyncio.run(run())


async def first_words(host: Host, key: str | None, resume: str = "") -> Wire:
    """Connect and start to speak at once, as one who does not resume; returns what came."""
    url = host.url + (f"?resume={resume}" if resume else "")
    async with wire(url, headers=headers(key)) as client:
        with contextlib.suppress(websockets.ConnectionClosed):
            await client.send(m.Start(pacing=m.PacingRequest(mode="burst")), m.Text(text=TEXT), m.End())
            await client.until(m.Done, m.ErrorMessage)
        return client


def ready_status(host: Host) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{host.http}/ready", timeout=5) as answer:
            return answer.status, ""
    except urllib.error.HTTPError as refusal:
        return refusal.code, json.load(refusal)["error"]["code"]


def codes(clients: list[Wire]) -> set[str]:
    return {error.code for client in clients for error in client.of(m.ErrorMessage)}


# -- places -----------------------------------------------------------------------------------------------------------


def test_to_name_a_session_in_the_url_is_no_way_around_the_bound():
    async def action(host):
        async with contextlib.AsyncExitStack() as stack:
            inside = [await stack.enter_async_context(wire(host.url)) for _ in range(5)]
            for client in inside:
                await client.send(m.Start(), m.Text(text="Go on"))
                await client.until(m.Started)
            own = inside[0].of(m.Ready)[0].session
            extra = [await first_words(host, None, own) for _ in range(60)]
            silent = [await stack.enter_async_context(wire(f"{host.url}?resume={own}")) for _ in range(2)]
            await asyncio.gather(*(client.until(m.ErrorMessage) for client in silent))
            refused_resume = await stack.enter_async_context(wire(f"{host.url}?resume={own}"))
            await refused_resume.send(m.Resume(session=own, token="wrong"))
            await refused_resume.until(m.ErrorMessage)
            return extra + silent + [refused_resume], ready_status(host), host.metrics()["voxwire_sessions"]

    with serving(*TONE, "server.sessions_max=5") as host:
        extra, status, sessions = play(lambda: action(host))
    assert codes(extra) == {"server.too_many_sessions"}
    assert not any(client.of(m.Started) or client.of(m.ResumeFailed) for client in extra)
    assert all(error.retry_after_ms for client in extra for error in client.of(m.ErrorMessage))
    assert status == (503, "server.too_many_sessions")
    assert sessions == 5


def test_another_keys_session_in_the_url_says_nothing_and_opens_nothing():
    async def action(host):
        async with contextlib.AsyncExitStack() as stack:
            theirs = []
            for key in (ALICE, BOB):
                while not codes(theirs[-1:]):
                    theirs.append(await stack.enter_async_context(wire(host.url, headers=headers(key))))
                    if not codes(theirs[-1:]):
                        await theirs[-1].send(m.Start())
                        await theirs[-1].until(m.Started)
                theirs.pop()
            known = theirs[0].of(m.Ready)[0].session
            return len(theirs), [
                [await stack.enter_async_context(wire(f"{host.url}?resume={name}", headers=headers(BOB)))]
                for name in (known, "none", known, "none")
            ]

    with serving(*TONE, KEYS, "server.sessions_max=5") as host:
        inside, found = play(lambda: action(host))
    assert inside == 5
    first = [client[0].received[0] for client in found]
    assert [answer.code for answer in first] == ["server.too_many_sessions"] * 4
    assert len({(answer.message, answer.retry_after_ms) for answer in first}) == 1


def test_a_full_server_lets_its_own_come_back():
    async def action(host):
        async with contextlib.AsyncExitStack() as stack:
            inside = [await stack.enter_async_context(wire(host.url)) for _ in range(3)]
            for client in inside:
                await client.send(m.Start(), m.Text(text=TEXT), m.End())
                await client.until(AudioFrame)
            ready = inside[0].of(m.Ready)[0]
            inside[0].socket.transport.abort()
            back = await stack.enter_async_context(wire(f"{host.url}?resume={ready.session}"))
            received = len(inside[0].received) - 1
            await back.send(m.Resume(session=ready.session, token=ready.token, received=received))
            await back.until(m.Done)
            return inside[0], back

    with serving(*TONE, "server.sessions_max=3") as host:
        before, back = play(lambda: action(host))
    assert back.of(m.Resumed)
    frames = before.of(AudioFrame) + back.of(AudioFrame)
    assert [frame.seq for frame in frames] == list(range(back.of(m.Done)[0].frames))


@pytest.mark.parametrize("opened", [False, True])
def test_a_thousand_connections_that_are_dropped_keep_no_other_key_out(opened):
    async def drop(host):
        async with wire(host.url, headers=headers(ALICE)) as client:
            if opened and client.of(m.Ready):
                await client.send(m.Start(), m.Text(text="Wait for me"))
                await client.until(m.Started, m.ErrorMessage)
            client.socket.transport.abort()

    async def action(host):
        for _ in range(40):
            await asyncio.gather(*(drop(host) for _ in range(25)))
        status = ready_status(host)
        return status, [await first_words(host, BOB) for _ in range(20)], host.metrics()

    with serving(*TONE, KEYS, PUBLIC, "server.sessions_max=200") as host:
        status, heard, metrics = play(lambda: action(host))
    assert status == (200, "")
    assert all(client.of(m.Done)[0].reason is m.DoneReason.COMPLETED for client in heard)
    assert metrics["voxwire_sessions_away"] <= (160 if opened else 0)


def test_silent_connections_of_one_key_keep_no_other_key_out():
    async def action(host):
        async with contextlib.AsyncExitStack() as stack:
            silent = [await stack.enter_async_context(wire(host.url, headers=headers(ALICE))) for _ in range(30)]
            heard = await asyncio.gather(*(first_words(host, BOB) for _ in range(8)))
            return silent, heard, ready_status(host)

    with serving(*TONE, KEYS, "server.sessions_max=10") as host:
        silent, heard, status = play(lambda: action(host))
    assert sum(bool(client.of(m.Ready)) for client in silent) == 8
    assert all(client.of(m.Done) for client in heard[:2])
    assert sum(bool(client.of(m.Done)) for client in heard) >= 5
    assert status == (200, "")


# -- tokens -----------------------------------------------------------------------------------------------------------


def test_a_used_token_passes_once_more_not_twenty_times():
    async def action(host):
        async with wire(host.url) as client:
            await client.send(m.Start(), m.Text(text=TEXT))
            await client.until(AudioFrame)
            ready = client.of(m.Ready)[0]
            client.socket.transport.abort()
            answers = []
            for _ in range(20):
                async with wire(f"{host.url}?resume={ready.session}") as back:
                    await back.send(m.Resume(session=ready.session, token=ready.token, received=0))
                    answers.append(await back.until(m.Resumed, m.ResumeFailed))
                    # It has the new token, and does not say so.
                    await (await back.socket.ping())
                    back.socket.transport.abort()
            return answers

    with serving(*TONE) as host:
        answers = play(lambda: action(host))
    assert [type(answer) for answer in answers[:2]] == [m.Resumed] * 2
    assert {answer.reason for answer in answers[2:]} == {"refused"}


# -- messages ---------------------------------------------------------------------------------------------------------

SPEECH = {
    "model_id": "tone",
    "transcript": "Hi.",
    "context_id": "last",
    "voice": {"mode": "id", "id": "tone-low"},
    "output_format": {"container": "raw", "encoding": "pcm_s16le", "sample_rate": 24000},
}
FLOODS = {
    "deepgram": ("/v1/speak?encoding=linear16&sample_rate=24000", {"type": "Flush"}, {"type": "Close"}),
    "flux": ("/v2/speak?model=flux-tone-en&encoding=linear16", {"type": "Flush"}, {"type": "Close"}),
    "cartesia": ("/tts/websocket?cartesia_version=2024-11-13", {"context_id": "x", "cancel": True}, SPEECH),
    "elevenlabs": (
        "/v1/text-to-speech/tone-low/multi-stream-input",
        {"context_id": "x", "close_context": True},
        {"close_socket": True},
    ),
}
"""Of each vendor: an address, a message of which the session learns nothing, and one that is answered."""


@pytest.mark.parametrize("vendor", FLOODS)
def test_a_vendors_flood_is_read_as_slowly_as_our_own(vendor):
    path, message, last = FLOODS[vendor]
    rate, burst, count = 400, 100, 1300

    async def action(host):
        async with websockets.connect(f"ws://127.0.0.1:{host.port}{path}", max_queue=None, proxy=None) as socket:
            began = time.monotonic()
            for _ in range(count):
                await socket.send(json.dumps(message))
            await socket.send(json.dumps(last))
            with contextlib.suppress(websockets.ConnectionClosed):
                while '"last"' not in str(await socket.recv()):
                    pass
            return time.monotonic() - began, socket.close_code

    with serving(*TONE, f"limits.messages_per_second={rate}", f"limits.messages_burst={burst}") as host:
        seconds, code = play(lambda: action(host))
    assert code in (None, 1000)
    # Less than this no machine takes, however fast.
    assert seconds > (count - burst) / rate * 0.95


def test_a_flood_that_is_read_slowly_is_not_taken_for_a_dead_client():
    """Answers to the server's pings stand behind the flood, for longer than a client may leave them out."""

    async def action(host):
        async with wire(host.url, ping_interval=None) as client:
            for number in range(700):
                await client.send(m.Ping(t=number))
            while client.received[-1] != m.Pong(t=699, server_ms=getattr(client.received[-1], "server_ms", 0)):
                await client.next()
            return len(client.of(m.Pong))

    limits = ("limits.messages_per_second=100", "limits.messages_burst=100", "limits.heartbeat_ms=500")
    with serving(*TONE, *limits) as host:
        assert play(lambda: action(host)) == 700


# -- memory -----------------------------------------------------------------------------------------------------------


def settled_memory(host: Host, below: float, seconds: float = 60.0) -> int:
    """Resident bytes, once they are below a bound, or after so long."""
    until = time.monotonic() + seconds
    while host.memory() > below and time.monotonic() < until:
        time.sleep(0.5)
    return host.memory()


def test_held_contexts_cost_little_and_what_they_cost_comes_back():
    async def hold(host):
        async with wire(host.url, headers=headers(ALICE)) as client:
            for number in range(32):
                name = f"c{number}"
                await client.send(m.Start(context=name), m.Hold(context=name))
                for _ in range(3):
                    await client.send(m.Text(context=name, text="Wörd, Ж and 字. " * 500))
            await client.send(m.Ping(t=1))
            await client.until(m.Pong)
            return [error.code for error in client.of(m.ErrorMessage)]

    async def action(host):
        return await asyncio.gather(*(hold(host) for _ in range(2)))

    settings = ("limits.session_bytes_max=1048576",)
    with serving(*TONE, KEYS, *settings) as host:
        play(lambda: first_words(host, BOB))
        quiet = host.memory()
        found = play(lambda: action(host))
        peak = host.memory()
        after = settled_memory(host, quiet + 24 * MIB)
    assert {code for each in found for code in each} <= {"client.text_buffer_full"}
    assert all(found)
    assert after - quiet < 24 * MIB, (quiet / MIB, peak / MIB, after / MIB)
