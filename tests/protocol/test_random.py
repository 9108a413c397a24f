from __future__ import annotations

import struct
from typing import Any

import msgpack
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support import vector_messages
from voxwire_protocol import (
    JSON,
    MSGPACK,
    AudioFrame,
    Codec,
    Flag,
    ProtocolError,
    is_audio_frame,
    pack_frame,
    unpack_frame,
)
from voxwire_protocol import messages as m
from voxwire_protocol.codec import client_message, server_message
from voxwire_protocol.schema import INT_MAX

CODECS: tuple[Codec, ...] = (JSON, MSGPACK)

texts = st.text(st.characters(codec="utf-8"), max_size=80)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=64)
counts = st.integers(0, INT_MAX)
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-INT_MAX, INT_MAX)
milliseconds = st.floats(0, 1e9)
spans = st.tuples(counts, counts).map(lambda pair: (min(pair), max(pair)))
free = st.recursive(
    st.none() | st.booleans() | counts | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def several(strategy: st.SearchStrategy[Any], most: int = 6) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=most).map(tuple)


pacing = st.builds(
    m.PacingRequest, mode=maybe(st.sampled_from(["realtime", "burst"])), lead_ms=maybe(st.integers(0, 30_000))
)
bitrates = maybe(st.integers(6000, 510_000))
audio = st.builds(
    m.AudioRequest,
    codec=maybe(st.sampled_from(sorted(m.RATES))),
    sample_rate=maybe(st.integers(1, 768_000)),
    frame_ms=maybe(st.sampled_from(m.FRAME_MS)),
    bitrate=bitrates,
)

CLIENT: dict[type[Any], dict[str, st.SearchStrategy[Any]]] = {
    m.Start: {
        "voice": maybe(st.text("abc", min_size=1)),
        "language": maybe(st.text("en-US", min_size=1, max_size=64)),
        "speed": maybe(st.floats(0.5, 2.0)),
        "audio": maybe(audio),
        "timings": maybe(several(st.sampled_from(["word", "phoneme", "viseme"]), 8)),
        "pacing": maybe(pacing),
        "priority": maybe(st.sampled_from(["interactive", "bulk"])),
        "seed": maybe(counts),
        "format": maybe(st.sampled_from(("text", "ssml"))),
    },
    m.Text: {"text": texts, "seq": maybe(counts), "flush": st.booleans()},
    m.Flush: {"id": maybe(names)},
    m.End: {},
    m.Cancel: {"played_pts": maybe(counts)},
    m.Hold: {},
    m.Release: {},
    m.Retract: {"from_char": counts},
    m.Configure: {"audio": maybe(st.builds(m.BitrateRequest, bitrate=bitrates)), "pacing": maybe(pacing)},
    m.Ack: {"seq": maybe(counts), "played_pts": maybe(counts)},
    m.Ping: {"t": numbers},
    m.Resume: {
        "session": names,
        "token": names,
        "received": maybe(counts),
        "contexts": st.dictionaries(names, counts, max_size=4),
        "text_seq": st.dictionaries(names, counts, max_size=4),
    },
}

