"""Clients that are broken, hostile or gone: each mistake is named, and the server stays as it was."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket

import msgpack
import orjson
import pytest

from support.assert_idle import MIB, eventually, unharmed
from support.protocol_client import wire
from support.raw_websocket import CLOSE, CONT, PING, TEXT, RawSocket, frame, raw, text
from support.server import serving
from voxwire_protocol import messages as m
from voxwire_protocol.codec import JSON, MSGPACK
from voxwire_protocol.errors import ErrorCode

TONES = (
    "engines.enabled=tone,tone-frames",
    "engines.default=tone",
    "scheduling.utilisation_max=100",
    "resume.window_seconds=1",
)
BURST = m.PacingRequest(mode="burst")
CODES = {code.value for code in ErrorCode}


@pytest.fixture(scope="module")
def strict():
    """A server with the limits that it has by default, but for its patience with those who do not read."""
    with serving(*TONES, "limits.slow_reader_seconds=1") as running:
        yield running


@pytest.fixture(scope="module")
def open_doors():
    """A server that forgives everything."""
    with serving(
        *TONES,
        "limits.contexts_max=20000",
        "limits.bad_messages_max=1000000",
        "limits.messages_per_second=1000000",
        "limits.messages_burst=1000000",
    ) as running:
        yield running


# -- what is no message -------------------------------------------------------------------------------------------


def random_values(pick: random.Random) -> list:
    """Maps with the protocol's names and anything in them."""
    types = [each.type for each in m.ClientMessage.__args__]
    names = [
        "type",
        "context",
        "text",
        "seq",
        "flush",
        "audio",
        "pacing",
        "voice",
        "speed",
        "seed",
        "id",
        "t",
        "\0",
        "",
    ]
    scalars = [None, True, -1, 0, 1, 1.5, 1e308, 2**63, -(2**63), "", "x", "\u202e\U0001f600", "a" * 300]

    def value(depth: int):
        kind = pick.random()
        if depth == 0 or kind < 0.6:
            return pick.choice(scalars)
        if kind < 0.8:
            return [value(depth - 1) for _ in range(pick.randrange(4))]
        return {pick.choice(names): value(depth - 1) for _ in range(pick.randrange(4))}

    found = []
    for _ in range(400):
        made = {pick.choice(names): value(3) for _ in range(pick.randrange(6))}
        if pick.random() < 0.8:
            made["type"] = pick.choice(types)
        found.append(made if pick.random() < 0.9 else value(3))
    return found


@pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=lambda codec: codec.subprotocol)
def test_random_bytes_and_random_maps_are_answered_by_named_errors(open_doors, codec):
    pick = random.Random(5)
    floor = b"\x80" if codec.binary else b"{"
    messages = [pick.randbytes(pick.randrange(1, 200)) for _ in range(300)]
    messages += [floor + pick.randbytes(pick.randrange(100)) for _ in range(300)]
    encode = msgpack.packb if codec.binary else lambda value: orjson.dumps(value).decode()
    messages += [encode(value) for value in random_values(pick) if codec.binary or is_json(value)]

    async def fuzz():
        async with wire(open_doors.url, codec) as client:
            for message in messages:
                await client.socket.send(message)
            await client.send(m.Ping(t=1))
            await client.until(m.Pong)
            while client.of(m.Pong)[-1].t != 1:
                await client.until(m.Pong)
            return [error.code for error in client.of(m.ErrorMessage)]

    with unharmed(open_doors, 32):
        codes = asyncio.run(fuzz())
    assert len(codes) > 500
    assert set(codes) <= CODES
    assert {"client.malformed_message", "client.invalid_field", "client.missing_field"} <= set(codes)
    assert all(code.startswith("client.") for code in codes), set(codes)
    if not codec.binary:
        assert "client.unexpected_binary" in codes


