"""Connections without a key: how many there may be, what they are answered, and that authenticated clients are not
disturbed."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from support.assert_idle import MIB, eventually, unharmed
from support.protocol_client import say
from support.raw_websocket import CONT, PING, PONG, TEXT, RawSocket, frame, raw, text
from support.server import Host, serving
from voxwire_protocol import messages as m
from voxwire_server.ops.auth import generate_key, hash_key

TONES = ("engines.enabled=tone", "engines.default=tone", "scheduling.utilisation_max=100")
SPEECH = "One more sentence that is to be heard, whatever other connections do meanwhile."

REQUEST = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HANDSHAKE = (
    b"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
)


@pytest.fixture(scope="module")
def host():
    with serving(*TONES) as running:
        yield running


def post(path: str, body: bytes, kind: str, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + body


def exchange(host: Host, sent: bytes, times: int = 1) -> bytes:
    """Send something so many times, and read to the end at the same time; the answer."""
    with socket.create_connection(("127.0.0.1", host.port)) as peer:
        peer.settimeout(30)

        def pour() -> None:
            with contextlib.suppress(OSError):
                for _ in range(times):
                    peer.sendall(sent)

        pouring = threading.Thread(target=pour)
        pouring.start()
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := peer.recv(65536):
                answer += part
        with contextlib.suppress(OSError):
            peer.shutdown(socket.SHUT_RDWR)
        pouring.join()
    return answer


@contextlib.contextmanager
def speaking(host: Host) -> Iterator[None]:
    """A listener is spoken to at playout speed meanwhile, and hears all of it, in order."""
    heard: list = []
    listener = threading.Thread(target=lambda: heard.append(asyncio.run(say(host.url, SPEECH))))
    listener.start()
    yield
    listener.join(60)
    done = heard[0].of(m.Done)[0]
    assert done.reason is m.DoneReason.COMPLETED
    assert [each.seq for each in heard[0].frames()] == list(range(done.frames))


# -- requests -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "times", "status", "code"),
    [
        pytest.param(REQUEST + b"X: " + b"a" * 9000 + b"\r\n\r\n", 1, 431, "client.message_too_big", id="long line"),
        pytest.param(HANDSHAKE + b"X: " + b"a" * 9000 + b"\r\n\r\n", 1, 431, "client.message_too_big", id="handshake"),
        pytest.param(HANDSHAKE + b"X: a\r\n" * 150 + b"\r\n", 1, 431, "client.message_too_big", id="150 lines"),
        pytest.param(REQUEST + b"X: " + b"a" * MIB, 100, 431, "client.message_too_big", id="endless line"),
        pytest.param(REQUEST + b"X: a\r\n" * 100_000, 50, 431, "client.message_too_big", id="endless lines"),
        pytest.param(b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 1, 414, "client.message_too_big", id="long target"),
        pytest.param(b"GET /" + b"a" * MIB, 50, 414, "client.message_too_big", id="endless target"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20, 1, 400, "client.malformed", id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 1, 400, "client.malformed_message", id="HTTP/2"),
        pytest.param(b"GET /health HTTP/1.1\r\n\r\n", 1, 400, "client.malformed_message", id="no Host"),
        pytest.param(REQUEST + b"Host: other\r\n\r\n", 1, 400, "client.malformed_message", id="two Hosts"),
        pytest.param(
            b"GET http://other/health HTTP/1.1\r\nHost: localhost\r\n\r\n",
            1,
            400,
            "client.malformed_message",
            id="another host in the target",
        ),
        pytest.param(HANDSHAKE + b"Content-Length: 1\r\n\r\nx", 1, 400, "client.malformed", id="handshake with a body"),
        pytest.param(
            HANDSHAKE + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            1,
            400,
            "client.malformed",
            id="chunked handshake",
        ),
    ],
)
def test_a_request_out_of_bounds_is_answered_and_closed(host, sent, times, status, code):
    with unharmed(host, 16):
        answer = exchange(host, sent, times)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert code.encode() in answer


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        pytest.param("application/json", b"[" + b"[]," * 349_000 + b"1]", 400, id="a list of empty lists"),
        pytest.param("application/json", b'{"input":[' + b"1," * 500_000 + b"1]}", 400, id="half a million mistakes"),
        pytest.param("application/json", b"[" * MIB, 400, id="nested lists"),
        pytest.param("application/json", b'{"input":"' + b"\\n" * 500_000 + b'"}', 400, id="nothing but escapes"),
    ],
)
def test_a_body_of_too_many_values_is_refused_before_it_is_decoded(host, kind, body, status):
    with speaking(host):
        answer = exchange(host, post("/v1/audio/speech", body, kind).replace(b"Host", b"Connection: close\r\nHost"))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert len(answer) < 8192


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        pytest.param("application/x-www-form-urlencoded", b"&" * MIB, id="separators"),
        pytest.param("application/x-www-form-urlencoded", b"tts_text=" + b"%41" * 349_000, id="escapes"),
        pytest.param("multipart/form-data; boundary=b", b"\r" * MIB, id="returns"),
        pytest.param(
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n' + b"\r\n--" * 260_000 + b"\r\n--b--\r\n",
            id="almost boundaries",
        ),
        pytest.param("multipart/form-data; boundary=b", b"--b\r\n" + b"A: b\r\n" * 100_000, id="headers"),
    ],
)
def test_a_form_of_nothing_but_syntax_is_answered_while_others_are_spoken_to(host, kind, body):
    with speaking(host):
        answer = exchange(host, post("/inference_sft", body, kind).replace(b"Host", b"Connection: close\r\nHost"))
    assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 422")


def test_each_of_thousands_of_pipelined_requests_has_its_turn(host):
    with unharmed(host, 16), speaking(host):
        answer = exchange(host, (REQUEST + b"\r\n") * 3000 + REQUEST + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 ") == 3001


def test_answers_come_before_the_refusal_of_what_was_sent_after_their_requests(host):
    answer = exchange(host, (REQUEST + b"\r\n") * 3 + b"\x00\r\n\r\n")
    assert [part[:3] for part in answer.split(b"HTTP/1.1 ")[1:]] == [b"200", b"200", b"200", b"400"]


def test_a_body_of_chunks_of_one_byte_is_read(host):
    body = b'{"model":"tone","voice":"tone-low","input":"Hm.","response_format":"pcm","instructions":"%s"}'
    body %= b"x" * 50_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    head = (
        b"POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    answer = exchange(host, head + chunks + b"0\r\nTrailer: ignored\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "rest", [b"1;extension=" + b"a" * MIB, b"1\r\n{\r\n0\r\nTrailer: " + b"a" * MIB], ids=["extension", "trailer"]
)
def test_what_surrounds_chunks_is_bounded(host, rest):
    head = (
        b"POST /v1/audio/speech HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    with unharmed(host, 16):
        assert exchange(host, head + rest).startswith(b"HTTP/1.1 413 ")


def test_headers_have_ten_seconds_and_a_silent_connection_no_answer(host):
    def dripping(first: bytes, drop: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", host.port)) as peer:
            peer.sendall(first)
            peer.settimeout(0.25)
            until = time.monotonic() + 30
            while time.monotonic() < until:
                try:
                    return peer.recv(65536)
                except TimeoutError:
                    peer.sendall(drop)
        raise AssertionError("it was waited for")

    answers: dict[str, bytes] = {}
    cases = {"header": (REQUEST, b"A: b\r\n"), "lines": (b"\r\n", b"\r\n"), "silence": (b"", b"")}
    threads = [
        threading.Thread(target=lambda name=name, case=case: answers.update({name: dripping(*case)}))
        for name, case in cases.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers["header"].startswith(b"HTTP/1.1 408 ")
    assert answers["lines"].startswith(b"HTTP/1.1 408 ")
    assert answers["silence"] == b""


# -- frames -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(frame(PING) * 500_000, id="empty pings"),
        pytest.param(frame(PING, bytes(125)) * 24_000, id="long pings"),
        pytest.param(frame(PONG) * 500_000, id="pongs that answer nothing"),
        pytest.param(frame(TEXT, b"{", fin=False) + frame(CONT, fin=False) * 500_000, id="empty fragments"),
        pytest.param(frame(TEXT, b"{", fin=False) + frame(CONT, b" ", fin=False) * 400_000, id="fragments of a byte"),
    ],
)
def test_a_flood_of_frames_of_nothing_ends_the_session_with_abuse(host, flood):
    with unharmed(host, 16), speaking(host), raw(host) as connection:
        pouring = threading.Thread(target=pour, args=(connection, flood))
        pouring.start()
        ending = connection.ending()
        pouring.join()
        assert (ending.code, ending.reason) == (1008, "client.abuse")
        assert ending.messages[-1]["code"] == "client.abuse"


def pour(connection: RawSocket, data: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.send(data)


def test_thirty_who_flood_with_what_they_may_leave_others_their_turn(host):
    tiny = frame(TEXT, b"{}") * 100_000
    with unharmed(host, 48), speaking(host):
        peers = [RawSocket(host) for _ in range(30)]
        pouring = [threading.Thread(target=pour, args=(peer, tiny)) for peer in peers]
        for thread in pouring:
            thread.start()
        for peer in peers:
            assert peer.ending().code == 1008
            peer.close()
        for thread in pouring:
            thread.join()


# -- connections --------------------------------------------------------------------------------------------------


def connect(host: Host, sent: bytes = b"") -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", host.port))
    peer.settimeout(30)
    peer.sendall(sent)
    return peer


def test_four_hundred_silent_connections_leave_room_for_others_in_256_descriptors(tmp_path):
    log = tmp_path / "log"
    with serving(*TONES, descriptors_max=256, log=log) as host, contextlib.ExitStack() as stack:
        inside = stack.enter_context(raw(host))
        with speaking(host):
            for i in range(400):
                stack.enter_context(connect(host, b"" if i % 2 else REQUEST))
            inside.send(text({"type": "ping", "t": 1}))
            assert inside.message("pong")["t"] == 1
            with raw(host) as newcomer:
                newcomer.send(text({"type": "text", "text": "Still taken in."}), text({"type": "end"}))
                newcomer.message("done")
            found = host.metrics()
            assert found['voxwire_connections{state="unauthenticated"}'] < 128
            assert found['voxwire_connections_closed_total{reason="unauthenticated_full"}'] > 250
            assert host.process.num_fds() < 256
    assert "the oldest is closed" in log.read_text()


def test_when_all_connections_are_taken_one_more_is_asked_to_retry_later():
    with serving(*TONES, "server.sessions_max=1000", descriptors_max=128) as host, contextlib.ExitStack() as stack:
        while True:
            peer = connect(host, HANDSHAKE + b"\r\n")
            stack.enter_context(peer)
            answer = peer.recv(65536)
            if not answer.startswith(b"HTTP/1.1 101 "):
                break
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"retry-after: 2" in answer
        assert b"server.overloaded" in answer
        assert host.process.num_fds() < 128


def test_an_idle_connection_makes_way_for_a_new_one():
    with serving(*TONES, descriptors_max=128) as host, contextlib.ExitStack() as stack:
        voices = b"GET /v1/voices HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        for _ in range(200):
            peer = stack.enter_context(connect(host, voices))
            assert peer.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_session_on_a_connection_that_served_a_request_is_not_taken_for_an_idle_one(host):
    voices = b"GET /v1/voices HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    before = host.metrics()['voxwire_connections{state="websocket"}']
    with connect(host, voices) as peer:
        answer = b""
        while not answer.endswith(b'"default":"tone-low"}'):
            answer += peer.recv(65536)
        peer.sendall(HANDSHAKE + b"\r\n")
        assert peer.recv(65536).startswith(b"HTTP/1.1 101 ")
        assert host.metrics()['voxwire_connections{state="websocket"}'] == before + 1


def test_hundreds_of_clients_at_once_are_all_let_in(host):
    async def visit() -> None:
        heard = await say(host.url, "Hm.", pacing=m.PacingRequest(mode="burst"))
        assert heard.of(m.Done)

    async def visits() -> None:
        await asyncio.gather(*(visit() for _ in range(300)))

    asyncio.run(visits())


# -- leaving ------------------------------------------------------------------------------------------------------


def test_clients_that_leave_in_the_middle_of_anything_leave_no_traceback(tmp_path):
    log = tmp_path / "log"
    form = b'--b\r\nContent-Disposition: form-data; name="tts_text"; filename="a"\r\n\r\n' + b"x" * 100_000
    speech = b'{"model":"tone","voice":"tone-low","input":"' + b"A word. " * 400 + b'","response_format":"pcm"}'
    phases = [
        REQUEST,
        HANDSHAKE,
        HANDSHAKE + b"\r\n",
        HANDSHAKE + b"\r\n" + frame(TEXT, b"{", fin=False),
        HANDSHAKE + b"\r\n" + frame(TEXT, b"\xff"),
        HANDSHAKE + b"\r\n" + text({"type": "text", "text": "A word. " * 400}),
        HANDSHAKE.replace(b"/v1/stream", b"/v1/text-to-speech/x/stream-input") + b"\r\n",
        HANDSHAKE.replace(b"/v1/stream", b"/v1/speak") + b"\r\n" + text({"type": "Speak", "text": "Hello."}),
        HANDSHAKE.replace(b"/v1/stream", b"/nowhere") + b"\r\n",
        HANDSHAKE.replace(b"13", b"12") + b"\r\n",
        post("/inference_sft", form, "multipart/form-data; boundary=b", 200_000),
        post("/inference_sft", b"tts_text=x", "application/x-www-form-urlencoded", 200_000),
        post("/v1/audio/speech", speech[:100], "application/json", len(speech)),
        post("/v1/audio/speech", speech, "application/json"),
        post("/v1/audio/speech", speech, "application/json") * 3,
        post("/v1/audio/speech", speech.replace(b"pcm", b"wav"), "application/json"),
        b"\x00" * 100,
    ]
    with serving(*TONES, log=log) as host, unharmed(host, 64):
        for sent in phases:
            for pause in (0.0, 0.02, 0.2):
                for abrupt in (True, False):
                    peer = connect(host, sent)
                    time.sleep(pause)
                    if abrupt:
                        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    peer.close()
        eventually(lambda: host.metrics()["voxwire_sessions"] == 0)
    assert "Traceback" not in log.read_text(), log.read_text()


def test_what_a_stranger_sends_before_its_key_is_bounded():
    stream = HANDSHAKE.replace(b"/v1/stream", b"/v1/text-to-speech/tone-low/stream-input") + b"\r\n"
    fragments = frame(TEXT, b"x" * 100_000, fin=False) + frame(CONT, b"x" * 100_000, fin=False) * 2
    with serving(*TONES, f"auth.keys=agent={hash_key(generate_key())}", "server.metrics_public=true") as host:
        for data in (frame(TEXT, b"x" * 1_000_000)[:1000], fragments):
            with connect(host, stream) as peer:
                assert peer.recv(65536).startswith(b"HTTP/1.1 101 ")
                peer.sendall(data)
                assert peer.recv(65536)[2:4] == (1009).to_bytes(2, "big")


def test_one_of_two_keys_cannot_take_all_connections():
    keys = {name: generate_key() for name in ("greedy", "other")}
    names = ",".join(f"{name}={hash_key(key)}" for name, key in keys.items())

    def head(path: str, key: str) -> bytes:
        return f"{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {keys[key]}\r\n".encode()

    slow = head("POST /v1/audio/speech", "greedy") + b"Content-Length: 1000\r\n\r\n{"
    with serving(*TONES, f"auth.keys={names}", descriptors_max=256) as host, contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(host, slow)) for _ in range(300)]
        with connect(host, head("GET /v1/voices", "other") + b"\r\n") as other:
            assert other.recv(65536).startswith(b"HTTP/1.1 200 ")
        refused = [peer for peer in held if select.select([peer], [], [], 0)[0]]
        assert 100 < len(refused) < 200
        answer = refused[0].recv(65536)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"connections are yours" in answer
