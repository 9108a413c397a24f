"""A WebSocket on a bare socket, for everything that a proper client would never send."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson

from support.server import Host
from voxwire_protocol.codec import JSON

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

TIMEOUT_SECONDS = 30.0


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = True, reserved: int = 0) -> bytes:
    """One WebSocket frame (RFC 6455, section 5.2) as a client would send it; the mask is all zeros."""
    size, masked = len(payload), 0x80 if mask else 0
    head = bytes((fin << 7 | reserved << 4 | opcode,))
    if size < 126:
        head += bytes((masked | size,))
    elif size < 1 << 16:
        head += bytes((masked | 126,)) + size.to_bytes(2, "big")
    else:
        head += bytes((masked | 127,)) + size.to_bytes(8, "big")
    return head + (bytes(4) if mask else b"") + payload


def text(value: object) -> bytes:
    """A frame that holds a value as JSON."""
    return frame(TEXT, orjson.dumps(value))


@dataclass
class Ending:
    """How a connection ended: `code` is None where it was cut without a close frame."""

    code: int | None
    reason: str
    messages: list[dict] = field(default_factory=list)
    pongs: int = 0


class RawSocket:
    """A socket after the handshake. Reads block for at most TIMEOUT_SECONDS."""

    def __init__(self, host: Host, *, subprotocol: str = JSON.subprotocol, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(TIMEOUT_SECONDS)
        self.socket.connect(("127.0.0.1", host.port))
        self._file = self.socket.makefile("rb")
        self.send(
            (
                f"GET /v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{host.port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {subprotocol}\r\n"
                f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
            ).encode()
        )
        self.status = int(self._file.readline().split()[1])
        while self._file.readline().strip():
            pass

    def send(self, *data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(b"".join(data))

    def read(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload.

        Raises:
            EOFError: the connection is over.
        """
        try:
            head = self._file.read(2)
            if len(head) < 2:
                raise EOFError
            size = head[1] & 0x7F
            if size >= 126:
                size = int.from_bytes(self._file.read(2 if size == 126 else 8), "big")
            payload = self._file.read(size)
        except ConnectionError as error:
            raise EOFError from error
        if len(payload) < size:
            raise EOFError
        return head[0] & 0x0F, payload

    def message(self, type_: str) -> dict:
        """Read until a message of a type comes."""
        while True:
            opcode, payload = self.read()
            assert opcode != CLOSE, payload
            if opcode == TEXT:
                value: dict = orjson.loads(payload)
                if value["type"] == type_:
                    return value

    def ending(self) -> Ending:
        """Read to the end."""
        found = Ending(None, "")
        while True:
            try:
                opcode, payload = self.read()
            except EOFError:
                return found
            if opcode == TEXT:
                found.messages.append(orjson.loads(payload))
            elif opcode == PONG:
                found.pongs += 1
            elif opcode == CLOSE:
                found.code = struct.unpack(">H", payload[:2])[0] if payload else 1005
                found.reason = payload[2:].decode()

    def vanish(self) -> None:
        """Go away without a word: the peer gets a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._file.close()
        self.socket.close()


@contextlib.contextmanager
def raw(host: Host, **options) -> Iterator[RawSocket]:
    """A connection up to `ready`."""
    connection = RawSocket(host, **options)
    try:
        assert connection.status == 101
        connection.message("ready")
        yield connection
    finally:
        connection.close()