def is_json(value) -> bool:
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize(
    ("sent", "code", "field"),
    [
        (b"", "client.malformed_message", None),
        (b"[]", "client.malformed_message", None),
        (b"\xef\xbb\xbf{", "client.malformed_message", None),
        (b'{"type":"text","text":"\\ud83d"}', "client.malformed_message", None),
        (b"[" * 100_000, "client.malformed_message", None),
        (b'{"a":' * 100_000, "client.malformed_message", None),
        (b'{"type":"speak"}', "client.unknown_type", None),
        (b'{"text":"x"}', "client.missing_field", "type"),
        (b'{"type":"text"}', "client.missing_field", "text"),
        (b'{"type":"text","text":1}', "client.invalid_field", "text"),
        (b'{"type":"text","text":"x","seq":true}', "client.invalid_field", "seq"),
        (b'{"type":"start","audio":{"sample_rate":"x"}}', "client.invalid_field", "audio.sample_rate"),
        (b'{"type":"start","speed":1e999}', None, None),
        (b'{"type":"start","audio":{"codec":"mulaw","sample_rate":48000}}', "client.unsupported_audio", None),
        (b'{"type":"start","voice":"nobody"}', "client.unknown_voice", None),
        (b'{"type":"start","language":"tlh"}', "client.unsupported_language", None),
        (b'{"type":"flush","context":"9"}', "client.unknown_context", None),
        (b'{"type":"cancel","context":"9"}', "client.unknown_context", None),
        (b'{"type":"text","text":"x","seq":7}', "client.text_gap", None),
    ],
)
def test_each_mistake_has_its_name_and_the_session_goes_on(strict, sent, code, field):
    with raw(strict) as connection:
        connection.send(frame(TEXT, sent))
        error = connection.message("error")
        assert error["code"] == code or (code is None and error["code"] in CODES)
        assert error["code"].startswith("client.")
        if field is not None:
            assert error["details"]["field"] == field
        connection.send(text({"type": "start", "context": "next"}))
        assert connection.message("started")["context"] == "next"


def test_a_hundred_mistakes_end_the_session_with_abuse(strict):
    with unharmed(strict, 16), raw(strict) as connection:
        connection.send(frame(TEXT, b"?") * 200)
        ending = connection.ending()
        assert (ending.code, ending.reason) == (1008, "client.abuse")
        codes = [error["code"] for error in ending.messages]
        assert codes[-1] == "client.abuse"
        assert set(codes[:-1]) == {"client.malformed_message"}


# -- what is no WebSocket -----------------------------------------------------------------------------------------


def pour(connection: RawSocket, data: bytes) -> None:
    """Send for as long as the peer takes it."""
    with contextlib.suppress(OSError):
        connection.send(data)


def test_the_header_of_a_message_beyond_the_limit_closes_with_1009(strict):
    with unharmed(strict, 16), raw(strict) as connection:
        connection.send(frame(TEXT, bytes(16 * MIB))[:14])
        assert connection.ending().code == 1009


def test_sixteen_mebibytes_are_not_taken_in(strict):
    with unharmed(strict, 32), raw(strict) as connection:
        pour(connection, frame(TEXT, b"x" * 16 * MIB))
        # What the server did not read may turn its close into a reset.
        assert connection.ending().code in (1009, None)


def test_fragments_are_one_message_and_their_sum_is_bounded(strict):
    whole = orjson.dumps({"type": "ping", "t": 7})
    with unharmed(strict, 32):
        with raw(strict) as connection:
            connection.send(
                frame(TEXT, whole[:1], fin=False),
                *(frame(CONT, bytes((byte,)), fin=False) + frame(PING, b"between") for byte in whole[1:-1]),
                frame(CONT, whole[-1:]),
            )
            assert connection.message("pong")["t"] == 7
        with raw(strict) as connection:
            part = bytes(64 * 1024)
            pour(connection, frame(TEXT, part, fin=False) + frame(CONT, part, fin=False) * 17)
            assert connection.ending().code in (1009, None)
        with raw(strict) as connection:
            connection.send(frame(TEXT, whole, fin=False), frame(CONT, fin=False) * 1000, frame(CONT))
            assert connection.message("pong")["t"] == 7


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(frame(TEXT, b"\xff\xfe{}"), 1007, id="invalid UTF-8"),
        pytest.param(frame(TEXT, b"{}", mask=False), 1002, id="unmasked"),
        pytest.param(frame(TEXT, b"{}", reserved=4), 1002, id="reserved bit"),
        pytest.param(frame(0x3, b"{}"), 1002, id="unknown opcode"),
        pytest.param(frame(CONT, b"{}"), 1002, id="nothing to continue"),
        pytest.param(frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), 1002, id="message within a message"),
        pytest.param(frame(PING, bytes(126)), 1002, id="long ping"),
        pytest.param(frame(PING, b"", fin=False), 1002, id="ping in fragments"),
        pytest.param(frame(CLOSE, b"\x03"), 1002, id="half a close code"),
        pytest.param(frame(CLOSE, b"\x03\xed"), 1002, id="a close code that is never sent"),
    ],
)
def test_a_breach_of_the_websocket_protocol_closes(strict, sent, code):
    with unharmed(strict, 16), raw(strict) as connection:
        connection.send(sent)
        assert connection.ending().code == code


