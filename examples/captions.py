"""Prints each word at the moment it is heard, and writes captions that players of video read.

    python examples/captions.py "The kettle is on. Tea will be ready in four minutes." -o tea.wav --captions tea.vtt

`--captions` takes a name that ends in .vtt (with the time of each word) or .srt.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from contextlib import ExitStack
from pathlib import Path

from voxwire_client import Audio, Started, Utterance, WordTiming, connect
from voxwire_client.captions import Captions, SrtFormat, VttFormat
from voxwire_client.wav import WavWriter

TEXT = "The kettle is on. Tea will be ready in four minutes, and the biscuits cost $5."


async def print_words(utterance: Utterance) -> None:
    """Print each word as it stands in the text, when the listener hears it."""
    async for moment in utterance.moments():
        if isinstance(moment, WordTiming):
            start, end = moment.chars
            print(
                f"{moment.pts / utterance.playout.sample_rate:6.2f} s  {utterance.text_so_far[start:end]}", flush=True
            )


async def write_files(utterance: Utterance, wav_path: Path, captions_path: Path) -> None:
    """Write the audio and its captions as they come."""
    captions = Captions()
    form = SrtFormat() if captions_path.suffix == ".srt" else VttFormat(word_times=True)
    with ExitStack() as stack:
        file = stack.enter_context(captions_path.open("w", encoding="utf-8"))
        file.write(form.header)
        wav: WavWriter | None = None
        async for event in utterance:
            if isinstance(event, Started):
                wav = stack.enter_context(WavWriter(wav_path, event.audio.sample_rate))
            elif isinstance(event, Audio) and wav is not None:
                # Where there is no loudspeaker, listening starts with the first frame.
                utterance.playout.start(time.monotonic())
                wav.write(event.payload)
            for cue in captions.take(event, utterance.text_so_far):
                file.write(form.cue(cue, captions.sample_rate))


async def caption(url: str | None, voice: str | None, text: str, wav_path: Path, captions_path: Path) -> None:
    """Speak a text, print its words and write both files."""
    async with connect(url) as session:
        utterance = session.speak(text, voice=voice)
        await asyncio.gather(write_files(utterance, wav_path, captions_path), print_words(utterance))


def main() -> None:
    """Read the arguments and speak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", nargs="?", default=TEXT)
    parser.add_argument("--url", help="the voxwire server")
    parser.add_argument("--voice", help="a name that `voxwire voices` lists")
    parser.add_argument("-o", "--output", type=Path, default=Path("captions.wav"))
    parser.add_argument("--captions", type=Path, default=Path("captions.vtt"))
    args = parser.parse_args()
    asyncio.run(caption(args.url, args.voice, args.text, args.output, args.captions))


if __name__ == "__main__":
    main()
