"""Values are counted before they are decoded."""

from __future__ import annotations

import msgpack
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voxwire_protocol.bounds import ESCAPES_MAX, UNCOUNTED_BYTES, check_json, check_msgpack
from voxwire_protocol.codec import JSON, MSGPACK
from voxwire_protocol.errors import ErrorCode, ProtocolError

MIB = 1 << 20

LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text()
TREES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=60)


def values(tree) -> int:
    if isinstance(tree, list):
        return 1 + sum(map(values, tree))
    if isinstance(tree, dict):
        return 1 + sum(1 + values(each) for each in tree.values())
    return 1


def padded(tree) -> list:
    """With a text so long that its values are counted, which holds what would be syntax elsewhere."""
    return [tree, '[{,:\\"\\\\' * (UNCOUNTED_BYTES // 4)]


@given(TREES)
def test_no_more_values_are_counted_in_json_than_there_are(tree) -> None:
    whole = padded(tree)
    for raw in (orjson.dumps(whole), orjson.dumps(whole).decode()):
        check_json(raw, 2 * values(whole))


@given(TREES)
def test_msgpack_is_counted_exactly(tree) -> None:
    whole = padded(tree)
    count = values(whole)
    check_msgpack(msgpack.packb(whole), count)
    with pytest.raises(ProtocolError):
        check_msgpack(msgpack.packb(whole), count - 1)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"[" + b"[]," * (MIB // 3) + b"1]", id="lists"),
        pytest.param(b"[" + b"1," * (MIB // 2) + b"1]", id="numbers"),
        pytest.param(b"[" + b'"",' * (MIB // 3) + b"1]", id="texts"),
        pytest.param(b'{"a":' * (MIB // 5), id="nested maps"),
        pytest.param(b"[" * MIB, id="nested lists"),
        pytest.param(b'{"type":"ping","x":"' + b"\\n" * (ESCAPES_MAX + 1) + b'"}', id="escapes"),
        pytest.param(b'"' * MIB, id="quotes"),
    ],
)
def test_a_megabyte_of_json_values_is_malformed(raw: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        JSON.decode_client(raw.decode())
    assert caught.value.code is ErrorCode.MALFORMED_MESSAGE
    assert "more than" in caught.value.message


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"\xdd" + MIB.to_bytes(4, "big") + b"\x90" * MIB, id="lists"),
        pytest.param(b"\xdd" + MIB.to_bytes(4, "big") + b"\x00" * MIB, id="numbers"),
        pytest.param((b"\xdc\x10\x00" + b"\x00" * 4095) * 200, id="nested lists, none of them complete"),
        pytest.param(msgpack.packb({str(i): i for i in range(100_000)}), id="names"),
    ],
)
def test_a_megabyte_of_msgpack_values_is_malformed(raw: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        MSGPACK.decode_client(raw)
    assert caught.value.code is ErrorCode.MALFORMED_MESSAGE
    assert "more than" in caught.value.message


def test_a_long_text_is_one_value() -> None:
    text = 'What, ["he said"]: {nothing}? \\ ' * 2000
    for codec in (JSON, MSGPACK):
        message = codec.decode_client(
            orjson.dumps({"type": "text", "text": text}).decode()
            if codec is JSON
            else msgpack.packb({"type": "text", "text": text}),
            8,
        )
        assert message.text == text


def test_the_server_may_allow_more_values() -> None:
    contexts = {f"c{i}": i for i in range(5000)}
    resume = {"type": "resume", "session": "s", "token": "t", "received": 1, "seqs": contexts}
    raw = orjson.dumps(resume).decode()
    with pytest.raises(ProtocolError):
        JSON.decode_client(raw)
    assert JSON.decode_client(raw, 20_100).type == "resume"