def test_random_bytes_in_place_of_frames_and_of_a_handshake(strict):
    pick = random.Random(9)
    with unharmed(strict, 32):
        for _ in range(60):
            with raw(strict) as connection:
                pour(connection, pick.randbytes(400))
                connection.socket.shutdown(socket.SHUT_WR)
                connection.ending()
        for _ in range(60):
            with socket.create_connection(("127.0.0.1", strict.port)) as peer, contextlib.suppress(OSError):
                peer.sendall(pick.randbytes(400) + b"\r\n\r\n")
                while peer.recv(4096):
                    pass


# -- too much of it -----------------------------------------------------------------------------------------------


def test_four_thousand_contexts_on_one_connection(open_doors):
    async def run():
        # A flood is read slowly, pings with it.
        async with wire(open_doors.url, ping_interval=None) as client:
            for i in range(4_000):
                await client.send(m.Start(context=str(i)))
            await client.send(m.Ping(t=1))
            await client.until(m.Pong)
            assert open_doors.metrics()["voxwire_contexts"] == 4_000
            started = client.of(m.Started)
            assert len({each.number for each in started}) == 4_000
            await client.send(m.Text(context="3999", text="Still here."), m.End(context="3999"))
            await client.until(m.Done, context="3999")
            assert client.frames("3999")

    with unharmed(open_doors, 96):
        asyncio.run(run())


def test_ten_thousand_contexts_across_connections(open_doors):
    async def one(i: int) -> int:
        async with wire(open_doors.url, MSGPACK if i % 2 else JSON) as client:
            for n in range(100):
                await client.send(
                    m.Start(context=str(n), pacing=BURST), m.Text(context=str(n), text="Hm."), m.End(context=str(n))
                )
            while len(client.of(m.Done)) < 100:
                await client.next()
            assert all(client.frames(str(n)) for n in range(100))
            return len(client.of(m.ErrorMessage))

    async def run():
        for part in range(4):
            assert not any(await asyncio.gather(*(one(part * 25 + i) for i in range(25))))

    with unharmed(open_doors, 64):
        asyncio.run(run())


def test_one_context_more_than_allowed_is_refused_and_the_others_stay(strict):
    with raw(strict) as connection:
        connection.send(*(text({"type": "start", "context": str(i)}) for i in range(33)))
        error = connection.message("error")
        assert (error["code"], error["retryable"]) == ("client.too_many_contexts", True)
        assert error["details"]["contexts_max"] == 32
        connection.send(text({"type": "start", "context": "0"}))
        assert connection.message("error")["code"] == "client.context_exists"
        connection.send(text({"type": "cancel", "context": "0"}), text({"type": "start", "context": "again"}))
        assert connection.message("started")["context"] == "again"


