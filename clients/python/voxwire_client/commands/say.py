"""`voxwire say`: speak a text, or standard input as it comes, to files or the sound card."""

from __future__ import annotations

import argparse
import asyncio
import codecs
import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from voxwire_client.commands import add_server_arguments, explain, files
from voxwire_client.errors import ConnectionLost
from voxwire_client.events import Audio
from voxwire_client.player import Player, PlayerUnavailable
from voxwire_client.session import Session, connect
from voxwire_client.utterance import Utterance
from voxwire_client.wav import WavWriter
from voxwire_protocol import messages as m
from voxwire_protocol.errors import VoxwireError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voxwire_client.captions import SpeechRecord
    from voxwire_client.events import Event
    from voxwire_client.options import SpeakOptions

EXIT_USAGE = 2
DEFAULT_OUTPUT = "out.wav"
KINDS: dict[str, m.TimingKind] = {"word": "word", "phoneme": "phoneme", "viseme": "viseme"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("text", nargs="?", help="what to say")
    parser.add_argument("--stdin", action="store_true", help="say what comes on standard input, as it comes")
    parser.add_argument(
        "-o", "--output", metavar="WAV", help=f"write it here ({DEFAULT_OUTPUT} unless something else is asked for)"
    )
    parser.add_argument("--play", action="store_true", help="play it (pip install 'voxwire[play]')")
    parser.add_argument("--voice", help="a name that `voxwire voices` lists")
    parser.add_argument("--language", help="such as en or en-US; auto: each sentence's own")
    parser.add_argument("--speed", type=float, help="0.5 to 2.0")
    parser.add_argument("--rate", type=int, metavar="HZ", help="sample rate")
    parser.add_argument("--codec", choices=("pcm_s16le", "mulaw", "alaw"), help="what is sent; files are PCM always")
    parser.add_argument("--seed", type=int, help="the same seed sounds the same")
    parser.add_argument("--ssml", action="store_true", help="the text is SSML: pauses, marks, say-as and so on")
    parser.add_argument(
        "--timings",
        type=_timings,
        metavar="KINDS",
        help="word,phoneme,viseme or none (default: word; all of them with --json)",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="print what is said when, at the end")
    files.add_file_arguments(parser)
    add_server_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Speak; returns the exit status."""
    problem = _problem(args)
    if problem is not None:
        print(f"voxwire: {problem}", file=sys.stderr)
        return EXIT_USAGE
    if not args.play and args.output is None and not files.requested_paths(args):
        args.output = DEFAULT_OUTPUT
    try:
        return asyncio.run(_say(args))
    except BrokenPipeError:
        raise  # The program that read the captions has closed its end.
    except (VoxwireError, ConnectionLost) as error:
        explain(error)
    except (PlayerUnavailable, OSError, ValueError) as error:
        print(f"voxwire: {error}", file=sys.stderr)
    return 1


def _problem(args: argparse.Namespace) -> str | None:
    if (args.text is None) == (not args.stdin):
        return "give a text, or --stdin (one of them)"
    if args.play and args.codec not in (None, "pcm_s16le"):
        return f"--play plays pcm_s16le, not {args.codec}"
    return files.problem(args)


def _timings(value: str) -> tuple[m.TimingKind, ...]:
    kinds = [kind for kind in value.replace(",", " ").split() if kind != "none"]
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no timing {unknown[0]!r}; there are {', '.join(KINDS)}")
    return tuple(KINDS[kind] for kind in kinds)


async def _say(args: argparse.Namespace) -> int:
    async with connect(args.url, api_key=args.api_key) as session:
        utterance, record = await _listen(session, args)
    if utterance.done is None or not utterance.done.samples or utterance.ttfa_client_ms is None:
        print("voxwire: there is nothing to say in this text", file=sys.stderr)
        return 1
    sample_rate = utterance.playout.sample_rate
    if args.verbose:
        for line in _timing_lines(record, sample_rate):
            print(line)
    where = f" to {args.output}" if args.output else ""
    seconds = utterance.done.samples / sample_rate
    print(f"{seconds:.1f} s of speech{where}; first audio after {utterance.ttfa_client_ms:.0f} ms", file=sys.stderr)
    return 0


async def _listen(session: Session, args: argparse.Namespace) -> tuple[Utterance, SpeechRecord]:
    options: SpeakOptions = {
        "voice": args.voice,
        "language": args.language,
        "speed": args.speed,
        "sample_rate": args.rate,
        "codec": args.codec,
        "seed": args.seed,
        "format": "ssml" if args.ssml else None,
        "timings": files.timings(args),
        "pacing": "realtime" if args.play else "burst",
    }
    utterance = session.speak(args.text if args.text is not None else _standard_input(), **options)
    began = time.monotonic()
    # The progress line, rewritten in place, would spoil captions on the same terminal.
    progress = sys.stderr.isatty() and files.STANDARD_OUTPUT not in files.requested_paths(args).values()
    outputs: list[WavWriter | Player] = []
    with contextlib.ExitStack() as stack, _progress_line(), files.SpeechFiles(args) as written:
        async for event in utterance:
            if isinstance(event, m.Started):
                outputs = _outputs(args, event.audio, stack)
            elif isinstance(event, Audio):
                for output in outputs:
                    output.write(event.payload)
            written.take(event, utterance.text_so_far)
            _note(event, began, progress=progress)
        for output in outputs:
            if isinstance(output, Player):
                await asyncio.to_thread(output.close)
    return utterance, written.record


def _note(event: Event, began: float, *, progress: bool) -> None:
    match event:
        case Audio() if progress and event.seq % 10 == 0:
            spoken, seconds = event.pts / event.sample_rate, time.monotonic() - began
            print(f"\r{spoken:6.1f} s spoken in {seconds:.1f} s", end="", file=sys.stderr, flush=True)
        case m.WarningMessage():
            print(f"{_clear()}voxwire: {event.message}", file=sys.stderr)
        case _:
            pass


def _outputs(args: argparse.Namespace, audio: m.AudioInfo, stack: contextlib.ExitStack) -> list[WavWriter | Player]:
    outputs: list[WavWriter | Player] = []
    if args.output:
        outputs.append(stack.enter_context(WavWriter(args.output, audio.sample_rate, audio.codec)))
    if args.play:
        player = Player(audio.sample_rate)
        # Closes the sound card also after an error; without one all audio has been played by then.
        stack.callback(player.close, drain=False)
        outputs.append(player)
    return outputs


def _timing_lines(record: SpeechRecord, sample_rate: int) -> list[str]:
    entries = [(word.pts, word.end_pts, word.text) for word in record.words]
    entries += [(phoneme.pts, phoneme.end_pts, f"  /{phoneme.ipa}/") for phoneme in record.phonemes]
    entries += [(mark.pts, mark.pts, f"  mark {mark.name}") for mark in record.marks]
    entries += [(each.pts, each.pts, f"  mouth {each.id} ({each.weight:.2f})") for each in record.visemes]
    entries.sort(key=lambda entry: entry[0])
    return [f"{pts / sample_rate:8.3f} {end_pts / sample_rate:8.3f}  {text}" for pts, end_pts, text in entries]


@contextlib.contextmanager
def _progress_line() -> Iterator[None]:
    try:
        yield
    finally:
        print(_clear(), end="", file=sys.stderr, flush=True)


def _clear() -> str:
    return "\r\033[K" if sys.stderr.isatty() else ""


def _standard_input() -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    while True:
        piece = os.read(sys.stdin.fileno(), 4096)
        yield decoder.decode(piece, final=not piece)
        if not piece:
            return
