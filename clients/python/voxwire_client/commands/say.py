"""`voxwire say`: speak a text, or standard input as it comes, to a file or the sound card."""

from __future__ import annotations

import argparse
import asyncio
import codecs
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from voxwire_client.commands.server import add_server_arguments
from voxwire_client.player import Player, PlayerUnavailable
from voxwire_client.session import Audio, ConnectionLost, Session, connect
from voxwire_client.wav import WavWriter
from voxwire_protocol import messages as m
from voxwire_protocol.errors import VoxwireError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("text", nargs="?", help="what to say")
    parser.add_argument("--stdin", action="store_true", help="say what comes on standard input, as it comes")
    parser.add_argument("-o", "--output", metavar="WAV", help="write a WAV file (default: out.wav without --play)")
    parser.add_argument("--play", action="store_true", help="play it (pip install 'voxwire[play]')")
    parser.add_argument("--voice")
    parser.add_argument("--language")
    parser.add_argument("--speed", type=float)
    parser.add_argument("--rate", type=int, help="sample rate in Hz")
    parser.add_argument("--codec", choices=("pcm_s16le", "mulaw", "alaw"))
    parser.add_argument("--seed", type=int)
    parser.add_argument("-v", "--verbose", action="store_true", help="print when each word is said")
    add_server_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Speak; returns the exit status."""
    if (args.text is None) == (not args.stdin):
        print("voxwire: give a text, or --stdin (one of them)", file=sys.stderr)
        return 2
    if not args.play and args.output is None:
        args.output = "out.wav"
    try:
        return asyncio.run(_say(args))
    except VoxwireError as error:
        print(f"voxwire: {error}. {error.hint}", file=sys.stderr)
    except (ConnectionLost, PlayerUnavailable, OSError) as error:
        print(f"voxwire: {error}", file=sys.stderr)
        if isinstance(error, ConnectionLost) and error.code == 1006:
            print("Is a server running? `voxwire serve` starts one.", file=sys.stderr)
    return 1


@dataclass
class _Spoken:
    first_at: float | None = None
    samples: int = 0
    sample_rate: int = 24000
    words: list[m.WordTiming] = field(default_factory=list)


async def _say(args: argparse.Namespace) -> int:
    async with connect(args.url, api_key=args.api_key) as session:
        began = time.monotonic()
        spoken = await _listen(session, args, began)
    if args.verbose:
        for word in spoken.words:
            print(f"{word.pts / spoken.sample_rate:8.3f} {word.end_pts / spoken.sample_rate:8.3f}  {word.text}")
    if spoken.first_at is None:
        print("voxwire: there is nothing to say in this text", file=sys.stderr)
        return 1
    where = f" to {args.output}" if args.output else ""
    seconds = spoken.samples / spoken.sample_rate
    first_ms = (spoken.first_at - began) * 1000
    print(f"{seconds:.1f} s of speech{where}; first audio after {first_ms:.0f} ms", file=sys.stderr)
    return 0


async def _listen(session: Session, args: argparse.Namespace, began: float) -> _Spoken:
    spoken = _Spoken()
    with contextlib.ExitStack() as stack:
        outputs: list[Any] = []
        utterance = session.speak(
            args.text if args.text is not None else _standard_input(),
            voice=args.voice,
            language=args.language,
            speed=args.speed,
            sample_rate=args.rate,
            codec=args.codec,
            seed=args.seed,
            timings=("word",),
            pacing="realtime" if args.play else "burst",
        )
        async for event in utterance:
            match event:
                case m.Started():
                    spoken.sample_rate = event.audio.sample_rate
                    outputs = _outputs(args, event.audio, stack)
                case Audio():
                    if spoken.first_at is None:
                        spoken.first_at = time.monotonic()
                    for output in outputs:
                        output.write(event.payload)
                    _progress(event, began)
                case m.Timing():
                    spoken.words += event.words
                case m.WarningMessage():
                    print(f"\rvoxwire: {event.message}", file=sys.stderr)
                case m.Done():
                    spoken.samples = event.samples
                case _:
                    pass
        if sys.stderr.isatty():
            print("\r\033[K", end="", file=sys.stderr)
        await asyncio.to_thread(stack.close)
    return spoken


def _outputs(args: argparse.Namespace, audio: m.AudioInfo, stack: contextlib.ExitStack) -> list[Any]:
    outputs: list[Any] = []
    if args.output:
        outputs.append(stack.enter_context(WavWriter(args.output, audio.sample_rate, audio.codec)))
    if args.play:
        if audio.codec != "pcm_s16le":
            raise PlayerUnavailable("--play wants pcm_s16le")
        player = Player(audio.sample_rate)
        stack.callback(player.close)
        outputs.append(player)
    return outputs


def _progress(event: Audio, began: float) -> None:
    if sys.stderr.isatty() and event.seq % 10 == 0:
        shown = f"\r{event.pts / event.sample_rate:6.1f} s spoken in {time.monotonic() - began:.1f} s"
        print(shown, end="", file=sys.stderr, flush=True)


async def _standard_input() -> AsyncIterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        piece = await asyncio.to_thread(os.read, sys.stdin.fileno(), 4096)
        text = decoder.decode(piece, final=not piece)
        if text:
            yield text
        if not piece:
            return
