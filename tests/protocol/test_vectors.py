from __future__ import annotations

import json
from typing import Any

import pytest

from support import vector_messages, vectors
from voxwire_protocol import JSON, MSGPACK, AudioFrame, Codec, ErrorCode, Flag, ProtocolError, pack_frame, unpack_frame
from voxwire_protocol import messages as m
from voxwire_protocol.codec import client_message, server_message, to_map

CODECS: dict[str, Codec] = {"json": JSON, "msgpack": MSGPACK}


def load(name: str) -> Any:
    return json.loads((vectors.DIRECTORY / name).read_text(encoding="utf-8"))


def rows(name: str, key: str | None = None) -> list[Any]:
    found = load(name)
    return [pytest.param(row, id=title(row)) for row in (found[key] if key else found)]


def title(row: dict[str, Any]) -> str:
    return "-".join(row[part].replace(" ", "_") for part in ("from", "encoding", "name") if part in row)


def decode(codec: Codec, side: str, raw: str | bytes) -> m.ClientMessage | m.ServerMessage:
    return codec.decode_client(raw) if side == "client" else codec.decode_server(raw)


@pytest.mark.parametrize("name", sorted(vectors.rendered()))
def test_the_files_are_what_the_script_writes(name: str) -> None:
    assert (vectors.DIRECTORY / name).read_text(encoding="utf-8") == vectors.rendered()[name]


def test_there_is_a_vector_of_every_message() -> None:
    for table, types in ((vector_messages.CLIENT, m.CLIENT_MESSAGES), (vector_messages.SERVER, m.SERVER_MESSAGES)):
        assert {each["type"] for each in table.values()} == {type_.type for type_ in types}


def test_every_field_of_every_message_is_in_a_vector() -> None:
    for table, types in ((vector_messages.CLIENT, m.CLIENT_MESSAGES), (vector_messages.SERVER, m.SERVER_MESSAGES)):
        for type_, fields in types.items():
            seen = {name for each in table.values() if each["type"] == type_.type for name in each}
            assert seen == {"type", *fields}


@pytest.mark.parametrize("row", rows("messages.json"))
def test_a_message_means_the_same_in_both_encodings_and_is_written_as_in_the_vector(row: Any) -> None:
    from_map = (client_message if row["from"] == "client" else server_message)(row["map"])
    assert to_map(from_map) == row["map"]
    for encoding, raw in (("json", row["json"]), ("msgpack", bytes.fromhex(row["msgpack"]))):
        assert decode(CODECS[encoding], row["from"], raw) == from_map
        assert CODECS[encoding].encode(from_map) == raw


@pytest.mark.parametrize("row", rows("lenient.json"))
def test_other_spellings_of_a_message_are_understood(row: Any) -> None:
    for encoding, raw in (("json", row["json"]), ("msgpack", bytes.fromhex(row["msgpack"]))):
        assert to_map(decode(CODECS[encoding], row["from"], raw)) == row["map"]


@pytest.mark.parametrize("row", rows("invalid.json"))
def test_invalid_messages_are_refused_by_the_name_of_the_field(row: Any) -> None:
    raw = row["raw"] if row["encoding"] == "json" else bytes.fromhex(row["raw"])
    with pytest.raises(ProtocolError) as caught:
        decode(CODECS[row["encoding"]], row["from"], raw)
    assert caught.value.code is ErrorCode(row["code"])
    assert caught.value.details.get("field") == row["field"]


def test_an_error_names_the_context_of_the_message_it_is_about() -> None:
    with pytest.raises(ProtocolError) as caught:
        JSON.decode_client('{"type":"text","context":"answer-1","text":5}')
    assert caught.value.context == "answer-1"
    assert m.error_to_message(caught.value).context == "answer-1"


@pytest.mark.parametrize("context", ["", "x" * 65, 5, None, ["0"]])
def test_an_error_names_no_context_that_can_not_be_one(context: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        client_message({"type": "text", "context": context, "text": 5})
    assert caught.value.context is None


@pytest.mark.parametrize("row", rows("audio_frames.json", "valid"))
def test_an_audio_frame_is_read_and_written_as_in_the_vector(row: Any) -> None:
    frame = AudioFrame(row["context_number"], row["seq"], row["pts"], bytes.fromhex(row["payload"]), Flag(row["flags"]))
    assert unpack_frame(bytes.fromhex(row["frame"])) == frame
    assert unpack_frame(memoryview(bytes.fromhex(row["frame"]))) == frame
    assert (pack_frame(frame).hex() == row["frame"]) is row["canonical"]


@pytest.mark.parametrize("row", rows("audio_frames.json", "invalid"))
def test_a_binary_message_that_is_no_audio_frame_is_refused(row: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        unpack_frame(bytes.fromhex(row["frame"]))
    assert caught.value.code is ErrorCode(row["code"])


def test_each_encoding_refuses_the_other_kind_of_websocket_message() -> None:
    with pytest.raises(ProtocolError) as caught:
        JSON.decode_client(b'{"type":"end"}')
    assert caught.value.code is ErrorCode.UNEXPECTED_BINARY
    with pytest.raises(ProtocolError) as caught:
        MSGPACK.decode_client('{"type":"end"}')
    assert caught.value.code is ErrorCode.MALFORMED_MESSAGE