SERVER: dict[type[Any], dict[str, st.SearchStrategy[Any]]] = {
    m.Ready: {
        "session": texts,
        "token": texts,
        "heartbeat_ms": counts,
        "resume_window_ms": counts,
        "limits": st.builds(m.Limits, **dict.fromkeys(m.Limits.__dataclass_fields__, counts)),
    },
    m.Started: {
        "number": counts,
        "voice": texts,
        "engine": texts,
        "audio": st.builds(
            m.AudioInfo,
            codec=st.sampled_from(sorted(m.RATES)),
            sample_rate=counts,
            frame_ms=counts,
            frame_samples=counts,
            bitrate=maybe(counts),
            lookahead_samples=counts,
        ),
    },
    m.Accepted: {"chars": counts, "text_seq": maybe(counts)},
    m.ClauseStarted: {"chars": spans, "pts": counts},
    m.Timing: {
        "words": several(st.builds(m.WordTiming, text=texts, chars=spans, pts=counts, end_pts=counts)),
        "phonemes": several(st.builds(m.PhonemeTiming, ipa=texts, pts=counts, end_pts=counts)),
        "visemes": several(st.builds(m.VisemeTiming, id=counts, weight=st.floats(0, 1), pts=counts)),
    },
    m.Mark: {"name": texts, "pts": counts},
    m.Flushed: {"id": maybe(texts), "seq": maybe(counts)},
    m.Done: {
        "reason": st.sampled_from(m.DoneReason),
        "frames": counts,
        "samples": counts,
        "chars": counts,
        "timings": maybe(
            st.builds(m.PipelineTimes, **dict.fromkeys(m.PipelineTimes.__dataclass_fields__, maybe(milliseconds)))
        ),
    },
    m.Cancelled: {
        "heard": st.builds(m.Heard, pts=counts, chars=counts, text=texts, word=maybe(texts)),
        "unheard": st.builds(m.Unheard, chars=counts, text=texts),
        "sent_seq": maybe(counts),
    },
    m.State: {
        "contexts": st.dictionaries(names, st.sampled_from(m.ContextState), max_size=4),
        "received": maybe(counts),
    },
    m.WarningMessage: {"code": texts, "message": texts, "context": maybe(names)},
    m.ErrorMessage: {
        "code": texts,
        "message": texts,
        "retryable": st.booleans(),
        "retry_after_ms": maybe(counts),
        "context": maybe(names),
        "details": maybe(st.dictionaries(texts, free, max_size=4)),
        "hint": maybe(texts),
    },
    m.Draining: {"deadline_ms": counts},
    m.Resumed: {
        "token": texts,
        "received": counts,
        "contexts": st.dictionaries(
            names, st.builds(m.ResumedContext, next_seq=counts, text_seq=maybe(counts)), max_size=4
        ),
    },
    m.ResumeFailed: {"reason": texts},
    m.Pong: {"t": numbers, "server_ms": counts},
}


def built(table: dict[type[Any], dict[str, st.SearchStrategy[Any]]]) -> st.SearchStrategy[Any]:
    return st.sampled_from(sorted(table, key=lambda type_: str(type_.type))).flatmap(
        lambda type_: st.builds(type_, **contextual(type_), **table[type_])
    )


def contextual(type_: type[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """A strategy for `context`, where a message has one that the tables above leave to this."""
    has_context = "context" in type_.__dataclass_fields__
    return {"context": names} if has_context and type_ not in (m.WarningMessage, m.ErrorMessage) else {}


# What wire formats can hold, and what they can't but a program might pass.
junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.sampled_from(["opus", "word", "realtime", "start", "0", 10**400, -(10**400)]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=12) | st.integers() | st.sampled_from(["codec", "mode"]), inner, max_size=4)
    ),
    max_leaves=12,
)
field_names = st.sampled_from(
    sorted({name for table in (m.CLIENT_MESSAGES, m.SERVER_MESSAGES) for fields in table.values() for name in fields})
)
type_names = st.sampled_from(sorted(type_.type for type_ in (*m.CLIENT_MESSAGES, *m.SERVER_MESSAGES)))
near_messages = st.builds(
    lambda type_, fields: {"type": type_, **fields}, type_names, st.dictionaries(field_names, junk, max_size=5)
)
examples = st.sampled_from([*vector_messages.CLIENT.values(), *vector_messages.SERVER.values()])
spoiled_messages = st.builds(
    lambda message, name, value: {**message, name: value}, examples, field_names | st.just("type"), junk
)


def assert_refused_or_understood(decode: Any, raw: Any) -> None:
    """Whatever came is a message or a `ProtocolError`; the error can be answered in either encoding."""
    try:
        message = decode(raw)
    except ProtocolError as error:
        reply = m.error_to_message(error)
        for codec in CODECS:
            assert codec.decode_server(codec.encode(reply)) == reply
        assert len(reply.message) < 600
    else:
        for codec in CODECS:
            codec.encode(message)


def test_there_is_a_strategy_for_every_message() -> None:
    assert set(CLIENT) == set(m.CLIENT_MESSAGES)
    assert set(SERVER) == set(m.SERVER_MESSAGES)


