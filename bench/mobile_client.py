"""Sessions of the Python client on a bad network: speaks, plays, and says what was heard. Runs on the client's host.

Prints one JSON object: of each utterance a checksum of its audio, its first audio, its stalls, and how often its
connection was lost. A player starts `--buffer-ms` after the first frame and stalls when a frame comes too late.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
import zlib
from dataclasses import asdict, dataclass, field

from voxwire_client import Audio, ConnectionLost, connect
from voxwire_client.events import Interrupted, Reconnected
from voxwire_protocol.messages import Started

SENTENCES = (
    "The birch canoe slid on the smooth planks. ",
    "Glue the sheet to the dark blue background. ",
    "It is easy to tell the depth of a well, and these days a chicken leg is a rare dish. ",
    "Rice is often served in round bowls. ",
    "The juice of lemons makes fine punch, and the box was thrown beside the parked truck. ",
)


@dataclass
class Heard:
    """What one utterance was like."""

    session: int
    number: int
    crc: int = 0
    frames: int = 0
    seconds: float = 0.0
    ttfa_ms: float = 0.0
    stalls: int = 0
    stalled_seconds: float = 0.0
    bytes: int = 0
    codec: str = ""
    whole: bool = False
    error: str = ""


@dataclass
class MobileClient:
    """One session."""

    lost: int = 0
    resumed: int = 0
    away_seconds: list[float] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)


def text_of(session: int, number: int, sentences: int) -> str:
    """The text of an utterance; another one for each."""
    at = session * 7 + number * 3
    return "".join(SENTENCES[(at + i) % len(SENTENCES)] for i in range(sentences))


async def utterance(session, client: MobileClient, index: int, number: int, args: argparse.Namespace) -> None:
    """Speak and listen."""
    heard = Heard(index, number)
    client.heard.append(heard)
    asked_at, origin, expected = time.monotonic(), 0.0, 0
    text = text_of(index, number, args.sentences)
    try:
        options = {"codec": args.codec, "lead_ms": args.lead_ms, "bitrate": args.bitrate, "adapt": args.adapt}
        async for event in session.speak(text, seed=index * 100 + number, **options):
            if isinstance(event, Started):
                heard.codec = event.audio.codec
            if not isinstance(event, Audio):
                continue
            now = time.monotonic()
            if not heard.frames:
                heard.ttfa_ms = (now - asked_at) * 1000
                origin = now + args.buffer_ms / 1000
            assert event.seq == expected, f"frame {event.seq} where {expected} was due"
            expected += 1
            late = now - (origin + event.pts / event.sample_rate)
            if late > 0.01:
                heard.stalls += 1
                heard.stalled_seconds += late
                origin += late
            heard.frames += 1
            heard.bytes += len(event.payload)
            heard.seconds += event.frame_samples / event.sample_rate
            heard.crc = zlib.crc32(event.payload, heard.crc)
        heard.whole = True
    except Exception as error:
        heard.error = repr(error)


async def speak(index: int, args: argparse.Namespace) -> MobileClient:
    """One session with its utterances, one after another."""
    client = MobileClient()

    def changed(change: Interrupted | Reconnected) -> None:
        if isinstance(change, Interrupted):
            client.lost += 1
        else:
            client.resumed += change.resumed
            client.away_seconds.append(change.away_seconds)

    await asyncio.sleep(index * 0.05)
    session = None
    while session is None:
        # The first connection is the caller's own business.
        with contextlib.suppress(ConnectionLost):
            session = await connect(args.url, on_change=changed, reconnect_seconds=60, timeout=3)
    async with session:
        for number in range(args.utterances):
            await utterance(session, client, index, number, args)
    return client


async def main(args: argparse.Namespace) -> None:
    """All sessions at once."""
    phones = await asyncio.gather(*(speak(i, args) for i in range(args.sessions)))
    json.dump([asdict(client) for client in phones], sys.stdout)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--utterances", type=int, default=1)
    parser.add_argument("--sentences", type=int, default=3)
    parser.add_argument("--codec", default="pcm_s16le")
    parser.add_argument("--bitrate", type=int)
    parser.add_argument("--adapt", action="store_true")
    parser.add_argument("--lead-ms", type=int, default=500)
    parser.add_argument("--buffer-ms", type=float, default=200)
    asyncio.run(main(parser.parse_args()))