def test_floods_of_text_meet_named_bounds(strict):
    words = "word " * 4000

    def send(connection: RawSocket, **fields) -> None:
        connection.send(text({"type": "text", **fields}))

    with unharmed(strict, 64), raw(strict) as connection:
        send(connection, text=words + "x")
        assert connection.message("error")["code"] == "client.text_too_long"
        connection.send(text({"type": "start", "context": "full"}), text({"type": "hold", "context": "full"}))
        for _ in range(4):
            send(connection, context="full", text=words)
        error = connection.message("error")
        assert (error["code"], error["retryable"], error["context"]) == ("client.text_buffer_full", True, "full")
        assert error["retry_after_ms"] > 0
        send(connection, context="small", text="This is spoken all the same.", flush=True)
        while connection.message("flushed")["context"] != "small":
            pass


def test_a_flood_of_messages_is_slowed_and_nothing_of_it_is_lost():
    with (
        serving(*TONES, "limits.messages_burst=100", "limits.messages_per_second=2000") as host,
        unharmed(host, 32),
        raw(host) as connection,
    ):
        connection.send(*(text({"type": "ping", "t": i}) for i in range(3000)))
        assert [connection.message("pong")["t"] for _ in range(3000)] == list(range(3000))


def test_whoever_leaves_in_the_middle_of_a_flood_is_forgotten_at_once(strict):
    with unharmed(strict, 48):
        connection = RawSocket(strict)
        connection.send(text({"type": "text", "text": "A word. " * 2000}))
        pour(connection, text({"type": "ping"}) * 30_000)
        connection.vanish()


# -- half open ----------------------------------------------------------------------------------------------------


def test_connections_without_a_handshake_hold_little(strict):
    with unharmed(strict, 32), contextlib.ExitStack() as stack:
        peers = [stack.enter_context(socket.create_connection(("127.0.0.1", strict.port))) for _ in range(300)]
        for i, peer in enumerate(peers):
            peer.sendall(b"" if i % 3 == 0 else b"GET /v1/stream HTTP/1.1\r\nHost: x" if i % 3 == 1 else b"\x16\x03")


def test_whoever_vanishes_takes_their_contexts_along(strict):
    with unharmed(strict, 48):
        peers = [RawSocket(strict) for _ in range(50)]
        for peer in peers:
            peer.send(text({"type": "text", "text": "One more sentence to be said. " * 200}))
            peer.message("started")
        assert strict.metrics()["voxwire_sessions"] == 50
        for peer in peers:
            peer.vanish()


SPEECH = {"type": "text", "text": "This is going to be said, but nobody is going to listen. " * 300}


def test_a_reader_that_never_reads_is_cut_and_memory_stays_bounded(strict):
    before = strict.metrics().get('voxwire_errors_total{code="client.slow_reader"}', 0)
    # 8 peers of 8 contexts: each may hold 20 s unsent and two clauses of 15 s, of 48 kHz PCM, 307 MB in all.
    # With 4 MiB in each socket's buffer and 2 MiB in each replay log that is 339 MiB; the allocator keeps some besides.
    # Sessions that wait for their client have the time to fill all of it.
    with unharmed(strict, 416):
        peers = [RawSocket(strict, receive_buffer=4096) for _ in range(8)]
        for peer in peers:
            for i in range(8):
                name = str(i)
                audio = {"sample_rate": 48000}
                peer.send(text({"type": "start", "context": name, "audio": audio, "pacing": {"mode": "burst"}}))
                peer.send(text({**SPEECH, "context": name}), text({"type": "end", "context": name}))
        eventually(lambda: strict.metrics().get('voxwire_errors_total{code="client.slow_reader"}', 0) == before + 8)
        for peer in peers:
            assert peer.ending().code is None
            peer.close()


@pytest.mark.parametrize(
    "sent", [frame(PING, bytes(125)) * 500, text({"type": "ping", "t": 1}) * 500], ids=["ping", "message"]
)
def test_whoever_asks_without_reading_the_answers_is_not_read(strict, sent):
    grown = []
    with unharmed(strict, 64), raw(strict, receive_buffer=4096) as connection:
        before = strict.memory()
        connection.socket.settimeout(0.25)
        with contextlib.suppress(OSError):
            for _ in range(5000):
                connection.send(sent)
        grown.append(strict.memory() - before)
    assert grown[0] <= 64 * MIB
