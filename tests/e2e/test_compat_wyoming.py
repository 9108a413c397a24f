"""The Wyoming port, and clients that keep to no protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

import pytest

from support.ports import free_port
from support.server import serving
from support.vendor_checks import settled

PATIENT_SECONDS = 30


@pytest.fixture(scope="module")
def home():
    """A server that has the port, with little patience, and the port."""
    port = free_port()
    settings = ("engines.enabled=tone", "engines.default=tone", "scheduling.utilisation_max=100")
    limits = ("limits.idle_seconds=1", "limits.slow_reader_seconds=1", "server.sessions_max=20")
    with serving(*settings, *limits, f"compat.wyoming_port={port}") as host:
        yield host, port


@contextlib.asynccontextmanager
async def connected(home):
    async with asyncio.timeout(PATIENT_SECONDS):
        reader, writer = await asyncio.open_connection("127.0.0.1", home[1])
        try:
            yield reader, writer
        finally:
            writer.close()


def line(**fields) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def speech(text: str) -> bytes:
    """A text in one line, as no client sends it but the protocol allows it."""
    return line(type="synthesize", data={"text": text})


async def answer(reader: asyncio.StreamReader) -> list[dict]:
    """All events up to the end of the connection, payloads left out."""
    events = []
    with contextlib.suppress(ConnectionError):
        while raw := await reader.readline():
            event = json.loads(raw)
            data = await reader.readexactly(event.get("data_length") or 0)
            await reader.readexactly(event.get("payload_length") or 0)
            events.append(event | {"data": json.loads(data) if data else {}})
    return events


async def ask(home, *sent: bytes) -> list[dict]:
    async with connected(home) as (reader, writer):
        writer.writelines(sent)
        return await answer(reader)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"garbage\n", "malformed_message"),
        (b"\xff\xfe\n", "malformed_message"),
        (b"[]\n", "malformed_message"),
        (b"[" * 60_000 + b"\n", "malformed_message"),
        (b"{}\n", "missing_field"),
        (b"x" * 200_000, "message_too_big"),
        (line(type="synthesize"), "missing_field"),
        (line(type="synthesize", data={"text": 5}), "missing_field"),
        (line(type="x", data_length=-1), "invalid_field"),
        (line(type="x", data_length="5"), "invalid_field"),
        (line(type="x", data_length=1 << 40), "message_too_big"),
        (line(type="x", payload_length=1 << 40), "message_too_big"),
        (line(type="x", data_length=5) + b"[1,2]", "malformed_message"),
    ],
)
def test_what_is_no_event_is_an_error_and_the_end(home, sent, code):
    events = asyncio.run(ask(home, sent))
    assert [(event["type"], event["data"]["code"]) for event in events] == [("error", f"client.{code}")]


def test_events_that_are_not_known_are_passed_over(home):
    async def main():
        async with connected(home) as (reader, writer):
            writer.write(line(type="select-program", data={"name": "x"}))
            writer.write(line(type="audio-chunk", payload_length=5) + b"12345")
            writer.write(line(type="synthesize-chunk", data={"text": "without a start"}))
            writer.write(line(type="synthesize-stop"))
            writer.write(line(type="synthesize", data={"voice": "odd", "text": "Hello."}))
            return json.loads(await reader.readline())

    assert asyncio.run(main())["type"] == "audio-start"


def test_a_client_that_says_nothing_is_let_go(home):
    assert asyncio.run(ask(home)) == []


def test_a_client_that_starts_and_says_nothing_more_is_let_go(home):
    events = asyncio.run(ask(home, line(type="synthesize-start")))
    assert [event["type"] for event in events] == ["audio-start"]
    asyncio.run(settled(home[0]))


def test_a_client_that_does_not_read_is_let_go(home):
    async def main():
        before = await settled(home[0])
        async with connected(home) as (reader, writer):
            reader._transport.pause_reading()
            for _ in range(16):
                writer.write(speech("One two three four five six seven eight nine ten. " * 600))
            await asyncio.sleep(0)
            while (await asyncio.to_thread(lambda: home[0].metrics()["voxwire_sessions"])) == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await settled(home[0])
        return before

    asyncio.run(main())


def test_a_client_that_vanishes_in_mid_speech_leaves_nothing(home):
    async def main():
        async with connected(home) as (reader, writer):
            writer.write(speech("One two three four five six seven eight nine ten. " * 600))
            await reader.readline()
            writer.transport.abort()
        await settled(home[0])

    asyncio.run(main())


def test_too_many_connections_are_closed_at_once_and_make_room_when_they_go(home):
    async def main():
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(20):
                reader, writer = await stack.enter_async_context(connected(home))
                writer.write(line(type="ping", data={"text": "x"}))
                assert json.loads(await reader.readline())["type"] == "pong"
            assert await ask(home, line(type="ping")) == []
        while not (first := await ask_once(home, line(type="ping"))):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        return first

    async def ask_once(home, sent):
        async with connected(home) as (reader, writer):
            writer.write(sent)
            with contextlib.suppress(ConnectionError):
                return await reader.readline()
            return b""

    assert json.loads(asyncio.run(main()))["type"] == "pong"


def test_without_the_package_the_server_says_which_extra_is_missing():
    async def main():
        script = "import sys; sys.modules['wyoming'] = None; from voxwire_server.cli import main; sys.exit(main())"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", script, "serve", "--set", "compat.wyoming_port=10200"),
            *("--set", "engines.enabled=tone", "--set", "engines.default=tone"),
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(PATIENT_SECONDS):
            _, told = await process.communicate()
        return process.returncode, told.decode()

    status, told = asyncio.run(main())
    assert status != 0
    assert "pip install 'voxwire[wyoming]'" in told
