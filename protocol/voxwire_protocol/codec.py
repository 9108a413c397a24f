"""JSON and MessagePack encodings of messages. Decoding raises nothing but `ProtocolError`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgpack
import orjson

from voxwire_protocol import messages as m
from voxwire_protocol.bounds import VALUES_MAX, check_json, check_msgpack
from voxwire_protocol.errors import ErrorCode, ProtocolError
from voxwire_protocol.schema import Field, build, record_map, shown

if TYPE_CHECKING:
    from voxwire_protocol.messages import ClientMessage, ServerMessage

_Table = Mapping[str, tuple[type[Any], Mapping[str, Field]]]

_CLIENT: _Table = {type_.type: (type_, fields) for type_, fields in m.CLIENT_MESSAGES.items()}
_SERVER: _Table = {type_.type: (type_, fields) for type_, fields in m.SERVER_MESSAGES.items()}
_ALL: _Table = {**_CLIENT, **_SERVER}


def to_map(message: ClientMessage | ServerMessage) -> dict[str, Any]:
    """A message as it goes on the wire: `type` first, no nulls, no empty timings, no `flush: false`."""
    if isinstance(message, m.Timing):
        return _timing_map(message)
    fields = record_map(message)
    if isinstance(message, m.Text) and not message.flush:
        del fields["flush"]
    return {"type": message.type, **fields}


def _timing_map(message: m.Timing) -> dict[str, Any]:
    """Written out, as keyframes of visemes are the most numerous of all values."""
    fields: dict[str, Any] = {"type": message.type, "context": message.context}
    if message.words:
        fields["words"] = [record_map(word) for word in message.words]
    if message.phonemes:
        fields["phonemes"] = [record_map(phoneme) for phoneme in message.phonemes]
    if message.visemes:
        fields["visemes"] = [{"id": v.id, "weight": v.weight, "pts": v.pts} for v in message.visemes]
    return fields


def client_message(value: Any) -> ClientMessage:
    """The client message that a decoded map is.

    Raises:
        ProtocolError: client.malformed_message, unknown_type, missing_field or invalid_field.
    """
    message: ClientMessage = _message(value, _CLIENT)
    return message


def server_message(value: Any) -> ServerMessage:
    """The server message that a decoded map is.

    Raises:
        ProtocolError: as `client_message`.
    """
    message: ServerMessage = _message(value, _SERVER)
    return message


def _message(value: Any, table: _Table) -> Any:
    if not isinstance(value, Mapping):
        raise ProtocolError(ErrorCode.MALFORMED_MESSAGE, "a message is a map")
    type_ = value.get("type")
    if type_ is None:
        raise ProtocolError(ErrorCode.MISSING_FIELD, "type is missing", details={"field": "type"})
    if not isinstance(type_, str):
        raise ProtocolError(ErrorCode.INVALID_FIELD, "type must be text", details={"field": "type"})
    known = table.get(type_)
    if known is None:
        problem = f"there is no message of type {shown(type_)!r}"
        raise ProtocolError(ErrorCode.UNKNOWN_TYPE, problem, details={"field": "type"})
    try:
        return build(*known, value)
    except ProtocolError as error:
        context = value.get("context")
        if isinstance(context, str) and 0 < len(context) <= m.CONTEXT_CHARS_MAX and _is_unicode(context):
            error.context = context
        raise


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Codec(Protocol):
    """One encoding of the control messages; audio frames are the same in all."""

    subprotocol: str
    binary: bool

    def encode(self, message: ClientMessage | ServerMessage) -> str | bytes:
        """A message as the payload of one WebSocket message: text or binary by `binary`.

        Raises:
            ProtocolError: client.invalid_field; a field holds what can't be written (a lone surrogate, a number
                beyond 64 bits).
        """

    def decode_client(self, raw: str | bytes, values_max: int = VALUES_MAX) -> ClientMessage:
        """What a client sent.

        Raises:
            ProtocolError: it is no valid message, or has more than `values_max` values.
        """

    def decode_server(self, raw: str | bytes) -> ServerMessage:
        """What a server sent.

        Raises:
            ProtocolError: it is no valid message.
        """


class JsonCodec:
    """Text messages of JSON (RFC 8259)."""

    subprotocol = "voxwire.v1.json"
    binary = False

    def encode(self, message: ClientMessage | ServerMessage) -> str:
        """A message as JSON text."""
        try:
            return orjson.dumps(to_map(message)).decode()
        except (TypeError, ValueError) as error:
            raise _unwritable(message, error) from None

    def decode_client(self, raw: str | bytes, values_max: int = VALUES_MAX) -> ClientMessage:
        """See `Codec`."""
        if isinstance(raw, str):
            check_json(raw, values_max)
        return client_message(self._map(raw))

    def decode_server(self, raw: str | bytes) -> ServerMessage:
        """See `Codec`."""
        return server_message(self._map(raw))

    def _map(self, raw: str | bytes) -> Any:
        if not isinstance(raw, str):
            raise ProtocolError(ErrorCode.UNEXPECTED_BINARY, "under voxwire.v1.json messages are text")
        try:
            return orjson.loads(raw)
        except (ValueError, RecursionError) as error:
            raise ProtocolError(ErrorCode.MALFORMED_MESSAGE, f"this is no JSON: {_first_line(error)}") from None


class MsgpackCodec:
    """Binary messages of MessagePack; the same maps as in JSON."""

    subprotocol = "voxwire.v1.msgpack"
    binary = True

    def encode(self, message: ClientMessage | ServerMessage) -> bytes:
        """A message as MessagePack."""
        try:
            packed: bytes = msgpack.packb(to_map(message))
        except (TypeError, ValueError, OverflowError) as error:
            raise _unwritable(message, error) from None
        return packed

    def decode_client(self, raw: str | bytes, values_max: int = VALUES_MAX) -> ClientMessage:
        """See `Codec`."""
        if not isinstance(raw, str):
            check_msgpack(raw, values_max)
        return client_message(self._map(raw))

    def decode_server(self, raw: str | bytes) -> ServerMessage:
        """See `Codec`."""
        return server_message(self._map(raw))

    def _map(self, raw: str | bytes) -> Any:
        if isinstance(raw, str):
            raise ProtocolError(ErrorCode.MALFORMED_MESSAGE, "under voxwire.v1.msgpack messages are binary")
        try:
            # Names are text: a map of numbers, chosen so that they collide, could be made to take hours.
            return msgpack.unpackb(raw, raw=False, strict_map_key=True, ext_hook=_no_extension)
        except (ValueError, TypeError, RecursionError, msgpack.exceptions.UnpackException) as error:
            raise ProtocolError(ErrorCode.MALFORMED_MESSAGE, f"this is no MessagePack: {_first_line(error)}") from None


def _no_extension(code: int, _data: bytes) -> Any:
    raise ValueError(f"extension type {code} has no meaning here")


def _unwritable(message: ClientMessage | ServerMessage, problem: Exception) -> ProtocolError:
    """What a message that can't be encoded has wrong: the field, where the checks of the reader find it."""
    try:
        _message(to_map(message), _ALL)
    except ProtocolError as error:
        return error
    return ProtocolError(ErrorCode.INVALID_FIELD, f"{message.type} can't be encoded: {_first_line(problem)}")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


JSON = JsonCodec()
MSGPACK = MsgpackCodec()

_CODECS: Mapping[str, Codec] = {codec.subprotocol: codec for codec in (JSON, MSGPACK)}


def codec_for(subprotocol: str) -> Codec | None:
    """The codec of a WebSocket subprotocol, None if it is not ours."""
    return _CODECS.get(subprotocol)