@given(built(CLIENT))
def test_client_messages_survive_the_wire(message: m.ClientMessage) -> None:
    for codec in CODECS:
        assert codec.decode_client(codec.encode(message)) == message


@given(built(SERVER))
def test_server_messages_survive_the_wire(message: m.ServerMessage) -> None:
    for codec in CODECS:
        assert codec.decode_server(codec.encode(message)) == message


@given(
    st.builds(
        AudioFrame,
        st.integers(0, 0xFFFF),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, (1 << 64) - 1),
        st.binary(max_size=64),
        st.integers(0, 7).map(Flag),
    )
)
def test_audio_frames_survive_the_wire_and_are_no_messagepack_map(frame: AudioFrame) -> None:
    raw = pack_frame(frame)
    assert unpack_frame(raw) == frame
    assert is_audio_frame(raw)


@given(built(CLIENT))
def test_no_message_is_taken_for_an_audio_frame(message: m.ClientMessage) -> None:
    raw = MSGPACK.encode(message)
    assert not is_audio_frame(raw)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_by_name(raw: bytes) -> None:
    for codec in CODECS:
        assert_refused_or_understood(codec.decode_client, raw)
        assert_refused_or_understood(codec.decode_server, raw)


@given(st.text(max_size=200))
@example("\ud83d")
@example('{"type":"\ud83d"}')
def test_random_text_is_refused_by_name(raw: str) -> None:
    for codec in CODECS:
        assert_refused_or_understood(codec.decode_client, raw)
        assert_refused_or_understood(codec.decode_server, raw)


@given(junk | near_messages | spoiled_messages)
def test_random_maps_are_refused_by_name(value: Any) -> None:
    assert_refused_or_understood(client_message, value)
    assert_refused_or_understood(server_message, value)
    try:
        packed = msgpack.packb(value)
    except (OverflowError, ValueError):
        return
    assert_refused_or_understood(MSGPACK.decode_client, packed)
    assert_refused_or_understood(MSGPACK.decode_server, packed)


@given(near_messages | spoiled_messages)
def test_random_json_maps_are_refused_by_name(value: Any) -> None:
    try:
        raw = orjson.dumps(value).decode()
    except (TypeError, ValueError):
        return
    assert_refused_or_understood(JSON.decode_client, raw)
    assert_refused_or_understood(JSON.decode_server, raw)


@given(examples, st.data())
def test_a_message_with_a_byte_changed_or_cut_off_is_refused_by_name(message: Any, data: st.DataObject) -> None:
    raw = bytearray(msgpack.packb(message))
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] = data.draw(st.integers(0, 255))
    for each in (bytes(raw), bytes(raw[:at])):
        assert_refused_or_understood(MSGPACK.decode_client, each)
        assert_refused_or_understood(MSGPACK.decode_server, each)


@given(st.binary(max_size=40))
def test_random_bytes_are_an_audio_frame_or_refused(raw: bytes) -> None:
    try:
        unpack_frame(raw)
    except ProtocolError:
        assert len(raw) < 16 or raw[0] != 1
    else:
        assert len(raw) >= 16
        assert raw[0] == 1


@pytest.mark.parametrize("depth", [10, 100, 1000, 5000])
def test_deep_nesting_is_refused_or_understood(depth: int) -> None:
    inner = b'{"a":' * depth + b"1" + b"}" * depth
    raw = (b'{"type":"error","code":"x","message":"","retryable":true,"details":' + inner + b"}").decode()
    assert_refused_or_understood(JSON.decode_server, raw)
    assert_refused_or_understood(JSON.decode_client, raw)
    packed = msgpack.packb({"type": "end"})[1:]
    assert_refused_or_understood(MSGPACK.decode_client, b"\x82" + packed + b"\xa1a" + b"\x91" * depth + b"\xc0")


def test_names_that_collide_are_refused_before_they_are_kept() -> None:
    modulus = (1 << 61) - 1
    pairs = b"".join(b"\xcf" + struct.pack(">Q", i * modulus) + b"\xc0" for i in range(1, 8))
    assert len({hash(i * modulus) for i in range(1, 8)}) == 1
    with pytest.raises(ProtocolError):
        MSGPACK.decode_client(b"\xde" + struct.pack(">H", 7) + pairs)
