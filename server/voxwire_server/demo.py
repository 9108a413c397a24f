"""`voxwire demo`: starts a server, streams a paragraph to it as a language model would, writes a WAV file."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PARAGRAPH = (
    "I can help you book a table for two tonight at seven thirty. The place on Elm Street still has room, "
    "and it is only a ten minute walk from your hotel. They ask for a deposit of $20.50, which comes off the bill. "
    "Shall I go ahead, or would you rather hear about **two more** that Dr. Lee recommended?"
)

READY_SECONDS_MAX = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("text", nargs="?", default=PARAGRAPH, help="what to say (default: a paragraph of our own)")
    parser.add_argument("-o", "--output", default="demo.wav", help="WAV file to write (default: %(default)s)")
    parser.add_argument("--tokens-per-second", type=float, default=25.0, help="how fast the model writes (%(default)s)")
    parser.add_argument("--codec", default="pcm_s16le", choices=("pcm_s16le", "mulaw", "alaw"))


def run(args: argparse.Namespace) -> int:
    """Run the demonstration; returns the exit status."""
    port = _free_port()
    print(f"starting a server with the embedded voice on port {port} ...", flush=True)
    command = [sys.executable, "-m", "voxwire_server.cli", "serve", "--port", str(port), "--log-level", "warning"]
    server = subprocess.Popen(command)  # noqa: S603 - our own command
    try:
        took = _wait_ready(server, port)
        if took is None:
            print("the server did not start; `voxwire doctor` may say why", file=sys.stderr)
            return 1
        print(f"ready after {took:.1f} s; the model writes {args.tokens_per_second:g} tokens a second:\n", flush=True)
        return asyncio.run(_speak(f"ws://127.0.0.1:{port}/v1/stream", args))
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()


def tokens(text: str) -> list[str]:
    """Cut a text into pieces like those of a language model: a space and a few letters, or a mark."""
    pieces = re.findall(r"\s*\w{1,6}|\s*[^\w\s]", text)
    return [*pieces, text[sum(map(len, pieces)) :]]


async def _token_stream(text: str, rate: float) -> AsyncIterator[str]:
    pace = random.Random(7)  # noqa: S311 - the same hesitations each time
    for token in tokens(text):
        print(token, end="", flush=True)
        yield token
        await asyncio.sleep(pace.expovariate(rate))
    print("\n")


async def _speak(url: str, args: argparse.Namespace) -> int:
    from voxwire_client import Audio, connect
    from voxwire_client.wav import WavWriter
    from voxwire_protocol import messages as m

    words: list[m.WordTiming] = []
    spoken_samples, sample_rate, first_at = 0, 24000, None
    wav: WavWriter | None = None
    began = time.monotonic()
    async with connect(url) as session:
        utterance = session.speak(_token_stream(args.text, args.tokens_per_second), timings=("word",), codec=args.codec)
        async for event in utterance:
            match event:
                case m.Started():
                    sample_rate = event.audio.sample_rate
                    wav = WavWriter(args.output, sample_rate, event.audio.codec)
                case Audio():
                    if first_at is None:
                        first_at = time.monotonic() - began
                    assert wav is not None, "started comes first"
                    wav.write(event.payload)
                case m.Timing():
                    words += event.words
                case m.Done():
                    spoken_samples = event.samples
                    server_ttfa = event.timings.ttfa_ms if event.timings else None
                case _:
                    pass
    if wav is None or first_at is None:
        print("nothing was spoken", file=sys.stderr)
        return 1
    wav.close()
    print("what was said when:")
    for word in words:
        print(f"  {word.pts / sample_rate:7.3f} s  {word.text}")
    print(f"\n{spoken_samples / sample_rate:.1f} s of speech written to {args.output}")
    print(f"first audio frame {first_at * 1000:.0f} ms after the first token", end="")
    print(f" (TTFA at the server: {server_ttfa:.1f} ms)" if server_ttfa is not None else "")
    return 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_ready(server: subprocess.Popen[bytes], port: int) -> float | None:
    began = time.monotonic()
    while time.monotonic() - began < READY_SECONDS_MAX and server.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=2) as answer:
                json.load(answer)
                return time.monotonic() - began
        except (urllib.error.URLError, OSError, ValueError):
            time.sleep(0.1)
    return None
