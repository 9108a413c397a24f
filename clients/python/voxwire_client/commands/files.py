"""The files that `voxwire say` writes besides the audio: captions and times; `-` is standard output."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from voxwire_client.captions import Captions, SpeechRecord, SrtFormat, VttFormat
from voxwire_protocol import messages as m

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import TracebackType

    from voxwire_client.captions import Cue
    from voxwire_client.captions.subtitles import SubtitleFormat
    from voxwire_client.events import Event

STANDARD_OUTPUT = "-"
WRITTEN = ("srt", "vtt", "json")
ALL_TIMINGS: tuple[m.TimingKind, ...] = ("word", "phoneme", "viseme")


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options for captions and times."""
    group = parser.add_argument_group("captions and times", "FILE may be -, standard output, for one of them.")
    group.add_argument("--srt", metavar="FILE", help="write captions as SubRip, each as soon as it is certain")
    group.add_argument("--vtt", metavar="FILE", help="write captions as WebVTT, each as soon as it is certain")
    group.add_argument("--vtt-words", action="store_true", help="with --vtt: also mark when each word begins")
    group.add_argument(
        "--json",
        metavar="FILE",
        help="write text, words, phonemes, marks, mouth shapes, clauses and captions with their times, at the end",
    )


def requested_paths(args: argparse.Namespace) -> dict[str, str]:
    """The paths of the files to write, by the option's name."""
    return {name: getattr(args, name) for name in WRITTEN if getattr(args, name) is not None}


def timings(args: argparse.Namespace) -> tuple[m.TimingKind, ...]:
    """The timings to ask of the server: those of --timings, and those that the files need."""
    asked: tuple[m.TimingKind, ...] | None = args.timings
    if asked is None:
        return ALL_TIMINGS if args.json is not None else ("word",)
    captions = args.srt is not None or args.vtt is not None
    return ("word", *asked) if captions and "word" not in asked else asked


def problem(args: argparse.Namespace) -> str | None:
    """Why these files can't be written; None if they can."""
    files = requested_paths(args)
    to_output = [f"--{name} -" for name, path in files.items() if path == STANDARD_OUTPUT]
    if to_output and args.verbose:
        to_output.append("-v")
    if len(to_output) > 1:
        return f"{' and '.join(to_output)} would both go to standard output; give one of them a file"
    if args.vtt_words and args.vtt is None:
        return "--vtt-words says how --vtt is written; give --vtt FILE too"
    paths = {"-o": args.output} if args.output is not None else {}
    paths |= {f"--{name}": path for name, path in files.items() if path != STANDARD_OUTPUT}
    seen: dict[str, str] = {}
    for option, path in paths.items():
        if (other := seen.setdefault(os.path.realpath(path), option)) != option:
            return f"{other} and {option} name the same file, {path}"
        if Path(path).is_dir():
            return f"{option} {path}: that is a directory"
        if not Path(path).absolute().parent.is_dir():
            return f"{option} {path}: there is no directory {Path(path).parent}"
    return None


class SpeechFiles:
    """Writes the files of one utterance while its events come; complete when the `with` block ends.

    They are opened at `Started`, so that refused speech leaves older files as they are. Where the speech breaks off
    they hold what was spoken until then, and a message on standard error says so.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.record = SpeechRecord()
        self._captions = Captions(ssml=getattr(args, "ssml", False))
        self._paths = requested_paths(args)
        self._formats: dict[str, SubtitleFormat] = {"srt": SrtFormat(), "vtt": VttFormat(word_times=args.vtt_words)}
        self._files: dict[str, BinaryIO] = {}
        self._stack = contextlib.ExitStack()
        self._text = ""

    def take(self, event: Event, text: str) -> None:
        """Take an event; `text` is the context's text so far.

        Raises:
            OSError: a file can't be written.
        """
        self._text = text
        if isinstance(event, m.Started) and not self._files:
            self._open()
        self.record.take(event)
        self._show(self._captions.take(event, text))

    def _open(self) -> None:
        for name, path in self._paths.items():
            if path == STANDARD_OUTPUT:
                self._files[name] = sys.stdout.buffer
            else:
                self._files[name] = self._stack.enter_context(open(path, "wb"))  # noqa: SIM115 - closed by the stack
        for name, format in self._formats.items():
            self._write(name, format.header)

    def _show(self, cues: Sequence[Cue]) -> None:
        self.record.show(cues)
        for cue in cues:
            for name, format in self._formats.items():
                self._write(name, format.cue(cue, self._captions.sample_rate))

    def _write(self, name: str, text: str) -> None:
        file = self._files.get(name)
        if file is not None and text:
            file.write(text.encode())
            file.flush()

    def _finish(self) -> None:
        self._show(self._captions.finish(self._text))
        if "json" in self._files:
            self._write("json", self.record.json(self._text))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if kind is None:
                self._finish()
                return
            with contextlib.suppress(OSError):
                self._finish()
        for name in self._files:
            if self._paths[name] != STANDARD_OUTPUT:
                print(f"voxwire: {self._paths[name]} ends where the speech broke off", file=sys.stderr)
