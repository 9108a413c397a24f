"""A client written from protocol/README.md alone: websockets and json or msgpack, and nothing of voxwire's.

    python examples/raw_client.py "Hello there." -o hello.wav
    python examples/raw_client.py --msgpack "Hello there." -o hello.wav

It shows the least that a client of another language has to do: read `ready`, send text in pieces and `end`, tell audio
frames from messages, check their numbers, and stop at `done`.
"""

from __future__ import annotations

import argparse
import json
import os
import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgpack
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

URL = "ws://127.0.0.1:8765/v1/stream"
CONTEXT = "answer-1"
FRAME_HEADER = struct.Struct("<BBHIQ")
"""kind, flags, context number, seq, pts ("Audio frames")."""
AUDIO_KIND = 1


@dataclass(frozen=True)
class Frame:
    """One audio frame."""

    number: int
    seq: int
    pts: int
    payload: bytes


class Wire:
    """A connection in one of the two encodings."""

    def __init__(self, socket: ClientConnection, *, packed: bool) -> None:
        self._socket = socket
        self._packed = packed

    def send(self, **message: Any) -> None:
        """Send a message: a map, as JSON text or as binary MessagePack."""
        self._socket.send(msgpack.packb(message) if self._packed else json.dumps(message))

    def receive(self) -> Iterator[dict[str, Any] | Frame]:
        """Everything that comes, until the connection ends."""
        for raw in self._socket:
            if isinstance(raw, str):
                yield json.loads(raw)
            elif raw[0] == AUDIO_KIND:
                _, _, number, seq, pts = FRAME_HEADER.unpack_from(raw)
                yield Frame(number, seq, pts, raw[FRAME_HEADER.size :])
            else:
                yield msgpack.unpackb(raw)


def pieces(text: str) -> Iterator[str]:
    """A text cut without regard to words: the protocol says that cuts carry no meaning."""
    for at in range(0, len(text), 5):
        yield text[at : at + 5]


def speak(url: str, text: str, output: str, *, packed: bool) -> None:
    """Speak a text into a WAV file.

    Raises:
        SystemExit: the server refused something.
    """
    subprotocol = Subprotocol("voxwire.v1.msgpack" if packed else "voxwire.v1.json")
    key = os.environ.get("VOXWIRE_API_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else None
    offer = [subprotocol]
    with connect(url, subprotocols=offer, additional_headers=headers, compression=None) as socket:
        wire = Wire(socket, packed=packed)
        items = wire.receive()
        greet(next(items))
        wire.send(type="start", context=CONTEXT)
        for seq, piece in enumerate(pieces(text)):
            wire.send(type="text", context=CONTEXT, text=piece, seq=seq)
        wire.send(type="end", context=CONTEXT)
        sample_rate, samples = follow(items)
    with wave.open(output, "wb") as wav:
        wav.setparams((1, 2, sample_rate, 0, "NONE", ""))
        wav.writeframes(samples)


def greet(first: dict[str, Any] | Frame) -> None:
    """The first message is `ready`; a client that is refused gets `error` instead, then a close."""
    assert isinstance(first, dict)
    if first["type"] == "error":
        raise SystemExit(f"{first['code']}: {first['message']}")


def follow(items: Iterator[dict[str, Any] | Frame]) -> tuple[int, bytes]:
    """Take what the server sends until the context is over: the sample rate, and the audio. A player would play it.

    Raises:
        SystemExit: a frame has the wrong number, the server reports an error, or the connection ends.
    """
    sample_rate, number = 0, -1
    frames: list[bytes] = []
    for item in items:
        if isinstance(item, Frame):
            if (item.number, item.seq) != (number, len(frames)):
                raise SystemExit(f"frame {item.number}/{item.seq} came in place of {number}/{len(frames)}")
            frames.append(item.payload)
            continue
        match item["type"]:
            case "started":
                number, sample_rate = item["number"], item["audio"]["sample_rate"]
            case "timing":
                for word in item.get("words", []):
                    print(f"{word['pts']:8} {word['text']}")
            case "error":
                raise SystemExit(f"{item['code']}: {item['message']}")
            case "done":
                print(f"{item['reason']}: {item['frames']} frames, {item['samples']} samples")
                return sample_rate, b"".join(frames)
            case _:
                pass  # Types that a client does not know are ignored ("Encodings").
    raise SystemExit("the connection ended before `done`")


def main() -> None:
    """Read the arguments and speak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", default="Hello from a client of a hundred lines.")
    parser.add_argument("--url", default=os.environ.get("VOXWIRE_URL", URL))
    parser.add_argument("--msgpack", action="store_true", help="speak MessagePack instead of JSON")
    parser.add_argument("-o", "--output", default="hello.wav")
    args = parser.parse_args()
    speak(args.url, args.text, args.output, packed=args.msgpack)


if __name__ == "__main__":
    main()
