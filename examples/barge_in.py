"""Interrupts an answer after some seconds, as a user does who starts to talk, and prints what the user had heard.

    python examples/barge_in.py --after 2.5

Instead of a loudspeaker there is a clock that starts with the first frame. A real player says where it is:
`utterance.playout.follow(lambda: player.played_samples)`, or `cancel(played_pts=...)`.
"""

from __future__ import annotations

import argparse
import asyncio
import time

from voxwire_client import Audio, Done, Utterance, connect

ANSWER = (
    "Your table is booked for seven in the evening. It is by the window, and there is room for a pram. "
    "The kitchen closes at ten, and the last tram leaves at a quarter past eleven."
)


async def listen(utterance: Utterance, first_audio: asyncio.Event) -> None:
    """Take the audio until the utterance is over, by itself or because it was cancelled."""
    async for event in utterance:
        if isinstance(event, Audio) and not first_audio.is_set():
            utterance.playout.start(time.monotonic())
            first_audio.set()
        elif isinstance(event, Done):
            first_audio.set()
            print(f"done: {event.reason.value}")


async def interrupt(url: str | None, voice: str | None, after_seconds: float) -> None:
    """Speak, interrupt after some seconds of listening, and report."""
    async with connect(url) as session:
        utterance = session.speak(ANSWER, voice=voice)
        first_audio = asyncio.Event()
        listening = asyncio.create_task(listen(utterance, first_audio))
        await first_audio.wait()
        await asyncio.sleep(after_seconds)
        report = await utterance.cancel()  # no audio comes after this
        await listening
    # This, and nothing more, belongs in the conversation's history.
    print(f"heard: {report.heard.text!r}")
    print(f"cut off in the middle of: {report.heard.word!r}")
    print(f"not heard: {report.unheard.text!r}")


def main() -> None:
    """Read the arguments and interrupt."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--after", type=float, default=2.5, help="seconds of listening (default: %(default)s)")
    parser.add_argument("--url", help="the voxwire server")
    parser.add_argument("--voice", help="a name that `voxwire voices` lists")
    args = parser.parse_args()
    asyncio.run(interrupt(args.url, args.voice, args.after))


if __name__ == "__main__":
    main()
